//! A run's folder: its whole files, and its cells read back.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    CellData, CellMeta, CellState, CellWriter, SCHEMA_VERSION, StoreError, TimedSample,
    cell::{META, OUTCOME, PARQUET, SAMPLES, SERIES, STREAM},
    files, parquet, stream,
};
use crate::{
    analyse::{events::CellEvents, rows::Rows, summary::Summary},
    annotate::Annotated,
    collect::{series::CellSeries, timeline::Timeline},
    experiment::{Cell, Experiment, Stopped},
    outcome::ProcedureOutcome,
    record::Record,
};

const EXPERIMENT: &str = "experiment.toml";
const ENVIRONMENT: &str = "environment.json";
const PLAN: &str = "plan.json";
const SUMMARY: &str = "summary.json";
pub(super) const CELLS: &str = "cells";
const DEPLOYMENTS: &str = "deployments";
const STOPPED: &str = "stopped.json";
const ANNOTATED: &str = "annotations.json";
/// In a cell's folder.
const EVENTS: &str = "events.json";

/// A run's folder on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder `dir/id`.
    ///
    /// # Errors
    /// When it exists already or cannot be made.
    pub fn create(dir: &Path, id: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(files::io(dir))?;
        let path = dir.join(id);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(StoreError::Exists { path }),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Opens a folder that a run left behind.
    ///
    /// # Errors
    /// When it is not a run folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        if path.join(PLAN).is_file() {
            Ok(Self { path })
        } else {
            Err(StoreError::NotARun { path, missing: PLAN })
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id: the folder's name.
    pub fn id(&self) -> String {
        let name = self.path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
        name.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes a report or the like, whole or not at all. `name` may hold folders.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(files::io(parent))?;
        }
        files::write(&path, bytes)
    }

    /// Writes the effective experiment.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<(), StoreError> {
        let path = self.path.join(EXPERIMENT);
        let text = toml::to_string_pretty(experiment).map_err(|error| files::format(&path, error))?;
        files::write(&path, text.as_bytes())
    }

    /// Reads the effective experiment; where the run ended early by its rule, with the trials that it
    /// had.
    ///
    /// # Errors
    /// When it is not there or makes no sense.
    pub fn read_experiment(&self) -> Result<Experiment, StoreError> {
        let path = self.path.join(EXPERIMENT);
        let text = fs::read_to_string(&path).map_err(files::io(&path))?;
        let mut experiment = toml::from_str(&text).map_err(|error| files::format(&path, error))?;
        if let Some(stopped) = self.read_stopped()? {
            stopped.end(&mut experiment);
        }
        Ok(experiment)
    }

    /// Notes that the run ends before its last trial by its rule: what is planned after it is not missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_stopped(&self, stopped: &Stopped) -> Result<(), StoreError> {
        files::write_json(&self.path.join(STOPPED), stopped)
    }

    /// How the run ended before its last trial; none: it did not.
    ///
    /// # Errors
    /// When that makes no sense.
    pub fn read_stopped(&self) -> Result<Option<Stopped>, StoreError> {
        let path = self.path.join(STOPPED);
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Notes what of the run is shown in Grafana.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_annotated(&self, annotated: &Annotated) -> Result<(), StoreError> {
        files::write_json(&self.path.join(ANNOTATED), annotated)
    }

    /// What of the run is shown in Grafana; none: nobody asked for that.
    ///
    /// # Errors
    /// When that makes no sense.
    pub fn read_annotated(&self) -> Result<Option<Annotated>, StoreError> {
        let path = self.path.join(ANNOTATED);
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Writes what the run ran on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_environment(&self, environment: &serde_json::Value) -> Result<(), StoreError> {
        files::write_json(&self.path.join(ENVIRONMENT), environment)
    }

    /// Reads what the run ran on.
    ///
    /// # Errors
    /// When it is not there or makes no sense.
    pub fn read_environment(&self) -> Result<serde_json::Value, StoreError> {
        files::read_json(&self.path.join(ENVIRONMENT))
    }

    /// Writes the cells in the order in which they are to run.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_plan(&self, cells: &[Cell]) -> Result<(), StoreError> {
        files::write_json(&self.path.join(PLAN), &cells)
    }

    /// Reads the cells in the order in which they were to run; where the run ended early by its rule,
    /// up to its last trial.
    ///
    /// # Errors
    /// When the plan is not there or makes no sense.
    pub fn read_plan(&self) -> Result<Vec<Cell>, StoreError> {
        let mut plan = files::read_json(&self.path.join(PLAN))?;
        if let Some(stopped) = self.read_stopped()? {
            stopped.cut(&mut plan);
        }
        Ok(plan)
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_summary(&self, summary: &Summary) -> Result<(), StoreError> {
        files::write_json(&self.path.join(SUMMARY), summary)
    }

    /// Reads the summary; none if the run ended before it was made.
    ///
    /// # Errors
    /// When it makes no sense, or a newer harness wrote it.
    pub fn read_summary(&self) -> Result<Option<Summary>, StoreError> {
        let path = self.path.join(SUMMARY);
        if !path.exists() {
            return Ok(None);
        }
        check_version(&path)?;
        files::read_json(&path).map(Some)
    }

    /// Begins a cell.
    ///
    /// # Errors
    /// When the cell was begun before, or the disk refuses.
    pub fn cell_writer(&self, meta: CellMeta) -> Result<CellWriter, StoreError> {
        let folder = self.path.join(CELLS).join(&meta.cell.id);
        CellWriter::begin(folder, meta)
    }

    /// Writes what others measured of a cell that was begun, whenever that is known: the figures of
    /// the last seconds come after the cell.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_series(&self, cell_id: &str, series: &CellSeries) -> Result<(), StoreError> {
        files::write_json(&self.path.join(CELLS).join(cell_id).join(SERIES), series)
    }

    /// Writes what became of the events of a cell's answers.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_events(&self, cell_id: &str, events: &CellEvents) -> Result<(), StoreError> {
        files::write_json(&self.path.join(CELLS).join(cell_id).join(EVENTS), events)
    }

    /// Reads what became of the events of a cell's answers; none: nobody looked.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn read_events(&self, cell_id: &str) -> Result<Option<CellEvents>, StoreError> {
        let path = self.path.join(CELLS).join(cell_id).join(EVENTS);
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Writes what was seen of one deployment's replicas; `deployment`: `t01-knative`. A second one of
    /// the same trial (of a resumed run) becomes `t01-knative+2`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_timeline(&self, deployment: &str, timeline: &Timeline) -> Result<(), StoreError> {
        let folder = self.path.join(DEPLOYMENTS);
        fs::create_dir_all(&folder).map_err(files::io(&folder))?;
        let names = (2..).map(|n| format!("{deployment}+{n}"));
        let mut paths = std::iter::once(deployment.to_owned()).chain(names).map(|n| folder.join(n + ".json"));
        let free = paths.find(|path| !path.exists());
        free.map_or(Ok(()), |path| files::write_json(&path, timeline))
    }

    /// Reads what was seen of the deployments' replicas, by deployment, and what of it could not be
    /// read, in words. Empty where nothing was watched.
    pub fn read_timelines(&self) -> (BTreeMap<String, Timeline>, Vec<String>) {
        read_timelines(&self.path.join(DEPLOYMENTS))
    }

    /// Reads all cells that were begun, in the plan's order, with whatever of them can be read.
    ///
    /// # Errors
    /// When the plan cannot be read, a newer harness wrote a cell, or the disk fails. Torn data is
    /// no error: it is left out, and named in the cell's `damage`.
    pub fn read_cells(&self) -> Result<Vec<CellData>, StoreError> {
        let load = |cell: CellData<RowsOnDisk>| {
            let mut rows = Vec::new();
            let damage = cell.records.scan(&mut |batch| rows.extend_from_slice(batch));
            let mut cell = cell.with(rows);
            cell.damage.extend(damage);
            cell
        };
        self.cells()?.map(|cell| cell.map(load)).collect()
    }

    /// One cell that was begun, without its rows, which are read when they are asked for.
    ///
    /// # Errors
    /// When a newer harness wrote it, or the disk fails.
    pub fn cell(&self, cell: &Cell) -> Result<CellData<RowsOnDisk>, StoreError> {
        read_cell(cell.clone(), self.path.join(CELLS).join(&cell.id))
    }

    /// The cells that were begun, in the plan's order, one after another and without their rows, which
    /// are read when they are asked for. Damage of the rows shows when they are read.
    ///
    /// # Errors
    /// When the plan cannot be read; of a cell, when a newer harness wrote it, or the disk fails.
    pub fn cells(
        &self,
    ) -> Result<impl Iterator<Item = Result<CellData<RowsOnDisk>, StoreError>> + '_, StoreError> {
        let begun = self.read_plan()?.into_iter().filter_map(|cell| {
            let folder = self.path.join(CELLS).join(&cell.id);
            folder.is_dir().then_some((cell, folder))
        });
        Ok(begun.map(|(cell, folder)| read_cell(cell, folder)))
    }
}

