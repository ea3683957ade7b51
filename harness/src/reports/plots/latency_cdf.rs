//! Distribution of response times at a load point: bold for all VALID trials of a subject together,
//! thin for each trial. Every further nine has the same room, so that the tail can be read.

use std::fmt::Write;

use super::{
    Content, Document, Ink, Picture, all_data,
    axis::{Axis, nines},
    canvas::{Area, PANEL_LEFT, PANEL_RIGHT, Sheet, Stroke},
    extent, faded_note, legend, load_words, series, subtitle,
};
use crate::{analyse::times::Times, experiment::LoadPoint, reports::format};

const BODY: f64 = 420.0;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let subjects = document.summary.subjects.iter().enumerate();
    let curves: Vec<(usize, Vec<Trial>)> = subjects
        .map(|(i, subject)| (i, document.data(subject, &load.name)))
        .map(|(i, data)| {
            (i, data.into_iter().map(|(data, valid)| Trial { valid, times: &data.records.times }).collect())
        })
        .collect();
    let ends = curves.iter().flat_map(|(_, trials)| trials).flat_map(|trial| {
        let points = series::cdf(trial.times);
        [points.first().copied(), points.last().copied()].into_iter().flatten().map(|(ms, _)| ms)
    });
    let Some((low, high)) = extent(ends) else { return Ok(None) };
    let pooled: Vec<(usize, Times)> = curves
        .iter()
        .map(|(i, trials)| {
            let mut all = Times::default();
            trials.iter().filter(|trial| trial.valid).for_each(|trial| all.merge(trial.times));
            (*i, all)
        })
        .collect();
    let most = pooled.iter().map(|(_, times)| times.count()).chain(std::iter::once(2)).max().unwrap_or(2);

    let title = format!("Response times, {}", load.name);
    let mut notes: Vec<String> = faded_note(&all_data(document, load)).into_iter().collect();
    let timeouts =
        curves.iter().flat_map(|(_, trials)| trials).map(|trial| trial.times.censored()).sum::<u64>();
    if timeouts > 0 {
        notes.push(format!(
            "{} given up at the deadline are drawn there; their true times are at least that long.",
            format::plural(timeouts as usize, "request")
        ));
    }
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(
            load,
            "Share of requests answered within a time; each further nine has equal room.",
        ),
        legend: legend(document, load, "single trials"),
        body_height: BODY,
        notes,
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let area = Area {
            left: PANEL_LEFT + 14.0,
            top: canvas.top + 34.0,
            right: PANEL_RIGHT,
            bottom: canvas.top + BODY - 52.0,
        };
        let x = (Axis::positive(low, high, 6), "response time (ms)");
        let y = (Axis::tail(nines(1.0 - 1.0 / most as f64) + 0.1), "share of requests");
        let panel = canvas.panel(area, x, y)?;
        for (i, trials) in &curves {
            for trial in trials {
                panel.line(&curve(trial.times), Stroke::trial(Ink::Subject(*i), trial.valid))?;
            }
        }
        for (i, times) in &pooled {
            panel.line(&curve(times), Stroke::bold(Ink::Subject(*i)))?;
        }
        Ok(())
    })?;
    Ok(Some(Content { alt: alt(document, load), title, svg }))
}

/// What is drawn of one trial: the same requests as in the tables.
struct Trial<'a> {
    valid: bool,
    times: &'a Times,
}

/// Steps of a distribution; beyond the largest value lies nothing, which has no place on a
/// logarithmic scale, so that it stands at the height of the second largest.
fn curve(times: &Times) -> Vec<(f64, f64)> {
    let highest = nines(1.0 - 1.0 / times.count().max(1) as f64);
    let mut points = Vec::new();
    let mut reached = 0.0;
    for (ms, share) in series::cdf(times) {
        points.push((ms, reached));
        reached = nines(share).min(highest);
        points.push((ms, reached));
    }
    points
}

fn alt(document: &Document, load: &LoadPoint) -> String {
    let mut text = format!("Distribution of response times under {}.", load_words(load));
    for subject in &document.summary.subjects {
        let cells = document.valid(subject, &load.name);
        let mean = |value: fn(&crate::analyse::summary::Quantiles) -> Option<f64>| {
            let values: Vec<f64> = cells.iter().filter_map(|cell| value(&cell.response_ms)).collect();
            format::maybe((!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64))
        };
        let (p50, p95, p99) = (mean(|q| q.p50), mean(|q| q.p95), mean(|q| q.p99));
        let _ = write!(text, " {subject}: median {p50} ms, p95 {p95} ms, p99 {p99} ms.");
    }
    text
}
