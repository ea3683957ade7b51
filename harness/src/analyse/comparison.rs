//! Subjects against each other, over trials: the unit of replication is the trial, not the request.
//!
//! Inside a variant the first subject is the baseline; each other one is compared with it (not all
//! pairs: every further pair would cost power under Holm's correction; see `Experiment::pairs`). At each load point the metric that was
//! named before the run gets a verdict, the others are described.
//!
//! The estimate is the ratio of geometric means over trials. Rates and times are positive and vary
//! in proportion to their size; the geometric mean is the one under which a against b is exactly
//! the inverse of b against a, whichever is the baseline (Fleming and Wallace, "How Not to Lie with
//! Statistics", Communications of the ACM 29(3), 1986). Its logarithm is a difference of means, for
//! which the BCa interval behaves best. A share of failures may be 0: it is compared by difference.
//!
//! A difference is claimed only where the 95 % interval excludes "none" *and* the exact rank test,
//! corrected by Holm over the primary comparisons, yields p < 0.05. Else: cannot tell. A run with a
//! stop rule uses the level that `sequential` leaves for each look, in both.
//!
//! There are two families: all primary comparisons (over load points and platforms), and all
//! others. Each is corrected by Holm by itself; the second is described and never gets a verdict.

use super::{
    sentence::{self, Facts, FailureGap},
    side::{Side, clearly_different, failure_share, untimed_failure_share},
    statistics::{
        bootstrap::{Plan, RESAMPLES, bca, difference_of_means},
        effect, holm, mann_whitney,
    },
    summary::{CellSummary, Comparison, Interval, TrialValue, Verdict},
};
use crate::experiment::{Experiment, LoadPoint, Metric};

/// Chance of a false claim that a whole run may take.
pub const LEVEL: f64 = 0.05;
/// Metrics that are compared.
pub(super) const METRICS: [Metric; 5] = [
    Metric::GoodputRps,
    Metric::ResponseP50Ms,
    Metric::ResponseP95Ms,
    Metric::ResponseP99Ms,
    Metric::FailureShare,
];

/// How comparisons are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// Trials that are judged.
    pub trials: u32,
    /// Level of the corrected rank test; 1 less it is the confidence of the intervals.
    pub alpha: f64,
    /// Looks at the data that share [`LEVEL`].
    pub looks: u32,
    /// Resamples of an interval.
    pub resamples: u32,
}

impl Rules {
    /// For all trials, with one look at the data.
    pub(super) fn once(trials: u32) -> Self {
        Self { trials, alpha: LEVEL, looks: 1, resamples: RESAMPLES }
    }

    fn plan(self, seed: u64) -> Plan {
        Plan { resamples: self.resamples, confidence: 1.0 - self.alpha, seed }
    }
}

/// All comparisons of a run, the primary ones first, each group in the order of the experiment.
pub(super) fn compare(experiment: &Experiment, cells: &[CellSummary], rules: Rules) -> Vec<Comparison> {
    let mut found = Vec::new();
    for primary in [true, false] {
        for load in &experiment.load {
            for (baseline, other) in experiment.pairs() {
                let of = |label: &str| Side::new(label, rules.trials, load, cells);
                let metrics = metrics(load).into_iter().filter(|&m| (m == load.primary_metric) == primary);
                found.extend(metrics.map(|metric| {
                    let sides = [of(&baseline.label), of(&other.label)];
                    Weighed::new(load, metric, sides, experiment.seed, rules)
                }));
            }
        }
    }
    judge_all(found, rules)
}

/// Corrects each family for its size, and judges.
pub(super) fn judge_all(found: Vec<Weighed>, rules: Rules) -> Vec<Comparison> {
    let corrected = [true, false].map(|primary| {
        let family: Vec<f64> =
            found.iter().filter(|w| w.primary == primary).filter_map(|w| w.p_value).collect();
        (family.len(), holm::adjust(&family).into_iter())
    });
    let [(primaries, mut of_primaries), (others, mut of_others)] = corrected;
    found
        .into_iter()
        .map(|weighed| {
            let (size, adjusted) =
                if weighed.primary { (primaries, &mut of_primaries) } else { (others, &mut of_others) };
            let p_adjusted = weighed.p_value.and_then(|_| adjusted.next());
            weighed.judge(p_adjusted, size, rules)
        })
        .collect()
}

