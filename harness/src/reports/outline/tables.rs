//! The tables beside the headline: failures, comparisons, trials, settings, environment.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Entry, Row, Table, Tone,
    headline::{failed, is_lower_bound},
};
use crate::{
    analyse::{
        CellDigest, quantiles,
        summary::{CellSummary, Comparison, Quantiles, RevisionSummary, Verdict},
    },
    record::Outcome,
    reports::{Document, MissingCell, format},
    store::CellState,
};

/// Failures by outcome, a row a subject and load point, over the VALID trials.
pub(super) fn failures(document: &Document) -> Table {
    let failing: Vec<Outcome> = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Ok).collect();
    let titles = ["Load point", "Subject", "Requests", "Failed"].into_iter();
    let columns = titles.chain(failing.iter().map(|outcome| title(*outcome))).map(str::to_owned).collect();
    let mut rows = Vec::new();
    // Searches and sweeps tell theirs by probe and step.
    for load in document.experiment.load.iter().filter(|load| load.procedure.is_play()) {
        for subject in &document.summary.subjects {
            let cells = document.valid(subject, &load.name);
            let requests = cells.iter().map(|cell| cell.requests).sum::<u64>();
            let all = cells.iter().map(|cell| failed(cell)).sum::<u64>();
            let share = if requests == 0 { 0.0 } else { all as f64 / requests as f64 };
            let mut entries = vec![
                load.name.as_str().into(),
                subject.as_str().into(),
                format::count(requests).into(),
                Entry::with(
                    format::count(all),
                    if all == 0 { String::new() } else { format::percent(share) },
                ),
            ];
            entries.extend(failing.iter().map(|outcome| {
                let of = |cell: &&CellSummary| cell.outcomes.get(outcome.name()).copied().unwrap_or(0);
                format::count(cells.iter().map(of).sum()).into()
            }));
            rows.push(Row { entries, ..Row::default() });
        }
    }
    let caption = "Requests of the VALID trials that did not end with a correct answer, by what went wrong.";
    Table { caption: caption.to_owned(), columns, rows, numeric: true }
}

/// An outcome in words.
pub(in crate::reports) fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "correct",
        Outcome::Connect => "connection",
        Outcome::Timeout => "time-out",
        Outcome::Overload => "announced overload",
        Outcome::Platform => "platform error",
        Outcome::Function => "function error",
        Outcome::WrongAnswer => "wrong answer",
    }
}

/// Every comparison with what carries its verdict.
pub(super) fn comparisons(document: &Document) -> Table {
    let columns = [
        "Load point and metric",
        "Ratio of",
        "Ratio",
        "Interval",
        "p",
        "p, adjusted",
        "Smallest effect",
        "Verdict",
    ];
    let rows = document.summary.comparisons.iter().map(comparison).collect();
    let caption = "Ratio of the contender to the baseline over trials, with its bootstrap interval and the exact \
                   rank test; smallest effect: the smallest difference that this run could have seen (80 % power, \
                   5 % level). p, adjusted: after Holm's correction over the metrics named before the run, and over \
                   all others apart; those others are described, never judged.";
    let columns = columns.map(str::to_owned).into();
    Table { caption: caption.to_owned(), columns, rows, numeric: false }
}

fn comparison(comparison: &Comparison) -> Row {
    let kind = if comparison.primary { "named before the run" } else { "description" };
    let interval = comparison.ratio.map_or_else(
        || format::NONE.into(),
        |interval| {
            Entry::with(
                format!("{} to {}", format::ratio(interval.low), format::ratio(interval.high)),
                format::percent(interval.confidence),
            )
        },
    );
    let verdict = match &comparison.verdict {
        Verdict::Better { subject } => format!("{subject} is better").into(),
        Verdict::CannotTell => "cannot tell".into(),
        Verdict::NoVerdict { reason } => Entry::with("no verdict", reason),
        Verdict::Limited { reason } => Entry::with("a platform's limit", reason),
        Verdict::Described => "described only".into(),
    };
    let better = if comparison.metric.higher_is_better() { "more is better" } else { "less is better" };
    Row::new([
        Entry::with(
            format!("{}: {}", comparison.load, comparison.metric.title()),
            format!("{kind}; {better}"),
        ),
        format!("{} / {}", comparison.contender, comparison.baseline).into(),
        comparison.ratio.map_or_else(|| format::NONE.to_owned(), |r| format::ratio(r.estimate)).into(),
        interval,
        format::p_value(comparison.p_value).into(),
        format::p_value(comparison.p_adjusted).into(),
        comparison.smallest_effect.map_or_else(|| format::NONE.to_owned(), format::percent).into(),
        verdict,
    ])
}

