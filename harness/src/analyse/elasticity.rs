//! How well the replicas followed the load: time to scale, and too few or too many of them over time.
//!
//! The measures are those of the SPEC Research Group (Herbst, Bauer, Kounev et al., "Quantifying
//! Cloud Performance and Dependability: Taxonomy, Metric Design, and Emerging Challenges", ACM
//! Transactions on Modeling and Performance Evaluation of Computing Systems 3(4), 2018, section
//! "Elasticity"; the terms are those of Herbst, Kounev and Reussner, "Elasticity in Cloud Computing",
//! ICAC 2013). With d(t) the replicas needed, s(t) the ready ones, over an interval of length T:
//! * accuracy, under: θU = 1/T · ∫ max(d − s, 0) / d dt; over: θO = 1/T · ∫ max(s − d, 0) / d dt;
//! * timeshare, under: τU = share of T in which s < d; over: τO = share in which s > d.
//!
//! Needed are the offered rate over what one replica served in the pilot (correct answers a second of a
//! closed loop through the same platform), rounded up: the fewest that can keep pace. Whoever wants short
//! queues needs more, so a platform that keeps exactly d is tight, not comfortable.

use serde::{Deserialize, Serialize};

use super::{
    CellDigest,
    window::{NS_PER_S, Window},
};
use crate::{
    experiment::{Arrivals, Experiment, LoadPoint},
    store::TimedSample,
};

/// How the replicas of one cell followed its load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elasticity {
    /// What one replica served in the pilot, correct answers a second.
    pub capacity_rps: f64,
    /// What was offered and what it needed, piece by piece over the measured interval.
    pub demand: Vec<Demand>,
    /// Ready replicas: from when (seconds since the cell's start) there were how many. Changes alone.
    pub supply: Vec<(f64, u32)>,
    /// The largest rise of the load, seconds since the cell's start; none if it never rises.
    pub rise_s: Option<f64>,
    /// From that rise until one more replica was ready than before it.
    pub first_added: Option<Waited>,
    /// From that rise until as many were ready as the load needed.
    pub enough: Option<Waited>,
    /// θU: mean shortfall, as a share of what was needed.
    pub under_accuracy: f64,
    /// θO: mean surplus, as a share of what was needed.
    pub over_accuracy: f64,
    /// τU: share of the time with too few.
    pub under_time: f64,
    /// τO: share of the time with too many.
    pub over_time: f64,
    /// Area of the shortfall, replicas × seconds.
    pub under_replica_s: f64,
    /// Area of the surplus, replicas × seconds.
    pub over_replica_s: f64,
    /// What was ready, replicas × seconds: the cost.
    pub replica_s: f64,
    /// What was needed, replicas × seconds.
    pub needed_replica_s: f64,
}

/// One piece of the load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Its begin, seconds since the cell's start.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// Intended requests a second.
    pub offered_rps: f64,
    /// The fewest replicas that keep pace with it.
    pub needed: u32,
}

/// How long something took, or that it had not happened when the wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Waited {
    /// Seconds.
    pub s: f64,
    /// Whether it took longer than that: it did not happen while it was watched.
    pub at_least: bool,
}

/// The fewest replicas that keep pace with a rate.
pub fn needed(offered_rps: f64, capacity_rps: f64) -> u32 {
    // A rate that is a multiple of the capacity, but for rounding, needs no further replica.
    (offered_rps / capacity_rps - 1e-9).ceil().max(0.0) as u32
}

/// How the replicas followed the load. None where the load's rate is constant or not known in
/// advance, without a capacity, and without samples.
pub fn elasticity(
    load: &LoadPoint,
    capacity_rps: f64,
    samples: &[TimedSample],
    window: &Window,
) -> Option<Elasticity> {
    if !(capacity_rps.is_finite() && capacity_rps > 0.0) {
        return None;
    }
    let (start_s, end_s) = (window.start_ns as f64 / NS_PER_S, window.end_ns as f64 / NS_PER_S);
    let supply = changes(samples);
    // What was ready before the first sample is not known.
    let start_s = start_s.max(supply.first()?.0);
    let demand: Vec<Demand> = demand(load, capacity_rps)?
        .into_iter()
        .map(|piece| Demand { from_s: piece.from_s.max(start_s), to_s: piece.to_s.min(end_s), ..piece })
        .filter(|piece| piece.to_s > piece.from_s)
        .collect();
    let mut sums = Sums::default();
    for piece in &demand {
        for (from_s, to_s, ready) in pieces(&supply, piece.from_s, piece.to_s) {
            sums.add(to_s - from_s, piece.needed, ready);
        }
    }
    let rise = rise(&demand);
    let waits = rise.map(|rise| times_to_scale(&demand, &supply, rise));
    (sums.length_s > 0.0).then(|| Elasticity {
        capacity_rps,
        supply: within(&supply, start_s, end_s),
        rise_s: rise.map(|i| demand[i].from_s),
        first_added: waits.map(|(first, _)| first),
        enough: waits.map(|(_, enough)| enough),
        under_accuracy: sums.under_relative / sums.length_s,
        over_accuracy: sums.over_relative / sums.length_s,
        under_time: sums.under_s / sums.length_s,
        over_time: sums.over_s / sums.length_s,
        under_replica_s: sums.under_replica_s,
        over_replica_s: sums.over_replica_s,
        replica_s: sums.replica_s,
        needed_replica_s: sums.needed_replica_s,
        demand,
    })
}

