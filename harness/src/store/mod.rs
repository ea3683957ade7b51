//! The run folder: the only code that knows its format.
//!
//! ```text
//! runs/<id>/
//!   experiment.toml     the effective experiment
//!   environment.json    versions, hardware, digests, seeds
//!   plan.json           the cells, in the order in which they are to run
//!   stopped.json        how the run ended before its last trial, if it did (Stopped)
//!   lock                held by the process that measures
//!   cells/<cell id>/
//!     cell.json         metadata and state of the cell (CellMeta)
//!     records.arrows    Arrow IPC stream, appended while the cell runs
//!     records.parquet   the same rows, after the cell
//!     replicas.jsonl    replica samples, appended while the cell runs
//!     outcome.json      what the cell's procedure found (ProcedureOutcome), where it has one; the
//!                       loads that it played have cells of their own within this folder: p03/
//!     response.hgrm     response times for HdrHistogram's plotter; response.hlog: by interval
//!     series.json       what Prometheus or the kubelet measured meanwhile (CellSeries), if asked
//!     events.json       what became of the events of its answers (CellEvents), where there are any
//!   cells/<cell id>.torn-1/   what a stop left of a cell that was measured again
//!   deployments/<trial-subject>.json   what was watched of a deployment's replicas (Timeline)
//!   summary.json report.md report.html plots/
//! ```

pub mod batch;
mod cell;
mod columns;
mod files;
mod parquet;
mod resuming;
mod run_folder;
mod stream;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use cell::CellWriter;
pub use parquet::convert as write_parquet;
pub use resuming::{CellProgress, RunLock};
pub use run_folder::{RowsOnDisk, RunFolder};
pub use stream::RecordFile;

use crate::{
    collect::series::CellSeries, drive::GeneratorAudit, experiment::Cell, outcome::ProcedureOutcome,
    platforms::ReplicaSample, record::Record,
};

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
    /// What went wrong beside the load, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The revision of each pod that was seen, where several share the traffic.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub revisions: std::collections::BTreeMap<String, String>,
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

/// One cell: with all its rows, with rows that lie on disk, or with what was made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CellData<R = Vec<Record>> {
    /// Metadata.
    pub meta: CellMeta,
    /// Its rows: all that could be read.
    pub records: R,
    /// All samples that could be read.
    pub samples: Vec<TimedSample>,
    /// What others measured of it; none if nobody was asked.
    pub series: Option<CellSeries>,
    /// What its procedure found; none if it has none, or came to nothing.
    pub outcome: Option<ProcedureOutcome>,
    /// What was found damaged and left out, in words (a torn last batch after a kill, say).
    pub damage: Vec<String>,
}

impl<R> CellData<R> {
    /// The same with something else in the rows' place.
    pub fn with<S>(self, records: S) -> CellData<S> {
        self.without_rows().0.put(records)
    }

    /// The cell apart from its rows, and these.
    pub fn without_rows(self) -> (CellData<()>, R) {
        let Self { meta, records, samples, series, outcome, damage } = self;
        (CellData { meta, records: (), samples, series, outcome, damage }, records)
    }
}

impl CellData<()> {
    fn put<S>(self, records: S) -> CellData<S> {
        let Self { meta, records: (), samples, series, outcome, damage } = self;
        CellData { meta, records, samples, series, outcome, damage }
    }
}

/// Why the run folder could not be written or read. Torn data is not an error: see
/// [`CellData::damage`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{path}: {source}; check free space and permissions", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run of this name is there already.
    #[error("{path} exists already; choose another name or folder", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process measures in it.
    #[error("{path} is being measured by another process; wait for its end, or stop it", path = path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// It is not a run folder.
    #[error("{path} is not a run folder (it has no {missing}); name a folder like runs/2026-01-31-1200", path = path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that every run folder has.
        missing: &'static str,
    },
    /// A newer harness wrote it.
    #[error("{path} has format {found}, and this harness reads up to {known}; use a newer harness", path = path.display(), known = SCHEMA_VERSION)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format's version.
        found: u32,
    },
    /// The content makes no sense.
    #[error("{path} cannot be used: {cause}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}
