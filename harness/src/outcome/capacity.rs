//! What a search for the capacity found: the bracket, and every probe on the way.

use serde::{Deserialize, Serialize};

use super::PartFigures;
use crate::{
    analyse::{
        capacity::{Evidence, Held},
        summary::Problem,
    },
    experiment::Slo,
};

/// A search for the highest rate that holds a service level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacityOutcome {
    /// What had to be held.
    pub slo: Slo,
    /// The highest rate at which it was shown to hold, requests a second; 0: at none that was tried.
    pub low_rps: f64,
    /// The lowest rate at which it was not; none if it held wherever it was tried.
    pub high_rps: Option<f64>,
    /// Whether the search came to its end.
    pub finished: bool,
    /// Why it ended where it did, if not because the bracket was narrow enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Every probe, in the order in which they ran.
    pub probes: Vec<Probe>,
}

/// One rate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Poisson rate, requests a second.
    pub rate_rps: f64,
    /// Whether it was part of the search, or fills the curve below the capacity.
    pub for_curve: bool,
    /// Whether the service level held.
    pub held: Held,
    /// What that rests on.
    pub evidence: Evidence,
    /// Whether it was given up early, being hopeless.
    pub abandoned: bool,
    /// Its figures.
    pub part: PartFigures,
    /// How long it took until the platform answered as quickly as at the start, ms; none if it never did.
    pub settled_ms: Option<f64>,
}

impl Probe {
    /// The percentile nearest to the one that had to be held, of those that are summed up, ms; and its name.
    pub fn level_ms(&self, slo: &Slo) -> (&'static str, Option<f64>) {
        let times = &self.part.response_ms;
        let known = [
            (0.5, "p50", times.p50),
            (0.9, "p90", times.p90),
            (0.95, "p95", times.p95),
            (0.99, "p99", times.p99),
            (0.999, "p99.9", times.p99_9),
        ];
        // By distance of the tails: 99.5 % is nearer to 99 % than 99 % is to 90 %.
        let distance = |quantile: f64| ((1.0 - quantile) / (1.0 - slo.quantile)).ln().abs();
        let nearest = known.into_iter().min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        nearest.map_or(("p99", times.p99), |(_, name, ms)| (name, ms))
    }
}

impl CapacityOutcome {
    /// Rate that was shown to hold, if the search came to its end.
    pub fn capacity_rps(&self) -> Option<f64> {
        self.finished.then_some(self.low_rps)
    }

    /// Faults of the two probes that the result rests on.
    pub(super) fn problems(&self) -> Vec<Problem> {
        // The same figures, not computed ones: they are equal to the last bit, or of other probes.
        let same = |a: f64, b: f64| a.total_cmp(&b).is_eq();
        let decides = |probe: &&Probe| {
            let is_end = same(probe.rate_rps, self.low_rps)
                || self.high_rps.is_some_and(|high| same(probe.rate_rps, high));
            is_end && !probe.for_curve
        };
        let mut problems: Vec<Problem> =
            self.probes.iter().filter(decides).flat_map(|probe| probe.part.named_problems()).collect();
        if !self.finished {
            problems.push(Problem {
                reason: "The search did not come to its end.".into(),
                remedy: "Run the experiment again, to its end.".into(),
            });
        }
        problems
    }

    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.stopped.iter().map(|why| format!("search: {why}.")).collect();
        let undecided: Vec<String> = self
            .probes
            .iter()
            .filter(|p| p.held == Held::Undecided && !p.for_curve)
            .map(|p| format!("{} requests/s", p.rate_rps))
            .collect();
        if !undecided.is_empty() {
            remarks.push(format!(
                "undecided: at {} the longest probe could not show whether the service level holds; taken as not held.",
                undecided.join(", ")
            ));
        }
        let restless = self.probes.iter().filter(|p| p.settled_ms.is_none()).count();
        if restless > 0 {
            remarks.push(format!(
                "after {restless} of {} probes it did not answer as quickly again as at the start.",
                self.probes.len()
            ));
        }
        remarks
    }

    pub(super) fn line(&self) -> String {
        let probes = self.probes.len();
        match self.high_rps {
            Some(high) => format!("holds {} requests/s, not {high} ({probes} probes)", self.low_rps),
            None => format!("holds {} requests/s and maybe more ({probes} probes)", self.low_rps),
        }
    }
}