/// Reads the time lines of a run's deployments, by deployment (`t01-knative`), and names those that
/// could not be read. None where nothing was watched.
fn read_timelines(folder: &Path) -> (BTreeMap<String, Timeline>, Vec<String>) {
    let (mut found, mut damage) = (BTreeMap::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        match files::read_json(&path) {
            Ok(timeline) => _ = found.insert(id.to_owned(), timeline),
            Err(error) => damage.push(error.to_string()),
        }
    }
    (found, damage)
}

/// Refuses a file whose `schema_version` is newer than ours. One that makes no sense passes: its
/// reader has more to say about it.
fn check_version(path: &Path) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    match files::read_json::<Versioned>(path) {
        Ok(Versioned { schema_version: found }) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found })
        }
        _ => Ok(()),
    }
}

fn read_cell(cell: Cell, folder: PathBuf) -> Result<CellData<RowsOnDisk>, StoreError> {
    let mut damage = Vec::new();
    let meta_path = folder.join(META);
    check_version(&meta_path)?;
    let meta = files::read_json(&meta_path).unwrap_or_else(|error| {
        damage.push(format!("{META} is missing or torn, the plan stands in for it ({error})"));
        CellMeta {
            schema_version: SCHEMA_VERSION,
            cell,
            state: CellState::Running,
            started_unix_ns: 0,
            ready_after_ms: 0.0,
            settings: BTreeMap::default(),
            payloads: Vec::new(),
            audit: None,
            revisions: BTreeMap::new(),
            remarks: Vec::new(),
        }
    });

    let stream = folder.join(STREAM);
    if stream.exists() {
        stream::check(&stream)?;
    }
    let samples = read_samples(&folder.join(SAMPLES), &mut damage)?;
    let series = read_series(&folder.join(SERIES));
    let outcome = read_outcome(&folder.join(OUTCOME), &mut damage);
    Ok(CellData { meta, records: RowsOnDisk { folder }, samples, series, outcome, damage })
}

