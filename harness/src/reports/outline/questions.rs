//! What a built-in question adds to its load point: the tables of searches and sweeps, their plots aside.

use super::{Block, Entry, Row, Table, Tone};
use crate::{
    analyse::{capacity::Held, quantiles, summary::CellSummary},
    experiment::{LoadPoint, Procedure},
    outcome::{CapacityOutcome, ConcurrencyOutcome, PartFigures, ProcedureOutcome, capacity::Probe},
    reports::{Document, format, plots},
};

/// The tables of a load point whose cells are more than one load, or sweep something.
pub(super) fn blocks(document: &Document, load: &LoadPoint) -> Vec<Block> {
    match &load.procedure {
        Procedure::Capacity { .. } => {
            vec![Block::Table(capacities(document, load)), Block::Table(probes(document, load))]
        }
        Procedure::Concurrency { .. } => vec![Block::Table(steps(document, load))],
        _ => sizes(document, load).map(Block::Table).into_iter().collect(),
    }
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn search(cell: &CellSummary) -> Option<&CapacityOutcome> {
    match &cell.outcome {
        Some(ProcedureOutcome::Capacity(found)) => Some(found),
        _ => None,
    }
}

fn sweep(cell: &CellSummary) -> Option<&ConcurrencyOutcome> {
    match &cell.outcome {
        Some(ProcedureOutcome::Concurrency(found)) => Some(found),
        _ => None,
    }
}

/// The capacity of each trial.
fn capacities(document: &Document, load: &LoadPoint) -> Table {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        for cell in document.summaries(subject, &load.name) {
            let Some(found) = search(cell) else { continue };
            let mut row = Row::new([
                format!("{subject}, trial {}", cell.trial).into(),
                Entry::with(
                    found.capacity_rps().map_or_else(|| format::NONE.to_owned(), format::setting),
                    found.stopped.clone().unwrap_or_default(),
                ),
                found.high_rps.map_or_else(|| format::NONE.to_owned(), format::setting).into(),
                found.probes.len().to_string().into(),
                cell.validity.word().into(),
            ]);
            if !cell.validity.is_valid() {
                row.tone = Tone::Faded;
            }
            rows.push(row);
        }
    }
    let caption = format!(
        "{}: what each search found. Held: the highest Poisson rate at which the service level was shown to hold, at \
         95 % confidence a probe; not held: the lowest at which it was not. The capacity is the first of them; what \
         is between is not known.",
        load.name
    );
    let columns = columns(&["Search", "Held (requests/s)", "Not held (requests/s)", "Probes", "Validity"]);
    Table { caption, columns, rows, numeric: true }
}

/// Every probe, by rate: the curve as figures.
fn probes(document: &Document, load: &LoadPoint) -> Table {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let cells = document.summaries(subject, &load.name);
        let mut found: Vec<(u32, &Probe)> = cells
            .iter()
            .filter_map(|cell| Some((cell.trial, search(cell)?)))
            .flat_map(|(trial, search)| search.probes.iter().map(move |probe| (trial, probe)))
            .collect();
        found.sort_by(|a, b| a.1.rate_rps.total_cmp(&b.1.rate_rps));
        rows.extend(found.into_iter().map(|(trial, probe)| {
            let word = match (probe.for_curve, probe.held) {
                (true, _) => "curve only",
                (_, Held::Yes) => "held",
                (_, Held::No) => "not held",
                (_, Held::Undecided) => "undecided",
            };
            let times = &probe.part.response_ms;
            Row::new([
                format!("{subject}, trial {trial}").into(),
                format::setting(probe.rate_rps).into(),
                Entry::with(word, if probe.abandoned { "given up early" } else { "" }),
                format::count(probe.evidence.requests).into(),
                format::count(probe.evidence.slow).into(),
                format::count(probe.evidence.failed).into(),
                format::maybe(times.p50).into(),
                format::maybe(times.p95).into(),
                format::maybe(times.p99).into(),
            ])
        }));
    }
    let caption = format!(
        "{}: every probe, by rate. Too slow: requests beyond the limit, also those that were unanswered when it had \
         passed.",
        load.name
    );
    let columns = columns(&[
        "Probe",
        "Rate (requests/s)",
        "Service level",
        "Requests",
        "Too slow",
        "Failed",
        "p50 (ms)",
        "p95 (ms)",
        "p99 (ms)",
    ]);
    Table { caption, columns, rows, numeric: true }
}

