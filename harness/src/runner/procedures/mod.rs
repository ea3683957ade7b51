//! Procedures: what a cell does that is more than one load. A procedure plays loads into cells of their
//! own (`t01-knative-capacity/p03`), each with its records, and writes what it found into its own cell.
//!
//! To add one: a file beside this, its arm in [`run`], and its outcome in `crate::outcome`.

mod capacity;
mod cold;
mod concurrency;
mod eviction;
mod part;
mod quiet;

use std::time::Instant;

use anyhow::bail;

use super::{
    measure::{Played, Run},
    progress::Progress,
};
use crate::{
    collect::clock::unix_now_ns,
    experiment::{Cell, Procedure},
    outcome::ProcedureOutcome,
    platforms::{AnyPlatform, Deployed},
    store::{CellState, CellWriter},
};

/// What every procedure works with.
pub(super) struct Stage<'a> {
    /// The run that it is part of.
    pub(super) run: &'a Run<'a>,
    /// Its cell.
    pub(super) cell: &'a Cell,
    /// The platform, with the function on it.
    pub(super) platform: &'a mut AnyPlatform,
    /// Where the function is.
    pub(super) deployed: &'a Deployed,
    /// For what is going on.
    pub(super) progress: &'a Progress,
    /// Its cell's folder.
    writer: CellWriter,
    /// Zero of its cell's clock, Unix nanoseconds.
    started_unix_ns: u64,
    /// Rows in its own cell so far.
    asked: u64,
}

impl Stage<'_> {
    /// Keeps what was found so far: what is measured must not be lost with what comes later.
    pub(super) fn keep(&self, outcome: &ProcedureOutcome) -> anyhow::Result<()> {
        Ok(self.writer.outcome(outcome)?)
    }

    /// Notes what went wrong beside the measurement.
    pub(super) fn remark(&self, sentence: String) {
        self.writer.remark(sentence);
    }

    /// Whether the user asked to stop.
    pub(super) fn is_interrupted(&self) -> bool {
        self.run.interrupt.is_raised()
    }
}

/// Carries out a cell's procedure and tells in a line what it found.
pub(super) async fn run(
    run: &Run<'_>,
    cell: &Cell,
    (platform, deployed): (&mut AnyPlatform, &Deployed),
    progress: &Progress,
) -> anyhow::Result<(String, Played)> {
    let (started, started_unix_ns) = (Instant::now(), unix_now_ns());
    let writer = run.begin(cell, deployed)?;
    let mut on =
        Stage { run, cell, platform, deployed, progress, writer: writer.clone(), started_unix_ns, asked: 0 };
    let found = match &cell.load.procedure {
        Procedure::Capacity { slo, precision } => {
            capacity::search(&mut on, slo, *precision).await.map(ProcedureOutcome::Capacity)
        }
        Procedure::Concurrency { connections } => {
            concurrency::sweep(&mut on, connections).await.map(ProcedureOutcome::Concurrency)
        }
        Procedure::Play => bail!("a load that is played once is no procedure"),
        Procedure::Cold { starts, zero_within } => {
            Ok(ProcedureOutcome::Cold(cold::cold(&mut on, *starts, *zero_within).await))
        }
        Procedure::Eviction { at_most } => {
            Ok(ProcedureOutcome::Eviction(eviction::eviction(&mut on, *at_most).await))
        }
    };
    let found = found.and_then(|found| {
        writer.outcome(&found)?;
        Ok(found)
    });
    let ended = match &found {
        Err(error) => CellState::Failed(format!("{error:#}")),
        Ok(_) if run.interrupt.is_raised() => CellState::Interrupted,
        Ok(_) => CellState::Done,
    };
    writer.finish(None, ended)?;
    let elapsed_ns = started.elapsed().as_nanos() as u64;
    Ok((
        format!("{}: {}", cell.id, found?.line()),
        Played { writer, started_unix_ns, elapsed_ns, audit: None },
    ))
}
