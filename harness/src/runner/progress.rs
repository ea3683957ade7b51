//! What a run shows while it goes on: a bar with the time left on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use models::Progress as Download;

/// The progress of a run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    total: Duration,
    done: Duration,
    started: Instant,
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
        Self { bar, quiet, total: Duration::ZERO, done: Duration::ZERO, started: Instant::now() }
    }

    /// The cells begin, and will take about this long.
    pub fn begin(&mut self, total: Duration) {
        (self.total, self.done, self.started) = (total, Duration::ZERO, Instant::now());
        if let Some(bar) = &self.bar {
            bar.set_length(total.as_millis() as u64);
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.quiet => {}
            None => eprintln!("{line}"),
        }
    }

    /// What is going on now.
    pub fn now(&self, what: &str) {
        if let Some(bar) = &self.bar {
            let left = if self.total.is_zero() { String::new() } else { format!("  ({} left)", self.left()) };
            bar.set_message(format!("{what}{left}"));
        }
    }

    /// A part of the plan is over.
    pub fn advance(&mut self, planned: Duration) {
        self.done += planned;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.min(self.total).as_millis() as u64);
        }
    }

    /// Time left as people say it: the plan's, stretched by how the run has gone so far.
    pub fn left(&self) -> String {
        let planned = self.total.saturating_sub(self.done).as_secs_f64();
        let stretch = if self.done < Duration::from_secs(5) {
            1.0
        } else {
            self.started.elapsed().as_secs_f64() / self.done.as_secs_f64()
        };
        HumanDuration(Duration::from_secs_f64(planned * stretch)).to_string()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows a download as a line every few seconds.
pub fn download_lines(say: &dyn Fn(&str)) -> impl FnMut(Download<'_>) {
    let mut last: Option<Instant> = None;
    move |download: Download<'_>| {
        if last.is_none_or(|at| at.elapsed() >= Duration::from_secs(3)) {
            last = Some(Instant::now());
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (done, total) = (mib(download.done_bytes), mib(download.total_bytes));
            say(&format!("downloading {}: {done:.1} of {total:.1} MiB", download.file));
        }
    }
}
