//! Replicas over time, a panel a subject: what was ready, and what the platform wanted.

use super::{
    Content, Document, Ink, Picture, all_data,
    axis::Axis,
    canvas::{Key, Sample, Sheet, Stroke},
    end_s, faded_note, legend, load_words, series, stacked, subtitle,
};
use crate::experiment::LoadPoint;

const PANEL: f64 = 110.0;
const GAP: f64 = 62.0;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let curves: Vec<(usize, &String, Vec<Trial>)> = document
        .summary
        .subjects
        .iter()
        .enumerate()
        .map(|(i, subject)| {
            let data = document.data(subject, &load.name).into_iter();
            let trials = data.map(|(data, valid)| Trial { valid, samples: series::replicas(data) });
            (i, subject, trials.filter(|trial| !trial.samples.is_empty()).collect::<Vec<_>>())
        })
        .filter(|(_, _, trials)| !trials.is_empty())
        .collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let samples = || curves.iter().flat_map(|(_, _, trials)| trials).flat_map(|trial| &trial.samples);
    let most = samples().map(|sample| sample.1.max(sample.2)).max().unwrap_or(1);

    let title = format!("Replicas over time, {}", load.name);
    let mut keys = legend(document, load, "");
    for key in keys.iter_mut().filter(|key| key.sample == Sample::Line) {
        key.label = format!("{}, ready", key.label);
    }
    keys.push(Key { label: "wanted".to_owned(), ink: Ink::Text, sample: Sample::Fine });
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(
            load,
            "Every trial is a line; equal ones lie on each other. Shaded: warm-up, not counted.",
        ),
        legend: keys,
        body_height: curves.len() as f64 * (PANEL + GAP) + 50.0,
        notes: faded_note(&all_data(document, load)).into_iter().collect(),
        twin: document.summary.twin,
    };
    let end_s = end_s(load);
    let svg = sheet.draw(|canvas| {
        for (index, (i, subject, trials)) in curves.iter().enumerate() {
            let y = Axis::whole(most, 4);
            let y_range = (y.range_low(), y.range_high());
            let x_title = if index + 1 == curves.len() { "time since the load began (s)" } else { "" };
            let name = format!("{subject} (replicas)");
            let area = stacked(canvas.top, PANEL, GAP, index);
            let panel = canvas.panel(area, (Axis::time(end_s), x_title), (y, &name))?;
            panel.band((0.0, load.warmup.as_secs_f64()), y_range)?;
            for trial in trials.iter().filter(|trial| trial.valid) {
                panel.line(&steps(&trial.samples, end_s, |sample| sample.2), Stroke::fine(Ink::Text))?;
            }
            for trial in trials {
                let ready = if trial.valid {
                    Stroke::bold(Ink::Subject(*i))
                } else {
                    Stroke::trial(Ink::Muted, false)
                };
                panel.line(&steps(&trial.samples, end_s, |sample| sample.1), ready)?;
            }
        }
        Ok(())
    })?;
    let alt = format!(
        "Ready and wanted replicas over time under {}, a panel a subject, at most {most}.",
        load_words(load)
    );
    Ok(Some(Content { title, alt, svg }))
}

struct Trial {
    valid: bool,
    samples: Vec<Sampled>,
}

/// Seconds since the cell's start, ready, wanted.
type Sampled = (f64, u32, u32);

/// A value holds until the next sample.
fn steps(samples: &[Sampled], end_s: f64, value: fn(&Sampled) -> u32) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.0 <= end_s) {
        let now = f64::from(value(sample));
        if let Some(&(_, before)) = points.last() {
            points.push((sample.0, before));
        }
        points.push((sample.0, now));
    }
    points
}
