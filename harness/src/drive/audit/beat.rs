//! A heartbeat on the generator's own thread: how late its loop is called, whatever the reason.
//!
//! In an open loop each send shows its own lateness. A closed loop sends when an answer was read, so
//! a generator that stands still (stopped, starved, without a core) hides there: the answers only
//! seem slow. The beat shows it, since its times are fixed like those of an open loop.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::super::timer::PreciseTimer;

/// Between two beats. A hundred a second give a 99th percentile within seconds, at a few
/// microseconds of system calls each.
const BEAT: Duration = Duration::from_millis(10);

/// How late the generator's loop was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoopLag {
    /// Times that it was to be called.
    pub beats: u64,
    /// 99th percentile, ms.
    pub p99_ms: f64,
    /// The worst, ms.
    pub max_ms: f64,
}

/// Beats for as long as the tasks of its runtime run.
#[derive(Debug)]
pub(in crate::drive) struct Beat {
    lag_us: Rc<RefCell<Histogram<u64>>>,
}

impl Beat {
    /// Starts to beat. Needs a local runtime with I/O.
    pub(in crate::drive) fn start() -> std::io::Result<Self> {
        let lag_us = Histogram::new(2).map_err(std::io::Error::other)?;
        let beat = Self { lag_us: Rc::new(RefCell::new(lag_us)) };
        tokio::task::spawn_local(keep_beating(Rc::clone(&beat.lag_us), PreciseTimer::new()?));
        Ok(beat)
    }

    /// How late it was so far.
    pub(in crate::drive) fn lag(&self) -> LoopLag {
        let lag_us = self.lag_us.borrow();
        LoopLag {
            beats: lag_us.len(),
            p99_ms: lag_us.value_at_quantile(0.99) as f64 / 1e3,
            max_ms: lag_us.max() as f64 / 1e3,
        }
    }
}

async fn keep_beating(lag_us: Rc<RefCell<Histogram<u64>>>, mut timer: PreciseTimer) {
    let mut due = Instant::now() + BEAT;
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        if timer.sleep(wait).await.is_err() {
            return;
        }
        // Beats that were missed meanwhile count as late too, each by its own time: otherwise a
        // long stand-still would weigh as little as a short one.
        let now = Instant::now();
        while due <= now {
            // It grows as it must; a number that it cannot hold does not occur.
            let _ = lag_us.borrow_mut().record(now.duration_since(due).as_micros() as u64);
            due += BEAT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_local_runtime(work: impl AsyncFnOnce(Beat) -> LoopLag) -> LoopLag {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async { work(Beat::start().unwrap()).await })
    }

    #[test]
    fn a_loop_that_stood_still_is_late_by_as_many_beats_as_it_missed() {
        let lag = on_a_local_runtime(async |beat| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Blocks the whole loop, on purpose.
            std::thread::sleep(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(50)).await;
            beat.lag()
        });
        assert!(lag.beats >= 25, "{lag:?}");
        assert!(lag.max_ms >= 180.0 && lag.p99_ms >= 150.0, "{lag:?}");
    }

    #[test]
    fn beats_come_a_hundred_times_a_second_and_hardly_late() {
        let lag = on_a_local_runtime(async |beat| {
            tokio::time::sleep(Duration::from_millis(400)).await;
            beat.lag()
        });
        assert!((30..=60).contains(&lag.beats), "{lag:?}");
        // Wide, for a busy machine: what matters is that the timer's own grain is no lag.
        assert!(lag.p99_ms < 100.0, "{lag:?}");
    }
}
