//! What a stopped run left in its folder, and how one process alone goes on with it.

use std::fs::{self, File, TryLockError};

use super::{CellState, RunFolder, StoreError, files, run_folder::CELLS};
use crate::{analyse::rows::Rows, experiment::Cell};

const LOCK: &str = "lock";

/// How far a planned cell came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellProgress {
    /// It was not begun.
    Missing,
    /// It was played to its end, and its records can be read.
    Whole,
    /// It was begun, and what is there of it cannot count; why, in words.
    Torn(String),
}

/// Keeps other processes from measuring in a run's folder until it is dropped, or this process ends,
/// however it does.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl RunFolder {
    /// Takes the folder for this process alone.
    ///
    /// # Errors
    /// When another process has it, or the disk refuses.
    pub fn lock(&self) -> Result<RunLock, StoreError> {
        let path = self.path().join(LOCK);
        let file = File::create(&path).map_err(files::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy { path: self.path().to_owned() }),
            Err(TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
        }
    }

    /// Takes the folder of a run away that measured nothing; one that holds anything stays.
    pub fn abandon(self, lock: RunLock) {
        drop(lock);
        // Best effort: what stays is a folder that `harness report` calls no run.
        let _ = fs::remove_file(self.path().join(LOCK));
        let _ = fs::remove_dir(self.path());
    }

    /// How far a planned cell came. Reads all of its records: a cell whose metadata says that it
    /// ended may still have lost them when the power failed.
    ///
    /// # Errors
    /// When the disk fails, or a newer harness wrote the cell.
    pub fn progress(&self, cell: &Cell) -> Result<CellProgress, StoreError> {
        if !self.path().join(CELLS).join(&cell.id).is_dir() {
            return Ok(CellProgress::Missing);
        }
        let torn = |why: &str| Ok(CellProgress::Torn(why.to_owned()));
        let mut found = self.cell(cell)?;
        if found.damage.is_empty() {
            match &found.meta.state {
                CellState::Running => return torn("it was begun and never ended"),
                CellState::Interrupted => return torn("it was interrupted"),
                CellState::Failed(why) => return torn(&format!("it could not be measured: {why}")),
                CellState::Done => {}
            }
        }
        let mut rows = 0;
        found.damage.extend(found.records.scan(&mut |batch| rows += batch.len() as u64));
        if !found.damage.is_empty() {
            return torn(&found.damage.join("; "));
        }
        // A full disk loses records, too, and that run would lose them again: it is INVALID, not torn.
        let lost = found.meta.audit.as_ref().is_some_and(|a| a.write_error.is_none() && rows < a.sent);
        if lost { torn("records are missing from its end") } else { Ok(CellProgress::Whole) }
    }

    /// Moves what is there of a cell out of the way, so that it can be measured again; nothing is
    /// deleted. Returns the new name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_aside(&self, cell_id: &str) -> Result<String, StoreError> {
        let cells = self.path().join(CELLS);
        let mut n = 1;
        let mut name = format!("{cell_id}.torn-{n}");
        while cells.join(&name).exists() {
            n += 1;
            name = format!("{cell_id}.torn-{n}");
        }
        let from = cells.join(cell_id);
        fs::rename(&from, cells.join(&name)).map_err(files::io(&from))?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            CellMeta, CellWriter,
            cell::STREAM,
            tests::{meta, rows},
        },
        *,
    };
    use crate::{
        drive::GeneratorAudit,
        experiment::{Experiment, Stopped, expand},
    };

    fn run() -> (tempfile::TempDir, RunFolder, Vec<Cell>) {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(dir.path(), "run").unwrap();
        let cells = expand(&Experiment::default());
        folder.write_plan(&cells).unwrap();
        (dir, folder, cells)
    }

    fn begin(folder: &RunFolder, cell: &Cell) -> CellWriter {
        folder.cell_writer(CellMeta { cell: cell.clone(), ..meta(&cell.id) }).unwrap()
    }

    fn audit(sent: u64) -> GeneratorAudit {
        GeneratorAudit { sent, ..GeneratorAudit::default() }
    }

    #[test]
    fn only_cells_that_were_played_to_their_end_are_whole() {
        let (_dir, folder, cells) = run();
        let torn = |cell: &Cell| match folder.progress(cell).unwrap() {
            CellProgress::Torn(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(folder.progress(&cells[0]).unwrap(), CellProgress::Missing);
        let writer = begin(&folder, &cells[0]);
        assert_eq!(torn(&cells[0]), "it was begun and never ended");
        writer.append(&rows(0..5)).unwrap();
        writer.finish(Some(audit(5)), CellState::Done).unwrap();
        assert_eq!(folder.progress(&cells[0]).unwrap(), CellProgress::Whole);
        begin(&folder, &cells[1]).finish(Some(audit(0)), CellState::Interrupted).unwrap();
        assert_eq!(torn(&cells[1]), "it was interrupted");
        begin(&folder, &cells[2]).finish(None, CellState::Failed("no node".into())).unwrap();
        assert_eq!(torn(&cells[2]), "it could not be measured: no node");
    }

    #[test]
    fn a_cell_that_ended_and_lost_its_records_to_a_power_cut_is_torn() {
        let (_dir, folder, cells) = run();
        let writer = begin(&folder, &cells[0]);
        writer.append(&rows(0..50)).unwrap();
        writer.finish(Some(audit(60)), CellState::Done).unwrap();
        assert_eq!(
            folder.progress(&cells[0]).unwrap(),
            CellProgress::Torn("records are missing from its end".into())
        );
        let stream = folder.path().join("cells").join(&cells[0].id).join(STREAM);
        let bytes = fs::read(&stream).unwrap();
        fs::write(&stream, &bytes[..bytes.len() / 2]).unwrap();
        assert!(
            matches!(folder.progress(&cells[0]).unwrap(), CellProgress::Torn(why) if why.contains(STREAM))
        );
    }

    #[test]
    fn what_is_set_aside_is_kept_however_often() {
        let (_dir, folder, cells) = run();
        for n in 1..=3 {
            begin(&folder, &cells[0]);
            assert_eq!(folder.set_aside(&cells[0].id).unwrap(), format!("{}.torn-{n}", cells[0].id));
            assert_eq!(folder.progress(&cells[0]).unwrap(), CellProgress::Missing);
        }
        assert!(folder.read_cells().unwrap().is_empty(), "torn cells are not read");
    }

    #[test]
    fn one_process_at_a_time_has_the_folder() {
        let (_dir, folder, _) = run();
        let held = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err().to_string();
        assert!(refused.contains("another process"), "{refused}");
        drop(held);
        folder.lock().unwrap();
    }

    #[test]
    fn a_run_that_ended_early_is_read_with_the_trials_that_it_had() {
        let (_dir, folder, cells) = run();
        folder.write_experiment(&Experiment::default()).unwrap();
        folder.write_stopped(&Stopped { after_trial: 3, why: "enough.".into() }).unwrap();
        let e = folder.read_experiment().unwrap();
        assert_eq!((e.trials, e.most_trials()), (3, 5));
        assert_eq!(folder.read_plan().unwrap(), cells[..12]);
    }
}
