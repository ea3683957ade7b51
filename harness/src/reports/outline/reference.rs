//! The published study beside this run: its figures, ours, and what differs.

use super::{Block, Entry, Row, Table};
use crate::{
    analyse::summary::CellSummary,
    experiment::Question,
    platforms::PlatformKind,
    reports::{Document, format, plots},
};

/// What the study published for one platform.
struct Published {
    requests_per_s: f64,
    mean_latency_s: f64,
    /// Of 6000, as stated.
    failed: u64,
    transfer_kb_per_s: f64,
}

const KNATIVE: Published =
    Published { requests_per_s: 100.39, mean_latency_s: 1.28, failed: 62, transfer_kb_per_s: 24.42 };
const OPENFAAS: Published =
    Published { requests_per_s: 83.50, mean_latency_s: 1.08, failed: 525, transfer_kb_per_s: 41.39 };
/// Requests that the study says it sent to each.
const STATED_REQUESTS: u64 = 6000;

/// What the study's own files show to differ between its two sides, and between it and this run.
const DIFFERENCES: [&str; 9] = [
    "Bodies: the study sent Knative a PNG of 1,615,819 bytes (800 x 800) as a multipart form, and OpenFaaS a JPEG of \
     2,715 bytes (174 x 148) as it is: 595 times apart. Here both get the same bytes.",
    "Answers: Knative's had the top class, OpenFaaS's the top five, so that the transfer rates (about 249 and 508 \
     bytes an answer) measure JSON and no platform. Here both give the same answer.",
    "Servers: Flask's development server in debug mode on one side, waitress behind the of-watchdog on the other; a \
     CloudEvent was posted within each Knative request. Here both run the same function, ours, in Rust.",
    "Load: rate times latency makes about 129 requests in flight on Knative and 90 on OpenFaaS, so the two runs had \
     different settings, which are not told; and 6000 requests fit neither. Here both get the same number of \
     connections, between the two.",
    "Failures: fast errors went into the study's means. Here goodput counts correct answers alone, and times are \
     those of correct answers and time-outs.",
    "Runs: one of each, no percentiles, no repetition. Here several trials, interleaved, each on fresh replicas.",
    "Resources, replicas and versions are not told by the study. Here they are pinned and in this report.",
    "Not reproduced: its hardware (three CloudLab nodes), its network (Istio, MetalLB), its Python function and \
     TensorFlow, wrk's own way of measuring, and its two different payloads.",
    "A closed loop slows down with the server that it measures: neither its figures nor ours tell how long users \
     would wait under a given load. The question 'capacity' does.",
];

/// The section's content; none where another question was asked.
pub(super) fn blocks(document: &Document) -> Option<Vec<Block>> {
    if document.experiment.question != Some(Question::Reference) {
        return None;
    }
    let load = &document.experiment.load.first()?.name;
    let rows = document.experiment.subjects.iter().filter_map(|subject| {
        let published = match subject.platform {
            PlatformKind::Knative => KNATIVE,
            PlatformKind::OpenFaas => OPENFAAS,
            _ => return None,
        };
        Some(rows(&subject.label, &published, &document.valid(&subject.label, load)))
    });
    let rows: Vec<Row> = rows.flatten().collect();
    let table = Table {
        caption: "The published figures beside this run's (mean over the VALID trials, with the range). They may not \
                  be compared with each other as if one thing differed: the list below says what does."
            .to_owned(),
        columns: ["", "Published", "This run"].map(str::to_owned).into(),
        rows,
        numeric: true,
    };
    let intro = "The study concluded that Knative handles about 20 % more requests per second than OpenFaaS. What its \
                 own files show makes that a difference of two set-ups, not of two platforms.";
    Some(vec![
        Block::Text(intro.to_owned()),
        Block::Table(table),
        Block::Text("What differs:".to_owned()),
        Block::List(DIFFERENCES.map(str::to_owned).into()),
    ])
}

fn rows(subject: &str, published: &Published, cells: &[&CellSummary]) -> [Row; 5] {
    let row = |what: &str, theirs: String, ours: Entry| {
        Row::new([format!("{subject}: {what}").into(), theirs.into(), ours])
    };
    let share = |part: u64, all: u64| format::percent(part as f64 / all.max(1) as f64);
    let requests = cells.iter().map(|cell| cell.requests).sum();
    let failed = cells.iter().map(|cell| super::failed(cell)).sum();
    [
        row(
            "answers a second",
            format!("{}", published.requests_per_s),
            spread(cells, |cell| Some(cell.achieved_rps)),
        ),
        row("correct answers a second", format::NONE.to_owned(), spread(cells, |c| Some(c.goodput_rps))),
        row(
            "mean latency from the send (ms)",
            format::number(published.mean_latency_s * 1e3),
            spread(cells, |cell| cell.service_ms.mean),
        ),
        row("failed", share(published.failed, STATED_REQUESTS), share(failed, requests).into()),
        row(
            "answers' bytes (KB/s)",
            format!("{}", published.transfer_kb_per_s),
            spread(cells, |cell| Some(cell.download_bytes_per_s / 1e3)),
        ),
    ]
}

/// Mean over the trials, with the range.
fn spread(cells: &[&CellSummary], value: fn(&CellSummary) -> Option<f64>) -> Entry {
    let values: Vec<f64> = cells.iter().filter_map(|cell| value(cell)).collect();
    let Some((low, high)) = plots::extent(values.iter().copied()) else { return format::NONE.into() };
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Entry::with(format::number(mean), format!("{} to {}", format::number(low), format::number(high)))
}
