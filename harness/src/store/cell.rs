//! One cell's folder, while it is written.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{CellMeta, CellState, RecordFile, StoreError, TimedSample, files, parquet};
use crate::{collect::series::CellSeries, drive::GeneratorAudit, outcome::ProcedureOutcome, record::Record};

/// Names inside a cell's folder.
pub(super) const META: &str = "cell.json";
pub(super) const STREAM: &str = "records.arrows";
pub(super) const PARQUET: &str = "records.parquet";
pub(super) const SAMPLES: &str = "replicas.jsonl";
pub(super) const SERIES: &str = "series.json";
pub(super) const OUTCOME: &str = "outcome.json";

/// Writes a cell while it runs. Clones write to the same cell, from any thread.
#[derive(Clone)]
pub struct CellWriter {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    records: Mutex<RecordFile>,
    samples: Mutex<File>,
    meta: Mutex<CellMeta>,
}

/// A panic elsewhere must not lose the cell as well.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CellWriter {
    /// Begins a cell in a new folder.
    pub(super) fn begin(folder: PathBuf, meta: CellMeta) -> Result<Self, StoreError> {
        fs::create_dir_all(&folder).map_err(files::io(&folder))?;
        files::write_json(&folder.join(META), &meta)?;
        let records = RecordFile::create(&folder.join(STREAM))?;
        let samples = folder.join(SAMPLES);
        let samples =
            File::options().append(true).create(true).open(&samples).map_err(files::io(&samples))?;
        let inner = Inner {
            folder,
            records: Mutex::new(records),
            samples: Mutex::new(samples),
            meta: Mutex::new(meta),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends rows; when it returns, they survive a kill of this process. Call it with batches
    /// (`drive::play` hands one over every 200 ms): each costs some system calls and 2 KiB.
    ///
    /// # Errors
    /// When the disk refuses; from then on always.
    pub fn append(&self, rows: &[Record]) -> Result<(), StoreError> {
        let appended = lock(&self.inner.records).append(rows);
        appended.map_err(|cause| files::format(&self.inner.folder.join(STREAM), cause))
    }

    /// Appends a replica sample.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sample(&self, sample: &TimedSample) -> Result<(), StoreError> {
        let path = self.inner.folder.join(SAMPLES);
        let mut line = serde_json::to_vec(sample).map_err(|error| files::format(&path, error))?;
        line.push(b'\n');
        // One write a line, so that a kill tears the last one at most.
        lock(&self.inner.samples).write_all(&line).map_err(files::io(&path))
    }

    /// Notes what went wrong beside the load; written when the cell ends.
    pub fn remark(&self, sentence: String) {
        lock(&self.inner.meta).remarks.push(sentence);
    }

    /// Notes the revision of each pod; written when the cell ends.
    pub fn revisions(&self, of_pods: std::collections::BTreeMap<String, String>) {
        lock(&self.inner.meta).revisions = of_pods;
    }

    /// Writes what others measured of the cell. It may come after [`CellWriter::finish`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn series(&self, series: &CellSeries) -> Result<(), StoreError> {
        files::write_json(&self.inner.folder.join(SERIES), series)
    }

    /// Writes what the cell's procedure found so far. It may be called again: the last one counts.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn outcome(&self, outcome: &ProcedureOutcome) -> Result<(), StoreError> {
        files::write_json(&self.inner.folder.join(OUTCOME), outcome)
    }

    /// Ends the cell: says how far it came, and makes the Parquet file. The audit's start replaces
    /// the one that the metadata began with.
    ///
    /// # Errors
    /// When the disk refuses. The stream file holds all rows that were appended in any case.
    pub fn finish(&self, audit: Option<GeneratorAudit>, state: CellState) -> Result<(), StoreError> {
        let Inner { folder, records, meta, .. } = &*self.inner;
        let ended = lock(records).finish().map_err(|cause| files::format(&folder.join(STREAM), cause));
        {
            let mut meta = lock(meta);
            if let Some(audit) = &audit {
                meta.started_unix_ns = audit.started_unix_ns;
            }
            meta.audit = audit;
            meta.state = state;
            files::write_json(&folder.join(META), &*meta)?;
        }
        ended?;
        parquet::convert(&folder.join(STREAM), &folder.join(PARQUET))
    }
}
