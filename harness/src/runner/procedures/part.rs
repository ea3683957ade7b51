//! A part of a procedure: one load in a cell of its own, and the quiet between two of them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Stage;
use crate::{
    drive::{GeneratorAudit, Load, Plan},
    experiment::{Arrivals, Cell, LoadPoint, Procedure},
    interrupt::Interrupt,
    record::{Outcome, Record},
    runner::{
        measure::{Hear, Listener},
        pilot,
    },
};

/// Requests, one after another, that tell how quickly it answers without load.
const CALM_REQUESTS: u64 = 5;
/// It is calm again when these take no longer than this, as a multiple of what they took at the start ...
const CALM_FACTOR: f64 = 1.5;
/// ... and this much more: a millisecond of noise is no load.
const CALM_SLACK_MS: f64 = 2.0;
/// How long a platform may take to calm down.
const CALM_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at whether it has.
const CALM_PAUSE: Duration = Duration::from_millis(500);

/// The rows of a part, also while it plays.
#[derive(Clone, Default)]
pub(super) struct Rows(Arc<Mutex<Vec<Record>>>);

impl Rows {
    /// Looks at the rows so far.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[Record]) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self) -> Hear {
        let rows = self.0.clone();
        Box::new(move |batch| rows.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch))
    }
}

impl Stage<'_> {
    /// The cell of a part: this load, in a folder within the procedure's own.
    pub(super) fn part(&self, suffix: &str, number: u64, arrivals: Arrivals) -> Cell {
        let load =
            LoadPoint { arrivals, rate_share: None, procedure: Procedure::Play, ..self.cell.load.clone() };
        Cell {
            // Within its procedure's folder: what is set aside, is set aside with its parts.
            id: format!("{}/{suffix}", self.cell.id),
            load,
            // Another schedule for each part, the same for every subject.
            seed: self.cell.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            ..self.cell.clone()
        }
    }

    /// Plays a part to its end, or until `stop`; its rows appear in `rows` meanwhile.
    pub(super) async fn play(
        &self,
        part: &Cell,
        rows: &Rows,
        stop: Interrupt,
    ) -> anyhow::Result<GeneratorAudit> {
        let listener = Listener { hear: rows.hear(), ..Listener::new(stop, self.progress.watch()) };
        let (_, played) = self.run.play(part, self.platform, self.deployed, listener).await?;
        // A load that was played has an audit.
        Ok(played.audit.unwrap_or_default())
    }

    /// Median response time of a few single requests, ms; none if one of them failed.
    pub(super) async fn idle_ms(&self) -> anyhow::Result<Option<f64>> {
        let plan = Plan::Closed {
            connections: 1,
            think_time_ns: 0,
            duration_ns: None,
            requests: Some(CALM_REQUESTS),
        };
        let load = Load { plan, ..self.run.load(self.cell, self.deployed) };
        let core = crate::runner::generator_core(self.run.experiment);
        let rows = pilot::play_to_memory(load, core, self.run.interrupt.clone()).await?;
        if rows.len() < CALM_REQUESTS as usize || rows.iter().any(|row| row.outcome != Outcome::Ok) {
            return Ok(None);
        }
        let mut times_ms: Vec<f64> = rows.iter().map(|row| row.service_ns() as f64 / 1e6).collect();
        times_ms.sort_by(f64::total_cmp);
        Ok(Some(times_ms[times_ms.len() / 2]))
    }

    /// Waits until it answers about as quickly as it did at the start (`idle_ms`), so that what one load
    /// left behind is no burden to the next. Returns how long that took, ms; none if it never did.
    pub(super) async fn calm(&self, idle_ms: f64) -> anyhow::Result<Option<f64>> {
        let since = Instant::now();
        while since.elapsed() < CALM_WITHIN && !self.is_interrupted() {
            let now_ms = self.idle_ms().await?;
            if now_ms.is_some_and(|ms| ms <= CALM_FACTOR * idle_ms + CALM_SLACK_MS) {
                return Ok(Some(since.elapsed().as_secs_f64() * 1e3));
            }
            tokio::select! {
                () = tokio::time::sleep(CALM_PAUSE) => {}
                () = self.run.interrupt.raised() => {}
            }
        }
        Ok(None)
    }
}