/// The same for a cell of an experiment; none where the replicas were pinned.
pub fn of_cell(experiment: &Experiment, cell: &CellDigest, capacity_rps: f64) -> Option<Elasticity> {
    if experiment.replicas.min == experiment.replicas.max {
        return None;
    }
    elasticity(&cell.meta.cell.load, capacity_rps, &cell.samples, &cell.records.window)
}

/// The load's rate piece by piece, warm-up included; neighbours of equal rate are one piece.
fn demand(load: &LoadPoint, capacity_rps: f64) -> Option<Vec<Demand>> {
    let Arrivals::Steps { rates } = &load.arrivals else { return None };
    let length_s = (load.warmup + load.duration).as_secs_f64() / rates.len() as f64;
    let mut pieces: Vec<Demand> = Vec::new();
    for (i, &rate) in rates.iter().enumerate() {
        let (from_s, to_s) = (i as f64 * length_s, (i + 1) as f64 * length_s);
        match pieces.last_mut() {
            Some(last) if (last.offered_rps - rate).abs() < 1e-9 => last.to_s = to_s,
            _ => pieces.push(Demand { from_s, to_s, offered_rps: rate, needed: needed(rate, capacity_rps) }),
        }
    }
    (pieces.len() > 1).then_some(pieces)
}

/// From when there were how many ready replicas.
fn changes(samples: &[TimedSample]) -> Vec<(f64, u32)> {
    let mut seen: Vec<(f64, u32)> =
        samples.iter().map(|s| (s.at_ns as f64 / NS_PER_S, s.sample.ready)).collect();
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    seen.dedup_by_key(|change| change.1);
    seen
}

/// The supply between two instants, in pieces: from, to, ready.
fn pieces(supply: &[(f64, u32)], from_s: f64, to_s: f64) -> impl Iterator<Item = (f64, f64, u32)> {
    let ends = supply.iter().skip(1).map(|change| change.0).chain([f64::INFINITY]);
    supply
        .iter()
        .zip(ends)
        .map(move |(&(at_s, ready), end_s)| (at_s.max(from_s), end_s.min(to_s), ready))
        .filter(|(from_s, to_s, _)| to_s > from_s)
}

fn within(supply: &[(f64, u32)], from_s: f64, to_s: f64) -> Vec<(f64, u32)> {
    pieces(supply, from_s, to_s).map(|(from_s, _, ready)| (from_s, ready)).collect()
}

/// The piece that begins with the largest rise of the rate.
fn rise(demand: &[Demand]) -> Option<usize> {
    let rises = (1..demand.len()).map(|i| (i, demand[i].offered_rps - demand[i - 1].offered_rps));
    let largest = rises.filter(|(_, by)| *by > 0.0).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    largest.map(|(i, _)| i)
}

/// From a rise to one more ready replica, and to as many as the load needed; watched until the load
/// falls again, or ends.
fn times_to_scale(demand: &[Demand], supply: &[(f64, u32)], rise: usize) -> (Waited, Waited) {
    let from_s = demand[rise].from_s;
    let falls = demand[rise..].windows(2).find(|pair| pair[1].offered_rps < pair[0].offered_rps);
    let until_s = falls.map_or(demand[demand.len() - 1].to_s, |pair| pair[1].from_s);
    let before = pieces(supply, from_s, until_s).next().map_or(0, |(_, _, ready)| ready);
    let first_with = |fewest: u32| {
        let found = pieces(supply, from_s, until_s).find(|(_, _, ready)| *ready >= fewest);
        found.map_or(Waited { s: until_s - from_s, at_least: true }, |(at_s, ..)| Waited {
            s: at_s - from_s,
            at_least: false,
        })
    };
    (first_with(before + 1), first_with(demand[rise].needed))
}

/// Integrals over the time seen so far.
#[derive(Default)]
struct Sums {
    length_s: f64,
    under_relative: f64,
    over_relative: f64,
    under_s: f64,
    over_s: f64,
    under_replica_s: f64,
    over_replica_s: f64,
    replica_s: f64,
    needed_replica_s: f64,
}

