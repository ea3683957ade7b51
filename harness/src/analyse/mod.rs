//! Stage 5, pure: from records to numbers, and from numbers to verdicts. Formulas cite their source.
//!
//! `rows` hands over records batch by batch, `window` says what counts, `tally` counts it, `times`,
//! `quantiles` and `resources` sum it up (`observed` from what Prometheus or the kubelet measured),
//! `validity`, `machine` and `steady` judge the instrument, `cell` puts these together for one cell;
//! `itself` is what the harness measured of itself; `comparison`
//! judges subjects (a `side` each) over trials with the tests in `statistics`, and `sentence` words the verdict.
//! `sequential` judges runs that may stop early, `diff` one run against another, `thresholds` what figures must hold;
//! `foresight` says before a run what it can see.
//! Nothing here does input or output, and nothing fails on data: what is missing is said.

pub mod calibration;
mod canary;
pub mod capacity;
mod cell;
pub mod cold;
mod comparison;
pub mod diff;
pub mod elasticity;
pub mod events;
pub mod eviction;
pub mod foresight;
pub mod ground_truth;
pub mod inside;
pub mod itself;
pub mod lives;
pub mod machine;
pub mod observed;
#[cfg(test)]
mod power;
pub mod quantiles;
mod resources;
mod revisions;
pub mod rows;
mod sentence;
pub mod sequential;
pub mod series;
mod side;
mod sizes;
pub mod statistics;
mod steady;
pub mod summary;
pub mod tally;
#[cfg(test)]
pub(crate) mod testing;
pub mod thresholds;
pub mod times;
pub mod validity;
pub mod window;
mod workers;

use std::collections::BTreeMap;

pub use cell::{CellDigest, Digest, Examined, cell};
pub use side::value_of;
use summary::{CellSummary, Summary};

use crate::{
    experiment::{Cell, Experiment, Site},
    store::SCHEMA_VERSION,
};

/// What the analysis cannot know from the experiment and its cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Name of the run folder.
    pub run_id: String,
    /// What was degraded or must be known to read the figures, one sentence each.
    pub notices: Vec<String>,
}

/// Sums up a run from its cells' figures (see [`cell`]): each planned cell, found or missing, in the
/// order of the plan, and each comparison.
///
/// Cells that were not planned are left out, with a notice.
pub fn run(experiment: &Experiment, planned: &[Cell], cells: Vec<CellSummary>, facts: RunFacts) -> Summary {
    let mut found: BTreeMap<String, CellSummary> =
        cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
    let mut plan: Vec<&Cell> = planned.iter().collect();
    plan.sort_by_key(|c| c.order);
    let summaries: Vec<_> = plan
        .into_iter()
        .map(|planned| match found.remove(planned.id.as_str()) {
            Some(summary) => summary,
            None => cell::missing(planned),
        })
        .collect();
    let mut notices = facts.notices;
    notices.extend(
        found
            .keys()
            .map(|id| format!("The cell {id} is not part of the plan and was left out of the analysis.")),
    );
    let comparisons =
        [sequential::judge(experiment, &summaries), canary::compare(experiment, &summaries)].concat();
    let thresholds = thresholds::evaluate(experiment, &summaries, &comparisons);
    Summary {
        schema_version: SCHEMA_VERSION,
        run_id: facts.run_id,
        title: experiment.title.clone(),
        twin: experiment.on == Site::Twin,
        notices,
        subjects: experiment.subjects.iter().map(|s| s.label.clone()).collect(),
        comparisons,
        thresholds,
        cells: summaries,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        summary::Verdict,
        testing::{CellBuilder, experiment},
        *,
    };
    use crate::store::CellData;

    fn sums(cells: &[CellData]) -> Vec<CellSummary> {
        cells.iter().map(|data| cell(data.clone()).summary).collect()
    }

    fn facts() -> RunFacts {
        RunFacts { run_id: "r1".into(), notices: vec!["Generated weights.".into()] }
    }

    #[test]
    fn every_planned_cell_is_in_the_summary_in_the_order_of_the_plan() {
        let cells: Vec<CellData> = [("openfaas", 1), ("knative", 1), ("knative", 2)]
            .map(|(subject, trial)| CellBuilder::open(20.0).of(subject, trial).build())
            .into();
        let mut plan: Vec<Cell> = cells.iter().map(|c| c.meta.cell.clone()).collect();
        plan.push(CellBuilder::open(20.0).of("openfaas", 2).cell());
        plan.iter_mut().zip([2, 0, 1, 3]).for_each(|(cell, order)| cell.order = order);
        let experiment = experiment(2, vec![plan[0].load.clone()]);
        let summary = run(&experiment, &plan, sums(&cells), facts());
        let ids: Vec<&str> = summary.cells.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["t01-knative-open", "t02-knative-open", "t01-openfaas-open", "t02-openfaas-open"]);
        assert_eq!(
            summary.cells.iter().map(|c| c.validity.word()).collect::<Vec<_>>(),
            ["VALID", "VALID", "VALID", "INVALID"]
        );
        assert_eq!((summary.run_id.as_str(), summary.twin, summary.notices.len()), ("r1", true, 1));
        assert_eq!(summary.subjects, ["knative", "openfaas"]);
        assert!(
            matches!(summary.comparisons[0].verdict, Verdict::NoVerdict { .. }),
            "half of openfaas is missing"
        );
    }

    #[test]
    fn a_cell_that_was_not_planned_is_left_out_with_a_notice() {
        let stray = CellBuilder::open(20.0).of("knative", 9).build();
        let summary = run(&experiment(1, vec![stray.meta.cell.load.clone()]), &[], sums(&[stray]), facts());
        assert!(summary.cells.is_empty());
        assert!(summary.notices[1].contains("t09-knative-open is not part of the plan"));
    }

    #[test]
    fn a_summary_survives_its_file() {
        let cell = CellBuilder::closed(50.0).build();
        let plan = [cell.meta.cell.clone()];
        let summary = run(&experiment(1, vec![plan[0].load.clone()]), &plan, sums(&[cell]), facts());
        let read: Summary = serde_json::from_str(&serde_json::to_string(&summary).unwrap()).unwrap();
        // Not all of it: serde_json may lose the last bit of a float (plane_cpu_seconds here).
        assert_eq!(read.cells[0].response_ms, summary.cells[0].response_ms);
        assert_eq!(read.comparisons, summary.comparisons);
    }
}