/// What is compared at a load point. A procedure yields its own metric and no other.
fn metrics(load: &LoadPoint) -> Vec<Metric> {
    if !load.procedure.is_play() {
        return vec![load.primary_metric];
    }
    let further = Some(load.primary_metric).filter(|primary| !METRICS.contains(primary));
    METRICS.into_iter().chain(further).collect()
}

/// The values that count: of VALID trials that yield one.
fn counted(trials: &[TrialValue]) -> Vec<f64> {
    trials.iter().filter(|t| t.valid).filter_map(|t| t.value).collect()
}

/// One comparison with its figures, before the correction for the number of questions.
pub(super) struct Weighed<'a> {
    load: &'a LoadPoint,
    metric: Metric,
    primary: bool,
    baseline: Side<'a>,
    contender: Side<'a>,
    baseline_trials: Vec<TrialValue>,
    contender_trials: Vec<TrialValue>,
    /// Ratio of geometric means.
    ratio: Option<Interval>,
    /// Difference of means, where there is no ratio.
    difference: Option<Interval>,
    p_value: Option<f64>,
}

impl<'a> Weighed<'a> {
    /// Compares two sides by a metric.
    pub(super) fn new(
        load: &'a LoadPoint,
        metric: Metric,
        sides: [Side<'a>; 2],
        seed: u64,
        rules: Rules,
    ) -> Self {
        let [baseline, contender] = sides;
        let name = format!("{}/{metric:?}/{}/{}", load.name, baseline.label, contender.label);
        let plan = rules.plan(seed_of(seed, &name));
        let (baseline_trials, contender_trials) = (baseline.trials(metric), contender.trials(metric));
        let (a, b) = (counted(&baseline_trials), counted(&contender_trials));
        let by_ratio = metric != Metric::FailureShare && a.iter().chain(&b).all(|v| *v > 0.0);
        let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
        let (ratio, difference) = if by_ratio {
            (
                interval(&logs(&a), &logs(&b), plan).map(|i| i.map(f64::exp)).filter(|i| i.high.is_finite()),
                None,
            )
        } else {
            (None, interval(&a, &b, plan))
        };
        let p_value = (a.len() >= 2 && b.len() >= 2).then(|| mann_whitney::p_value(&a, &b));
        let primary = metric == load.primary_metric;
        Self {
            load,
            metric,
            primary,
            baseline,
            contender,
            baseline_trials,
            contender_trials,
            ratio,
            difference,
            p_value,
        }
    }

    fn judge(self, p_adjusted: Option<f64>, questions: usize, rules: Rules) -> Comparison {
        let (a, b) = (counted(&self.baseline_trials), counted(&self.contender_trials));
        let level = rules.alpha / questions.max(1) as f64;
        let smallest = if self.ratio.is_some() {
            let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
            effect::smallest_difference(&logs(&a), &logs(&b), level).map(f64::exp_m1)
        } else {
            effect::smallest_difference(&a, &b, level)
        };
        let facts = Facts {
            metric: self.metric,
            baseline: &self.baseline.label,
            contender: &self.contender.label,
            ratio: self.ratio,
            difference: self.difference,
            p_value: self.p_value,
            p_adjusted,
            questions,
            alpha: rules.alpha,
            looks: rules.looks,
            trials: (a.len(), b.len()),
            smallest,
            enough_trials: mann_whitney::attainable_level(a.len(), b.len(), level).is_some(),
            bounded: [&self.baseline, &self.contender].map(|side| side.is_bounded_only(self.metric)),
            failures: self.failures(),
        };
        let verdict = self.verdict(&facts);
        let sentence = sentence::sentence(&facts, &verdict);
        Comparison {
            load: self.load.name.clone(),
            question: self.load.question.clone(),
            metric: self.metric,
            primary: self.primary,
            smallest_effect: smallest.filter(|_| self.ratio.is_some()),
            ratio: self.ratio,
            p_value: self.p_value,
            p_adjusted,
            verdict,
            sentence,
            baseline: self.baseline.label,
            contender: self.contender.label,
            baseline_trials: self.baseline_trials,
            contender_trials: self.contender_trials,
        }
    }

    fn verdict(&self, facts: &Facts) -> Verdict {
        if !self.primary {
            return Verdict::Described;
        }
        let sides =
            [(&self.baseline.label, &self.baseline_trials), (&self.contender.label, &self.contender_trials)];
        let limits: Vec<String> = [&self.baseline, &self.contender]
            .into_iter()
            .filter_map(|side| Some(format!("{}: {}", side.label, side.limit(self.metric)?)))
            .collect();
        if !limits.is_empty() {
            return Verdict::Limited { reason: limits.join("; ") };
        }
        let reasons: Vec<String> =
            sides.iter().filter_map(|(label, trials)| too_many_out(label, trials)).collect();
        if !reasons.is_empty() {
            return Verdict::NoVerdict { reason: reasons.join("; ") };
        }
        let shown = facts.p_adjusted.is_some_and(|p| p < facts.alpha);
        match facts.contender_above().filter(|_| shown) {
            None => Verdict::CannotTell,
            Some(above) => {
                let contender_wins = above == self.metric.higher_is_better();
                // A figure that is only a lower bound may in truth be as bad as the other's.
                // Where more is better, that is the loser's.
                if facts.bounded[usize::from(contender_wins != self.metric.higher_is_better())] {
                    return Verdict::CannotTell;
                }
                let winner = if contender_wins { &self.contender } else { &self.baseline };
                Verdict::Better { subject: winner.label.clone() }
            }
        }
    }

    /// Failure shares of both, if they differ clearly.
    fn failures(&self) -> Option<FailureGap> {
        let shares_of = |share: fn(&CellSummary) -> Option<f64>| {
            clearly_different(
                &[&self.baseline, &self.contender].map(|side| side.valid().filter_map(share).collect()),
            )
        };
        let shares = shares_of(failure_share)?;
        let contender_flattered =
            shares_of(untimed_failure_share).map(|[baseline, contender]| contender > baseline);
        Some(FailureGap { shares, contender_flattered })
    }
}

/// Says so if more than a fifth of the trials do not count.
fn too_many_out(label: &str, trials: &[TrialValue]) -> Option<String> {
    let planned = trials.len();
    let invalid = trials.iter().filter(|t| !t.valid).count();
    let empty = trials.iter().filter(|t| t.valid && t.value.is_none()).count();
    let mut parts = Vec::new();
    if invalid > 0 {
        parts.push(format!("{invalid} of {planned} trials of {label} are INVALID or missing"));
    }
    if empty > 0 {
        parts.push(format!("{label} gave no correct answer in {empty} of {planned} trials"));
    }
    (planned == 0 || 5 * (invalid + empty) > planned)
        .then(|| if parts.is_empty() { format!("{label} has no trials") } else { parts.join(", ") })
}

/// mean(b) - mean(a) with its interval; none with fewer than two trials a side.
fn interval(a: &[f64], b: &[f64], plan: Plan) -> Option<Interval> {
    let (low, high) = bca(a, b, difference_of_means, plan)?;
    Some(Interval { estimate: difference_of_means(a, b), low, high, confidence: plan.confidence })
}

impl Interval {
    /// The same on another scale; `scale` must not reverse the order.
    fn map(self, scale: impl Fn(f64) -> f64) -> Self {
        Self { estimate: scale(self.estimate), low: scale(self.low), high: scale(self.high), ..self }
    }

    /// Whether it lies above or below this value; none if it contains it.
    pub(super) fn side_of(&self, value: f64) -> Option<bool> {
        if self.low > value {
            Some(true)
        } else if self.high < value {
            Some(false)
        } else {
            None
        }
    }
}

/// A seed for one purpose: the experiment's, mixed with a name (FNV-1a, Fowler, Noll and Vo).
pub(super) fn seed_of(seed: u64, name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "comparison_tests.rs"]
mod tests;
