//! Diffs of runs made by hand.

use serde_json::json;

use super::*;
use crate::{
    analyse::{
        RunFacts,
        summary::CellSummary,
        testing::{CellBuilder, experiment},
    },
    experiment::Arrivals,
    store::CellData,
};

/// A run of both subjects in which openfaas answers so much faster or slower.
fn run(id: &str, factor: f64) -> (Experiment, Value, Summary) {
    let mut cells: Vec<CellData> = Vec::new();
    for subject in ["knative", "openfaas"] {
        cells.extend((1..=5).map(|trial| CellBuilder::open(20.0).of(subject, trial).build()));
    }
    let plan: Vec<_> = cells.iter().map(|c| c.meta.cell.clone()).collect();
    let experiment = experiment(5, vec![plan[0].load.clone()]);
    let facts = RunFacts { run_id: id.into(), ..RunFacts::default() };
    let cells = cells.into_iter().map(|data| crate::analyse::cell(data).summary).collect();
    let mut summary = crate::analyse::run(&experiment, &plan, cells, facts);
    for cell in &mut summary.cells {
        let factor = if cell.subject == "openfaas" { factor } else { 1.0 };
        cell.response_ms.p95 = Some(factor * (30.0 + f64::from(cell.trial * 7 % 5) / 10.0));
    }
    let environment =
        json!({ "machine": { "kernel": "6.1", "load_average": 0.3 }, "harness": { "version": "0.1.0" } });
    (experiment, environment, summary)
}

fn of<'a>(run: &'a (Experiment, Value, Summary)) -> Run<'a> {
    Run { name: &run.2.run_id, experiment: &run.0, environment: &run.1, summary: &run.2 }
}

fn change(found: &Diff, contender: &str) -> Change {
    found.change(found.answers().find(|c| c.contender == contender).unwrap())
}

#[test]
fn a_subject_that_got_slower_is_worse_and_the_other_cannot_be_told_apart() {
    let (monday, tuesday) = (run("monday", 1.0), run("tuesday", 1.2));
    let found = diff(of(&monday), of(&tuesday), &[]);
    assert_eq!(change(&found, "openfaas in tuesday"), Change::Worse);
    assert_eq!(change(&found, "knative in tuesday"), Change::CannotTell);
    let slower = found.answers().find(|c| c.contender == "openfaas in tuesday").unwrap();
    assert!(
        slower
            .sentence
            .starts_with("openfaas in tuesday has a 20 % longer p95 response time than openfaas in monday"),
        "{}",
        slower.sentence
    );
    assert!(slower.sentence.contains("Holm's correction for 2 questions"), "{}", slower.sentence);
    assert_eq!(change(&diff(of(&tuesday), of(&monday), &[]), "openfaas in monday"), Change::Better);
    assert!(found.is_valid() && found.differences.is_empty() && found.unmatched.is_empty());
    assert!(found.comparisons.iter().filter(|c| !c.primary).all(|c| c.verdict == Verdict::Described));
}

#[test]
fn what_else_changed_is_listed_and_what_always_changes_is_not() {
    let (monday, mut tuesday) = (run("monday", 1.0), run("tuesday", 1.0));
    tuesday.0.seed = 8;
    tuesday.0.function.model = "other".into();
    tuesday.1 =
        json!({ "machine": { "kernel": "6.2", "load_average": 9.0 }, "harness": { "version": "0.1.0" } });
    let found = diff(of(&monday), of(&tuesday), &[]);
    let facts: Vec<String> =
        found.differences.iter().map(|d| format!("{}: {} -> {}", d.fact, d.before, d.after)).collect();
    assert_eq!(
        facts,
        [
            "machine.kernel: 6.1 -> 6.2",
            "experiment.function.model: generated -> other",
            "experiment.seed: 7 -> 8",
        ]
    );
}

#[test]
fn another_load_gets_no_verdict_and_says_what_to_do() {
    let (monday, mut tuesday) = (run("monday", 1.0), run("tuesday", 2.0));
    tuesday.0.load[0].arrivals = Arrivals::Constant { rate: 22.0 };
    let found = diff(of(&monday), of(&tuesday), &[]);
    assert!(!found.is_valid());
    let sentence = &found.answers().next().unwrap().sentence;
    assert_eq!(
        sentence,
        "No verdict on open: the load was not the same (rate 20.0 then, rate 22.0 now); give both runs the same \
         --rate or the same experiment file."
    );
}

#[test]
fn what_only_one_run_measured_is_named() {
    let (monday, mut tuesday) = (run("monday", 1.0), run("tuesday", 1.0));
    tuesday.0.subjects.remove(0);
    let found = diff(of(&monday), of(&tuesday), &[]);
    assert_eq!(found.unmatched, ["Only monday measured the platform knative."]);
    assert_eq!(found.answers().count(), 1);
    tuesday.0.load[0].name = "else".into();
    let nothing = diff(of(&monday), of(&tuesday), &[]);
    assert!(!nothing.is_valid() && nothing.unmatched.len() == 3, "{:?}", nothing.unmatched);
}

#[test]
fn thresholds_see_the_change_and_the_second_runs_figures() {
    let (monday, tuesday) = (run("monday", 1.0), run("tuesday", 1.2));
    let asked = ["ratio<1.1", "ratio:knative<1.1", "p95:openfaas<32ms"].map(|text| text.parse().unwrap());
    let found = diff(of(&monday), of(&tuesday), &asked);
    let said: Vec<(String, String, bool)> =
        found.thresholds.iter().map(|r| (r.threshold.clone(), r.subject.clone(), r.met)).collect();
    let line = |threshold: &str, subject: &str, met| (threshold.to_owned(), subject.to_owned(), met);
    assert_eq!(
        said,
        [
            line("ratio<1.1", "knative", true),
            line("ratio<1.1", "openfaas", false),
            line("ratio:knative<1.1", "knative", true),
            line("p95:openfaas<32ms", "openfaas", false),
        ]
    );
}

#[test]
fn runs_of_different_length_are_compared_by_the_trials_they_have() {
    let (monday, mut tuesday) = (run("monday", 1.0), run("tuesday", 1.3));
    tuesday.0.trials = 4;
    let keep = |cell: &CellSummary| cell.trial <= 4;
    tuesday.2.cells.retain(keep);
    let found = diff(of(&monday), of(&tuesday), &[]);
    let slower = found.answers().find(|c| c.contender == "openfaas in tuesday").unwrap();
    assert!(slower.sentence.contains("n = 5 + 4 trials"), "{}", slower.sentence);
}
