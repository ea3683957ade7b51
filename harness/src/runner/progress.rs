//! What a run shows while it goes on: a live screen or a bar with the time left on a terminal, plain
//! lines elsewhere.

use crate::screen::note;
use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::live::{self, Live, Pace, Watch};

/// The progress of a run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    screen: Screen,
    quiet: bool,
    pace: Pace,
}

/// Whether there is a live screen.
enum Screen {
    /// None is wanted, or possible.
    No,
    /// It is shown once the cells begin: until then other programs may write to the terminal.
    Once { title: String, mark: Option<&'static str> },
    /// It is shown.
    Shown(Live),
}

impl Progress {
    /// Progress of a run of which nothing is done yet. Time left is known from [`Progress::begin`] on.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self { bar, screen: Screen::No, quiet, pace: Pace::new(Duration::ZERO) }
    }

    /// Shows a live screen from [`Progress::begin`] on, where there is a terminal for it. `mark` is
    /// what must not be overlooked beside the title.
    #[must_use]
    pub fn with_screen(mut self, title: &str, mark: Option<&'static str>) -> Self {
        if !self.quiet && live::is_possible() {
            self.screen = Screen::Once { title: title.to_owned(), mark };
        }
        self
    }

    /// The cells begin, and will take about this long.
    pub fn begin(&mut self, total: Duration) {
        self.pace = Pace::new(total);
        if let Screen::Once { title, mark } = &self.screen
            && let Some(bar) = self.bar.take()
        {
            bar.finish_and_clear();
            if let Some(live) = Live::with_pace(title, *mark, Some(self.pace)) {
                self.screen = Screen::Shown(live);
            } else {
                // The terminal refused: the bar it is.
                (self.bar, self.screen) = (Self::new(self.quiet).bar, Screen::No);
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total.as_millis() as u64);
        }
    }

    /// Where the live screen learns what goes on; it does nothing where there is none.
    pub fn watch(&self) -> Watch {
        match &self.screen {
            Screen::Shown(live) => live.watch(),
            Screen::No | Screen::Once { .. } => Watch::default(),
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match (&self.screen, &self.bar) {
            (Screen::Shown(screen), _) => screen.say(line),
            (_, Some(bar)) => bar.println(line),
            (_, None) if self.quiet => {}
            (_, None) => note!("{line}"),
        }
    }

    /// What is going on now.
    pub fn now(&self, what: &str) {
        if let Screen::Shown(live) = &self.screen {
            live.doing(what);
        }
        if let Some(bar) = &self.bar {
            let left =
                if self.pace.total.is_zero() { String::new() } else { format!("  ({} left)", self.left()) };
            bar.set_message(format!("{what}{left}"));
        }
    }

    /// A part of the plan is over.
    pub fn advance(&mut self, planned: Duration) {
        self.pace.done += planned;
        if let Screen::Shown(live) = &self.screen {
            live.pace(self.pace);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.pace.done.min(self.pace.total).as_millis() as u64);
        }
    }

    /// Time left as people say it: the plan's, stretched by how the run has gone so far.
    pub fn left(&self) -> String {
        self.pace.left()
    }

    /// Takes the bar or the live screen away; what was said on the screen is printed.
    pub fn finish(&mut self) {
        self.screen = Screen::No;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
