//! Runs that may stop early: where they stop, and that stopping raises no false alarms.

use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, LogNormal};

use super::*;
use crate::{
    analyse::{
        comparison::LEVEL,
        summary::{CellSummary, Quantiles, Summary},
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
    let mut model = crate::analyse::cell(CellBuilder::open(20.0).of("knative", 1).build()).summary;
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

/// The answer of a look at these cells.
fn asked(experiment: &Experiment, cells: Vec<CellSummary>) -> Option<String> {
    enough(experiment, &summary(cells))
}

fn summary(cells: Vec<CellSummary>) -> Summary {
    let facts = crate::analyse::RunFacts::default();
    Summary { cells, ..crate::analyse::run(&Experiment::default(), &[], Vec::new(), facts) }
}

#[test]
fn a_run_ends_at_a_look_whose_interval_is_narrow_and_not_between_looks() {
    let experiment = plan(20, 0.05);
    let mut i = 0.0;
    let all = cells(20, || {
        i += 1.0;
        100.0 + i % 3.0
    });
    for (trials, stops) in [(9, false), (10, true), (11, false), (15, true), (20, false)] {
        assert_eq!(asked(&experiment, after(&all, trials)).is_some(), stops, "after {trials}");
        let complete: Vec<_> = all.iter().filter(|c| c.trial <= trials).cloned().collect();
        assert_eq!(asked(&experiment, complete).is_some(), stops, "after {trials}, later ones left out");
    }
    insta::assert_snapshot!(
        asked(&experiment, after(&all, 10)).unwrap(),
        @"every ratio is known to within 0.9 %, and 5.0 % was asked for; each look works at 1.7 %."
    );
    assert_eq!(asked(&plan(20, 0.001), after(&all, 10)), None, "not as narrow as that");
    let without = Experiment { stop_early: None, ..experiment };
    assert_eq!(asked(&without, after(&all, 10)), None);
}

#[test]
fn the_final_verdict_works_at_the_level_of_a_look_wherever_the_run_ended() {
    let mut i = 0.0;
    let all = cells(20, || {
        i += 1.0;
        100.0 + i % 3.0
    });
    let ended = Experiment { trials: 10, planned_trials: Some(20), ..plan(20, 0.05) };
    let found = judge(&ended, &after(&all, 10)).remove(0);
    assert_eq!(found.baseline_trials.len(), 10);
    assert!((found.ratio.unwrap().confidence - (1.0 - 0.05 / 3.0)).abs() < 1e-12);
    for part in ["98.3 % interval", "tested at 1.7 %: 3 looks share 5 %"] {
        assert!(found.sentence.contains(part), "{}", found.sentence);
    }
}

#[test]
fn a_look_that_could_never_show_anything_does_not_end_a_run() {
    let mut experiment = plan(8, 0.2);
    experiment.stop_early = Some(StopRule { half_width: 0.2, first_look: 4, every: 2 });
    let all = cells(8, || 100.0);
    // 2 / C(8, 4) is above 5 % / 3, 2 / C(12, 6) below.
    assert_eq!(asked(&experiment, after(&all, 4)), None);
    assert!(asked(&experiment, after(&all, 6)).is_some());
}

/// Share of runs that claim a difference, and mean trials they took, where the truth is `factor`.
fn simulate(runs: u32, factor: f64, scatter: f64, rule: StopRule) -> (f64, f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(77);
    let noise = LogNormal::new(0.0, scatter).unwrap();
    let mut experiment = Experiment { stop_early: Some(rule), ..plan(20, 0.1) };
    let looks = looks(&experiment);
    let (mut claims, mut trials) = (0, 0);
    for seed in 0..runs {
        experiment.seed = u64::from(seed);
        let mut baseline = false;
        let all = cells(20, || {
            baseline = !baseline;
            100.0 * noise.sample(&mut rng) * if baseline { 1.0 } else { factor }
        });
        for &look in &looks {
            let rules = Rules { trials: look, resamples: 400, ..rules(&experiment) };
            let found = compare(&experiment, &all, rules);
            if look == 20 || narrow_enough(&found, rule, rules.alpha).is_some() {
                claims += u32::from(matches!(found[0].verdict, Verdict::Better { .. }));
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
