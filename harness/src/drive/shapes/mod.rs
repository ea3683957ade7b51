//! Load shapes, one file each: pure functions from parameters and a seed to intended send times.
//!
//! A schedule is a list of nanoseconds since the start, ascending. The same parameters and seed
//! yield the same schedule on every machine: randomness comes from [`super::draws`], whose
//! generator is written out there and never changes with a dependency.

mod constant;
mod poisson;
mod steps;

use std::time::Duration;

pub use constant::constant;
pub use poisson::poisson;
pub use steps::steps;

use super::Plan;
use crate::experiment::Arrivals;

/// Nanoseconds in a second.
const NS: f64 = 1e9;

/// Sends in a schedule at most: 800 MB of times. An absurd rate ends here, not in lack of memory.
const MOST_SENDS: u64 = 100_000_000;

/// Where a schedule ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Send times lie in `[0, duration)`.
    Duration(Duration),
    /// So many requests.
    Count(u64),
}

impl Extent {
    /// Whether request number `index` at `at_ns` still belongs to the schedule.
    fn contains(self, index: u64, at_ns: f64) -> bool {
        match self {
            Self::Duration(duration) => at_ns < duration.as_nanos() as f64,
            Self::Count(count) => index < count,
        }
    }
}

/// Whether a rate can be played; schedules of others are empty.
fn playable(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

/// The plan of one cell: arrivals over a window (warm-up included), drawn from the seed.
pub fn plan(arrivals: &Arrivals, window: Duration, seed: u64) -> Plan {
    let extent = Extent::Duration(window);
    match arrivals {
        Arrivals::Constant { rate } => Plan::open(constant(*rate, extent)),
        Arrivals::Poisson { rate } => Plan::open(poisson(*rate, extent, seed)),
        Arrivals::Steps { rates } => Plan::open(steps(rates, window)),
        Arrivals::Closed { connections, think_time } => Plan::Closed {
            connections: *connections,
            think_time_ns: think_time.as_nanos() as u64,
            duration_ns: Some(window.as_nanos() as u64),
            requests: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_become_the_plan_of_their_kind() {
        let window = Duration::from_secs(2);
        let Plan::Open { send_times_ns, .. } = plan(&Arrivals::Constant { rate: 10.0 }, window, 1) else {
            panic!("a constant rate is an open plan");
        };
        assert_eq!(send_times_ns.len(), 20);
        let think_time = Duration::from_millis(5);
        assert_eq!(
            plan(&Arrivals::Closed { connections: 3, think_time }, window, 1),
            Plan::Closed {
                connections: 3,
                think_time_ns: 5_000_000,
                duration_ns: Some(2_000_000_000),
                requests: None
            }
        );
    }

    #[test]
    fn a_rate_that_cannot_be_played_yields_an_empty_schedule() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(constant(rate, Extent::Count(10)).is_empty());
            assert!(poisson(rate, Extent::Count(10), 1).is_empty());
        }
    }
}
