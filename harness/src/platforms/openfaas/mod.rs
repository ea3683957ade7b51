//! OpenFaaS Community Edition on a cluster, through its gateway.

use std::sync::Arc;

use super::{Deployed, FunctionSpec, Platform, PlatformError, ReplicaSample, cluster::Cluster};

/// OpenFaaS Community Edition on a cluster, through its gateway.
#[derive(Debug)]
pub struct OpenFaas {
    cluster: Arc<Cluster>,
}

impl OpenFaas {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }
}

impl Platform for OpenFaas {
    async fn deploy(&mut self, _spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let _ = &self.cluster;
        Err(PlatformError::Control { platform: "openfaas", cause: "not built yet".to_owned() })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        Err(PlatformError::Control { platform: "openfaas", cause: "not built yet".to_owned() })
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        Ok(())
    }
}
