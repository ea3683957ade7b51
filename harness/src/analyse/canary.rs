//! Revisions of one function against each other, from one stream of requests.
//!
//! Both revisions of a trial share its deployment, its minutes and its arrivals, so a trial yields a
//! pair: what they have in common cancels in the ratio. The estimate is the geometric mean of the
//! ratios over trials, its interval the BCa interval of their mean logarithm, and the test the exact
//! signed-rank test of the same. A difference is claimed only where both agree, as between platforms
//! (see [`super::comparison`]); Holm's correction is over the load points, each of which asks once.

use super::{
    comparison,
    statistics::{
        bootstrap::{Plan, RESAMPLES, bca, difference_of_means, mean},
        holm, signed_rank,
    },
    summary::{CellSummary, Comparison, Interval, RevisionSummary, TrialValue, Verdict},
};
use crate::experiment::{Experiment, LoadPoint, Metric};

/// Level of the corrected test; 1 less it is the confidence of the interval.
const LEVEL: f64 = 0.05;
/// What a revision can be compared by.
const METRICS: [Metric; 4] =
    [Metric::ResponseP50Ms, Metric::ResponseP95Ms, Metric::ResponseP99Ms, Metric::FailureShare];

/// All comparisons between revisions, the primary ones first; none where no traffic is split.
pub(super) fn compare(experiment: &Experiment, cells: &[CellSummary]) -> Vec<Comparison> {
    let Some((baseline, others)) = experiment.revisions.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    for primary in [true, false] {
        for load in &experiment.load {
            for subject in &experiment.subjects {
                let pairs = Pairs::of(experiment, cells, &subject.label, load);
                for other in others {
                    let metrics =
                        METRICS.into_iter().filter(|&metric| (metric == metric_of(load)) == primary);
                    found.extend(metrics.filter_map(|metric| {
                        pairs.weigh(metric, primary, [&baseline.name, &other.name], experiment)
                    }));
                }
            }
        }
    }
    let p_values: Vec<f64> = found.iter().filter(|c| c.primary).filter_map(|c| c.p_value).collect();
    let mut adjusted = holm::adjust(&p_values).into_iter();
    for comparison in found.iter_mut().filter(|c| c.primary) {
        comparison.p_adjusted = comparison.p_value.and_then(|_| adjusted.next());
    }
    found.into_iter().map(judged).collect()
}

/// What was named before the run, if a revision has such a thing.
fn metric_of(load: &LoadPoint) -> Metric {
    if METRICS.contains(&load.primary_metric) { load.primary_metric } else { Metric::ResponseP95Ms }
}

/// One subject's cells at a load point, by trial.
struct Pairs<'a> {
    load: &'a LoadPoint,
    subject: &'a str,
    cells: Vec<(u32, Option<&'a CellSummary>)>,
}

impl<'a> Pairs<'a> {
    fn of(experiment: &Experiment, cells: &'a [CellSummary], subject: &'a str, load: &'a LoadPoint) -> Self {
        let cell =
            |trial| cells.iter().find(|c| c.subject == subject && c.load == load.name && c.trial == trial);
        let cells = (1..=experiment.trials).map(|trial| (trial, cell(trial))).collect();
        Self { load, subject, cells }
    }

    /// None where this subject splits no traffic.
    fn weigh(&self, metric: Metric, primary: bool, names: [&str; 2], e: &Experiment) -> Option<Comparison> {
        if self.cells.iter().all(|(_, cell)| cell.is_none_or(|cell| cell.by_revision.is_empty())) {
            return None;
        }
        let trials = names.map(|name| self.trials(name, metric));
        let pairs: Vec<[f64; 2]> = trials[0]
            .iter()
            .zip(&trials[1])
            .filter(|(a, b)| a.valid && b.valid)
            .filter_map(|(a, b)| Some([a.value?, b.value?]))
            .collect();
        let positive = pairs.iter().flatten().all(|value| *value > 0.0);
        let differences: Vec<f64> =
            pairs.iter().map(|[a, b]| if positive { (b / a).ln() } else { b - a }).collect();
        let name = format!("{}/{}/{metric:?}/{}/{}", self.load.name, self.subject, names[0], names[1]);
        let ratio = positive.then(|| interval(&differences, comparison::seed_of(e.seed, &name))).flatten();
        let label = |name: &str| {
            if e.subjects.len() > 1 { format!("{}: {name}", self.subject) } else { name.to_owned() }
        };
        let [baseline_trials, contender_trials] = trials;
        Some(Comparison {
            load: self.load.name.clone(),
            question: self.load.question.clone(),
            metric,
            primary,
            baseline: label(names[0]),
            contender: label(names[1]),
            baseline_trials,
            contender_trials,
            ratio,
            p_value: (pairs.len() >= 2).then(|| signed_rank::p_value(&differences)),
            p_adjusted: None,
            smallest_effect: None,
            verdict: Verdict::Described,
            sentence: String::new(),
        })
    }

