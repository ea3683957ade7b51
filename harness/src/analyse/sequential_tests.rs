//! Runs that may stop early: where they stop, and that stopping raises no false alarms.

use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, LogNormal};

use super::*;
use crate::{
    analyse::{
        comparison::LEVEL,
        summary::{CellSummary, Quantiles},
        testing::{CellBuilder, experiment},
    },
    experiment::{LoadPoint, Metric},
};

fn load_point() -> LoadPoint {
    LoadPoint { name: "closed".into(), primary_metric: Metric::GoodputRps, ..LoadPoint::default() }
}

fn plan(trials: u32, half_width: f64) -> Experiment {
    let mut experiment = experiment(trials, vec![load_point()]);
    experiment.stop_early = Some(StopRule::for_trials(half_width, trials));
    experiment
}

/// Cells of both subjects, by trial, with this goodput.
fn cells(trials: u32, goodput: impl FnMut() -> f64) -> Vec<CellSummary> {
    let mut goodput = goodput;
    let mut model = crate::analyse::cell(&CellBuilder::open(20.0).of("knative", 1).build());
    model.load = "closed".into();
    model.response_ms = Quantiles::default();
    let of = |trial| ["knative", "openfaas"].map(|subject| (trial, subject.to_owned()));
    (1..=trials)
        .flat_map(of)
        .map(|(trial, subject)| CellSummary { subject, trial, goodput_rps: goodput(), ..model.clone() })
        .collect()
}

/// As a run has them after so many trials: the later ones are planned and were not measured.
fn after(all: &[CellSummary], trials: u32) -> Vec<CellSummary> {
    let mut cells = all.to_vec();
    for cell in cells.iter_mut().filter(|cell| cell.trial > trials) {
        cell.requests = 0;
        cell.validity.problems.push(crate::analyse::summary::Problem {
            reason: "not measured".into(),
            remedy: "run on".into(),
        });
    }
    cells
}

#[test]
fn looks_end_with_the_last_trial_and_share_the_level() {
    assert_eq!(looks(&plan(20, 0.05)), [10, 15, 20]);
    assert!((level(&plan(20, 0.05)) - LEVEL / 3.0).abs() < 1e-12);
    let once = experiment(20, vec![load_point()]);
    assert_eq!(looks(&once), [20]);
    assert!((level(&once) - LEVEL).abs() < 1e-12);
}

#[test]
fn a_run_ends_at_the_first_look_whose_interval_is_narrow_and_not_between_looks() {
    let experiment = plan(20, 0.05);
    let mut i = 0.0;
    let all = cells(20, || {
        i += 1.0;
        100.0 + i % 3.0
    });
    for (trials, stops) in [(9, false), (10, true), (11, false), (15, true)] {
        let (comparisons, stopped) = judge(&experiment, &after(&all, trials));
        assert_eq!(stopped.as_ref().map(|s| s.trials), stops.then_some(trials), "after {trials}");
        let judged = comparisons[0].baseline_trials.len() as u32;
        assert_eq!(judged, if stops { trials } else { 20 }, "after {trials}");
    }
    let (comparisons, stopped) = judge(&experiment, &after(&all, 10));
    insta::assert_snapshot!(
        stopped.unwrap().reason,
        @"ended after 10 of 20 trials: every interval is known to within 0.9 %, and 5.0 % was asked for; looked at 3 times at most, each at 1.7 %"
    );
    assert!(
        comparisons[0].sentence.contains("98.3 % interval")
            && comparisons[0].sentence.contains("tested at 1.7 %: 3 looks share 5 %"),
        "{}",
        comparisons[0].sentence
    );
    let narrow = plan(20, 0.001);
    assert_eq!(judge(&narrow, &after(&all, 10)).1, None, "not as narrow as that");
    assert_eq!(judge(&experiment, &all).1, None, "a run that came to its end was not stopped");
}

#[test]
fn a_summary_of_a_stopped_run_forgets_the_trials_that_were_not_needed() {
    let experiment = plan(8, 0.2);
    let cells: Vec<_> = [("knative", 1.0), ("openfaas", 2.0)]
        .iter()
        .flat_map(|(subject, _)| (1..=8).map(|trial| CellBuilder::closed(50.0).of(subject, trial).build()))
        .collect();
    let plan: Vec<_> = cells.iter().map(|c| c.meta.cell.clone()).collect();
    let mut experiment = Experiment { load: vec![plan[0].load.clone()], ..experiment };
    experiment.stop_early = Some(StopRule { half_width: 0.2, first_look: 4, every: 2 });
    // Two looks more than the exact test can use at four trials: it goes on to six.
    let done =
        |trials: u32| -> Vec<_> { cells.iter().filter(|c| c.meta.cell.trial <= trials).cloned().collect() };
    let at =
        |trials| crate::analyse::run(&experiment, &plan, &done(trials), crate::analyse::RunFacts::default());
    assert_eq!(enough(&experiment, &at(4)), None, "four trials can never show anything at 1.7 %");
    let summary = at(6);
    let reason = enough(&experiment, &summary).unwrap();
    assert_eq!((summary.cells.len(), summary.stopped.as_ref().unwrap().trials), (12, 6));
    assert!(summary.notices.iter().any(|notice| notice.contains(&reason)));
    assert!(summary.is_valid(), "it set out for as much as it needed");
}

/// Share of runs that claim a difference, and mean trials they took, where the truth is `factor`.
fn simulate(runs: u32, factor: f64, scatter: f64, rule: StopRule) -> (f64, f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(77);
    let noise = LogNormal::new(0.0, scatter).unwrap();
    let mut experiment = Experiment { stop_early: Some(rule), ..plan(20, 0.1) };
    let looks = looks(&experiment);
    let rules = Rules { alpha: level(&experiment), looks: looks.len() as u32, resamples: 400, trials: 20 };
    let (mut claims, mut trials) = (0, 0);
    for seed in 0..runs {
        experiment.seed = u64::from(seed);
        let mut baseline = false;
        let all = cells(20, || {
            baseline = !baseline;
            100.0 * noise.sample(&mut rng) * if baseline { 1.0 } else { factor }
        });
        for &look in &looks {
            let (comparisons, stopped) = judge_by(&experiment, &after(&all, look), &looks, rules);
            if stopped.is_some() || look == 20 {
                claims += u32::from(matches!(comparisons[0].verdict, Verdict::Better { .. }));
                trials += look;
                break;
            }
        }
    }
    (f64::from(claims) / f64::from(runs), f64::from(trials) / f64::from(runs))
}

#[test]
fn stopping_early_raises_no_more_false_alarms_than_the_level() {
    // The width is near what ten to fifteen trials have, so that runs stop at every look.
    let rule = StopRule { half_width: 0.1, ..StopRule::for_trials(0.1, 20) };
    let (alarms, trials) = simulate(200, 1.0, 0.1, rule);
    println!("A/A with a stop rule: {:.1} % false alarms, {trials:.1} trials on average", 100.0 * alarms);
    assert!(alarms <= 0.05, "{alarms}");
    assert!((10.5..19.5).contains(&trials), "the rule is at work: {trials}");
}
