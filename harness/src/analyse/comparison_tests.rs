//! Verdicts on made-up and simulated runs.

use std::time::Duration;

use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, LogNormal};

use super::*;
use crate::{
    analyse::{
        summary::{Problem, Validity},
        testing::{CellBuilder, experiment},
    },
    experiment::Arrivals,
};

/// All comparisons of a run without a stop rule.
fn all(experiment: &Experiment, cells: &[CellSummary]) -> Vec<Comparison> {
    compare(experiment, cells, Rules::once(experiment.trials))
}

fn load_point(name: &str, primary_metric: Metric) -> LoadPoint {
    LoadPoint {
        name: name.into(),
        question: format!("Who is better at {name}?"),
        primary_metric,
        arrivals: Arrivals::Constant { rate: 20.0 },
        warmup: Duration::from_secs(1),
        duration: Duration::from_secs(10),
        ..LoadPoint::default()
    }
}

/// A summed-up cell with this goodput and p95.
fn cell(load: &str, subject: &str, trial: u32, goodput_rps: f64, p95_ms: f64) -> CellSummary {
    let mut cell = crate::analyse::cell(CellBuilder::open(20.0).of(subject, trial).build()).summary;
    cell.load = load.into();
    cell.goodput_rps = goodput_rps;
    cell.response_ms.p95 = Some(p95_ms);
    cell
}

/// Goodput by trial of both subjects at one load point.
fn run_of(knative: &[f64], openfaas: &[f64]) -> Vec<CellSummary> {
    let side = |subject: &'static str, values: &[f64]| -> Vec<CellSummary> {
        values.iter().zip(1..).map(|(&v, trial)| cell("closed", subject, trial, v, 30.0)).collect()
    };
    [side("knative", knative), side("openfaas", openfaas)].concat()
}

fn one_question(cells: &[CellSummary]) -> Comparison {
    let experiment = experiment(5, vec![load_point("closed", Metric::GoodputRps)]);
    all(&experiment, cells).remove(0)
}

const LOW: [f64; 5] = [99.0, 100.0, 101.0, 100.5, 99.5];
const HIGH: [f64; 5] = [111.0, 112.0, 113.0, 112.5, 111.5];

#[test]
fn a_clear_difference_is_claimed_with_its_evidence() {
    let found = one_question(&run_of(&LOW, &HIGH));
    assert_eq!(found.verdict, Verdict::Better { subject: "openfaas".into() });
    assert_eq!(
        found.sentence,
        "openfaas serves 12 % more correct answers per second than knative \
         (ratio 1.12, 95 % interval 1.11 to 1.13, exact rank test p = 0.008, n = 5 + 5 trials)."
    );
    assert!(found.primary && (found.p_value.unwrap() - 2.0 / 252.0).abs() < 1e-12);
}

#[test]
fn the_worse_contender_makes_the_baseline_the_better_one() {
    let found = one_question(&run_of(&HIGH, &LOW));
    assert_eq!(found.verdict, Verdict::Better { subject: "knative".into() });
    assert!(found.sentence.starts_with("openfaas serves 11 % fewer correct answers"), "{}", found.sentence);
}

#[test]
fn lower_is_better_for_times() {
    let mut cells = run_of(&LOW, &LOW);
    for (cell, p95_ms) in cells.iter_mut().zip([40.0, 41.0, 42.0, 43.0, 44.0, 30.0, 31.0, 32.0, 33.0, 34.0]) {
        cell.response_ms.p95 = Some(p95_ms);
    }
    let experiment = experiment(5, vec![load_point("closed", Metric::ResponseP95Ms)]);
    let found = all(&experiment, &cells).remove(0);
    assert_eq!(found.verdict, Verdict::Better { subject: "openfaas".into() });
    assert!(
        found.sentence.starts_with("openfaas has a 24 % shorter p95 response time than knative (ratio 0.76")
    );
}

#[test]
fn overlapping_trials_cannot_tell_and_say_what_could_have_been_seen() {
    let found = one_question(&run_of(&LOW, &[100.2, 99.2, 101.2, 99.7, 100.7]));
    assert_eq!(found.verdict, Verdict::CannotTell);
    assert!(
        found.sentence.starts_with("Cannot tell: openfaas and knative do not clearly differ in goodput (")
    );
    assert!(
        found.sentence.ends_with("This run could have seen a difference of 1.9 % or more."),
        "{}",
        found.sentence
    );
    assert!((found.smallest_effect.unwrap() - 0.0186).abs() < 0.0005, "{:?}", found.smallest_effect);
}

