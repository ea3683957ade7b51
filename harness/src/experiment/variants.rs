//! Variants: the same question asked of each platform with other resources, replicas or images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FunctionChoice;
use crate::platforms::ReplicaBounds;

/// What differs from the experiment's own function; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Variant {
    /// Short name, a DNS label: `2-cores`.
    pub name: String,
    /// Workload of our function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Image that a cluster runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// CPU limit of a replica, cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// Memory limit of a replica, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Requests a replica works on at once; 0 = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_concurrency: Option<u32>,
    /// Replica bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicaBounds>,
    /// Environment added to the function's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Variant {
    /// The function of an experiment as this variant has it.
    pub fn over(&self, function: &FunctionChoice) -> FunctionChoice {
        let mut own = function.clone();
        if let Some(workload) = &self.workload {
            own.workload.clone_from(workload);
        }
        if self.image.is_some() {
            own.image.clone_from(&self.image);
        }
        own.cpu_cores = self.cpu_cores.unwrap_or(own.cpu_cores);
        own.memory_mib = self.memory_mib.unwrap_or(own.memory_mib);
        own.container_concurrency = self.container_concurrency.unwrap_or(own.container_concurrency);
        own
    }
}
