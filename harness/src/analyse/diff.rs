//! One run against another: the same subject under the same load, then and now, by the statistics of
//! every other comparison.
//!
//! What no statistics can mend: the trials of two runs were not interleaved. All of the first lie
//! before all of the second, so whatever changed in between (the machine, its neighbours, the
//! weather) looks like a difference; methods that ran alternatives in blocks called identical
//! systems 38 % different at 95 % confidence (Abedi and Brecht, "Conducting Repeatable Experiments
//! in Highly Variable Cloud Computing Environments", ICPE 2017). The result says so.

use serde::Serialize;
use serde_json::Value;

use super::{
    comparison::{METRICS, Rules, Weighed, judge_all},
    side::Side,
    summary::{Comparison, Summary, ThresholdResult, Verdict},
    thresholds,
};
use crate::experiment::{Experiment, LoadPoint, Threshold};

/// What must be known to read the result.
pub const NOT_INTERLEAVED: &str = "The two runs were not interleaved: everything in the first lies before everything \
                                   in the second, so a difference may be that of the day, the machine or its \
                                   neighbours. To be sure, measure both in one run, or repeat this on another day.";

/// A run that is there already.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What it is called in sentences.
    pub name: &'a str,
    /// What was planned.
    pub experiment: &'a Experiment,
    /// Versions, hardware, digests.
    pub environment: &'a Value,
    /// All of it in numbers.
    pub summary: &'a Summary,
}

/// A fact in which two runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which fact: `machine.kernel`.
    pub fact: String,
    /// In the first run.
    pub before: String,
    /// In the second.
    pub after: String,
}

/// One run against another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Name of the first run; it is divided by.
    pub before: String,
    /// Name of the second.
    pub after: String,
    /// One entry for each subject, load point and metric that both have; primary ones first.
    pub comparisons: Vec<Comparison>,
    /// In what the runs differ, beside their figures.
    pub differences: Vec<Difference>,
    /// What only one of them measured, a sentence each.
    pub unmatched: Vec<String>,
    /// How far the result can be trusted.
    pub note: &'static str,
    /// What became of the thresholds; figures are those of the second run.
    pub thresholds: Vec<ThresholdResult>,
}

/// What changed between two runs, for one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The second run is better.
    Better,
    /// The second run is worse.
    Worse,
    /// No difference is shown.
    CannotTell,
    /// Nothing can be said, or nothing was asked.
    None,
}

impl Diff {
    /// What changed in this comparison.
    pub fn change(&self, comparison: &Comparison) -> Change {
        match &comparison.verdict {
            Verdict::Better { subject } if *subject == comparison.contender => Change::Better,
            Verdict::Better { .. } => Change::Worse,
            Verdict::CannotTell => Change::CannotTell,
            Verdict::NoVerdict { .. } | Verdict::Limited { .. } | Verdict::Described => Change::None,
        }
    }

    /// The primary comparisons.
    pub fn answers(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(|comparison| comparison.primary)
    }

    /// Whether every question got an answer, and there was one.
    pub fn is_valid(&self) -> bool {
        let mut answers = self.answers().peekable();
        answers.peek().is_some() && answers.all(|c| !matches!(c.verdict, Verdict::NoVerdict { .. }))
    }
}

/// Compares the second run with the first.
pub fn diff(before: Run, after: Run, thresholds: &[Threshold]) -> Diff {
    let rules = Rules::once(before.experiment.trials.max(after.experiment.trials));
    let (mut weighed, mut unmatched, mut unlike) = (Vec::new(), Vec::new(), Vec::new());
    for primary in [true, false] {
        for load in &before.experiment.load {
            let Some(now) = after.experiment.load.iter().find(|other| other.name == load.name) else {
                continue;
            };
            for label in shared_labels(before.experiment, after.experiment) {
                let side = |run: &Run<'_>| format!("{label} in {}", run.name);
                if let (true, Some(why)) = (primary, different_load(load, now)) {
                    unlike.push((load.name.clone(), side(&after), why));
                }
                for metric in METRICS.into_iter().filter(|&m| (m == load.primary_metric) == primary) {
                    let sides = [
                        Side::new(label, before.experiment.trials, load, &before.summary.cells)
                            .called(side(&before)),
                        Side::new(label, after.experiment.trials, load, &after.summary.cells)
                            .called(side(&after)),
                    ];
                    weighed.push(Weighed::new(load, metric, sides, after.experiment.seed, rules));
                }
            }
        }
    }
    for (run, other) in [(&before, &after), (&after, &before)] {
        unmatched.extend(only_in(run, other));
    }
    let mut comparisons = judge_all(weighed, rules);
    for comparison in comparisons.iter_mut().filter(|c| c.primary) {
        let why =
            unlike.iter().find(|(load, after, _)| (load, after) == (&comparison.load, &comparison.contender));
        if let Some((.., why)) = why {
            comparison.sentence = format!("No verdict on {}: {why}.", comparison.load);
            comparison.verdict = Verdict::NoVerdict { reason: why.clone() };
        }
    }
    let (ratios, figures): (Vec<_>, Vec<_>) = thresholds.iter().partition(|t| t.is_ratio());
    let mut results: Vec<ThresholdResult> =
        ratios.into_iter().flat_map(|threshold| of_ratios(threshold, &comparisons, after.name)).collect();
    let asked = Experiment { thresholds: figures.into_iter().cloned().collect(), ..after.experiment.clone() };
    results.extend(thresholds::evaluate(&asked, &after.summary.cells, &[]));
    Diff {
        before: before.name.to_owned(),
        after: after.name.to_owned(),
        comparisons,
        differences: differences(&before, &after),
        unmatched,
        note: NOT_INTERLEAVED,
        thresholds: results,
    }
}