#[test]
fn three_trials_a_side_say_that_more_are_needed() {
    let experiment = experiment(3, vec![load_point("closed", Metric::GoodputRps)]);
    let found = all(&experiment, &run_of(&LOW[..3], &HIGH[..3])).remove(0);
    assert_eq!(found.verdict, Verdict::CannotTell);
    assert_eq!(found.smallest_effect, None);
    assert!(found.sentence.contains("use more (--trials)"), "{}", found.sentence);
}

#[test]
fn one_invalid_trial_of_five_is_left_out_and_two_end_the_verdict() {
    let mut cells = run_of(&LOW, &HIGH);
    let invalid =
        Validity { problems: vec![Problem { reason: "late".into(), remedy: "free a core".into() }] };
    cells[0].validity = invalid.clone();
    cells[0].goodput_rps = 1.0;
    let found = one_question(&cells);
    assert_eq!(found.verdict, Verdict::Better { subject: "openfaas".into() });
    assert!(found.sentence.contains("n = 4 + 5 trials"), "{}", found.sentence);
    cells[1].validity = invalid;
    let found = one_question(&cells);
    assert_eq!(
        found.verdict,
        Verdict::NoVerdict { reason: "2 of 5 trials of knative are INVALID or missing".into() }
    );
    assert!(found.sentence.contains("2 of 5 trials of knative"));
}

#[test]
fn missing_trials_count_as_invalid() {
    let found = one_question(&run_of(&LOW[..3], &HIGH));
    assert!(matches!(found.verdict, Verdict::NoVerdict { .. }), "{:?}", found.verdict);
    assert_eq!(found.baseline_trials.len(), 5);
}

#[test]
fn no_cells_at_all_yield_no_verdict_and_no_figures() {
    let found = one_question(&[]);
    assert!(matches!(found.verdict, Verdict::NoVerdict { .. }));
    assert_eq!(
        (found.ratio, found.p_value, found.p_adjusted, found.smallest_effect),
        (None, None, None, None)
    );
}

#[test]
fn a_platform_without_any_correct_answer_has_no_response_time_to_compare() {
    let mut cells = run_of(&LOW, &LOW);
    for cell in &mut cells[5..] {
        cell.response_ms.p95 = None;
    }
    let experiment = experiment(5, vec![load_point("closed", Metric::ResponseP95Ms)]);
    let found = all(&experiment, &cells).remove(0);
    assert!(
        found.sentence.contains("openfaas gave no correct answer in 5 of 5 trials"),
        "{}",
        found.sentence
    );
}

#[test]
fn goodput_zero_is_compared_by_difference() {
    let found = one_question(&run_of(&LOW, &[0.0; 5]));
    assert_eq!(found.ratio, None);
    assert_eq!(found.verdict, Verdict::Better { subject: "knative".into() });
    assert!(found.sentence.starts_with("openfaas serves 100 fewer correct answers"), "{}", found.sentence);
}

#[test]
fn clearly_different_failures_are_named_beside_a_latency() {
    let mut cells = run_of(&LOW, &LOW);
    for cell in &mut cells[5..] {
        let requests = cell.requests;
        cell.outcomes.insert("ok".into(), requests - requests / 10);
        cell.outcomes.insert("platform".into(), requests / 10);
    }
    let experiment = experiment(5, vec![load_point("closed", Metric::ResponseP95Ms)]);
    let found = all(&experiment, &cells);
    assert!(
        found[0]
            .sentence
            .contains("Failures differ: knative failed 0 % of its requests, openfaas 10 %. Requests")
    );
    assert!(found[0].sentence.contains("flatters openfaas"), "{}", found[0].sentence);
    let shares = found.iter().find(|c| c.metric == Metric::FailureShare).unwrap();
    assert!(shares.sentence.starts_with("openfaas fails 10 percentage points more of its requests"));
    assert_eq!(shares.verdict, Verdict::Described);
    // Time-outs take part in response times, so they flatter nobody.
    for cell in &mut cells[5..] {
        let failed = cell.outcomes.insert("platform".into(), 0).unwrap();
        cell.outcomes.insert("timeout".into(), failed);
    }
    let sentence = &all(&experiment, &cells)[0].sentence;
    assert!(sentence.contains("Failures differ") && !sentence.contains("flatters"), "{sentence}");
}