/// What each revision answered, pooled over the VALID trials; none where no traffic was split.
pub(super) fn revisions(document: &Document, load: &str) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let mut pooled: BTreeMap<&str, Vec<&RevisionSummary>> = BTreeMap::new();
        let cells = document.valid(subject, load);
        for found in cells.iter().flat_map(|cell| &cell.by_revision) {
            pooled.entry(&found.revision).or_default().push(found);
        }
        let all: u64 = pooled.values().flatten().map(|r| r.requests).sum();
        for (revision, found) in pooled {
            let requests: u64 = found.iter().map(|r| r.requests).sum();
            let correct: u64 = found.iter().map(|r| r.correct).sum();
            let median = |of: fn(&Quantiles) -> Option<f64>| {
                format::maybe(quantiles::complete(found.iter().filter_map(|r| of(&r.response_ms))).p50)
            };
            rows.push(Row::new([
                format!("{subject}: {revision}").into(),
                format::count(requests).into(),
                format::percent(requests as f64 / all.max(1) as f64).into(),
                format::count(requests - correct).into(),
                median(|q| q.p50).into(),
                median(|q| q.p95).into(),
            ]));
        }
    }
    let columns = ["Revision", "Requests", "Share", "Failed", "Response p50 (ms)", "Response p95 (ms)"];
    let caption = "The same requests by the revision that answered, told by the pod that each answer names. Counts \
                   are pooled over the VALID trials, percentiles are medians over them.";
    let columns = columns.map(str::to_owned).into();
    (!rows.is_empty()).then(|| Table { caption: caption.to_owned(), columns, rows, numeric: true })
}

