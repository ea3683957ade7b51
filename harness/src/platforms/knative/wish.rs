//! How many replicas Knative's autoscaler wants, kept current by a watch on the PodAutoscalers.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::manifest::SERVICE_LABEL;
use crate::platforms::cluster::{
    Api, ApiError,
    api::Selection,
    follow::{Kept, keep},
    resources::POD_AUTOSCALERS,
};

/// A watch on the PodAutoscalers of one Service; ends when dropped.
#[derive(Debug)]
pub struct Wish {
    desired: Arc<Mutex<Option<u32>>>,
    task: JoinHandle<()>,
}

impl Wish {
    /// Begins to watch.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn watch(api: &Api, namespace: &str, service: &str) -> Result<Self, ApiError> {
        let mut kept = autoscalers(api, namespace, service).await?;
        let desired = Arc::new(Mutex::new(desired(kept.objects().values())));
        let told = desired.clone();
        let task = tokio::spawn(async move {
            while kept.changed().await.is_some() {
                if let Ok(mut told) = told.lock() {
                    *told = self::desired(kept.objects().values());
                }
            }
        });
        Ok(Self { desired, task })
    }

    /// Replicas wanted by all revisions together; none while the autoscaler has no data.
    pub fn now(&self) -> Option<u32> {
        self.desired.lock().ok().and_then(|desired| *desired)
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The PodAutoscalers of a Service.
///
/// # Errors
/// If they cannot be listed.
pub async fn autoscalers(api: &Api, namespace: &str, service: &str) -> Result<Kept, ApiError> {
    let of_service = Selection::labelled(format!("{SERVICE_LABEL}={service}"));
    keep(api, POD_AUTOSCALERS, Some(namespace.to_owned()), of_service).await
}

/// Sum of what the autoscalers want. One that has no data yet says -1, or nothing: then the sum is
/// not known.
pub fn desired<'a>(autoscalers: impl Iterator<Item = &'a Value>) -> Option<u32> {
    let mut sum = None;
    for autoscaler in autoscalers {
        let desired = u32::try_from(autoscaler["status"]["desiredScale"].as_i64()?).ok()?;
        sum = Some(sum.unwrap_or(0) + desired);
    }
    sum
}

/// Whether the autoscalers have scaled everything down, and their words. None: not yet.
pub fn at_zero<'a>(autoscalers: impl Iterator<Item = &'a Value>) -> Option<String> {
    let mut words = Vec::new();
    for autoscaler in autoscalers {
        let status = &autoscaler["status"];
        if status["actualScale"].as_i64() != Some(0) {
            return None;
        }
        let name = autoscaler["metadata"]["name"].as_str().unwrap_or_default();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let reason = conditions.filter(|c| c["type"] == "Active").find_map(|c| c["reason"].as_str());
        words.push(format!(
            "{name}: actualScale 0, desiredScale {}, {}",
            status["desiredScale"].as_i64().unwrap_or(-1),
            reason.unwrap_or("no reason given")
        ));
    }
    Some(words.join("; "))
}
