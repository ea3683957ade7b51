//! The run folder: the only code that knows its format.
//!
//! ```text
//! runs/<id>/
//!   experiment.toml     the effective experiment
//!   environment.json    versions, hardware, digests, seeds
//!   plan.json           the cells, in the order in which they are to run
//!   cells/<cell id>/
//!     cell.json         metadata and state of the cell (CellMeta)
//!     records.arrows    Arrow IPC stream, appended while the cell runs
//!     records.parquet   the same rows, after the cell
//!     replicas.jsonl    replica samples, appended while the cell runs
//!   summary.json report.md report.html plots/
//! ```

use serde::{Deserialize, Serialize};

use crate::{drive::GeneratorAudit, experiment::Cell, platforms::ReplicaSample, record::Record};

/// Version of everything in the run folder; a reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = 1;

/// How far a cell came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum CellState {
    /// Begun, and not ended as far as the folder tells (also what a crash leaves behind).
    Running,
    /// Played to its end.
    Done,
    /// Stopped by the user.
    Interrupted,
    /// Could not be measured, and why.
    Failed(String),
}

/// What is known of a cell beside its records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellMeta {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was to be done.
    pub cell: Cell,
    /// How far it came.
    pub state: CellState,
    /// Wall-clock instant of monotonic zero, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// From the deploy call to the first correct answer, ms.
    pub ready_after_ms: f64,
    /// The platform's settings in force.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Names of the payloads, by index.
    pub payloads: Vec<String>,
    /// What the generator says of itself, once the cell ended.
    pub audit: Option<GeneratorAudit>,
}

/// A replica sample with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimedSample {
    /// Since the cell's start, nanoseconds.
    pub at_ns: u64,
    /// What was seen.
    #[serde(flatten)]
    pub sample: ReplicaSample,
}

/// One cell as it lies on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct CellData {
    /// Metadata.
    pub meta: CellMeta,
    /// All rows that could be read.
    pub records: Vec<Record>,
    /// All samples that could be read.
    pub samples: Vec<TimedSample>,
    /// What was found damaged and left out, in words (a torn last batch after a kill, say).
    pub damage: Vec<String>,
}
