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
    summary::{CellSummary, Comparison, Stopped, Summary, Verdict},
};
use crate::experiment::{Experiment, StopRule};

/// Numbers of trials after which an experiment is looked at, ascending; the last is its end.
pub fn looks(experiment: &Experiment) -> Vec<u32> {
    let end = experiment.trials;
    let early = experiment.stop_early.map(|StopRule { first_look, every, .. }| {
        (first_look..end).step_by(every.max(1) as usize).collect::<Vec<_>>()
    });
    early.into_iter().flatten().chain([end]).collect()
}

/// The level at which each look works.
pub fn level(experiment: &Experiment) -> f64 {
    LEVEL / looks(experiment).len().max(1) as f64
}

/// Why a run whose results these are may end now, in words; none if it must go on. To be asked
/// after each block of trials, of a summary of all cells planned.
pub fn enough(experiment: &Experiment, summary: &Summary) -> Option<String> {
    experiment.stop_early?;
    summary.stopped.as_ref().map(|stopped| stopped.reason.clone())
}

/// The comparisons of a run, and where its stop rule ended it.
pub(super) fn judge(experiment: &Experiment, cells: &[CellSummary]) -> (Vec<Comparison>, Option<Stopped>) {
    let looks = looks(experiment);
    let rules =
        Rules { alpha: level(experiment), looks: looks.len() as u32, ..Rules::once(experiment.trials) };
    judge_by(experiment, cells, &looks, rules)
}

fn judge_by(
    experiment: &Experiment,
    cells: &[CellSummary],
    looks: &[u32],
    rules: Rules,
) -> (Vec<Comparison>, Option<Stopped>) {
    let begun = cells.iter().filter(|cell| cell.requests > 0).map(|cell| cell.trial).max().unwrap_or(0);
    if let Some(rule) = experiment.stop_early.filter(|_| begun < experiment.trials && looks.contains(&begun))
    {
        let comparisons = compare(experiment, cells, Rules { trials: begun, ..rules });
        if let Some(reason) = narrow_enough(&comparisons, rule, rules.alpha) {
            let reason = format!(
                "ended after {begun} of {} trials: {reason}; looked at {} times at most, each at {:.1} %",
                experiment.trials,
                looks.len(),
                100.0 * rules.alpha
            );
            return (comparisons, Some(Stopped { trials: begun, planned: experiment.trials, reason }));
        }
    }
    (compare(experiment, cells, rules), None)
}

/// Whether every primary comparison can be decided and is known as closely as was asked for.
fn narrow_enough(comparisons: &[Comparison], rule: StopRule, alpha: f64) -> Option<String> {
    let primary: Vec<&Comparison> = comparisons.iter().filter(|c| c.primary).collect();
    let level = alpha / primary.len().max(1) as f64;
    let counts = |trials: &[super::summary::TrialValue]| {
        trials.iter().filter(|t| t.valid && t.value.is_some()).count()
    };
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
            "every interval is known to within {:.1} %, and {:.1} % was asked for",
            100.0 * widest,
            100.0 * rule.half_width
        )
    })
}

#[cfg(test)]
#[path = "sequential_tests.rs"]
mod tests;
