//! What the screen knows: written by the run as it goes, read four times a second by the screen.
//!
//! The generator's thread writes nothing here but the counters that it keeps anyway.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use indicatif::HumanDuration;

use super::{
    meter::{KEPT_S, Meter, offered},
    view::{LoadView, View},
};
use crate::{
    drive::{self, Plan},
    record::Record,
};

/// How far a plan is, and how long the rest takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::runner) struct Pace {
    /// Planned in all.
    pub(in crate::runner) total: Duration,
    /// Planned time of the parts that are over.
    pub(in crate::runner) done: Duration,
    /// When it began.
    pub(in crate::runner) started: Instant,
}

impl Pace {
    /// A plan that begins now.
    pub(in crate::runner) fn new(total: Duration) -> Self {
        Self { total, done: Duration::ZERO, started: Instant::now() }
    }

    /// Time left as people say it: the plan's, stretched by how it has gone so far.
    pub(in crate::runner) fn left(&self) -> String {
        let planned = self.total.saturating_sub(self.done).as_secs_f64();
        let stretch = if self.done < Duration::from_secs(5) {
            1.0
        } else {
            self.started.elapsed().as_secs_f64() / self.done.as_secs_f64()
        };
        HumanDuration(Duration::from_secs_f64(planned * stretch)).to_string()
    }
}

/// The load that plays.
#[derive(Debug)]
struct Playing {
    length: Option<Duration>,
    offered: Option<Vec<u64>>,
    progress: Arc<drive::Progress>,
    meter: Arc<Mutex<Meter>>,
    over: bool,
}

/// Everything that the screen shows, shared with those who know it.
#[derive(Debug, Default)]
pub(super) struct Stage {
    scene: Mutex<Scene>,
}

#[derive(Debug, Default)]
struct Scene {
    view: View,
    pace: Option<Pace>,
    playing: Option<Playing>,
}

impl Stage {
    pub(super) fn new(title: String, mark: Option<String>, pace: Option<Pace>) -> Self {
        let view = View { title, mark, ..View::default() };
        Self { scene: Mutex::new(Scene { view, pace, playing: None }) }
    }

    /// What fails elsewhere must not take the screen with it.
    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, line: String) {
        self.scene().view.said.push(line);
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.scene().view.said.clone()
    }

    pub(super) fn doing(&self, what: &str) {
        let scene = &mut *self.scene();
        what.clone_into(&mut scene.view.doing);
        // A load that begins says so after this.
        if let Some(playing) = &mut scene.playing {
            playing.over = true;
        }
    }

    pub(super) fn pace(&self, pace: Pace) {
        let scene = &mut *self.scene();
        scene.pace = Some(pace);
        // The part that is over has its load in it.
        if let Some(playing) = &mut scene.playing {
            playing.over = true;
        }
    }

    pub(super) fn stopping(&self) {
        self.scene().view.stopping = true;
    }

    pub(super) fn replicas(&self, subject: &str, ready: u32, desired: u32) {
        let replicas = &mut self.scene().view.replicas;
        match replicas.iter_mut().find(|(name, ..)| name == subject) {
            Some(found) => (found.1, found.2) = (ready, desired),
            None => replicas.push((subject.to_owned(), ready, desired)),
        }
    }

    /// A load begins; its records go to the meter that is returned.
    pub(super) fn begin(
        &self,
        plan: &Plan,
        length: Option<Duration>,
        progress: Arc<drive::Progress>,
    ) -> Arc<Mutex<Meter>> {
        let meter = Arc::default();
        let playing =
            Playing { length, offered: offered(plan), progress, meter: Arc::clone(&meter), over: false };
        self.scene().playing = Some(playing);
        meter
    }

    /// The state to draw now.
    pub(super) fn view(&self) -> View {
        let scene = self.scene();
        let mut view = scene.view.clone();
        let mut elapsed = Duration::ZERO;
        if let Some(playing) = &scene.playing {
            let load = playing.view();
            if !playing.over {
                elapsed = Duration::from_secs_f64(load.length_s.unwrap_or(0.0).min(load.elapsed_s));
            }
            view.load = Some(load);
        }
        if let Some(pace) = scene.pace.filter(|pace| !pace.total.is_zero()) {
            let pace = Pace { done: pace.done + elapsed, ..pace };
            view.done = Some(pace.done.as_secs_f64() / pace.total.as_secs_f64());
            view.left = Some(pace.left());
        }
        view
    }
}

impl Playing {
    fn view(&self) -> LoadView {
        let elapsed_s = self.progress.elapsed_ns().unwrap_or(0) as f64 / 1e9;
        let (sent, ended) = (self.progress.sent.load(Relaxed), self.progress.ended.load(Relaxed));
        // Whole seconds, up to the end of the load.
        let last_s = self.length.map_or(f64::MAX, |length| length.as_secs_f64());
        let (now, end) = (elapsed_s as u64, elapsed_s.min(last_s) as u64);
        let first = end.saturating_sub(KEPT_S);
        let meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let intended = |offered: &Vec<u64>| {
            (first..end).map(|at| offered.get(at as usize).copied().unwrap_or(0)).collect()
        };
        LoadView {
            playing: !self.over,
            elapsed_s,
            length_s: self.length.map(|length| length.as_secs_f64()),
            sent,
            under_way: sent.saturating_sub(ended),
            offered: self.offered.as_ref().map(intended),
            answered: meter.answered(first, end),
            recent_ms: meter.recent_ms(now),
            whole_ms: meter.whole_ms(),
            failures: meter.failures(),
        }
    }
}

/// Takes a batch of records into a meter.
pub(super) fn meter_takes(meter: &Mutex<Meter>, records: &[Record]) {
    meter.lock().unwrap_or_else(PoisonError::into_inner).take(records);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_plan_is_stretched_by_how_it_has_gone() {
        let started = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        let pace = Pace { total: Duration::from_mins(2), done: Duration::from_secs(30), started };
        assert_eq!(pace.left(), "3 minutes", "it took twice as long as planned so far");
        assert_eq!(Pace { done: Duration::from_secs(1), ..pace }.left(), "2 minutes", "too early to tell");
    }

    #[test]
    fn the_stage_keeps_the_last_of_everything() {
        let stage = Stage::new("t".into(), None, None);
        stage.replicas("a", 0, 2);
        stage.replicas("b", 1, 1);
        stage.replicas("a", 2, 2);
        stage.doing("deploying");
        stage.say("one".into());
        let view = stage.view();
        assert_eq!(view.replicas, [("a".to_owned(), 2, 2), ("b".to_owned(), 1, 1)]);
        assert_eq!((view.doing.as_str(), view.done, view.load), ("deploying", None, None));
        stage.pace(Pace { done: Duration::from_secs(3), ..Pace::new(Duration::from_secs(12)) });
        assert_eq!(stage.view().done, Some(0.25));
    }
}
