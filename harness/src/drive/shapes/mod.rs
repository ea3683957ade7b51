//! Load shapes, one file each: pure functions from parameters and a seed to intended send times.
//!
//! A schedule is a list of nanoseconds since the start, ascending. The same parameters and seed
//! yield the same schedule on every machine: randomness comes from [`super::draws`], whose
//! generator is written out there and never changes with a dependency.

mod bursts;
mod constant;
mod files;
mod idle;
mod poisson;
mod steps;
mod traces;
mod varying;

use std::time::Duration;

pub use bursts::bursts;
pub use constant::constant;
pub use files::{Files, Invocation, TraceError};
pub use idle::idle;
pub use poisson::poisson;
pub use steps::steps;
pub use traces::{Scale, invocations, minutes, schedule};
pub use varying::{ramp, spike, square};

use super::Plan;
use crate::experiment::Arrivals;
use files::Content;

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

/// The plan of one cell: arrivals over a window (warm-up included), drawn from the seed. A shape that
/// replays a file finds it in `files`; one whose file is not there has an empty schedule.
pub fn plan(arrivals: &Arrivals, files: &Files, window: Duration, seed: u64) -> Plan {
    let extent = Extent::Duration(window);
    let if_random = |random: bool| random.then_some(seed);
    match arrivals {
        Arrivals::Constant { rate } => Plan::open(constant(*rate, extent)),
        Arrivals::Poisson { rate } | Arrivals::Server { rate } => Plan::open(poisson(*rate, extent, seed)),
        Arrivals::Steps { rates } => Plan::open(steps(rates, window)),
        Arrivals::Ramp { from, to, random } => Plan::open(ramp(*from, *to, window, if_random(*random))),
        Arrivals::Spike { base, peak, at, length, random } => {
            Plan::open(spike((*base, *peak), (*at, *length), window, if_random(*random)))
        }
        Arrivals::Square { low, high, period, random } => {
            Plan::open(square((*low, *high), *period, window, if_random(*random)))
        }
        Arrivals::Bursts { sizes, iat, spacing, parallel } => {
            let (send_times_ns, assigned) = bursts(sizes, (*iat, *spacing), *parallel, window, seed);
            Plan::Open { send_times_ns, assigned }
        }
        Arrivals::Idle { gaps } => {
            Plan::open(idle(&gaps.iter().map(|gap| gap.0).collect::<Vec<_>>(), window))
        }
        Arrivals::Offline { samples } => Plan::open(vec![0; *samples as usize]),
        Arrivals::AzureMinutes { .. } | Arrivals::AzureInvocations { .. } | Arrivals::Schedule { .. } => {
            replay(arrivals, files, window, seed)
        }
        Arrivals::SingleStream {} => closed(1, Duration::ZERO, window),
        Arrivals::MultiStream { samples } => closed(*samples, Duration::ZERO, window),
        Arrivals::Closed { connections, think_time } => closed(*connections, *think_time, window),
    }
}

fn closed(connections: u32, think_time: Duration, window: Duration) -> Plan {
    Plan::Closed {
        connections,
        think_time_ns: think_time.as_nanos() as u64,
        duration_ns: Some(window.as_nanos() as u64),
        requests: None,
    }
}

fn replay(arrivals: &Arrivals, files: &Files, window: Duration, seed: u64) -> Plan {
    match (arrivals, files.of(arrivals)) {
        (
            Arrivals::AzureMinutes { first_minute, spread, rate_scale, time_scale, .. },
            Some(Content::Minutes(counts)),
        ) => {
            let from = usize::from(*first_minute).saturating_sub(1).min(counts.len());
            let scale = Scale { rate: *rate_scale, time: *time_scale };
            Plan::open(minutes(&counts[from..], *spread, scale, window, seed))
        }
        (
            Arrivals::AzureInvocations { skip, rate_scale, time_scale, .. },
            Some(Content::Starts(starts_s)),
        ) => {
            let skip_s = skip.as_secs_f64();
            let after: Vec<f64> = starts_s.iter().map(|at| at - skip_s).filter(|at| *at >= 0.0).collect();
            Plan::open(invocations(&after, Scale { rate: *rate_scale, time: *time_scale }, window, seed))
        }
        (Arrivals::Schedule { .. }, Some(Content::Schedule(rows))) => {
            let (send_times_ns, assigned) = schedule(rows, window);
            Plan::Open { send_times_ns, assigned }
        }
        _ => Plan::open(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_become_the_plan_of_their_kind() {
        let window = Duration::from_secs(2);
        let Plan::Open { send_times_ns, .. } =
            plan(&Arrivals::Constant { rate: 10.0 }, &Files::default(), window, 1)
        else {
            panic!("a constant rate is an open plan");
        };
        assert_eq!(send_times_ns.len(), 20);
        let think_time = Duration::from_millis(5);
        assert_eq!(
            plan(&Arrivals::Closed { connections: 3, think_time }, &Files::default(), window, 1),
            Plan::Closed {
                connections: 3,
                think_time_ns: 5_000_000,
                duration_ns: Some(2_000_000_000),
                requests: None
            }
        );
    }

    fn read(shape: &Arrivals, text: &str) -> Files {
        Files::parse([shape], |_| Ok(text.to_owned())).unwrap()
    }

    fn sends(shape: &Arrivals, files: &Files) -> Vec<u64> {
        let Plan::Open { send_times_ns, .. } = plan(shape, files, Duration::from_mins(2), 1) else {
            panic!("not an open plan");
        };
        send_times_ns
    }

    #[test]
    fn a_trace_is_replayed_from_where_it_was_asked_for() {
        let shape = |text: &str| toml::from_str::<Arrivals>(text).unwrap();
        let minutes = "HashFunction,1,2,3\nf,60,120,60\n";
        let second = shape("kind = 'azure-minutes'\nfile = 'x'\nfirst-minute = 2\nspread = 'even'");
        assert_eq!(sends(&second, &read(&second, minutes)).len(), 180);
        let starts = "app,func,end_timestamp,duration\na,f,10,0\na,f,40,0\na,f,70,0\n";
        let later = shape("kind = 'azure-invocations'\nfile = 'x'\nskip = '30s'");
        assert_eq!(sends(&later, &read(&later, starts)), [0, 30_000_000_000]);
        assert!(sends(&later, &Files::default()).is_empty());
    }

    #[test]
    fn offline_sends_all_samples_at_once_and_streams_wait_for_answers() {
        assert_eq!(sends(&Arrivals::Offline { samples: 3 }, &Files::default()), [0, 0, 0]);
        let second = Duration::from_secs(1);
        let Plan::Closed { connections, .. } = plan(&Arrivals::SingleStream {}, &Files::default(), second, 1)
        else {
            panic!("not a closed plan");
        };
        assert_eq!(connections, 1);
    }

    #[test]
    fn a_rate_that_cannot_be_played_yields_an_empty_schedule() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(constant(rate, Extent::Count(10)).is_empty());
            assert!(poisson(rate, Extent::Count(10), 1).is_empty());
        }
    }
}
