//! Stage 5, pure: from records to numbers, and from numbers to verdicts. Formulas cite their source.
//!
//! `window` says what counts, `tally` counts it, `quantiles` and `resources` sum it up, `validity`
//! and `steady` judge the instrument, `cell` puts these together for one cell; `comparison`
//! judges subjects over trials with the tests in `statistics`, and `sentence` words the verdict.
//! Nothing here does input or output, and nothing fails on data: what is missing is said.

mod cell;
mod comparison;
pub mod quantiles;
mod resources;
mod sentence;
pub mod series;
pub mod statistics;
mod steady;
pub mod summary;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod validity;
pub mod window;

use std::collections::BTreeMap;

pub use cell::cell;
use summary::Summary;

use crate::{
    experiment::{Cell, Experiment, Site},
    store::{CellData, SCHEMA_VERSION},
};

/// What the analysis cannot know from the experiment and its cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Name of the run folder.
    pub run_id: String,
    /// What was degraded or must be known to read the figures, one sentence each.
    pub notices: Vec<String>,
}

/// Sums up a run: each planned cell, found or missing, in the order of the plan, and each comparison.
///
/// Cells that were not planned are left out, with a notice.
pub fn run(experiment: &Experiment, planned: &[Cell], cells: &[CellData], facts: RunFacts) -> Summary {
    let mut found: BTreeMap<&str, &CellData> = cells.iter().map(|c| (c.meta.cell.id.as_str(), c)).collect();
    let mut plan: Vec<&Cell> = planned.iter().collect();
    plan.sort_by_key(|c| c.order);
    let summaries: Vec<_> = plan
        .into_iter()
        .map(|planned| match found.remove(planned.id.as_str()) {
            Some(data) => cell(data),
            None => cell::missing(planned),
        })
        .collect();
    let mut notices = facts.notices;
    notices.extend(
        found
            .keys()
            .map(|id| format!("The cell {id} is not part of the plan and was left out of the analysis.")),
    );
    Summary {
        schema_version: SCHEMA_VERSION,
        run_id: facts.run_id,
        title: experiment.title.clone(),
        twin: experiment.on == Site::Twin,
        notices,
        subjects: experiment.subjects.iter().map(|s| s.label.clone()).collect(),
        comparisons: comparison::compare(experiment, &summaries),
        cells: summaries,
    }
}
