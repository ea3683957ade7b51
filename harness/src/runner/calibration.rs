//! Before a run: the same generator against a target of our own that answers at once, so that a
//! reader knows how much of a figure is the instrument.
//!
//! The route is loopback, with the experiment's own payloads, connection policy, highest rate and
//! connections. On a cluster that is not the route to the platforms, and it is said: what their
//! network and gateways add is part of what is measured there, not of the instrument.

use std::{sync::Arc, time::Duration};

use super::{pilot::play_to_memory, prepare::Prepared};
use crate::{
    analyse::{
        itself::{HarnessItself, OwnFigures},
        tally::tally,
        window::{Pacing, Window},
    },
    drive::{
        Endpoint, Load, Plan, Protocol,
        answer::StatusJudge,
        null_target::{NullOptions, NullTarget, spawn},
        shapes::{self, Extent},
    },
    experiment::{Experiment, Site},
    interrupt::Interrupt,
    platforms::twin,
};

/// Not counted at the beginning of each loop: connections are opened, code and caches become warm.
const WARMUP: Duration = Duration::from_millis(150);
/// Measured of the open loop.
const OPEN: Duration = Duration::from_secs(1);
/// Measured of the closed loop.
const CLOSED: Duration = Duration::from_millis(500);
/// How long the calibration takes, about.
pub const DURATION: Duration = Duration::from_millis(1900);
/// The least rate of the open loop, requests/s: its second then yields a p99
/// ([`crate::analyse::validity::BEYOND_PRIMARY`] beyond it).
const LEAST_RATE_RPS: f64 = 500.0;
/// Connections of the closed loop where the experiment has none.
const CONNECTIONS: u32 = 8;

/// Measures the harness against its null target. Never fails a run: what went wrong is in the remarks.
pub async fn calibrate(experiment: &Experiment, prepared: &Prepared, interrupt: &Interrupt) -> HarnessItself {
    let demand = Demand::of(experiment, &prepared.files);
    let mut itself = HarnessItself {
        route: match experiment.on {
            Site::Twin => "over loopback, as on the twin".into(),
            Site::Cluster => "over loopback, without the network to the cluster".into(),
        },
        highest_rate_rps: demand.highest_rate_rps,
        open_rate_rps: demand.highest_rate_rps.unwrap_or(0.0).max(LEAST_RATE_RPS),
        connections: demand.connections,
        ..HarnessItself::default()
    };
    let target = match target_beside_the_generator() {
        Ok(target) => target,
        Err(error) => {
            itself.remarks.push(format!("not measured, since the null target did not start ({error})"));
            return itself;
        }
    };
    let mut connections = experiment.connection;
    if connections.protocol == Protocol::Http2 {
        connections.protocol = Protocol::Http1;
        itself.remarks.push("over HTTP/1.1, which is all that the null target speaks".into());
    }
    let endpoint = Endpoint { url: format!("{}/", target.url()), headers: Vec::new() };
    let load = |plan| Load {
        method: prepared.method.clone(),
        timeout: Duration::from_secs(5),
        drain: Duration::from_secs(1),
        seed: experiment.seed,
        connections,
        ..Load::new(plan, vec![endpoint.clone()], prepared.sent.requests(), Arc::new(StatusJudge))
    };
    let open = Plan::open(shapes::constant(itself.open_rate_rps, Extent::Duration(WARMUP + OPEN)));
    let closed = Plan::Closed {
        connections: demand.connections,
        think_time_ns: 0,
        duration_ns: Some((WARMUP + CLOSED).as_nanos() as u64),
        requests: None,
    };
    let core = super::generator_core(experiment);
    let mut measure =
        async |plan, pacing, length| match play_to_memory(load(plan), core, interrupt.clone()).await {
            Ok(records) => {
                let start_ns = WARMUP.as_nanos() as u64;
                let window = Window { start_ns, end_ns: start_ns + nanoseconds(length), pacing };
                Some(OwnFigures::from(&tally(&records, &window))).filter(|figures| figures.requests > 0)
            }
            Err(error) => {
                itself.remarks.push(format!("a part was not measured ({error})"));
                None
            }
        };
    let open = measure(open, Pacing::Open, OPEN).await;
    let closed = measure(closed, Pacing::Closed, CLOSED).await;
    (itself.open, itself.closed) = (open, closed);
    itself
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// A null target that keeps off the generator's core where there is another one, as the platforms do.
fn target_beside_the_generator() -> std::io::Result<NullTarget> {
    let rest = twin::placement().rest;
    let started = std::thread::spawn(move || {
        // Refused: the target then runs anywhere, as it would on a single core.
        let _ = twin::confine(&rest);
        spawn(&NullOptions::default())
    });
    started.join().map_err(|_| std::io::Error::other("its thread panicked"))?
}

/// The most that an experiment asks of the generator.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Demand {
    highest_rate_rps: Option<f64>,
    connections: u32,
}

impl Demand {
    fn of(experiment: &Experiment, files: &shapes::Files) -> Self {
        let mut demand = Self { highest_rate_rps: None, connections: 0 };
        for load in &experiment.load {
            match shapes::plan(&load.arrivals, files, load.warmup + load.duration, experiment.seed) {
                Plan::Open { send_times_ns, .. } => {
                    let rate = highest_rate_rps(&send_times_ns);
                    demand.highest_rate_rps = Some(demand.highest_rate_rps.unwrap_or(0.0).max(rate));
                }
                Plan::Closed { connections, .. } => demand.connections = demand.connections.max(connections),
            }
        }
        if demand.connections == 0 {
            demand.connections = CONNECTIONS;
        }
        demand
    }
}

/// Most sends in any second of a schedule.
fn highest_rate_rps(send_times_ns: &[u64]) -> f64 {
    let mut most = 0;
    let mut first = 0;
    for (last, &at_ns) in send_times_ns.iter().enumerate() {
        while at_ns - send_times_ns[first] >= 1_000_000_000 {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Arrivals, LoadPoint};

    #[test]
    fn the_highest_rate_is_that_of_the_busiest_second() {
        let second = 1_000_000_000;
        let rate = |times_ns: &[u64]| highest_rate_rps(times_ns) as u64;
        assert_eq!(rate(&[]), 0);
        assert_eq!(rate(&[0, second, 2 * second]), 1);
        let burst: Vec<u64> = (0..40).map(|i| 3 * second + i).collect();
        assert_eq!(rate(&[&[0, second][..], &burst].concat()), 40);
        assert_eq!(rate(&shapes::constant(250.0, Extent::Count(1000))), 250);
    }

    #[test]
    fn the_demand_is_the_most_of_all_load_points() {
        let point = |arrivals| LoadPoint {
            arrivals,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(2),
            ..LoadPoint::default()
        };
        let closed = |connections| Arrivals::Closed { connections, think_time: Duration::ZERO };
        let experiment = Experiment {
            load: vec![
                point(Arrivals::Constant { rate: 30.0 }),
                point(closed(3)),
                point(Arrivals::Constant { rate: 90.0 }),
                point(closed(2)),
            ],
            ..Experiment::default()
        };
        assert_eq!(
            Demand::of(&experiment, &shapes::Files::default()),
            Demand { highest_rate_rps: Some(90.0), connections: 3 }
        );
        let idle = Experiment { load: vec![point(closed(5))], ..Experiment::default() };
        assert_eq!(
            Demand::of(&idle, &shapes::Files::default()),
            Demand { highest_rate_rps: None, connections: 5 }
        );
    }
}
