//! URLs that are there already.

use super::{Deployed, FunctionSpec, Platform, PlatformError, ReplicaSample};

/// URLs that are there already.
#[derive(Debug)]
pub struct AnyEndpoint {
    urls: Vec<String>,
}

impl AnyEndpoint {
    /// Nothing is deployed yet.
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls }
    }
}

impl Platform for AnyEndpoint {
    async fn deploy(&mut self, _spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let _ = &self.urls;
        Err(PlatformError::Control { platform: "endpoint", cause: "not built yet".to_owned() })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        Err(PlatformError::Control { platform: "endpoint", cause: "not built yet".to_owned() })
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        Ok(())
    }
}
