//! What an analysis yields; `summary.json` is this structure, and every report is made from it
//! (and from the records, for the plots).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{cold::ColdStarts, elasticity::Elasticity, events::CellEvents, eviction::Eviction};
use crate::{
    experiment::{Arrivals, Metric},
    outcome::ProcedureOutcome,
};

/// All of a run in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the run folder's format.
    pub schema_version: u32,
    /// Name of the run folder.
    pub run_id: String,
    /// The experiment's title.
    pub title: String,
    /// Whether a twin stood in for the cluster.
    pub twin: bool,
    /// What was degraded or must be known to read the figures, one sentence each.
    pub notices: Vec<String>,
    /// Labels, in the order of the report; the first is the baseline.
    pub subjects: Vec<String>,
    /// One entry for each planned cell, in the order in which they ran.
    pub cells: Vec<CellSummary>,
    /// One entry for each load point, metric and pair of subjects. Primary ones first.
    pub comparisons: Vec<Comparison>,
    /// What the thresholds that were set came to, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdResult>,
}

/// What became of one threshold for one subject at one load point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdResult {
    /// The threshold as it was written.
    pub threshold: String,
    /// Name of the load point.
    pub load: String,
    /// Label of the subject.
    pub subject: String,
    /// The figure, in the unit of its text; none if there is none.
    pub measured: Option<f64>,
    /// The figure as people read it.
    pub text: String,
    /// Whether it holds.
    pub met: bool,
    /// Why it cannot hold, where the figure alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Summary {
    /// Whether every threshold holds; true without any.
    pub fn meets_thresholds(&self) -> bool {
        self.thresholds.iter().all(|result| result.met)
    }

    /// Whether the run yields what it set out for: a verdict on every question or, with a single
    /// subject, no more than a fifth of its cells INVALID.
    pub fn is_valid(&self) -> bool {
        if self.subjects.len() > 1 {
            let mut primary = self.comparisons.iter().filter(|c| c.primary).peekable();
            return primary.peek().is_some()
                && primary.all(|c| !matches!(c.verdict, Verdict::NoVerdict { .. }));
        }
        let invalid = self.cells.iter().filter(|c| !c.validity.is_valid()).count();
        !self.cells.is_empty() && invalid * 5 <= self.cells.len()
    }
}

/// One measured interval in numbers. Counts and times are of the requests that were sent in it (by
/// intended time in an open loop); rates are of the answers that arrived in it. `analyse::window`
/// states the rules at its edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// The cell's id.
    pub id: String,
    /// Label of the subject.
    pub subject: String,
    /// Trial, from 1.
    pub trial: u32,
    /// Name of the load point.
    pub load: String,
    /// How requests arrived.
    pub arrivals: Arrivals,
    /// Whether the instrument can be trusted in this cell.
    pub validity: Validity,
    /// What must be known about the platform's behaviour (overloaded, restarted, ...).
    pub remarks: Vec<String>,
    /// Length of the measured interval, seconds.
    pub window_s: f64,
    /// Requests in it.
    pub requests: u64,
    /// Intended requests a second; none in a closed loop.
    pub offered_rps: Option<f64>,
    /// Answers of any kind a second.
    pub achieved_rps: f64,
    /// Correct answers a second.
    pub goodput_rps: f64,
    /// Requests by outcome, `ok` included; names as in `Outcome::name`.
    pub outcomes: BTreeMap<String, u64>,
    /// From the intended send to the end, of correct answers and (censored) time-outs.
    pub response_ms: Quantiles,
    /// From the actual send to the end, of correct answers and (censored) time-outs.
    pub service_ms: Quantiles,
    /// From the intended send to the end of failures other than time-outs.
    pub failure_ms: Quantiles,
    /// How late the generator sent.
    pub lateness_ms: Quantiles,
    /// Time to open a connection, of requests that opened one.
    pub connect_ms: Quantiles,
    /// Mean of the function's own stages over correct answers, ms, by name
    /// (queue, decode, preprocess, inference, total).
    pub server_ms: BTreeMap<String, f64>,
    /// Medians of [`super::inside::STAGES`] over correct answers, ms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inside_ms: BTreeMap<String, f64>,
    /// Request body bytes a second.
    pub upload_bytes_per_s: f64,
    /// Response body bytes a second.
    pub download_bytes_per_s: f64,
    /// Answers that were an instance's first.
    pub cold_starts: u64,
    /// Different instances that answered.
    pub instances: u64,
    /// Fewest, mean and most ready replicas.
    pub replicas: Option<Spread>,
    /// CPU seconds of the replicas over the interval.
    pub cpu_seconds: Option<f64>,
    /// CPU seconds of the platform's data plane over the interval.
    pub plane_cpu_seconds: Option<f64>,
    /// Resident memory of the replicas, bytes: fewest, mean, most.
    pub memory_bytes: Option<Spread>,
    /// From the deploy call to the first correct answer, ms.
    pub ready_after_ms: f64,
    /// The same requests by revision, where several share the traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_revision: Vec<RevisionSummary>,
    /// How the replicas followed a load that changes, where they were free to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticity: Option<Elasticity>,
    /// What the cell's procedure found, where it is more than one load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ProcedureOutcome>,
    /// The same requests by the size of their bodies, where sizes are swept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_size: Vec<SizeSummary>,
    /// The line through their medians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_fit: Option<SizeFit>,
    /// What became of the events of its answers, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<CellEvents>,
}

