//! What a procedure found: everything that a search or a sweep of one cell yields beside records.
//! `runner/procedures` makes it, `store` keeps it (`outcome.json`), `analyse` and `reports` read it.
//!
//! To add one: a file beside this and an arm in [`ProcedureOutcome`].

pub mod capacity;
pub mod concurrency;

pub use capacity::CapacityOutcome;
pub use concurrency::ConcurrencyOutcome;

use serde::{Deserialize, Serialize};

use crate::{
    analyse::{
        cold::ColdStarts,
        eviction::Eviction,
        summary::{Problem, Quantiles},
        tally::Tally,
        validity,
    },
    drive::GeneratorAudit,
};

/// What one cell's procedure found, as far as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "procedure")]
pub enum ProcedureOutcome {
    /// A search for the capacity.
    Capacity(CapacityOutcome),
    /// A sweep over numbers of connections.
    Concurrency(ConcurrencyOutcome),
    /// Cold starts after zero replicas.
    Cold(ColdStarts),
    /// The life of an idle instance.
    Eviction(Eviction),
}

impl ProcedureOutcome {
    /// Requests of all its parts that count.
    pub fn requests(&self) -> u64 {
        match self {
            Self::Capacity(outcome) => outcome.probes.iter().map(|probe| probe.part.requests).sum(),
            Self::Concurrency(outcome) => outcome.steps.iter().map(|step| step.part.requests).sum(),
            Self::Cold(outcome) => outcome.starts.len() as u64,
            Self::Eviction(outcome) => u64::from(outcome.failed.is_none()),
        }
    }

    /// Faults of the instrument that touch the result.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Capacity(outcome) => outcome.problems(),
            Self::Concurrency(outcome) => outcome.problems(),
            Self::Cold(outcome) => outcome.problems(),
            Self::Eviction(outcome) => outcome.problems(),
        }
    }

    /// What must be known about it.
    pub fn remarks(&self) -> Vec<String> {
        match self {
            Self::Capacity(outcome) => outcome.remarks(),
            Self::Concurrency(_) => Vec::new(),
            Self::Cold(outcome) => outcome.remarks(),
            Self::Eviction(outcome) => outcome.remarks(),
        }
    }

    /// The result in a few words, for a line of progress.
    pub fn line(&self) -> String {
        match self {
            Self::Capacity(outcome) => outcome.line(),
            Self::Concurrency(outcome) => outcome.line(),
            Self::Cold(outcome) => outcome.line(),
            Self::Eviction(outcome) => outcome.line(),
        }
    }
}

/// The figures of one part of a procedure: a load that was played with records of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartFigures {
    /// Id of the cell that holds its records.
    pub cell: String,
    /// Length of the interval that counts, seconds.
    pub window_s: f64,
    /// Requests in it.
    pub requests: u64,
    /// Of them not answered correctly.
    pub failed: u64,
    /// Correct answers a second.
    pub goodput_rps: f64,
    /// From the intended send to the end, of correct answers and (censored) time-outs.
    pub response_ms: Quantiles,
    /// Faults of the instrument.
    pub problems: Vec<Problem>,
}

impl PartFigures {
    /// The figures out of what was counted and what the generator says of itself.
    pub fn new(cell: &str, counts: &Tally, audit: &GeneratorAudit) -> Self {
        Self {
            cell: cell.to_owned(),
            window_s: counts.window_s,
            requests: counts.requests,
            failed: counts.failures(),
            goodput_rps: counts.goodput_rps,
            response_ms: counts.response_ms.clone(),
            problems: validity::of_generator(counts, audit),
        }
    }

    /// Share of its requests that failed; none without requests.
    pub fn failure_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failed as f64 / self.requests as f64)
    }

    /// Its problems, each named with the part that it comes from.
    fn named_problems(&self) -> impl Iterator<Item = Problem> + '_ {
        self.problems
            .iter()
            .map(|p| Problem { reason: format!("{}: {}", self.cell, p.reason), remedy: p.remedy.clone() })
    }
}