    fn trials(&self, revision: &str, metric: Metric) -> Vec<TrialValue> {
        // Knative puts the function's name in front.
        let ours = |found: &&RevisionSummary| found.revision.ends_with(&format!("-{revision}"));
        let value = |cell: &CellSummary| value_of(cell.by_revision.iter().find(ours)?, metric);
        self.cells
            .iter()
            .map(|&(trial, cell)| TrialValue {
                trial,
                value: cell.and_then(value),
                valid: cell.is_some_and(|cell| cell.validity.is_valid()),
            })
            .collect()
    }
}

fn value_of(revision: &RevisionSummary, metric: Metric) -> Option<f64> {
    match metric {
        Metric::ResponseP50Ms => revision.response_ms.p50,
        Metric::ResponseP95Ms => revision.response_ms.p95,
        Metric::ResponseP99Ms => revision.response_ms.p99,
        Metric::FailureShare => (revision.requests > 0)
            .then(|| revision.requests.saturating_sub(revision.correct) as f64 / revision.requests as f64),
        _ => None,
    }
}

/// The geometric mean of the ratios whose logarithms these are.
fn interval(logs: &[f64], seed: u64) -> Option<Interval> {
    let plan = Plan { resamples: RESAMPLES, confidence: 1.0 - LEVEL, seed };
    // One sample: the other is a constant, which no resampling changes.
    let (low, high) = bca(&[0.0, 0.0], logs, difference_of_means, plan)?;
    Some(Interval {
        estimate: mean(logs).exp(),
        low: low.exp(),
        high: high.exp(),
        confidence: plan.confidence,
    })
}

fn judged(mut comparison: Comparison) -> Comparison {
    let c = &comparison;
    let (verdict, sentence) = if c.primary { verdict(c) } else { (Verdict::Described, described(c)) };
    comparison.verdict = verdict;
    comparison.sentence = sentence;
    comparison
}

fn verdict(c: &Comparison) -> (Verdict, String) {
    let planned = c.baseline_trials.len();
    let counted = pairs_of(c);
    if planned == 0 || 5 * (planned - counted) > planned {
        let reason = format!(
            "{} of {planned} trials are INVALID, missing or without answers of both",
            planned - counted
        );
        return (
            Verdict::NoVerdict { reason: reason.clone() },
            format!("No verdict on the revisions: {reason}."),
        );
    }
    let side = c.ratio.and_then(|ratio| ratio.side_of(1.0));
    let shown = c.p_adjusted.is_some_and(|p| p < LEVEL);
    if let Some(above) = side.filter(|_| shown) {
        let subject = if above == c.metric.higher_is_better() { &c.contender } else { &c.baseline };
        (Verdict::Better { subject: subject.clone() }, described(c))
    } else {
        let few = if signed_rank::attainable_level(counted, LEVEL).is_none() {
            " So few trials could never have shown one: use more (--trials)."
        } else {
            ""
        };
        let sentence = format!(
            "Cannot tell: {} and {} do not clearly differ in {} ({}).{few}",
            c.contender,
            c.baseline,
            c.metric.title(),
            evidence(c)
        );
        (Verdict::CannotTell, sentence)
    }
}

fn described(c: &Comparison) -> String {
    match c.ratio {
        Some(ratio) => {
            let percent = 100.0 * (ratio.estimate - 1.0).abs();
            let word = if ratio.estimate > 1.0 { "higher" } else { "lower" };
            let judged = if c.primary { "" } else { "; described, not judged" };
            format!(
                "{} has a {percent:.1} % {word} {} than {} ({}{judged}).",
                c.contender,
                c.metric.title(),
                c.baseline,
                evidence(c)
            )
        }
        None => format!("The {} of the revisions cannot be compared by a ratio.", c.metric.title()),
    }
}

