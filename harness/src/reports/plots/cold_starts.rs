//! Cold starts: every proved start beside the same request warm, and beside fresh deployments, which
//! are something else and have rows of their own.

use super::{
    Document, Picture,
    strips::{Strip, Strips, Value},
};
use crate::{analyse::summary::CellSummary, experiment::LoadPoint};

/// What one cell contributes to a row, ms.
type Values = fn(&CellSummary) -> Vec<f64>;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let subjects = &document.summary.subjects;
    let mut rows = Vec::new();
    let kinds: [(&str, Values); 3] =
        [("cold start from zero", cold), ("the same request, warm", warm), ("fresh deployment", deployment)];
    for (kind, values) in kinds {
        for (i, subject) in subjects.iter().enumerate() {
            let cells = document.summaries(subject, &load.name);
            let of = |cell: &&CellSummary| {
                let valid = cell.validity.is_valid();
                values(cell)
                    .into_iter()
                    .map(move |at| Value { at, at_least: false, valid })
                    .collect::<Vec<_>>()
            };
            rows.push(Strip {
                label: format!("{subject}, {kind}"),
                subject: i,
                values: cells.iter().flat_map(of).collect(),
            });
        }
    }
    let any =
        subjects.iter().flat_map(|s| document.summaries(s, &load.name)).any(|c| c.cold_start().is_some());
    if !any {
        return Ok(None);
    }
    Strips {
        title: format!("Cold starts, {}", load.name),
        subtitle: "From the intended send to the answer; a fresh deployment counts from the deploy call.".to_owned(),
        axis: "time to the answer (ms)".to_owned(),
        unit: "ms",
        dot: "one start, or one trial's warm median",
        rows,
        notes: vec![
            "A cold start from zero is proved: no replica was left, and a new process gave its first answer. A fresh \
             deployment is another thing and is never compared with it."
                .to_owned(),
        ],
        twin: document.summary.twin,
    }
    .draw()
}

fn cold(cell: &CellSummary) -> Vec<f64> {
    cell.cold_start().map(|c| c.proved().map(|start| start.response_ms).collect()).unwrap_or_default()
}

fn warm(cell: &CellSummary) -> Vec<f64> {
    cell.cold_start().and_then(crate::analyse::cold::ColdStarts::warm_median_ms).into_iter().collect()
}

fn deployment(cell: &CellSummary) -> Vec<f64> {
    cell.cold_start().filter(|_| cell.ready_after_ms > 0.0).map(|_| cell.ready_after_ms).into_iter().collect()
}
