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
    /// The query that yields it.
    pub query: String,
    /// What tells it from others of its name: `code`, `container`, `le`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Nanoseconds since the cell's start (negative: before it), and the value.
    pub points: Vec<(i64, f64)>,
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
