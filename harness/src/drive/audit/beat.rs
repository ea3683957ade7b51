//! A heartbeat on the generator's own thread: how late its loop is called, whatever the reason.
//!
//! In an open loop each send shows its own lateness. A closed loop sends when an answer was read, so
//! a generator that stands still (stopped, starved, without a core) hides there: the answers only
//! seem slow. The beat shows it, since its times are fixed like those of an open loop.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

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

/// A heartbeat; its loop says when it is called.
#[derive(Debug)]
pub(in crate::drive) struct Beat {
    lag_us: Histogram<u64>,
    due: Instant,
}

impl Beat {
    /// Starts to beat at `begin`.
    pub(in crate::drive) fn start(begin: Instant) -> std::io::Result<Self> {
        let lag_us = Histogram::new(2).map_err(std::io::Error::other)?;
        Ok(Self { lag_us, due: begin + BEAT })
    }

    /// When the loop is to be called next.
    pub(in crate::drive) fn due(&self) -> Instant {
        self.due
    }

    /// The loop is called now. Beats that were missed meanwhile count as late too, each by its own
    /// time: otherwise a long stand-still would weigh as little as a short one.
    pub(in crate::drive) fn note(&mut self, now: Instant) {
        while self.due <= now {
            // It grows as it must; a number that it cannot hold does not occur.
            let _ = self.lag_us.record(now.duration_since(self.due).as_micros() as u64);
            self.due += BEAT;
        }
    }

    /// How late it was so far.
    pub(in crate::drive) fn lag(&self) -> LoopLag {
        LoopLag {
            beats: self.lag_us.len(),
            p99_ms: self.lag_us.value_at_quantile(0.99) as f64 / 1e3,
            max_ms: self.lag_us.max() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_loop_that_stood_still_is_late_by_as_many_beats_as_it_missed() {
        let begin = Instant::now();
        let mut beat = Beat::start(begin).unwrap();
        // On time, 200 ms of silence, and on time again.
        for called in [10, 20, 30, 230, 240] {
            beat.note(begin + called * MS);
        }
        let lag = beat.lag();
        assert_eq!(lag.beats, 24, "{lag:?}");
        assert!((185.0..=195.0).contains(&lag.max_ms) && lag.p99_ms >= 180.0, "{lag:?}");
        assert_eq!(beat.due(), begin + 250 * MS);
    }

    #[test]
    fn a_loop_that_is_called_more_often_than_it_must_is_not_late() {
        let begin = Instant::now();
        let mut beat = Beat::start(begin).unwrap();
        for called in 0..=400 {
            beat.note(begin + called * MS);
        }
        let lag = beat.lag();
        assert_eq!((lag.beats, lag.max_ms), (40, 0.0), "{lag:?}");
    }
}