impl Sums {
    fn add(&mut self, length_s: f64, needed: u32, ready: u32) {
        let missing = f64::from(needed.saturating_sub(ready));
        let surplus = f64::from(ready.saturating_sub(needed));
        // Where nothing is needed, a surplus counts as a share of one replica.
        let relative_to = f64::from(needed.max(1));
        self.length_s += length_s;
        self.under_relative += length_s * missing / relative_to;
        self.over_relative += length_s * surplus / relative_to;
        self.under_s += if missing > 0.0 { length_s } else { 0.0 };
        self.over_s += if surplus > 0.0 { length_s } else { 0.0 };
        self.under_replica_s += length_s * missing;
        self.over_replica_s += length_s * surplus;
        self.replica_s += length_s * f64::from(ready);
        self.needed_replica_s += length_s * f64::from(needed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::platforms::ReplicaSample;

    fn sample(at_s: f64, ready: u32) -> TimedSample {
        TimedSample {
            at_ns: (at_s * 1e9) as u64,
            sample: ReplicaSample { ready, ..ReplicaSample::default() },
        }
    }

    /// Steps of 10 s each, the first of which is warm-up.
    fn steps(rates: &[f64]) -> LoadPoint {
        LoadPoint {
            arrivals: Arrivals::Steps { rates: rates.to_vec() },
            warmup: Duration::from_secs(10),
            duration: Duration::from_secs(10 * (rates.len() as u64 - 1)),
            ..LoadPoint::default()
        }
    }

    fn measured(rates: &[f64], samples: &[(f64, u32)]) -> Elasticity {
        let load = steps(rates);
        let samples: Vec<_> = samples.iter().map(|&(at_s, ready)| sample(at_s, ready)).collect();
        elasticity(&load, 10.0, &samples, &Window::planned(&load)).unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_step_by_hand() {
        // Needed: 1 until 20 s, 3 until 40 s, 1 until 50 s; measured from 10 s on.
        let found = measured(&[5.0, 5.0, 30.0, 30.0, 5.0], &[(0.0, 1), (24.0, 2), (30.0, 3)]);
        let needed: Vec<(f64, u32)> = found.demand.iter().map(|d| (d.from_s, d.needed)).collect();
        assert_eq!(needed, [(10.0, 1), (20.0, 3), (40.0, 1)]);
        assert_eq!(found.rise_s, Some(20.0));
        assert_eq!(found.first_added, Some(Waited { s: 4.0, at_least: false }));
        assert_eq!(found.enough, Some(Waited { s: 10.0, at_least: false }));
        // Short: 2 of 3 for 4 s, 1 of 3 for 6 s. Over: 2 above 1 for 10 s. Of 40 s.
        assert!(close(found.under_accuracy, (4.0 * 2.0 / 3.0 + 6.0 / 3.0) / 40.0), "{found:?}");
        assert!(close(found.over_accuracy, 10.0 * 2.0 / 40.0));
        assert!(close(found.under_time, 0.25) && close(found.over_time, 0.25));
        assert!(close(found.under_replica_s, 14.0) && close(found.over_replica_s, 20.0));
        assert!(close(found.replica_s, 14.0 + 2.0 * 6.0 + 3.0 * 20.0));
        assert_eq!(found.supply, [(10.0, 1), (24.0, 2), (30.0, 3)]);
    }

    #[test]
    fn what_never_came_is_known_to_have_taken_longer_than_it_was_watched() {
        let found = measured(&[5.0, 5.0, 30.0, 30.0, 5.0], &[(0.0, 1), (24.0, 2), (45.0, 3)]);
        assert_eq!(found.first_added, Some(Waited { s: 4.0, at_least: false }));
        assert_eq!(
            found.enough,
            Some(Waited { s: 20.0, at_least: true }),
            "3 came after the load had fallen"
        );
        let enough_before = measured(&[5.0, 5.0, 30.0], &[(0.0, 4)]);
        assert_eq!(enough_before.enough, Some(Waited { s: 0.0, at_least: false }));
    }

    #[test]
    fn a_rate_that_one_replica_just_serves_needs_one() {
        assert_eq!([0.0, 0.1, 10.0, 10.1, 30.000_000_001].map(|rate| needed(rate, 10.0)), [0, 1, 1, 2, 3]);
    }

    #[test]
    fn a_load_without_steps_and_a_cell_without_samples_yield_nothing() {
        let load = steps(&[5.0, 5.0]);
        let window = Window::planned(&load);
        assert_eq!(elasticity(&load, 10.0, &[sample(0.0, 1)], &window), None, "one rate throughout");
        let load = steps(&[5.0, 9.0]);
        assert_eq!(elasticity(&load, 10.0, &[], &window), None);
        assert_eq!(elasticity(&load, 0.0, &[sample(0.0, 1)], &window), None);
    }

    proptest! {
        /// Surplus minus shortfall is supply minus demand, whatever happens; shares stay shares.
        #[test]
        fn areas_balance(
            rates in prop::collection::vec(1.0..60.0_f64, 2..6),
            ready in prop::collection::vec((0.0..60.0_f64, 0u32..6), 1..12),
        ) {
            let load = steps(&rates);
            let samples: Vec<_> = ready.iter().map(|&(at_s, n)| sample(at_s, n)).collect();
            if let Some(e) = elasticity(&load, 10.0, &samples, &Window::planned(&load)) {
                prop_assert!(((e.over_replica_s - e.under_replica_s) - (e.replica_s - e.needed_replica_s)).abs() < 1e-6);
                prop_assert!(e.under_time >= 0.0 && e.over_time >= 0.0 && e.under_time + e.over_time <= 1.0 + 1e-9);
                prop_assert!((0.0..=1.0 + 1e-9).contains(&e.under_accuracy) && e.over_accuracy >= 0.0);
                prop_assert!(e.first_added.is_none_or(|w| w.s >= 0.0));
            }
        }
    }
}
