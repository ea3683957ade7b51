//! What a sweep over numbers of connections found.

use serde::{Deserialize, Serialize};

use super::PartFigures;
use crate::analyse::summary::Problem;

/// Closed loops of several numbers of connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConcurrencyOutcome {
    /// Whether every step was played.
    pub finished: bool,
    /// The steps in the order in which they ran.
    pub steps: Vec<Step>,
}

/// One number of connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Connections side by side.
    pub connections: u32,
    /// Its figures.
    pub part: PartFigures,
}

impl ConcurrencyOutcome {
    /// The step that gave most correct answers a second, if the sweep came to its end.
    pub fn peak(&self) -> Option<&Step> {
        let best = self.steps.iter().max_by(|a, b| a.part.goodput_rps.total_cmp(&b.part.goodput_rps));
        best.filter(|step| self.finished && step.part.requests > 0)
    }

    /// Faults in any step: each of them could have been the highest.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.steps.iter().flat_map(|step| step.part.named_problems()).collect();
        if !self.finished {
            problems.push(Problem {
                reason: "The sweep did not come to its end.".into(),
                remedy: "Run the experiment again, to its end.".into(),
            });
        }
        problems
    }

    pub(super) fn line(&self) -> String {
        match self.peak() {
            Some(peak) => format!(
                "{:.1} correct answers/s at {} connections, the most of {} steps",
                peak.part.goodput_rps,
                peak.connections,
                self.steps.len()
            ),
            None => format!("{} steps", self.steps.len()),
        }
    }
}