#[test]
fn a_failure_share_can_be_primary() {
    let mut cells = run_of(&LOW, &LOW);
    for (cell, failed) in cells[5..].iter_mut().zip(10_u64..) {
        let requests = cell.requests;
        cell.outcomes.insert("ok".into(), requests - failed);
    }
    let experiment = experiment(5, vec![load_point("closed", Metric::FailureShare)]);
    let found = all(&experiment, &cells).remove(0);
    assert_eq!(found.verdict, Verdict::Better { subject: "knative".into() });
}

#[test]
fn nobody_wins_by_figures_that_are_lower_bounds() {
    let mut cells = run_of(&LOW, &LOW);
    for (i, cell) in cells.iter_mut().enumerate() {
        cell.response_ms.p95 = Some(if i < 5 { 40.0 } else { 30.0 } + i as f64 / 10.0);
    }
    cells[7].response_ms.lower_bounds = vec!["p95".into()];
    let experiment = experiment(5, vec![load_point("closed", Metric::ResponseP95Ms)]);
    let found = all(&experiment, &cells).remove(0);
    assert_eq!(found.verdict, Verdict::CannotTell, "openfaas may in truth be as slow");
    cells[7].response_ms.lower_bounds.clear();
    cells[2].response_ms.lower_bounds = vec!["p95".into()];
    let found = all(&experiment, &cells).remove(0);
    assert_eq!(
        found.verdict,
        Verdict::Better { subject: "openfaas".into() },
        "knative can only be slower still"
    );
    assert!(found.sentence.contains("Time-outs make figures of knative lower bounds"));
}

#[test]
fn primaries_come_first_and_share_one_correction() {
    let experiment = experiment(
        5,
        vec![load_point("closed", Metric::GoodputRps), load_point("open", Metric::ResponseP95Ms)],
    );
    let mut cells = run_of(&LOW, &HIGH);
    for (i, subject) in [(0, "knative"), (1, "openfaas")] {
        cells
            .extend((1..=5).map(|trial| cell("open", subject, trial, 20.0, 30.0 + f64::from(i + trial % 3))));
    }
    let found = all(&experiment, &cells);
    assert_eq!(found.len(), 10);
    assert_eq!(
        found.iter().map(|c| c.primary).collect::<Vec<_>>(),
        [[true; 2].as_slice(), &[false; 8]].concat()
    );
    assert!((found[0].p_adjusted.unwrap() - 4.0 / 252.0).abs() < 1e-12, "twice the raw one");
    assert!(found[0].sentence.contains("p = 0.008, p = 0.016 after Holm's correction for 2 questions"));
    assert!(found[2..].iter().all(|c| c.verdict == Verdict::Described), "never a verdict");
}

#[test]
fn secondary_metrics_are_a_family_of_their_own_and_at_most_suggestive() {
    let mut cells = run_of(&LOW, &HIGH);
    for (i, cell) in cells.iter_mut().enumerate() {
        cell.response_ms.p50 = Some(if i < 5 { 20.0 } else { 30.0 } + i as f64 / 10.0);
        cell.response_ms.p99 = Some(90.0 + (i * 7 % 10) as f64);
    }
    let experiment = experiment(5, vec![load_point("closed", Metric::GoodputRps)]);
    let found = all(&experiment, &cells);
    let of = |metric| found.iter().find(|c| c.metric == metric).unwrap();
    // Four secondary metrics: p50 by 8/1000 each way, the smallest of the family, times four.
    let (p50, p99) = (of(Metric::ResponseP50Ms), of(Metric::ResponseP99Ms));
    assert!((p50.p_adjusted.unwrap() - 8.0 / 252.0).abs() < 1e-12, "{:?}", p50.p_adjusted);
    assert!(
        p50.sentence.ends_with(
            "p = 0.032 after Holm's correction for 4 secondary comparisons, n = 5 + 5 trials; suggestive, not judged)."
        ),
        "{}",
        p50.sentence
    );
    assert!(p99.sentence.contains("described, not judged"), "{}", p99.sentence);
    assert!((of(Metric::GoodputRps).p_adjusted.unwrap() - 2.0 / 252.0).abs() < 1e-12, "its family is alone");
}

