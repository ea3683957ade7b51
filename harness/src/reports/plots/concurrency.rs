//! Throughput and response time against the number of connections of a closed loop.

use super::{
    Content, Document, Ink, Picture,
    axis::Axis,
    canvas::{Key, Sample, Sheet, Stroke},
    extent, median,
    palette::Marker,
    stacked,
};
use crate::{
    experiment::{LoadPoint, Procedure},
    outcome::{PartFigures, ProcedureOutcome},
    reports::format,
};

const PANEL: f64 = 190.0;
const GAP: f64 = 62.0;

/// A quantity of a step.
type Pick = fn(&PartFigures) -> Option<f64>;

/// Panels: what stands above them, and their lines.
const PANELS: [(&str, [Option<Pick>; 2]); 2] = [
    ("correct answers/s", [Some(|part| Some(part.goodput_rps)), None]),
    ("response time (ms): p50 bold, p95 thin", [Some(|p| p.response_ms.p50), Some(|p| p.response_ms.p95)]),
];

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let Procedure::Concurrency { connections } = &load.procedure else { return Ok(None) };
    let mut numbers = connections.clone();
    numbers.sort_unstable();
    let values = |subject: &str, connections: u32, pick: Pick| -> Vec<f64> {
        let cells = document.valid(subject, &load.name).into_iter();
        let steps = cells.filter_map(|cell| match &cell.outcome {
            Some(ProcedureOutcome::Concurrency(found)) => {
                found.steps.iter().find(|step| step.connections == connections)
            }
            _ => None,
        });
        steps.filter_map(|step| pick(&step.part)).collect()
    };
    let subjects = &document.summary.subjects;
    let ranges = PANELS.map(|(_, picks)| {
        let mut all = Vec::new();
        for subject in subjects {
            for pick in picks.into_iter().flatten() {
                for &n in &numbers {
                    all.extend(values(subject, n, pick));
                }
            }
        }
        extent(all.into_iter())
    });
    let [Some((_, most)), Some(times)] = ranges else { return Ok(None) };
    let (Some(&fewest), Some(&largest)) = (numbers.first(), numbers.last()) else { return Ok(None) };

    let title = format!("Throughput and response time against connections, {}", load.name);
    let key = |label: &str, ink, sample| Key { label: label.to_owned(), ink, sample };
    let mut legend: Vec<Key> =
        subjects.iter().enumerate().map(|(i, s)| key(s, Ink::Subject(i), Sample::Line)).collect();
    legend.push(key("single trial", Ink::Subject(0), Sample::Point(Marker::Circle)));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Closed loop. Lines: median over the VALID trials. Connections on a logarithmic scale."
            .to_owned(),
        legend,
        body_height: PANELS.len() as f64 * (PANEL + GAP) + 50.0,
        notes: Vec::new(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        for (index, (name, picks)) in PANELS.into_iter().enumerate() {
            let y = if index == 0 {
                Axis::linear(0.0, most * 1.02, 4)
            } else {
                Axis::positive(times.0, times.1, 4)
            };
            let x = Axis::log(f64::from(fewest) * 0.9, f64::from(largest) * 1.1);
            let x_title = if index + 1 == PANELS.len() { "connections" } else { "" };
            let area = stacked(canvas.top, PANEL, GAP, index);
            let panel = canvas.panel(area, (x, x_title), (y, name))?;
            for (i, subject) in subjects.iter().enumerate() {
                for (which, pick) in picks.into_iter().flatten().enumerate() {
                    let mut line = Vec::new();
                    for &n in &numbers {
                        let mut found = values(subject, n, pick);
                        for value in found.iter().filter(|_| which == 0) {
                            let at = panel.at(f64::from(n), *value);
                            canvas.marker(at, Marker::Circle, Ink::Subject(i), 0.45, 3.5)?;
                        }
                        line.extend(median(&mut found).map(|value| (f64::from(n), value)));
                    }
                    let ink = Ink::Subject(i);
                    panel.line(&line, if which == 0 { Stroke::bold(ink) } else { Stroke::fine(ink) })?;
                }
            }
        }
        Ok(())
    })?;
    let words = subjects.iter().filter_map(|subject| {
        let goodput: Pick = |part| Some(part.goodput_rps);
        let at = |&n: &u32| Some((n, median(&mut values(subject, n, goodput))?));
        let (n, best) = numbers.iter().filter_map(at).max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(format!("{subject}: at most {} correct answers/s, at {n} connections.", format::number(best)))
    });
    let alt = words.collect::<Vec<_>>().join(" ");
    Ok(Some(Content { title, alt, svg }))
}
