//! Measurements of others beside ours: named series over a cell's time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was collected for one cell; `cells/<id>/series.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CellSeries {
    /// Where it comes from, in words: `Prometheus 2.42.0`, `kubelet`.
    pub source: String,
    /// What the source's figures can and cannot bear, one sentence each.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The series that have points.
    pub series: Vec<Series>,
    /// What was asked for and is not there.
    #[serde(default)]
    pub missing: Vec<MissingSeries>,
}

/// One quantity over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name, the same on every platform where the meaning is: `replicas_ready`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// Its unit: `1/s`, `replicas`, `cores`, `bytes`, `s`.
    pub unit: String,
    /// How its values are to be read.
    #[serde(default)]
    pub kind: SeriesKind,
    /// Of a rate: the seconds before each point that it averages over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<f64>,
    /// The query that yields it.
    pub query: String,
    /// What tells it from others of its name: `code`, `container`, `le`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Nanoseconds since the cell's start (negative: before it), and the value.
    pub points: Vec<(i64, f64)>,
}

/// How the values of a series are to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    /// Each value is what was there at its time.
    #[default]
    Gauge,
    /// A total that only grows, except that it begins at zero again with its process.
    Counter,
    /// A change a second, averaged over the time before each point.
    Rate,
}

/// Names of series that the analysis reads.
pub mod name {
    /// Requests that were answered, by code.
    pub const REQUESTS: &str = "requests_total";
    /// CPU time of a container; label `component`.
    pub const CPU: &str = "cpu_seconds";
    /// CPU use of a container, where the source knows no total; label `component`.
    pub const CPU_CORES: &str = "cpu_cores";
    /// Working set of a container; label `component`.
    pub const MEMORY: &str = "memory_bytes";
    /// Replicas that the platform wants.
    pub const REPLICAS_DESIRED: &str = "replicas_desired";
    /// Replicas that can answer.
    pub const REPLICAS_READY: &str = "replicas_ready";
    /// Concurrency over Knative's stable window.
    pub const CONCURRENCY_STABLE: &str = "concurrency_stable";
    /// Concurrency over Knative's panic window.
    pub const CONCURRENCY_PANIC: &str = "concurrency_panic";
    /// Concurrency that Knative aims at.
    pub const CONCURRENCY_TARGET: &str = "concurrency_target";
    /// Whether Knative's autoscaler panics, 0 or 1.
    pub const PANIC_MODE: &str = "panic_mode";
}

/// What a container is to the comparison: values of the label `component`.
pub mod component {
    /// The user's code.
    pub const FUNCTION: &str = "function";
    /// Knative's proxy beside it.
    pub const QUEUE_PROXY: &str = "queue-proxy";
    /// Any other container in its pods (a mesh's proxy).
    pub const SIDECAR: &str = "sidecar";
    /// Knative's activator.
    pub const ACTIVATOR: &str = "activator";
    /// The ingress gateway.
    pub const INGRESS: &str = "ingress";
    /// The OpenFaaS gateway.
    pub const GATEWAY: &str = "gateway";
    /// OpenFaaS's provider, which stands in the path as well.
    pub const PROVIDER: &str = "provider";

    /// What a request passes beside the function, in the order in which it does: the platform's tax.
    pub const DATA_PLANE: [&str; 6] = [INGRESS, GATEWAY, ACTIVATOR, PROVIDER, QUEUE_PROXY, SIDECAR];
}

/// A quantity that nobody provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingSeries {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// What would provide it.
    pub remedy: String,
}