/// `ratio 1.12, 95 % interval 1.08 to 1.17, exact signed-rank test p = 0.008, 8 trials as pairs`.
fn evidence(c: &Comparison) -> String {
    let mut parts = Vec::new();
    parts.extend(c.ratio.map(|r| {
        format!(
            "ratio {:.3}, {:.0} % interval {:.3} to {:.3}",
            r.estimate,
            100.0 * r.confidence,
            r.low,
            r.high
        )
    }));
    let test = c.p_adjusted.or(c.p_value).filter(|_| c.primary);
    parts.extend(test.map(|p| format!("exact signed-rank test p = {p:.3}")));
    parts.push(format!("{} trials as pairs", pairs_of(c)));
    parts.join(", ")
}

fn pairs_of(c: &Comparison) -> usize {
    let counts = |t: &TrialValue| t.valid && t.value.is_some();
    c.baseline_trials.iter().zip(&c.contender_trials).filter(|(a, b)| counts(a) && counts(b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analyse::testing::{CellBuilder, experiment},
        platforms::RevisionShare,
    };

    /// Runs whose trials differ a lot from each other, and whose canary takes so many times as long.
    fn compared(trials: u32, times: f64, invalid: u32) -> Vec<Comparison> {
        let share = |name: &str, percent| RevisionShare {
            name: name.into(),
            percent,
            env: std::collections::BTreeMap::default(),
        };
        let load = CellBuilder::open(20.0).cell().load;
        let mut e = experiment(trials, vec![load]);
        e.subjects.truncate(1);
        e.revisions = vec![share("stable", 80), share("canary", 20)];
        let cells: Vec<CellSummary> = (1..=trials)
            .map(|trial| {
                let data = CellBuilder::open(20.0).of("knative", trial).build();
                let mut cell = crate::analyse::cell(data).summary;
                if trial <= invalid {
                    cell.validity.problems.push(crate::analyse::summary::Problem {
                        reason: "busy".into(),
                        remedy: "rest".into(),
                    });
                }
                // Trials differ by a factor of three; inside one the two differ by the effect and a ripple.
                let level = 20.0 * (1.0 + f64::from(trial * 5 % 8) / 4.0);
                let ripple = 1.0 + 0.01 * f64::from(trial * 3 % 5) - 0.02;
                let revision = |name: &str, p95: f64| {
                    let mut response_ms = cell.response_ms.clone();
                    response_ms.p95 = Some(p95);
                    RevisionSummary {
                        revision: name.into(),
                        requests: 100,
                        share: 0.5,
                        correct: 100,
                        response_ms,
                    }
                };
                cell.by_revision = vec![
                    revision("classify-canary", level * times * ripple),
                    revision("classify-stable", level),
                ];
                cell
            })
            .collect();
        compare(&e, &cells)
    }

    #[test]
    fn a_difference_inside_the_trials_shows_though_the_trials_differ_far_more() {
        let found = compared(8, 1.15, 0);
        assert_eq!((found[0].metric, found[0].primary), (Metric::ResponseP95Ms, true));
        assert_eq!((found[0].baseline.as_str(), found[0].contender.as_str()), ("stable", "canary"));
        assert_eq!(found[0].verdict, Verdict::Better { subject: "stable".into() }, "{}", found[0].sentence);
        let ratio = found[0].ratio.unwrap();
        assert!((ratio.estimate - 1.15).abs() < 0.02 && ratio.low > 1.1 && ratio.high < 1.2, "{ratio:?}");
        assert_eq!(found[0].p_adjusted, Some(2.0 / 256.0));
        assert_eq!(found.len(), 4, "the other metrics are described");
        assert!(found[1..].iter().all(|c| c.verdict == Verdict::Described && !c.primary));
    }

    #[test]
    fn two_equal_revisions_are_not_told_apart() {
        let found = compared(8, 1.0, 0);
        assert_eq!(found[0].verdict, Verdict::CannotTell, "{}", found[0].sentence);
    }

    #[test]
    fn five_trials_can_never_show_a_difference_of_pairs_and_that_is_said() {
        let found = compared(5, 2.0, 0);
        assert_eq!(found[0].verdict, Verdict::CannotTell);
        assert!(found[0].sentence.contains("use more (--trials)"), "{}", found[0].sentence);
    }

    #[test]
    fn too_many_invalid_trials_leave_no_verdict_and_no_split_no_comparison() {
        let found = compared(8, 1.5, 2);
        assert!(matches!(found[0].verdict, Verdict::NoVerdict { .. }), "{:?}", found[0]);
        let e = experiment(3, vec![CellBuilder::open(20.0).cell().load]);
        assert!(compare(&e, &[]).is_empty());
    }
}
