//! The live screen of a run or a load: rates, response times, failures, replicas, progress.
//!
//! `scene` is what is known, `meter` counts records, `view` is one state of the screen, `draw` draws
//! it (pure), `terminal` owns the terminal. Without a terminal nothing here costs anything.

mod draw;
mod meter;
mod scene;
mod terminal;
mod view;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    drive::{self, Plan},
    record::Record,
    screen::note,
};
use meter::Meter;
pub(super) use scene::Pace;
use scene::Stage;
use terminal::Screen;

/// Whether there is a terminal that a live screen can be shown on.
pub fn is_possible() -> bool {
    terminal::is_there()
}

/// A live screen; when it is dropped, the terminal is given back and what was said is printed.
#[derive(Debug)]
pub struct Live {
    stage: Arc<Stage>,
    screen: Option<Screen>,
}

impl Live {
    /// A live screen of one load that takes so long, if that is known; none if the terminal refuses.
    pub fn start(title: &str, length: Option<Duration>) -> Option<Self> {
        Self::with_pace(title, None, length.map(Pace::new))
    }

    /// `mark` is what must not be overlooked beside the title.
    pub(super) fn with_pace(title: &str, mark: Option<&str>, pace: Option<Pace>) -> Option<Self> {
        let stage = Arc::new(Stage::new(title.to_owned(), mark.map(str::to_owned), pace));
        let screen = Screen::take(Arc::clone(&stage)).ok()?;
        Some(Self { stage, screen: Some(screen) })
    }

    /// A line that stays: on the screen as long as there is room, and printed in the end.
    pub fn say(&self, line: &str) {
        self.stage.say(line.to_owned());
    }

    /// What is going on now.
    pub fn doing(&self, what: &str) {
        self.stage.doing(what);
    }

    pub(super) fn pace(&self, pace: Pace) {
        self.stage.pace(pace);
    }

    /// A handle for those who know what to show.
    pub fn watch(&self) -> Watch {
        Watch { stage: Some(Arc::clone(&self.stage)) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.screen.take());
        for line in self.stage.said() {
            note!("{line}");
        }
    }
}

/// Tells a live screen what goes on; without one it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    stage: Option<Arc<Stage>>,
}

impl Watch {
    /// A load begins. The sink that is returned counts its records: call it where they are written.
    pub fn begin(&self, plan: &Plan, length: Option<Duration>, progress: &Arc<drive::Progress>) -> Count {
        let meter = self.stage.as_ref().map(|stage| stage.begin(plan, length, Arc::clone(progress)));
        Count { meter }
    }

    /// Replicas were seen.
    pub fn replicas(&self, subject: &str, ready: u32, desired: u32) {
        if let Some(stage) = &self.stage {
            stage.replicas(subject, ready, desired);
        }
    }
}

/// Counts the records of one load for the screen.
#[derive(Debug, Clone, Default)]
pub struct Count {
    meter: Option<Arc<Mutex<Meter>>>,
}

impl Count {
    /// Counts a batch.
    pub fn take(&self, records: &[Record]) {
        if let Some(meter) = &self.meter {
            scene::meter_takes(meter, records);
        }
    }
}
