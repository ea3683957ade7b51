//! Clocks of several machines: how far another one's is from ours, and how sure that is.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::collect::clock::unix_now_ns;

/// A wall clock that was read once and runs on by the monotonic clock: setting the wall clock
/// meanwhile does not move it. Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    read_at: Instant,
    read_ns: u64,
}

impl SteadyClock {
    /// Reads the wall clock of this machine now.
    pub fn read() -> Self {
        Self::read_ahead(0)
    }

    /// The same, wrong by so many milliseconds: for tests of what corrects it.
    pub fn read_ahead(ahead_ms: i64) -> Self {
        let read_ns = unix_now_ns().saturating_add_signed(ahead_ms.saturating_mul(1_000_000));
        Self { read_at: Instant::now(), read_ns }
    }

    /// Now.
    pub fn now_ns(self) -> u64 {
        self.read_ns.saturating_add(self.read_at.elapsed().as_nanos() as u64)
    }

    /// The instant at which it shows this time; for times before it was read, that reading.
    pub fn instant_of(self, ns: u64) -> Instant {
        self.read_at + Duration::from_nanos(ns.saturating_sub(self.read_ns))
    }
}

/// How far another clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The other clock minus ours, nanoseconds.
    pub offset_ns: i64,
    /// How far the true offset may be from that, nanoseconds.
    pub error_ns: u64,
}

impl ClockReading {
    /// What one exchange tells: we sent at `sent_ns` and had the answer at `returned_ns` by our clock,
    /// and the other side took it at `taken_ns` and answered at `answered_ns` by its own.
    ///
    /// RFC 5905 (NTP version 4), section 8: offset `((T2 - T1) + (T3 - T4)) / 2` and delay
    /// `(T4 - T1) - (T3 - T2)`; each way took between nothing and the whole delay, so the offset is
    /// wrong by half of the delay at most.
    pub fn of(sent_ns: u64, taken_ns: u64, answered_ns: u64, returned_ns: u64) -> Self {
        let [t1, t2, t3, t4] = [sent_ns, taken_ns, answered_ns, returned_ns].map(i128::from);
        let delay = ((t4 - t1) - (t3 - t2)).max(0);
        let offset = ((t2 - t1) + (t3 - t4)).div_euclid(2);
        Self {
            offset_ns: offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            // Rounded up, as the offset was rounded.
            error_ns: (delay / 2 + 1) as u64,
        }
    }

    /// The surer one of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.error_ns < self.error_ns { other } else { self }
    }

    /// What the other clock shows when ours shows this.
    pub fn there(self, here_ns: u64) -> u64 {
        here_ns.saturating_add_signed(self.offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_true_offset_is_within_the_error_however_uneven_the_ways(
            offset in -10_000_000_000i64..10_000_000_000,
            ways in prop::collection::vec((0u64..50_000_000, 0u64..50_000_000, 0u64..10_000_000), 1..12),
        ) {
            let mut now = 1_000_000_000_000u64;
            let readings = ways.into_iter().map(|(there, back, work)| {
                let taken = now + there;
                let answered = taken + work;
                let returned = answered + back;
                let reading = ClockReading::of(
                    now, taken.saturating_add_signed(offset), answered.saturating_add_signed(offset), returned);
                now = returned;
                reading
            });
            let best = readings.reduce(ClockReading::or).unwrap();
            prop_assert!(best.offset_ns.abs_diff(offset) <= best.error_ns, "{best:?}");
        }
    }

    #[test]
    fn a_time_here_is_found_on_a_clock_that_is_three_seconds_ahead() {
        let (ours, theirs) = (SteadyClock::read(), SteadyClock::read_ahead(3000));
        let reading = ClockReading::of(ours.now_ns(), theirs.now_ns(), theirs.now_ns(), ours.now_ns());
        let at_ns = ours.now_ns() + 1_000_000_000;
        let (here, there) = (ours.instant_of(at_ns), theirs.instant_of(reading.there(at_ns)));
        let apart = here.max(there) - here.min(there);
        assert!(apart.as_nanos() as u64 <= reading.error_ns + 1, "{apart:?} apart, {reading:?}");
        assert!((reading.offset_ns - 3_000_000_000).abs() < 1_000_000_000);
    }
}