/// The rows of a cell's folder, read from its stream, or from its Parquet file where that is all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsOnDisk {
    folder: PathBuf,
}

impl Rows for RowsOnDisk {
    fn scan(&self, take: &mut dyn FnMut(&[Record])) -> Vec<String> {
        let (stream_path, parquet_path) = (self.folder.join(STREAM), self.folder.join(PARQUET));
        if stream_path.exists() {
            let read = stream::read(&stream_path, |batch| {
                take(&batch);
                Ok(())
            });
            read.unwrap_or_else(|error| Some(error.to_string())).into_iter().collect()
        } else if parquet_path.exists() {
            match parquet::read(&parquet_path) {
                Ok(rows) => {
                    take(&rows);
                    Vec::new()
                }
                Err(error) => vec![error.to_string()],
            }
        } else {
            vec![format!("neither {STREAM} nor {PARQUET} is there")]
        }
    }
}

/// What the cell's procedure found, if anything.
fn read_outcome(path: &Path, damage: &mut Vec<String>) -> Option<ProcedureOutcome> {
    if !path.exists() {
        return None;
    }
    let unreadable = |error: StoreError| damage.push(format!("{OUTCOME} cannot be read: {error}"));
    files::read_json(path).map_err(unreadable).ok()
}

/// The series, if there are any. A file that cannot be read costs only itself, and says so.
fn read_series(path: &Path) -> Option<CellSeries> {
    let unreadable = |error: StoreError| CellSeries {
        source: "nobody".to_owned(),
        remarks: vec![format!("{SERIES} cannot be read: {error}.")],
        ..CellSeries::default()
    };
    path.exists().then(|| files::read_json(path).unwrap_or_else(unreadable))
}

fn read_samples(path: &Path, damage: &mut Vec<String>) -> Result<Vec<TimedSample>, StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(files::io(path)(error)),
    };
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let (read, torn): (Vec<_>, Vec<_>) =
        lines.map(serde_json::from_slice::<TimedSample>).partition(Result::is_ok);
    if !torn.is_empty() {
        damage.push(format!("{SAMPLES}: {} torn line(s) left out", torn.len()));
    }
    Ok(read.into_iter().flatten().collect())
}
