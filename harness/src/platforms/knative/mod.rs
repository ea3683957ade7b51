//! Knative Serving on a cluster.

use std::sync::Arc;

use super::{Deployed, FunctionSpec, Platform, PlatformError, ReplicaSample, cluster::Cluster};

/// Knative Serving on a cluster.
#[derive(Debug)]
pub struct Knative {
    cluster: Arc<Cluster>,
}

impl Knative {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }
}

impl Platform for Knative {
    async fn deploy(&mut self, _spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let _ = &self.cluster;
        Err(PlatformError::Control { platform: "knative", cause: "not built yet".to_owned() })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        Err(PlatformError::Control { platform: "knative", cause: "not built yet".to_owned() })
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        Ok(())
    }
}