/// Throughput and response time by number of connections.
fn steps(document: &Document, load: &LoadPoint) -> Table {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let cells = document.valid(subject, &load.name);
        let sweeps: Vec<&ConcurrencyOutcome> = cells.iter().filter_map(|cell| sweep(cell)).collect();
        let mut numbers: Vec<u32> = sweeps.iter().flat_map(|s| &s.steps).map(|s| s.connections).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for connections in numbers {
            let parts = || {
                let steps = sweeps.iter().flat_map(|sweep| &sweep.steps);
                steps.filter(|step| step.connections == connections).map(|step| &step.part)
            };
            let median = |of: fn(&PartFigures) -> Option<f64>| {
                format::maybe(quantiles::complete(parts().filter_map(of)).p50)
            };
            let (failed, all) = parts().fold((0, 0), |sum, p| (sum.0 + p.failed, sum.1 + p.requests));
            rows.push(Row::new([
                format!("{subject}, {connections}").into(),
                median(|p| Some(p.goodput_rps)).into(),
                median(|p| p.response_ms.p50).into(),
                median(|p| p.response_ms.p95).into(),
                format::part(failed, all).into(),
            ]));
        }
    }
    let caption = format!(
        "{}: medians over the VALID trials, by number of connections; failures are pooled. The metric that is judged \
         is the highest goodput of a trial's sweep.",
        load.name
    );
    let columns = columns(&[
        "Subject, connections",
        "Goodput (correct answers/s)",
        "Response p50 (ms)",
        "Response p95 (ms)",
        "Failures",
    ]);
    Table { caption, columns, rows, numeric: true }
}

/// Response time by size of the body, and the line through it; none where no sizes were swept.
fn sizes(document: &Document, load: &LoadPoint) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let cells = document.valid(subject, &load.name);
        let mut all: Vec<u64> = cells.iter().flat_map(|c| &c.by_size).map(|size| size.bytes).collect();
        all.sort_unstable();
        all.dedup();
        for bytes in all {
            let of_size = || cells.iter().flat_map(|c| &c.by_size).filter(|size| size.bytes == bytes);
            let requests: u64 = of_size().map(|size| size.requests).sum();
            let correct: u64 = of_size().map(|size| size.correct).sum();
            let p50 = quantiles::complete(of_size().filter_map(|size| size.response_ms.p50)).p50;
            let p95 = quantiles::complete(of_size().filter_map(|size| size.response_ms.p95)).p50;
            rows.push(Row::new([
                format!("{subject}, {}", format::bytes(bytes)).into(),
                format::count(requests).into(),
                format::count(requests - correct).into(),
                format::maybe(p50).into(),
                format::maybe(p95).into(),
            ]));
        }
        if let Some(fit) = plots::middle_fit(&cells) {
            rows.push(Row {
                tone: Tone::Marked,
                ..Row::new([
                    format!("{subject}, fitted line").into(),
                    format::NONE.into(),
                    format::NONE.into(),
                    Entry::with(format::number(fit.intercept_ms), "of no bytes"),
                    Entry::with(format!("+ {}", format::number(fit.ms_per_mib)), "p50, each MiB"),
                ])
            });
        }
    }
    let caption = format!(
        "{}: response time by size of the request's body, medians over the VALID trials. The fitted line through the \
         medians weighs relative distances, so that small bodies count as much as large ones.",
        load.name
    );
    let columns = columns(&["Subject, body", "Requests", "Failed", "Response p50 (ms)", "Response p95 (ms)"]);
    (!rows.is_empty()).then_some(Table { caption, columns, rows, numeric: true })
}
