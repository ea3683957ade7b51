//! How long an idle instance lives, a dot a trial.

use super::{
    Document, Picture,
    strips::{Strip, Strips, Value},
};
use crate::experiment::LoadPoint;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let row = |(i, subject): (usize, &String)| {
        let cells = document.summaries(subject, &load.name);
        let value = |cell: &&crate::analyse::summary::CellSummary| {
            let eviction = cell.eviction()?;
            Some(Value {
                at: eviction.value_s()?,
                at_least: eviction.at_least,
                valid: cell.validity.is_valid(),
            })
        };
        Strip { label: subject.clone(), subject: i, values: cells.iter().filter_map(value).collect() }
    };
    Strips {
        title: format!("Life of an idle instance, {}", load.name),
        subtitle: "From the last answer until no replica was ready; the replicas were watched and not asked."
            .to_owned(),
        axis: "time without a request (s)".to_owned(),
        unit: "s",
        dot: "one trial",
        rows: document.summary.subjects.iter().enumerate().map(row).collect(),
        notes: Vec::new(),
        twin: document.summary.twin,
    }
    .draw()
}
