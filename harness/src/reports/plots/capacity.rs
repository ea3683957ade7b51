//! Response time against offered rate, a panel a subject: every probe of every search, the limit, and
//! the capacity.

use super::{
    Anchor, Content, Document, Ink, Picture,
    axis::Axis,
    canvas::{Canvas, Drawn, Key, LABEL, Panel, Sample, Sheet, Stroke},
    extent, median,
    palette::Marker,
    stacked,
};
use crate::{
    analyse::{capacity::Held, summary::CellSummary},
    experiment::{LoadPoint, Procedure, Slo},
    outcome::{CapacityOutcome, ProcedureOutcome, capacity::Probe},
    reports::format,
};

const PANEL: f64 = 190.0;
const GAP: f64 = 62.0;

/// A subject's searches, each with whether its cell is VALID.
struct Curves<'a> {
    position: usize,
    subject: &'a str,
    searches: Vec<(&'a CapacityOutcome, bool)>,
}

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let Procedure::Capacity { slo, .. } = &load.procedure else { return Ok(None) };
    let subjects = document.summary.subjects.iter().enumerate();
    let curves: Vec<Curves> = subjects
        .map(|(position, subject)| {
            let cells = document.summaries(subject, &load.name);
            let searches = cells.into_iter().filter_map(|c| Some((search(c)?, c.validity.is_valid())));
            Curves { position, subject, searches: searches.collect() }
        })
        .filter(|curves| curves.probes().next().is_some())
        .collect();
    let every = || curves.iter().flat_map(Curves::probes);
    let rates = extent(every().map(|p| p.rate_rps));
    let times = extent(every().flat_map(|p| [p.part.response_ms.p50, p.level_ms(slo).1]).flatten());
    let (Some((slowest, fastest)), Some((quickest, longest))) = (rates, times) else { return Ok(None) };
    let (low_ms, high_ms) = (quickest.min(slo.limit_ms) * 0.8, longest.max(slo.limit_ms) * 1.25);

    let title = format!("Response time against rate, {}", load.name);
    let key = |label: &str, ink, sample| Key { label: label.to_owned(), ink, sample };
    let ink = Ink::Subject(curves[0].position);
    let level = every().next().map_or("p99", |probe| probe.level_ms(slo).0);
    let mut keys = vec![
        key(&format!("{level}, level held"), ink, Sample::Point(Marker::Circle)),
        key(&format!("{level}, not shown to hold"), ink, Sample::Point(Marker::Diamond)),
        key("p50", ink, Sample::Thin),
    ];
    if curves.iter().any(|c| c.searches.iter().any(|(_, valid)| !valid)) {
        keys.push(key("not counted (INVALID)", Ink::Muted, Sample::Faded));
    }
    let sheet = Sheet {
        title: title.clone(),
        subtitle: format!(
            "Poisson arrivals. A line a trial through its probes. Horizontal: the limit, {slo}. Vertical: the \
             capacity (median over the VALID trials). Both scales logarithmic."
        ),
        legend: keys,
        body_height: curves.len() as f64 * (PANEL + GAP) + 50.0,
        notes: vec![
            "Probes that were given up early stand at what their requests had taken by then.".to_owned(),
        ],
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        for (index, curve) in curves.iter().enumerate() {
            let x_title = if index + 1 == curves.len() { "offered rate (requests/s)" } else { "" };
            let name = format!("{} (ms)", curve.subject);
            let area = stacked(canvas.top, PANEL, GAP, index);
            let x = Axis::log(slowest * 0.9, fastest * 1.1);
            let panel = canvas.panel(area, (x, x_title), (Axis::log(low_ms, high_ms), &name))?;
            let limit = [(slowest * 0.9, slo.limit_ms), (fastest * 1.1, slo.limit_ms)];
            panel.line(&limit, Stroke::fine(Ink::Text))?;
            curve.draw(canvas, &panel, slo, (low_ms, high_ms))?;
        }
        Ok(())
    })?;
    let words: Vec<String> = curves.iter().map(|curve| curve.words(slo)).collect();
    Ok(Some(Content { title, alt: words.join(" "), svg }))
}

fn search(cell: &CellSummary) -> Option<&CapacityOutcome> {
    match &cell.outcome {
        Some(ProcedureOutcome::Capacity(found)) => Some(found),
        _ => None,
    }
}

impl Curves<'_> {
    fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.searches.iter().flat_map(|(search, _)| &search.probes)
    }

    fn draw(&self, canvas: &Canvas, panel: &Panel, slo: &Slo, (low_ms, high_ms): (f64, f64)) -> Drawn {
        for (search, valid) in &self.searches {
            let mut probes: Vec<&Probe> = search.probes.iter().collect();
            probes.sort_by(|a, b| a.rate_rps.total_cmp(&b.rate_rps));
            let points = |of: &dyn Fn(&Probe) -> Option<f64>| -> Vec<(f64, f64)> {
                probes.iter().filter_map(|p| Some((p.rate_rps, of(p)?))).collect()
            };
            let ink = if *valid { Ink::Subject(self.position) } else { Ink::Muted };
            panel.line(&points(&|p| p.part.response_ms.p50), Stroke::trial(ink, *valid))?;
            panel.line(&points(&|p| p.level_ms(slo).1), Stroke::trial(ink, *valid))?;
            // What only fills the curve has no word on the level, so it has no marker.
            for probe in probes.into_iter().filter(|probe| !probe.for_curve) {
                let Some(ms) = probe.level_ms(slo).1 else { continue };
                let marker = if probe.held == Held::Yes { Marker::Circle } else { Marker::Diamond };
                canvas.marker(panel.at(probe.rate_rps, ms), marker, ink, 0.75, 4.5)?;
            }
        }
        let Some(capacity) = self.capacity() else { return Ok(()) };
        let line = Stroke::plain(Ink::Subject(self.position), 2.0);
        panel.line(&[(capacity, low_ms), (capacity, high_ms)], line)?;
        let (x, y) = panel.at(capacity, low_ms);
        let text = format!("{}/s", format::number(capacity));
        canvas.text((x - 5.0, y - 12.0), &text, LABEL, Ink::Text, Anchor::End)
    }

    /// Median over the VALID trials.
    fn capacity(&self) -> Option<f64> {
        let valid = self.searches.iter().filter(|(_, valid)| *valid);
        let mut found: Vec<f64> =
            valid.filter_map(|(search, _)| search.capacity_rps()).filter(|rps| *rps > 0.0).collect();
        median(&mut found)
    }

    fn words(&self, slo: &Slo) -> String {
        match self.capacity() {
            Some(rps) => format!("{} holds {slo} up to {} requests/s.", self.subject, format::number(rps)),
            None => format!("{} was not shown to hold {slo} at any rate.", self.subject),
        }
    }
}
