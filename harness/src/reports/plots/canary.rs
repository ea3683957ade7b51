//! Revisions that share one stream of requests: the 95th percentile of each in every trial.

use super::{
    Document, Picture,
    strips::{Strip, Strips, Value},
};
use crate::experiment::LoadPoint;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let mut rows: Vec<Strip> = Vec::new();
    for subject in &document.summary.subjects {
        for cell in document.summaries(subject, &load.name) {
            for revision in &cell.by_revision {
                let Some(p95) = revision.response_ms.p95 else { continue };
                let value = Value {
                    at: p95,
                    at_least: revision.response_ms.lower_bounds.iter().any(|bound| bound == "p95"),
                    valid: cell.validity.is_valid(),
                };
                let label = format!("{subject}: {}", revision.revision);
                match rows.iter_mut().find(|row| row.label == label) {
                    Some(row) => row.values.push(value),
                    None => rows.push(Strip { label, subject: rows.len(), values: vec![value] }),
                }
            }
        }
    }
    rows.sort_by(|a, b| a.label.cmp(&b.label));
    Strips {
        title: format!("Response time by revision, {}", load.name),
        subtitle: "p95 of each revision in each trial, from one stream of requests.".to_owned(),
        axis: "p95 response time (ms)".to_owned(),
        unit: "ms",
        dot: "one trial",
        rows,
        notes: Vec::new(),
        twin: document.summary.twin,
    }
    .draw()
}