/// A threshold on ratios names a subject as its run does, not as the sentences of a diff do.
fn of_ratios(threshold: &Threshold, comparisons: &[Comparison], after: &str) -> Vec<ThresholdResult> {
    let ending = format!(" in {after}");
    let plain: Vec<Comparison> = comparisons
        .iter()
        .cloned()
        .map(|mut comparison| {
            if let Some(label) = comparison.contender.strip_suffix(&ending) {
                comparison.contender = label.to_owned();
            }
            comparison
        })
        .collect();
    thresholds::of_ratios(threshold, &plain)
}

/// Labels that both have, in the order of the first.
fn shared_labels<'a>(before: &'a Experiment, after: &Experiment) -> Vec<&'a str> {
    let has = |label: &str| after.subjects.iter().any(|subject| subject.label == label);
    before.subjects.iter().map(|subject| subject.label.as_str()).filter(|label| has(label)).collect()
}

/// Why two load points of one name are not the same load.
fn different_load(before: &LoadPoint, after: &LoadPoint) -> Option<String> {
    if before.primary_metric != after.primary_metric {
        return Some("the metric named before the run is not the same in both".into());
    }
    let text = |load: &LoadPoint| {
        let mut value = serde_json::to_value(&load.arrivals).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.remove("kind");
        }
        value.to_string().replace(['{', '}', '"'], "").replace(',', ", ").replace(':', " ")
    };
    (before.arrivals != after.arrivals || before.procedure != after.procedure).then(|| {
        format!(
            "the load was not the same ({} then, {} now); give both runs the same --rate or the same experiment file",
            text(before),
            text(after)
        )
    })
}

fn only_in(run: &Run, other: &Run) -> Vec<String> {
    let labels = run.experiment.subjects.iter().map(|s| &s.label);
    let known: Vec<&String> = other.experiment.subjects.iter().map(|s| &s.label).collect();
    let subjects: Vec<&str> = labels.filter(|label| !known.contains(label)).map(String::as_str).collect();
    let loads = run.experiment.load.iter().map(|load| &load.name);
    let known: Vec<&String> = other.experiment.load.iter().map(|load| &load.name).collect();
    let loads: Vec<&str> = loads.filter(|name| !known.contains(name)).map(String::as_str).collect();
    let sentence =
        |what: &str, names: &[&str]| format!("Only {} measured the {what} {}.", run.name, names.join(", "));
    let mut out = Vec::new();
    if !subjects.is_empty() {
        out.push(sentence("platform", &subjects));
    }
    if !loads.is_empty() {
        out.push(sentence("load point", &loads));
    }
    out
}

/// Facts of the environment that change what is measured; load averages and the like do not count.
const FACTS: [&str; 6] = ["machine", "cluster", "function", "harness", "generator", "site"];
/// Below these, what is different every time.
const PASSING: [&str; 2] = ["machine.load_average", "cluster.context"];
/// Parts of the experiment that are not what is measured.
const ASIDE: [&str; 7] =
    ["title", "trials", "thresholds", "expected-noise", "stop-early", "platforms", "load"];

fn differences(before: &Run, after: &Run) -> Vec<Difference> {
    let facts = |run: &Run| {
        let mut facts = Vec::new();
        for name in FACTS {
            flatten(name, &run.environment[name], &mut facts);
        }
        let experiment = serde_json::to_value(run.experiment).unwrap_or_default();
        for (key, value) in experiment.as_object().into_iter().flatten() {
            if !ASIDE.contains(&key.as_str()) {
                flatten(&format!("experiment.{key}"), value, &mut facts);
            }
        }
        for load in &run.experiment.load {
            let load_value = serde_json::to_value(load).unwrap_or_default();
            flatten(&format!("load.{}", load.name), &load_value, &mut facts);
        }
        facts
    };
    let (then, now) = (facts(before), facts(after));
    let value_of = |facts: &[(String, String)], name: &str| {
        facts.iter().find(|(fact, _)| fact == name).map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&String> = then.iter().map(|(name, _)| name).collect();
    names.extend(now.iter().map(|(name, _)| name).filter(|name| value_of(&then, name) == "–"));
    names
        .into_iter()
        .filter(|name| !PASSING.iter().any(|passing| name.starts_with(passing)))
        .map(|name| Difference {
            fact: name.clone(),
            before: value_of(&then, name),
            after: value_of(&now, name),
        })
        .filter(|difference| difference.before != difference.after)
        .collect()
}

fn flatten(path: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, facts));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(i, item)| flatten(&format!("{path}.{i}"), item, facts));
        }
        Value::String(text) => facts.push((path.to_owned(), text.clone())),
        other => facts.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
