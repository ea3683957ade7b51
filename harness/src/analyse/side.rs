//! One side of a comparison: a subject's cells at one load point, by trial.

use super::{
    elasticity::Waited,
    statistics::bootstrap::mean,
    summary::{CellSummary, TrialValue},
};
use crate::{
    experiment::{LoadPoint, Metric},
    outcome::ProcedureOutcome,
    record::Outcome,
};

/// Difference between failure shares from which it must be spoken of.
const FAILURES_DIFFER: f64 = 0.01;

/// The cells of one subject at one load point, by trial.
pub(super) struct Side<'a> {
    /// Its label.
    pub label: String,
    cells: Vec<(u32, Option<&'a CellSummary>)>,
}

impl<'a> Side<'a> {
    /// Finds its cells; a trial without one is kept as such.
    pub fn new(label: &str, trials: u32, load: &LoadPoint, cells: &'a [CellSummary]) -> Self {
        let find =
            |trial| cells.iter().find(|c| c.subject == label && c.load == load.name && c.trial == trial);
        Self { label: label.to_owned(), cells: (1..=trials).map(|trial| (trial, find(trial))).collect() }
    }

    /// The same under another name: where a subject is compared with itself in another run.
    pub fn called(self, label: String) -> Self {
        Self { label, ..self }
    }

    /// The metric by trial.
    pub fn trials(&self, metric: Metric) -> Vec<TrialValue> {
        let value = |&(trial, cell): &(u32, Option<&CellSummary>)| TrialValue {
            trial,
            value: cell.and_then(|c| value_of(c, metric)),
            valid: cell.is_some_and(|c| c.validity.is_valid()),
        };
        self.cells.iter().map(value).collect()
    }

    /// The cells that count.
    pub fn valid(&self) -> impl Iterator<Item = &'a CellSummary> {
        self.cells.iter().filter_map(|(_, cell)| *cell).filter(|c| c.validity.is_valid())
    }

    /// What the platform says that it cannot do, if that is why no trial yields this metric.
    pub fn limit(&self, metric: Metric) -> Option<&'a str> {
        let mut cells = self.cells.iter().filter_map(|(_, cell)| *cell);
        let none = cells.clone().all(|cell| value_of(cell, metric).is_none());
        cells.find_map(|cell| cell.limit()).filter(|_| none)
    }

    /// Whether a time-out makes this metric a lower bound in any valid trial.
    pub fn is_bounded_only(&self, metric: Metric) -> bool {
        let name = match metric {
            Metric::ResponseP50Ms => "p50",
            Metric::ResponseP95Ms => "p95",
            Metric::ResponseP99Ms => "p99",
            Metric::GoodputRps
            | Metric::FailureShare
            | Metric::CapacityRps
            | Metric::PeakGoodputRps
            | Metric::BodyMsPerMib
            | Metric::ColdStartMs => return false,
            Metric::IdleLifeS => {
                return self.valid().any(|c| c.eviction().is_some_and(|found| found.at_least));
            }
            Metric::TimeToScaleS => return self.valid().any(|c| enough(c).is_some_and(|wait| wait.at_least)),
        };
        self.valid().any(|c| c.response_ms.lower_bounds.iter().any(|bound| bound == name))
    }
}

/// From the rise of the load to replicas enough.
fn enough(cell: &CellSummary) -> Option<Waited> {
    cell.elasticity.as_ref()?.enough
}

/// The metric in one cell. No rate without requests: such a cell says nothing.
pub fn value_of(cell: &CellSummary, metric: Metric) -> Option<f64> {
    match metric {
        Metric::GoodputRps => (cell.requests > 0).then_some(cell.goodput_rps),
        Metric::ResponseP50Ms => cell.response_ms.p50,
        Metric::ResponseP95Ms => cell.response_ms.p95,
        Metric::ResponseP99Ms => cell.response_ms.p99,
        Metric::FailureShare => failure_share(cell),
        Metric::CapacityRps => match &cell.outcome {
            Some(ProcedureOutcome::Capacity(found)) => found.capacity_rps(),
            _ => None,
        },
        Metric::PeakGoodputRps => match &cell.outcome {
            Some(ProcedureOutcome::Concurrency(found)) => found.peak().map(|step| step.part.goodput_rps),
            _ => None,
        },
        Metric::BodyMsPerMib => cell.size_fit.map(|fit| fit.ms_per_mib),
        Metric::ColdStartMs => cell.cold_start()?.median_ms(),
        Metric::IdleLifeS => cell.eviction()?.value_s(),
        Metric::TimeToScaleS => enough(cell).map(|wait| wait.s),
    }
}

pub(super) fn failure_share(cell: &CellSummary) -> Option<f64> {
    share_without(cell, &[Outcome::Ok])
}

/// Failures that response times leave out.
pub(super) fn untimed_failure_share(cell: &CellSummary) -> Option<f64> {
    share_without(cell, &[Outcome::Ok, Outcome::Timeout])
}

/// Share of the requests that did not end in one of these.
fn share_without(cell: &CellSummary, outcomes: &[Outcome]) -> Option<f64> {
    let without: u64 = outcomes.iter().filter_map(|o| cell.outcomes.get(o.name())).sum();
    (cell.requests > 0).then(|| cell.requests.saturating_sub(without) as f64 / cell.requests as f64)
}

/// The means of both, if they differ by a percentage point and by twice the standard error over trials.
pub(super) fn clearly_different(sides: &[Vec<f64>; 2]) -> Option<[f64; 2]> {
    if sides.iter().any(Vec::is_empty) {
        return None;
    }
    let squared_error = |values: &Vec<f64>| {
        let (n, centre) = (values.len() as f64, mean(values));
        values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n
    };
    let error = sides.iter().map(squared_error).sum::<f64>().sqrt();
    let [a, b] = sides.each_ref().map(|values| mean(values));
    ((a - b).abs() > FAILURES_DIFFER.max(2.0 * error)).then_some([a, b])
}
