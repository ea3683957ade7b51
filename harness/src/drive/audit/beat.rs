//! A heartbeat on the generator's own thread: how late its loop is called, whatever the reason.
//!
//! In an open loop each send shows its own lateness. A closed loop sends when an answer was read, so
//! a generator that stands still (stopped, starved, without a core) hides there: the answers only
//! seem slow. The beat shows it, since its times are fixed like those of an open loop.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Between two beats, ns. A hundred a second give a 99th percentile within seconds, at a few
/// microseconds of system calls each.
const BEAT_NS: u64 = 10_000_000;

/// Lag that is told apart from longer ones, us: an hour.
const MOST_LAG_US: u64 = 3_600_000_000;

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

/// The beats of one load: the loop asks when the next one is due, and says when it came round.
#[derive(Debug)]
pub(in crate::drive) struct Beat {
    lag_us: Histogram<u64>,
    due_ns: u64,
}

impl Beat {
    /// The first beat is due a hundredth of a second after the start.
    pub(in crate::drive) fn new() -> Self {
        // Two digits over these bounds are what the constructor allows.
        Self { lag_us: Histogram::new_with_max(MOST_LAG_US, 2).expect("bounds that fit"), due_ns: BEAT_NS }
    }

    /// When the next beat is due, since the start.
    pub(in crate::drive) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// The loop came round. Beats that were missed meanwhile count as late too, each by its own time:
    /// otherwise a long stand-still would weigh as little as a short one.
    pub(in crate::drive) fn note(&mut self, now_ns: u64) {
        while self.due_ns <= now_ns {
            self.lag_us.saturating_record((now_ns - self.due_ns) / 1000);
            self.due_ns += BEAT_NS;
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

    #[test]
    fn a_loop_that_stood_still_is_late_by_as_many_beats_as_it_missed() {
        let mut beat = Beat::new();
        (1..=5).for_each(|tenth| beat.note(tenth * BEAT_NS + 50_000));
        assert!(beat.lag().p99_ms < 0.1, "{:?}", beat.lag());
        beat.note(25 * BEAT_NS);
        let lag = beat.lag();
        assert_eq!(lag.beats, 25);
        assert!((lag.max_ms - 190.0).abs() < 2.0 && lag.p99_ms > 150.0, "{lag:?}");
        assert_eq!(beat.due_ns(), 26 * BEAT_NS);
    }
}