/// Every cell: whether it counts, why not, what to change; and how the generator fared.
pub(super) fn trials(document: &Document) -> Table {
    let columns = [
        "Cell",
        "Validity",
        "Requests",
        "Goodput (1/s)",
        "Response p95 (ms)",
        "Failed",
        "Late, p99 (ms)",
        "Generator CPU",
        "Cold starts",
    ];
    let mut rows: Vec<Row> =
        document.summary.cells.iter().map(|cell| trial(document, cell, columns.len())).collect();
    let listed = |missing: &MissingCell| {
        let mut cells = document.summary.cells.iter();
        cells.any(|c| (c.trial, &*c.subject, &*c.load) == (missing.trial, missing.subject, missing.load))
    };
    rows.extend(document.missing().iter().filter(|missing| !listed(missing)).map(|cell| {
        let name = format!("trial {}, {}, {}", cell.trial, cell.subject, cell.load);
        absent(name, "the run ended before it", columns.len())
    }));
    let caption = "Every cell, in the order in which they ran. VALID and INVALID speak of the instrument, never of \
                   the platform. Late: how far behind its plan the generator sent. Generator CPU: how busy its \
                   threads were.";
    let caption = [Some(caption.to_owned()), load_workers(document)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    let columns = columns.map(str::to_owned).into();
    Table { caption, columns, rows, numeric: true }
}

/// How many generators drove the load, and how well their clocks were known; none where it was one.
fn load_workers(document: &Document) -> Option<String> {
    let audits = document.cells.iter().filter_map(|cell| cell.meta.audit.as_ref());
    let workers: Vec<_> = audits.flat_map(|audit| &audit.workers).collect();
    let most = workers.iter().map(|worker| worker.number).max()?;
    let uncertain_ms =
        workers.iter().map(|worker| worker.clock_error_ms + worker.clock_drift_ms.unwrap_or(0.0).abs());
    Some(format!(
        "The load came from {most} workers, and their records were merged one by one; their clocks were known within {} \
         ms at worst.",
        format::number(uncertain_ms.fold(0.0, f64::max))
    ))
}

/// The row of a cell without a measurement.
fn absent(name: String, why: &str, columns: usize) -> Row {
    let mut row = Row::new([name.into(), Entry::with("MISSING", why)]);
    row.entries.resize(columns, format::NONE.into());
    row.tone = Tone::Faded;
    row
}

fn trial(document: &Document, cell: &CellSummary, columns: usize) -> Row {
    let sentence = |text: &str| text.trim_end_matches('.').to_owned();
    let problems = cell.validity.problems.iter();
    let problems = problems.map(|p| format!("{}. Remedy: {}.", sentence(&p.reason), sentence(&p.remedy)));
    let problems = problems.collect::<Vec<_>>().join(" ");
    if document.is_missing(cell) {
        return absent(cell.id.clone(), &problems, columns);
    }
    let busy = data(document, &cell.id).and_then(|data| Some(data.meta.audit.as_ref()?.cpu_share));
    let p95 = format::maybe(cell.response_ms.p95);
    let bound = if is_lower_bound(&cell.response_ms, "p95") { ">= " } else { "" };
    let plain = |is_plain: bool, text: String| if is_plain { text } else { format::NONE.to_owned() };
    let mut row = Row::new([
        cell.id.as_str().into(),
        Entry::with(cell.validity.word(), problems),
        format::count(cell.requests).into(),
        plain(cell.outcome.is_none(), format::number(cell.goodput_rps)).into(),
        format!("{bound}{p95}").into(),
        plain(cell.outcome.is_none(), format::count(failed(cell))).into(),
        format::maybe(cell.lateness_ms.p99).into(),
        busy.map_or_else(|| format::NONE.to_owned(), format::percent).into(),
        format::count(cell.cold_starts).into(),
    ]);
    if !cell.validity.is_valid() {
        row.tone = Tone::Faded;
    }
    row
}

fn data<'a>(document: &Document<'a>, cell_id: &str) -> Option<&'a CellDigest> {
    document.cells.iter().find(|data| data.meta.cell.id == cell_id)
}

/// What must be known of single cells: the platform's behaviour, states, damaged files.
pub(super) fn remarks(document: &Document) -> Vec<String> {
    let mut out = Vec::new();
    for cell in &document.summary.cells {
        out.extend(cell.remarks.iter().map(|remark| format!("{}: {remark}", cell.id)));
    }
    for cell in document.cells {
        let id = &cell.meta.cell.id;
        match &cell.meta.state {
            CellState::Done => (),
            CellState::Running => out.push(format!("{id}: it had begun and was cut off before its end")),
            CellState::Interrupted => out.push(format!("{id}: stopped by the user")),
            CellState::Failed(why) => out.push(format!("{id}: could not be measured: {why}")),
        }
        out.extend(cell.damage.iter().map(|damage| format!("{id}: {damage}")));
        let lost = cell.meta.audit.as_ref().and_then(|audit| audit.write_error.as_deref());
        out.extend(lost.map(|error| format!("{id}: records were lost: {error}")));
    }
    out
}

/// The environment, one fact a row.
pub(super) fn environment(document: &Document) -> Table {
    let mut rows = Vec::new();
    flatten("", document.environment, &mut rows);
    let columns = ["Fact", "Value"].map(str::to_owned).into();
    Table { caption: "Where and with what this was measured.".to_owned(), columns, rows, numeric: false }
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<Row>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let leaf = |text: String| Row::new([path.into(), text.into()]);
    match value {
        Value::Null => rows.push(leaf(format::NONE.to_owned())),
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&below(key), value, rows)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(i, item)| flatten(&below(&i.to_string()), item, rows));
        }
        Value::Array(items) => rows.push(leaf(items.iter().map(plain).collect::<Vec<_>>().join(", "))),
        single => rows.push(leaf(plain(single))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