#[test]
fn several_platforms_share_one_correction() {
    let mut experiment = experiment(5, vec![load_point("closed", Metric::GoodputRps)]);
    let mut third = experiment.subjects[1].clone();
    third.label = "third".into();
    experiment.subjects.push(third);
    let mut cells = run_of(&LOW, &HIGH);
    cells.extend((1..=5).map(|trial| cell("closed", "third", trial, 100.0 + f64::from(trial % 3), 30.0)));
    let found = all(&experiment, &cells);
    let primary: Vec<&Comparison> = found.iter().filter(|c| c.primary).collect();
    assert_eq!(primary.len(), 2);
    assert!((primary[0].p_adjusted.unwrap() - 4.0 / 252.0).abs() < 1e-12);
    assert!(
        primary[0].sentence.contains("after Holm's correction for 2 questions"),
        "{}",
        primary[0].sentence
    );
}

#[test]
fn the_same_run_is_judged_the_same_twice() {
    let cells = run_of(&LOW, &HIGH);
    assert_eq!(one_question(&cells), one_question(&cells));
}

/// What came of simulated comparisons of 5 + 5 trials.
struct Simulated {
    /// Share in which the interval alone excludes 1.
    interval_alone: f64,
    /// Share with a verdict for either side.
    verdict: f64,
    /// Mean of the smallest effects that were stated.
    mean_smallest: f64,
}

/// Compares as a run does (with fewer resamples), on trials that scatter log-normally; `factor` is
/// the true ratio.
fn simulate(comparisons: u32, factor: f64, scatter: f64) -> Simulated {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2026);
    let noise = LogNormal::new(0.0, scatter).unwrap();
    let mut experiment = experiment(5, vec![load_point("closed", Metric::GoodputRps)]);
    let mut cells = run_of(&LOW, &HIGH);
    // Metrics that are only described would cost time and tell nothing here.
    for cell in &mut cells {
        cell.response_ms = crate::analyse::summary::Quantiles::default();
    }
    let (mut by_interval, mut by_both, mut smallest) = (0, 0, 0.0);
    for seed in 0..comparisons {
        experiment.seed = u64::from(seed);
        for (i, cell) in cells.iter_mut().enumerate() {
            cell.goodput_rps = 100.0 * noise.sample(&mut rng) * if i < 5 { 1.0 } else { factor };
        }
        let found = compare(&experiment, &cells, Rules { resamples: 1000, ..Rules::once(5) }).remove(0);
        by_interval += u32::from(found.ratio.unwrap().side_of(1.0).is_some());
        by_both += u32::from(matches!(found.verdict, Verdict::Better { .. }));
        smallest += found.smallest_effect.unwrap().ln_1p();
    }
    let share = |count: u32| f64::from(count) / f64::from(comparisons);
    let mean_smallest = (smallest / f64::from(comparisons)).exp_m1();
    Simulated { interval_alone: share(by_interval), verdict: share(by_both), mean_smallest }
}

#[test]
fn the_same_against_the_same_is_called_different_at_most_once_in_twenty() {
    let found = simulate(2000, 1.0, 0.1);
    println!(
        "A/A, 5 + 5 trials: interval alone {:.1} %, verdict {:.1} % false alarms",
        100.0 * found.interval_alone,
        100.0 * found.verdict
    );
    assert!(found.verdict <= 0.05, "{}", found.verdict);
    assert!(found.interval_alone > found.verdict, "the rank test is what holds the level");
}

#[test]
fn a_fifth_more_is_mostly_seen_where_trials_scatter_by_a_tenth_or_less() {
    for (scatter, least) in [(0.05, 0.95), (0.1, 0.5)] {
        let found = simulate(500, 1.2, scatter);
        println!(
            "20 % more, trials scatter by {:.0} %: seen in {:.0} %",
            100.0 * scatter,
            100.0 * found.verdict
        );
        assert!(found.verdict > least, "{}", found.verdict);
    }
}

#[test]
fn the_smallest_effect_that_is_stated_is_seen_about_four_times_in_five() {
    let stated = simulate(500, 1.0, 0.1).mean_smallest;
    let seen = simulate(1000, 1.0 + stated, 0.1).verdict;
    println!("stated smallest effect {:.1} %: seen in {:.0} %", 100.0 * stated, 100.0 * seen);
    assert!((0.7..0.95).contains(&seen), "{stated}: {seen}");
}
