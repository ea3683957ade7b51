//! How sure the figures are: medians with order-statistic intervals, what the plan could see and what
//! the run could see, and what became of the thresholds.

use super::{Block, Entry, Row, Table, Tone};
use crate::{
    analyse::{
        foresight::{self, Foreseen},
        statistics::order,
        summary::{Comparison, TrialValue},
    },
    experiment::Metric,
    reports::{Document, format},
};

/// Confidence that intervals of medians are to reach.
const CONFIDENCE: f64 = 0.95;
/// Fewest trials whose median has an interval of that confidence.
const ENOUGH: usize = 6;

/// The thresholds, one row a figure; none where none was set.
pub(super) fn thresholds(document: &Document) -> Option<Vec<Block>> {
    let results = &document.summary.thresholds;
    let rows: Vec<Row> = results
        .iter()
        .map(|result| {
            let word = if result.met { "met" } else { "not met" };
            let mut row = Row::new([
                result.threshold.as_str().into(),
                result.load.as_str().into(),
                result.subject.as_str().into(),
                result.text.as_str().into(),
                Entry::with(word, result.reason.clone().unwrap_or_default()),
            ]);
            row.tone = if result.met { Tone::Plain } else { Tone::Marked };
            row
        })
        .collect();
    let columns = ["Threshold", "Load point", "Subject", "Measured", "Result"].map(str::to_owned).into();
    let caption = "Conditions set before the run. Measured: the mean over the VALID trials (failures: of all their \
                   requests). A ratio must meet its limit with its whole interval.";
    let table = Table { caption: caption.to_owned(), columns, rows, numeric: false };
    (!results.is_empty()).then(|| vec![Block::Table(table)])
}

/// Medians over trials and smallest effects; none where nothing was compared.
pub(super) fn blocks(document: &Document) -> Option<Vec<Block>> {
    let comparisons = &document.summary.comparisons;
    if comparisons.is_empty() {
        return None;
    }
    let (table, fewest) = medians(document);
    let mut blocks = Vec::new();
    if fewest.is_some_and(|trials| trials < ENOUGH) {
        blocks.push(Block::Text(format!(
            "With fewer than six trials no interval of a median reaches 95 %, whatever the values are: five trials \
             reach 93.75 %. The table states what is reached; the verdicts do not rest on it. More trials \
             (--trials {ENOUGH} and up) reach it."
        )));
    }
    blocks.push(Block::Table(table));
    blocks.extend(effects(document).map(Block::Table));
    Some(blocks)
}

/// Medians over trials of every compared metric, and the smallest number of trials behind one.
fn medians(document: &Document) -> (Table, Option<usize>) {
    let subjects = &document.summary.subjects;
    let (mut rows, mut fewest): (Vec<Row>, Option<usize>) = (Vec::new(), None);
    for first in first_of_each(&document.summary.comparisons) {
        let mut entries: Vec<Entry> = vec![format!("{}: {}", first.load, first.metric.title()).into()];
        for subject in subjects {
            let values = trials_of(&document.summary.comparisons, first, subject);
            if !values.is_empty() {
                fewest = Some(fewest.map_or(values.len(), |least| least.min(values.len())));
            }
            entries.push(median(&values, first.metric));
        }
        rows.push(Row { entries, ..Row::default() });
    }
    let columns = std::iter::once("Median over trials").chain(subjects.iter().map(String::as_str));
    let caption = "Median over the VALID trials and its interval from order statistics, with the confidence that it \
                   reaches; it assumes nothing of the distribution (David and Nagaraja, Order Statistics, 2003, \
                   section 7.1).";
    let columns = columns.map(str::to_owned).collect();
    (Table { caption: caption.to_owned(), columns, rows, numeric: true }, fewest)
}

/// One comparison for each load point and metric.
fn first_of_each(comparisons: &[Comparison]) -> Vec<&Comparison> {
    let mut found: Vec<&Comparison> = Vec::new();
    for comparison in comparisons {
        if !found.iter().any(|c| (&c.load, c.metric) == (&comparison.load, comparison.metric)) {
            found.push(comparison);
        }
    }
    found
}

/// A subject's values that count, of the load point and metric of `like`.
fn trials_of(comparisons: &[Comparison], like: &Comparison, subject: &str) -> Vec<f64> {
    let mut same = comparisons.iter().filter(|c| (&c.load, c.metric) == (&like.load, like.metric));
    let trials = same.find_map(|c| {
        let sides = [(&c.baseline, &c.baseline_trials), (&c.contender, &c.contender_trials)];
        sides.into_iter().find(|(label, _)| *label == subject).map(|(_, trials)| trials)
    });
    let counts = |trial: &&TrialValue| trial.valid;
    trials.into_iter().flatten().filter(counts).filter_map(|trial| trial.value).collect()
}

fn median(values: &[f64], metric: Metric) -> Entry {
    let text = |value: f64| {
        if metric == Metric::FailureShare { format::percent(value) } else { format::number(value) }
    };
    order::median(values, CONFIDENCE).map_or_else(
        || format::NONE.into(),
        |found| {
            let reached = format!("{:.2}", 100.0 * found.confidence);
            let reached = reached.trim_end_matches('0').trim_end_matches('.');
            Entry::with(
                text(found.estimate),
                format!("{} to {} ({reached} %)", text(found.low), text(found.high)),
            )
        },
    )
}

/// What the plan could see beside what the run could see.
fn effects(document: &Document) -> Option<Table> {
    let foreseen = foresight::foresee(document.experiment);
    let primary = document.summary.comparisons.iter().filter(|c| c.primary);
    let rows: Vec<Row> = primary
        .filter_map(|comparison| {
            let before = foreseen.iter().find(|f| f.load == comparison.load)?;
            let after = comparison.smallest_effect.map_or_else(|| format::NONE.to_owned(), format::percent);
            Some(Row::new([
                format!("{}: {} / {}", comparison.load, comparison.contender, comparison.baseline).into(),
                planned(before),
                after.into(),
            ]))
        })
        .collect();
    let columns = ["Smallest effect", "Before the run", "By its trials"].map(str::to_owned).into();
    let caption = "The smallest difference that would be shown in four of five runs. Before the run: for assumed \
                   scatter between trials. By its trials: with the scatter that they had.";
    (!rows.is_empty()).then(|| Table { caption: caption.to_owned(), columns, rows, numeric: false })
}

fn planned(foreseen: &Foreseen) -> Entry {
    let from = foreseen.from.as_ref().map_or(String::new(), |run| format!("scatter as in {run}"));
    Entry::with(foresight::effects(foreseen), from)
}
