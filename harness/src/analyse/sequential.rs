//! Optional stop: a run that looks at its intervals after some trials and ends when they are narrow
//! enough, and the price of looking.
//!
//! Who looks K times and may stop at each has K chances of a false claim (Armitage, McPherson and
//! Rowe, "Repeated Significance Tests on Accumulating Data", Journal of the Royal Statistical
//! Society A 132(2), 1969). Here the level is split evenly: each look, the last one included, works
//! at 5 % / K in the interval and in the rank test. The claim of a run is the one of the look at
//! which it ended, so by the union bound (Bonferroni) the chance of a false claim stays below 5 %,
//! whatever the distribution, the dependence between looks and the reason for stopping. Boundaries
//! that cost less (Pocock, Biometrika 64(2), 1977; O'Brien and Fleming, Biometrics 35(3), 1979) rest
//! on normal statistics, which an exact rank test of five trials does not have.
//!
//! A look ends the run only if every primary question has an interval as narrow as was asked for,
//! and enough trials for the rank test to decide at the shared level: stopping at a number of
//! trials that could never show anything would be waste.

use super::{
    comparison::{LEVEL, Rules, compare},
    statistics::mann_whitney,
    summary::{CellSummary, Comparison, Summary, TrialValue, Verdict},
};
use crate::experiment::{Experiment, StopRule};

/// Numbers of trials after which an experiment is looked at, ascending; the last is its end, at most.
pub fn looks(experiment: &Experiment) -> Vec<u32> {
    let end = experiment.planned_trials.unwrap_or(experiment.trials);
    let early = experiment.stop_early.map(|StopRule { first_look, every, .. }| {
        (first_look..end).step_by(every.max(1) as usize).collect::<Vec<_>>()
    });
    early.into_iter().flatten().chain([end]).collect()
}

/// The level at which each look works.
pub fn level(experiment: &Experiment) -> f64 {
    LEVEL / looks(experiment).len().max(1) as f64
}

/// Why a run may end now, in words; none if it must go on. `experiment` is the whole plan, `summary`
/// holds the cells so far; between looks, and after the last trial, the answer is none.
pub fn enough(experiment: &Experiment, summary: &Summary) -> Option<String> {
    let rule = experiment.stop_early?;
    let measured = summary.cells.iter().filter(|cell| cell.requests > 0);
    let trials = measured.map(|cell| cell.trial).max()?;
    let rules = Rules { trials, ..rules(experiment) };
    let due = trials < experiment.trials && looks(experiment).contains(&trials);
    due.then(|| narrow_enough(&compare(experiment, &summary.cells, rules), rule, rules.alpha)).flatten()
}

/// The comparisons of a run, at the level that its stop rule leaves.
pub(super) fn judge(experiment: &Experiment, cells: &[CellSummary]) -> Vec<Comparison> {
    compare(experiment, cells, rules(experiment))
}

fn rules(experiment: &Experiment) -> Rules {
    let looks = looks(experiment).len() as u32;
    Rules { alpha: level(experiment), looks, ..Rules::once(experiment.trials) }
}

/// Whether every primary comparison can be decided and is known as closely as was asked for.
fn narrow_enough(comparisons: &[Comparison], rule: StopRule, alpha: f64) -> Option<String> {
    let primary: Vec<&Comparison> = comparisons.iter().filter(|c| c.primary).collect();
    let level = alpha / primary.len().max(1) as f64;
    let counts = |trials: &[TrialValue]| trials.iter().filter(|t| t.valid && t.value.is_some()).count();
    let mut widest = 0.0_f64;
    for comparison in &primary {
        if matches!(comparison.verdict, Verdict::NoVerdict { .. }) {
            return None;
        }
        let (a, b) = (counts(&comparison.baseline_trials), counts(&comparison.contender_trials));
        mann_whitney::attainable_level(a, b, level)?;
        let ratio = comparison.ratio?;
        widest = widest.max((ratio.high - ratio.low) / 2.0 / ratio.estimate);
    }
    (!primary.is_empty() && widest <= rule.half_width).then(|| {
        format!(
            "every ratio is known to within {:.1} %, and {:.1} % was asked for; each look works at {:.1} %.",
            100.0 * widest,
            100.0 * rule.half_width,
            100.0 * alpha
        )
    })
}

#[cfg(test)]
#[path = "sequential_tests.rs"]
mod tests;
