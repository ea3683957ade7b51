//! The table that most people read alone: one load point, a row a quantity, a column a subject.

use super::{Entry, Row, Table};
use crate::{
    analyse::summary::{CellSummary, Quantiles},
    record::Outcome,
    reports::{Document, format},
};

/// Reads one percentile out of [`Quantiles`].
type Pick = fn(&Quantiles) -> Option<f64>;

/// Percentiles that are shown, as in `Quantiles::lower_bounds`.
const PERCENTILES: [(&str, Pick); 5] =
    [("p50", |q| q.p50), ("p90", |q| q.p90), ("p95", |q| q.p95), ("p99", |q| q.p99), ("p99.9", |q| q.p99_9)];

/// The headline table of a load point.
pub(super) fn table(document: &Document, load: &str) -> Table {
    let subjects = &document.summary.subjects;
    let valid: Vec<_> = subjects.iter().map(|subject| document.valid(subject, load)).collect();
    let row = |title: &str, entry: &dyn Fn(&[&CellSummary]) -> Entry| {
        let entries = std::iter::once(title.into()).chain(valid.iter().map(|cells| entry(cells))).collect();
        Row { entries, ..Row::default() }
    };

    let mut rows = vec![
        row("Goodput (correct answers/s)", &|cells| pooled(cells, |c| Some(c.goodput_rps), format::number)),
        row("Achieved rate (answers/s)", &|cells| pooled(cells, |c| Some(c.achieved_rps), format::number)),
    ];
    let offered: fn(&CellSummary) -> Option<f64> = |c| c.offered_rps;
    if valid.iter().flatten().any(|cell| cell.offered_rps.is_some()) {
        rows.push(row("Offered rate (requests/s)", &|cells| pooled(cells, offered, format::number)));
    }
    for (name, pick) in PERCENTILES {
        rows.push(row(&format!("Response time {name} (ms)"), &|cells| {
            percentile(cells, |cell| &cell.response_ms, name, pick)
        }));
    }
    for (name, pick) in PERCENTILES.into_iter().filter(|(name, _)| !["p90", "p99.9"].contains(name)) {
        rows.push(row(&format!("Service time {name} (ms)"), &|cells| {
            percentile(cells, |cell| &cell.service_ms, name, pick)
        }));
    }
    rows.push(row("Failures", &failures));
    rows.push(row("Sent to it (KiB/s)", &|cells| pooled(cells, |c| Some(c.upload_bytes_per_s), kibibytes)));
    rows.push(row("Received from it (KiB/s)", &|cells| {
        pooled(cells, |c| Some(c.download_bytes_per_s), kibibytes)
    }));
    rows.push(row("Replicas (ready)", &|cells| pooled(cells, |c| Some(c.replicas?.mean), format::number)));
    rows.push(row("CPU of the replicas (s)", &|cells| pooled(cells, |c| c.cpu_seconds, format::number)));
    rows.push(row("CPU of the data plane (s)", &|cells| {
        pooled(cells, |c| c.plane_cpu_seconds, format::number)
    }));
    rows.push(row("Memory of the replicas (MiB)", &|cells| {
        pooled(cells, |c| Some(c.memory_bytes?.mean), format::mebibytes)
    }));
    rows.push(row("Ready after deployment (ms)", &|cells| {
        pooled(cells, |c| Some(c.ready_after_ms), format::number)
    }));
    rows.push(row("VALID trials", &|cells| {
        format!("{} of {}", cells.len(), document.experiment.trials).as_str().into()
    }));

    let columns = std::iter::once("").chain(subjects.iter().map(String::as_str)).map(str::to_owned).collect();
    let caption = format!(
        "{load}: mean over the VALID trials, with the smallest and the largest trial. '>=' marks a percentile \
         that falls on requests given up at the deadline: the true one is at least this."
    );
    Table { caption, columns, rows, numeric: true }
}

/// Mean over the trials, with the range.
fn pooled(
    cells: &[&CellSummary],
    value: impl Fn(&CellSummary) -> Option<f64>,
    text: fn(f64) -> String,
) -> Entry {
    let values: Vec<f64> = cells.iter().filter_map(|cell| value(cell)).collect();
    spread(&values, text)
}

fn spread(values: &[f64], text: fn(f64) -> String) -> Entry {
    let Some((low, high)) = crate::reports::plots::extent(values.iter().copied()) else {
        return format::NONE.into();
    };
    let mean = text(values.iter().sum::<f64>() / values.len() as f64);
    let (low, high) = (text(low), text(high));
    let range = if low == high { String::new() } else { format!("{low}–{high}") };
    Entry::with(mean, range)
}

fn percentile(
    cells: &[&CellSummary],
    of: fn(&CellSummary) -> &Quantiles,
    name: &str,
    pick: fn(&Quantiles) -> Option<f64>,
) -> Entry {
    let mut entry = pooled(cells, |cell| pick(of(cell)), format::number);
    if cells.iter().any(|cell| is_lower_bound(of(cell), name)) {
        entry.main.insert_str(0, ">= ");
    }
    if entry.main == format::NONE && name == "p99.9" && !cells.is_empty() {
        entry.detail = Some("fewer than ten requests beyond it".to_owned());
    }
    entry
}

/// Whether this percentile is only known to be at least its value.
pub(in crate::reports) fn is_lower_bound(quantiles: &Quantiles, name: &str) -> bool {
    let plain = |name: &str| name.replace(['.', '_'], "");
    quantiles.lower_bounds.iter().any(|bound| plain(bound) == plain(name))
}

fn failures(cells: &[&CellSummary]) -> Entry {
    let requests = cells.iter().map(|cell| cell.requests).sum();
    let failed = cells.iter().map(|cell| failed(cell)).sum();
    format::part(failed, requests).as_str().into()
}

/// Requests of a cell that did not end well.
pub(in crate::reports) fn failed(cell: &CellSummary) -> u64 {
    cell.outcomes.iter().filter(|(name, _)| *name != Outcome::Ok.name()).map(|(_, count)| count).sum()
}

fn kibibytes(bytes: f64) -> String {
    format::number(bytes / 1024.0)
}
