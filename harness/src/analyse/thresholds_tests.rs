//! Thresholds against figures made by hand.

use super::*;
use crate::{
    analyse::{
        comparison::{Rules, compare},
        summary::{Problem, Validity},
        testing::{CellBuilder, experiment},
    },
    experiment::LoadPoint,
};

/// Five trials of two subjects at one load point: p99 of 100 to 104 ms and 200 to 204 ms.
fn cells() -> (Experiment, Vec<CellSummary>) {
    let mut cells = Vec::new();
    for (subject, base) in [("knative", 100.0), ("openfaas", 200.0)] {
        for trial in 1..=5 {
            let mut cell = crate::analyse::cell(CellBuilder::open(20.0).of(subject, trial).build()).summary;
            cell.response_ms.p99 = Some(base + f64::from(trial) - 1.0);
            cell.response_ms.p95 = Some(base / 2.0 + f64::from(trial % 3));
            cells.push(cell);
        }
    }
    let load = LoadPoint {
        primary_metric: crate::experiment::Metric::ResponseP95Ms,
        ..CellBuilder::open(20.0).cell().load
    };
    (experiment(5, vec![load]), cells)
}

fn found(experiment: &Experiment, cells: &[CellSummary], thresholds: &[&str]) -> Vec<String> {
    let thresholds = thresholds.iter().map(|text| text.parse().unwrap()).collect();
    let experiment = Experiment { thresholds, ..experiment.clone() };
    let comparisons = compare(&experiment, cells, Rules { resamples: 2000, ..Rules::once(5) });
    evaluate(&experiment, cells, &comparisons).iter().map(ThresholdResult::line).collect()
}

#[test]
fn each_subject_and_load_point_gets_a_line() {
    let (experiment, cells) = cells();
    let lines = found(
        &experiment,
        &cells,
        &[
            "p99<150ms",
            "p99:knative<150ms",
            "failures<1%",
            "goodput@open>19.9/s",
            "p99.9<1s",
            "ratio>1.8",
            "ratio<1.1",
        ],
    );
    insta::assert_snapshot!(lines.join("\n"), @"
    met: p99<150ms (open, knative): 102.0 ms
    NOT MET: p99<150ms (open, openfaas): 202.0 ms
    met: p99:knative<150ms (open, knative): 102.0 ms
    met: failures<1% (open, knative): 0.00 %
    met: failures<1% (open, openfaas): 0.00 %
    met: goodput@open>19.9/s (open, knative): 20.0/s
    met: goodput@open>19.9/s (open, openfaas): 20.0/s
    NOT MET: p99.9<1s (open, knative): nothing; there is no such figure: fewer than ten requests lie beyond it
    NOT MET: p99.9<1s (open, openfaas): nothing; there is no such figure: fewer than ten requests lie beyond it
    met: ratio>1.8 (open, openfaas): 1.977 (1.950 to 2.008)
    NOT MET: ratio<1.1 (open, openfaas): 1.977 (1.950 to 2.008)
    ");
}

#[test]
fn a_lower_bound_passes_a_floor_and_never_a_ceiling() {
    let (experiment, mut cells) = cells();
    cells[2].response_ms.lower_bounds = vec!["p99".into()];
    let lines = found(&experiment, &cells, &["p99:knative<150ms", "p99:knative>99ms"]);
    assert_eq!(
        lines,
        [
            "NOT MET: p99:knative<150ms (open, knative): at least 102.0 ms; time-outs make it a lower bound: the true \
             figure is larger",
            "met: p99:knative>99ms (open, knative): at least 102.0 ms",
        ]
    );
}

#[test]
fn invalid_cells_vouch_for_nothing() {
    let (experiment, mut cells) = cells();
    let invalid =
        Validity { problems: vec![Problem { reason: "late".into(), remedy: "free a core".into() }] };
    cells[0].validity = invalid.clone();
    assert_eq!(
        found(&experiment, &cells, &["p99:knative<150ms"]),
        ["met: p99:knative<150ms (open, knative): 102.5 ms"],
        "one of five is left out"
    );
    cells[1].validity = invalid;
    assert_eq!(
        found(&experiment, &cells, &["p99:knative<150ms", "ratio>1.8"]),
        [
            "NOT MET: p99:knative<150ms (open, knative): nothing; 2 of 5 trials are INVALID or missing",
            "NOT MET: ratio>1.8 (open, openfaas): nothing; 2 of 5 trials of knative are INVALID or missing",
        ]
    );
}

#[test]
fn a_ratio_must_meet_its_limit_with_its_whole_interval() {
    let (experiment, mut cells) = cells();
    for (i, cell) in cells.iter_mut().enumerate() {
        cell.response_ms.p95 = Some(if i < 5 { 100.0 } else { 105.0 } + (i * 3 % 7) as f64 * 4.0);
    }
    let line = &found(&experiment, &cells, &["ratio<1.1"])[0];
    assert!(line.starts_with("NOT MET") && line.ends_with("the interval reaches beyond the limit"), "{line}");
    assert!(found(&experiment, &cells, &["ratio<1.5"])[0].starts_with("met"));
}

#[test]
fn an_interval_by_itself_is_judged_by_its_own_figures() {
    let (_, cells) = cells();
    let threshold: Threshold = "p99<150ms".parse().unwrap();
    assert!(of_interval(&threshold, Figures::from(&cells[0]), true).met);
    assert!(!of_interval(&threshold, Figures::from(&cells[5]), true).met);
    let invalid = of_interval(&threshold, Figures::from(&cells[0]), false);
    assert_eq!(invalid.line(), "NOT MET: p99<150ms: nothing; the measurement is INVALID");
}
