//! Ready replicas against those that the load needed, over time, and the load itself: a panel a
//! subject, its median trial by the time with too few replicas.

use super::{
    Content, Document, Ink, Picture,
    axis::Axis,
    canvas::{Key, Sample, Sheet, Stroke},
    end_s, load_words, stacked, subtitle,
};
use crate::{
    analyse::{elasticity::Elasticity, summary::CellSummary},
    experiment::LoadPoint,
    reports::format,
};

const PANEL: f64 = 120.0;
const GAP: f64 = 62.0;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let subjects = document.summary.subjects.iter().enumerate();
    let shown: Vec<Shown> = subjects
        .filter_map(|(i, subject)| {
            let cell = median_trial(document.summaries(subject, &load.name))?;
            let elasticity = cell.elasticity.as_ref()?;
            let counts = cell.validity.is_valid();
            Some(Shown { position: i, subject, trial: cell.trial, counts, elasticity })
        })
        .collect();
    let Some(first) = shown.first() else { return Ok(None) };
    let most = shown.iter().map(|one| one.elasticity.most()).max().unwrap_or(1);
    let highest = first.elasticity.demand.iter().map(|piece| piece.offered_rps).fold(1.0, f64::max);

    let title = format!("Replicas ready against replicas needed, {}", load.name);
    let mut keys: Vec<Key> = shown
        .iter()
        .map(|one| Key {
            label: format!("{}, ready", one.subject),
            ink: Ink::Subject(one.position),
            sample: Sample::Line,
        })
        .collect();
    keys.push(Key { label: "needed, offered rate".to_owned(), ink: Ink::Text, sample: Sample::Fine });
    let capacities = shown
        .iter()
        .map(|one| format!("{} {} requests/s", one.subject, format::number(one.elasticity.capacity_rps)));
    let notes = vec![format!(
        "Needed: the offered rate over what one replica served in the pilot ({}), rounded up.",
        capacities.collect::<Vec<_>>().join(", ")
    )];
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(load, "The trial with the median shortfall of each subject."),
        legend: keys,
        body_height: (shown.len() + 1) as f64 * (PANEL + GAP) + 50.0,
        notes,
        twin: document.summary.twin,
    };
    let end_s = end_s(load);
    let svg = sheet.draw(|canvas| {
        for (index, one) in shown.iter().enumerate() {
            let y = Axis::whole(most, 4);
            let y_range = (y.range_low(), y.range_high());
            let not_counted = if one.counts { "" } else { ", INVALID and not counted" };
            let name = format!("{}, trial {}{not_counted} (replicas)", one.subject, one.trial);
            let area = stacked(canvas.top, PANEL, GAP, index);
            let panel = canvas.panel(area, (Axis::time(end_s), ""), (y, &name))?;
            panel.band((0.0, load.warmup.as_secs_f64()), y_range)?;
            let needed = one.elasticity.demand.iter().map(|d| (d.from_s, f64::from(d.needed)));
            panel.line(&steps(needed, one.elasticity.end_s()), Stroke::fine(Ink::Text))?;
            let ready = one.elasticity.supply.iter().map(|&(at_s, ready)| (at_s, f64::from(ready)));
            panel.line(&steps(ready, one.elasticity.end_s()), Stroke::bold(Ink::Subject(one.position)))?;
        }
        let y = Axis::linear(0.0, highest * 1.02, 4);
        let area = stacked(canvas.top, PANEL, GAP, shown.len());
        let x = (Axis::time(end_s), "time since the load began (s)");
        let panel = canvas.panel(area, x, (y, "offered (requests/s)"))?;
        let offered = first.elasticity.demand.iter().map(|d| (d.from_s, d.offered_rps));
        panel.line(&steps(offered, first.elasticity.end_s()), Stroke::fine(Ink::Text))
    })?;
    let words: Vec<String> = shown.iter().map(Shown::words).collect();
    let alt = format!("Under {}. {}", load_words(load), words.join(" "));
    Ok(Some(Content { title, alt, svg }))
}

struct Shown<'a> {
    position: usize,
    subject: &'a str,
    trial: u32,
    /// Whether the trial is VALID.
    counts: bool,
    elasticity: &'a Elasticity,
}

impl Shown<'_> {
    fn words(&self) -> String {
        let e = self.elasticity;
        format!(
            "{}, trial {}: {} of the time with too few replicas, {} with too many, at most {} ready.",
            self.subject,
            self.trial,
            format::percent(e.under_time),
            format::percent(e.over_time),
            e.supply.iter().map(|change| change.1).max().unwrap_or(0)
        )
    }
}

impl Elasticity {
    fn most(&self) -> u32 {
        let needed = self.demand.iter().map(|piece| piece.needed);
        needed.chain(self.supply.iter().map(|change| change.1)).max().unwrap_or(1)
    }

    fn end_s(&self) -> f64 {
        self.demand.last().map_or(0.0, |piece| piece.to_s)
    }
}

/// Of the VALID trials (of all, where none is) the one with the median shortfall.
fn median_trial(cells: Vec<&CellSummary>) -> Option<&CellSummary> {
    let valid = cells.iter().any(|cell| cell.validity.is_valid() && cell.elasticity.is_some());
    let mut found: Vec<(f64, &CellSummary)> = cells
        .into_iter()
        .filter(|cell| cell.validity.is_valid() || !valid)
        .filter_map(|cell| Some((cell.elasticity.as_ref()?.under_accuracy, cell)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.get(found.len().saturating_sub(1) / 2).map(|(_, cell)| *cell)
}

/// A value holds until the next one.
fn steps(changes: impl Iterator<Item = (f64, f64)>, end_s: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (at_s, value) in changes {
        if let Some(&(_, before)) = points.last() {
            points.push((at_s, before));
        }
        points.push((at_s, value));
    }
    points.extend(points.last().map(|&(_, last)| (end_s, last)));
    points
}
