//! The number of replicas that a Deployment asks for, kept current by a watch.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use crate::platforms::cluster::{
    api::{Api, ApiError, Selection},
    follow::{Change, follow},
    resources::DEPLOYMENTS,
};

/// A watch on one Deployment; ends when dropped.
#[derive(Debug)]
pub struct Wanted {
    replicas: Arc<Mutex<Option<u32>>>,
    task: JoinHandle<()>,
}

impl Wanted {
    /// Begins to watch. The Deployment need not be there yet.
    ///
    /// # Errors
    /// If Deployments cannot be listed.
    pub async fn watch(api: &Api, namespace: &str, name: &str) -> Result<Self, ApiError> {
        let mut changes =
            follow(api, DEPLOYMENTS, Some(namespace.to_owned()), Selection::named(name)).await?;
        let replicas = Arc::new(Mutex::new(None));
        let kept = replicas.clone();
        let task = tokio::spawn(async move {
            while let Some(heard) = changes.next().await {
                let now = match heard.change {
                    Change::Applied(object) => object["spec"]["replicas"].as_u64().map(|n| n as u32),
                    // Whoever asks then asks the gateway.
                    Change::Deleted(_) | Change::Lost(_) => None,
                };
                if let Ok(mut replicas) = kept.lock() {
                    *replicas = now;
                }
            }
            if let Ok(mut replicas) = kept.lock() {
                *replicas = None;
            }
        });
        Ok(Self { replicas, task })
    }

    /// The number, if it is known at the moment.
    pub fn now(&self) -> Option<u32> {
        self.replicas.lock().ok().and_then(|replicas| *replicas)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.task.abort();
    }
}
