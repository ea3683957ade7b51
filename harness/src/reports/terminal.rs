//! The compact table at the end of a run: the verdicts and a few columns, for a screen of any width.

use std::fmt::Write;

use super::{Document, format, outline};
use crate::{
    analyse::{
        summary::{CellSummary, Quantiles},
        value_of,
    },
    experiment::LoadPoint,
};

/// Narrower than this nothing is legible; it is the least width that is used.
const NARROWEST: usize = 40;
/// Characters of a single figure's title.
const MOST_OF_A_TITLE: usize = 16;
/// Between columns.
const GAP: &str = "  ";

/// A column: its title, and its value of a subject's VALID cells.
type Column = (&'static str, fn(&[&CellSummary]) -> String);

/// From the most to the least important: those at the end go first where the screen is narrow.
const COLUMNS: [Column; 6] = [
    ("goodput/s", |cells| mean(cells, |c| Some(c.goodput_rps), None)),
    ("p95 ms", |cells| mean(cells, |c| c.response_ms.p95, Some("p95"))),
    ("failed", |cells| {
        let requests = cells.iter().map(|c| c.requests).sum::<u64>();
        let failed = cells.iter().map(|c| outline::failed(c)).sum::<u64>();
        if requests == 0 { format::NONE.to_owned() } else { format::percent(failed as f64 / requests as f64) }
    }),
    ("p50 ms", |cells| mean(cells, |c| c.response_ms.p50, Some("p50"))),
    ("p99 ms", |cells| mean(cells, |c| c.response_ms.p99, Some("p99"))),
    ("replicas", |cells| mean(cells, |c| Some(c.replicas?.mean), None)),
];

/// Renders the end-of-run summary, no line wider than `width` characters (at least 40).
pub fn table(document: &Document, width: usize) -> String {
    let width = width.max(NARROWEST);
    let mut out = String::new();
    for warning in outline::warnings(document) {
        push_wrapped(&mut out, &format!("! {warning}"), "  ", width);
    }
    for load in &document.experiment.load {
        out.push('\n');
        let what =
            if load.procedure.is_play() { format::arrivals(&load.arrivals) } else { format::load(load) };
        push_wrapped(&mut out, &format!("{}: {what}", load.name), "  ", width);
        push_rows(&mut out, document, load, width);
    }
    out.push('\n');
    let verdicts = outline::verdicts(document);
    if verdicts.is_empty() {
        push_wrapped(&mut out, &outline::without_verdict(document), "", width);
    }
    for verdict in verdicts {
        push_wrapped(&mut out, &format!("{}: {}", verdict.load, verdict.sentence), "  ", width);
    }
    for result in &document.summary.thresholds {
        push_wrapped(&mut out, &format!("threshold {}", result.line()), "  ", width);
    }
    for cell in document.summary.cells.iter().filter(|cell| !cell.validity.is_valid()) {
        let reasons: Vec<_> =
            cell.validity.problems.iter().map(|p| format!("{} ({})", p.reason, p.remedy)).collect();
        push_wrapped(&mut out, &format!("INVALID {}: {}", cell.id, reasons.join("; ")), "  ", width);
    }
    out
}

fn push_rows(out: &mut String, document: &Document, load: &LoadPoint, width: usize) {
    let subjects = &document.summary.subjects;
    let mut columns: Vec<Vec<String>> =
        vec![std::iter::once(String::new()).chain(subjects.iter().cloned()).collect()];
    let valid: Vec<_> = subjects.iter().map(|subject| document.valid(subject, &load.name)).collect();
    let trials = valid.iter().map(|cells| format!("{}/{}", cells.len(), document.experiment.trials));
    let trials: Vec<_> = std::iter::once("valid".to_owned()).chain(trials).collect();
    if load.procedure.is_play() {
        for (title, value) in COLUMNS {
            let values = valid.iter().map(|cells| value(cells));
            columns.push(std::iter::once(title.to_owned()).chain(values).collect());
        }
    } else {
        // A search or a sweep has one figure, and it is none of the usual ones.
        let metric = load.primary_metric;
        let figure = |cells: &[&CellSummary]| mean_of(cells, |cell| value_of(cell, metric));
        let values = valid.iter().map(|cells| figure(cells));
        let title = metric.title().split(" (").next().unwrap_or_default();
        columns.push(std::iter::once(cut(title, MOST_OF_A_TITLE)).chain(values).collect());
    }
    columns.push(trials);

    // Names may take what the first numbers leave; then columns go from the right, 'valid' last of all.
    let wide = |column: &[String]| column.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let least: usize =
        columns.iter().skip(1).take(3).chain(columns.last()).map(|c| wide(c) + GAP.len()).sum();
    let names = wide(&columns[0]).min(width.saturating_sub(least).max(8));
    for name in &mut columns[0] {
        *name = cut(name, names);
    }
    while columns.len() > 3
        && columns.iter().map(|c| wide(c)).sum::<usize>() + GAP.len() * (columns.len() - 1) > width
    {
        columns.remove(columns.len() - 2);
    }
    for line in 0..=subjects.len() {
        let mut text = format!("{:<1$}", columns[0][line], wide(&columns[0]));
        for column in &columns[1..] {
            let _ = write!(text, "{GAP}{:>1$}", column[line], wide(column));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

fn mean_of(cells: &[&CellSummary], value: impl Fn(&CellSummary) -> Option<f64>) -> String {
    let values: Vec<f64> = cells.iter().filter_map(|cell| value(cell)).collect();
    if values.is_empty() {
        return format::NONE.to_owned();
    }
    format::number(values.iter().sum::<f64>() / values.len() as f64)
}

fn mean(cells: &[&CellSummary], value: fn(&CellSummary) -> Option<f64>, percentile: Option<&str>) -> String {
    let values: Vec<f64> = cells.iter().filter_map(|cell| value(cell)).collect();
    if values.is_empty() {
        return format::NONE.to_owned();
    }
    let bound = |q: &Quantiles| percentile.is_some_and(|name| outline::is_lower_bound(q, name));
    let sign = if cells.iter().any(|cell| bound(&cell.response_ms)) { ">= " } else { "" };
    format!("{sign}{}", format::number(values.iter().sum::<f64>() / values.len() as f64))
}

fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let tail: Vec<char> = name.chars().rev().take(width / 3).collect();
    let head = name.chars().take(width - tail.len() - 1);
    head.chain(['…']).chain(tail.into_iter().rev()).collect()
}

/// Appends text in lines of at most `width` characters, all but the first indented.
fn push_wrapped(out: &mut String, text: &str, indent: &str, width: usize) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(line.trim_end());
            out.push('\n');
            indent.clone_into(&mut line);
        } else if !line.is_empty() {
            line.push(' ');
        }
        // A word wider than the screen is broken rather than lost.
        while line.chars().count() + word.chars().count() > width {
            let room = width - line.chars().count();
            let at = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
            let _ = writeln!(out, "{line}{}", &word[..at]);
            word = &word[at..];
            indent.clone_into(&mut line);
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}
