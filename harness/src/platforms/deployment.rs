//! A plain Kubernetes Deployment and Service.

use std::sync::Arc;

use super::{Deployed, FunctionSpec, Platform, PlatformError, ReplicaSample, cluster::Cluster};

/// A plain Kubernetes Deployment and Service.
#[derive(Debug)]
pub struct PlainDeployment {
    cluster: Arc<Cluster>,
}

impl PlainDeployment {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }
}

impl Platform for PlainDeployment {
    async fn deploy(&mut self, _spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let _ = &self.cluster;
        Err(PlatformError::Control { platform: "deployment", cause: "not built yet".to_owned() })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        Err(PlatformError::Control { platform: "deployment", cause: "not built yet".to_owned() })
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        Ok(())
    }
}