impl CellSummary {
    /// Its cold starts, where that was asked.
    pub fn cold_start(&self) -> Option<&ColdStarts> {
        match &self.outcome {
            Some(ProcedureOutcome::Cold(found)) => Some(found),
            _ => None,
        }
    }

    /// What became of its idle instance, where that was asked.
    pub fn eviction(&self) -> Option<&Eviction> {
        match &self.outcome {
            Some(ProcedureOutcome::Eviction(found)) => Some(found),
            _ => None,
        }
    }

    /// What the platform said that it cannot do, where a procedure asked for it.
    pub fn limit(&self) -> Option<&str> {
        let eviction = || self.eviction().and_then(|found| found.limit.as_deref());
        self.cold_start().and_then(|found| found.limit.as_deref()).or_else(eviction)
    }
}

/// The requests of an interval whose bodies have one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeSummary {
    /// Length of the body, bytes.
    pub bytes: u64,
    /// Requests in the interval.
    pub requests: u64,
    /// Of them correct.
    pub correct: u64,
    /// From the intended send to the end, of correct answers and (censored) time-outs.
    pub response_ms: Quantiles,
}

/// Response time = `intercept_ms` + `ms_per_mib` x size of the body.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SizeFit {
    /// Of a body of no bytes, ms.
    pub intercept_ms: f64,
    /// Added by each MiB, ms.
    pub ms_per_mib: f64,
}

/// The requests of an interval that one revision answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionSummary {
    /// Its name.
    pub revision: String,
    /// Requests in the interval.
    pub requests: u64,
    /// Of all requests in the interval, 0..1.
    pub share: f64,
    /// Of them correct.
    pub correct: u64,
    /// From the intended send to the end, of correct answers and (censored) time-outs.
    pub response_ms: Quantiles,
}

/// VALID, or INVALID with reasons; a word about the instrument, never about the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Validity {
    /// Empty: VALID.
    pub problems: Vec<Problem>,
}

impl Validity {
    /// Whether the cell counts.
    pub fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// `VALID` or `INVALID`.
    pub fn word(&self) -> &'static str {
        if self.is_valid() { "VALID" } else { "INVALID" }
    }
}

/// Why a cell cannot be trusted, and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What was found, with figures.
    pub reason: String,
    /// What to change.
    pub remedy: String,
}

/// Percentiles of one quantity, in milliseconds; none without observations.
/// p99.9 is present only if at least ten observations lie beyond it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Observations.
    pub count: u64,
    /// Of them censored: known to be at least this long.
    pub censored: u64,
    /// Arithmetic mean (censored ones at their lower bound).
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// 99.9th percentile.
    pub p99_9: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
    /// Names of those above that fall on a censored observation: the true value is at least this.
    pub lower_bounds: Vec<String>,
    /// 95 % order-statistic intervals of the percentiles that enough observations lie beyond, by
    /// name. They count neighbouring requests as independent, which they are not: a sampling error
    /// inside one interval of load, at least this large, and never a basis for a verdict.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sampling: BTreeMap<String, [f64; 2]>,
}

/// Fewest, mean and most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Mean over time.
    pub mean: f64,
    /// Largest.
    pub max: f64,
}

/// Two subjects under the same load, by one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the load point.
    pub load: String,
    /// The question in words.
    pub question: String,
    /// What is compared.
    pub metric: Metric,
    /// Whether this metric was named before the run; only primary ones get a verdict.
    pub primary: bool,
    /// The subject that is divided by.
    pub baseline: String,
    /// The other one.
    pub contender: String,
    /// Values by trial.
    pub baseline_trials: Vec<TrialValue>,
    /// Values by trial.
    pub contender_trials: Vec<TrialValue>,
    /// contender / baseline, with its interval over trials.
    pub ratio: Option<Interval>,
    /// Exact two-sided rank test over trials.
    pub p_value: Option<f64>,
    /// The same after Holm's correction over the primary comparisons, or over all others.
    pub p_adjusted: Option<f64>,
    /// The smallest |ratio - 1| that this run could have seen (80 % power at the 5 % level).
    pub smallest_effect: Option<f64>,
    /// What may be said.
    pub verdict: Verdict,
    /// The verdict as a sentence.
    pub sentence: String,
}

/// The metric in one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialValue {
    /// Trial, from 1.
    pub trial: u32,
    /// The value, if the cell yields one.
    pub value: Option<f64>,
    /// Whether the cell is VALID; only valid ones count.
    pub valid: bool,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Point estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence, 0..1.
    pub confidence: f64,
}

/// What may be said of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verdict {
    /// Interval and exact test agree that this subject is better.
    Better {
        /// Its label.
        subject: String,
    },
    /// They do not both show a difference.
    CannotTell,
    /// Too many trials are INVALID or missing.
    NoVerdict {
        /// Why.
        reason: String,
    },
    /// A platform cannot do what is asked, and says so: there is nothing to compare.
    Limited {
        /// Which, and its limit.
        reason: String,
    },
    /// A secondary metric: described, not judged.
    Described,
}
