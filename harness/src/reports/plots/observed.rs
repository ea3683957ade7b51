//! The records of one trial and what others measured of it, on one time axis: requests, replicas,
//! concurrency, CPU by component.

use super::{
    Area, Content, Document, Ink, PANEL_LEFT, PANEL_RIGHT, Picture,
    axis::Axis,
    bins,
    canvas::{Anchor, Canvas, Drawn, Key, LABEL, Sample, Sheet, Stroke, place_legend},
    end_s, extent, load_words, subtitle,
};
use crate::{
    analyse::{
        CellDigest,
        observed::{self, Held},
        series::bin_s,
    },
    collect::series::{CellSeries, component, name},
    experiment::LoadPoint,
};

const PANEL: f64 = 105.0;
/// Room of a panel's title, of a row of its legend, and of the numbers below it.
const TITLE: f64 = 28.0;
const KEYS: f64 = 24.0;
const BELOW: f64 = 34.0;

/// One of the panels.
struct Panel {
    title: &'static str,
    lines: Vec<Line>,
    /// Stretches of the panic mode, seconds.
    panic: Vec<(f64, f64)>,
    whole: bool,
}

struct Line {
    label: String,
    ink: Ink,
    sample: Sample,
    /// Pieces without a gap in them.
    pieces: Vec<Vec<(f64, f64)>>,
}

pub(super) fn draw(document: &Document, load: &LoadPoint, subject: usize) -> Picture {
    // A procedure is many loads, or none: it has no time axis of its own.
    if !load.procedure.is_play() {
        return Ok(None);
    }
    let Some(label) = document.summary.subjects.get(subject) else { return Ok(None) };
    let Some((data, valid)) = document.median_observed(label, &load.name) else { return Ok(None) };
    let Some(series) = &data.series else { return Ok(None) };
    let end_s = end_s(load);
    let all = [
        requests(data, series, load),
        replicas(data, series, end_s),
        concurrency(series, end_s),
        cpu(series, end_s),
    ];
    let panels: Vec<Panel> = all.into_iter().filter(|panel| !panel.lines.is_empty()).collect();
    if panels.is_empty() {
        return Ok(None);
    }

    let title = format!("{label}, {}: our records and {}", load.name, series.source);
    let trial = data.meta.cell.trial;
    let counted = if valid { "" } else { " It does not count: see Trials." };
    let reading = format!(
        "Trial {trial}, the median one by goodput.{counted} Between two samples a counter is taken to grow evenly. \
         Shaded: warm-up."
    );
    let room = PANEL_RIGHT - PANEL_LEFT;
    let heights: Vec<f64> = panels.iter().map(|panel| panel.height(room)).collect();
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(load, &reading),
        legend: Vec::new(),
        body_height: heights.iter().sum::<f64>() + 20.0,
        notes: Vec::new(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let mut top = canvas.top;
        for (i, (panel, height)) in panels.iter().zip(&heights).enumerate() {
            let x_title = if i + 1 == panels.len() { "time since the load began (s)" } else { "" };
            panel.draw(canvas, (top, top + height), (end_s, load.warmup.as_secs_f64()), x_title)?;
            top += height;
        }
        Ok(())
    })?;
    let shown: Vec<&str> = panels.iter().map(|panel| panel.title).collect();
    let alt = format!(
        "{label} under {}, trial {trial}, over time, from our records and {}: {}.",
        load_words(load),
        series.source,
        shown.join("; ")
    );
    Ok(Some(Content { title, alt, svg }))
}

fn requests(data: &CellDigest, series: &CellSeries, load: &LoadPoint) -> Panel {
    let width_s = bin_s(load);
    let bins = bins(data, load);
    let ours = |value: &dyn Fn(&super::series::TimeBin) -> f64| {
        vec![bins.iter().map(|bin| (bin.t_s + width_s / 2.0, value(bin))).collect::<Vec<_>>()]
    };
    let rate = observed::rate(series, name::REQUESTS);
    let mut lines = Vec::new();
    if !rate.is_empty() {
        lines.push(Line::new("sent (ours)", Ink::Text, Sample::Fine, ours(&|bin| bin.offered_rps)));
        let correct = ours(&|bin| bin.count as f64 / width_s);
        lines.push(Line::new("correct (ours)", Ink::Subject(0), Sample::Line, correct));
        lines.push(Line::new(
            "answered (the cluster)",
            Ink::Subject(1),
            Sample::Line,
            pieces(&rate, end_s(load)),
        ));
    }
    Panel { title: "Requests a second", lines, panic: Vec::new(), whole: false }
}

fn replicas(data: &CellDigest, series: &CellSeries, end_s: f64) -> Panel {
    let of = |name| pieces(&observed::level(series, name), end_s);
    let (mut label, mut ready) = ("ready", of(name::REPLICAS_READY));
    if ready.is_empty() {
        // OpenFaaS exports none; our own watch on the pods knows.
        let samples = super::series::replicas(data);
        let held = samples.windows(2).map(|pair| (pair[0].0, pair[1].0, f64::from(pair[0].1)));
        (label, ready) = ("ready (ours)", pieces(&held.collect::<Vec<_>>(), end_s));
    }
    let lines = [
        Line::new(label, Ink::Subject(0), Sample::Line, ready),
        Line::new("wanted", Ink::Text, Sample::Fine, of(name::REPLICAS_DESIRED)),
    ];
    Panel { title: "Replicas", lines: drawn(lines), panic: Vec::new(), whole: true }
}

fn concurrency(series: &CellSeries, end_s: f64) -> Panel {
    let of = |name| pieces(&observed::level(series, name), end_s);
    let lines = [
        Line::new("stable window", Ink::Subject(0), Sample::Line, of(name::CONCURRENCY_STABLE)),
        Line::new("panic window", Ink::Subject(1), Sample::Line, of(name::CONCURRENCY_PANIC)),
    ];
    let panics = observed::level(series, name::PANIC_MODE).into_iter().filter(|held| held.2 > 0.5);
    let panic = panics.filter_map(|(from, to, _)| within(from, to, end_s)).collect();
    Panel { title: "Requests at once, as the autoscaler sees them", lines: drawn(lines), panic, whole: false }
}

fn cpu(series: &CellSeries, end_s: f64) -> Panel {
    let cores = observed::cores(series);
    let line = |of: &str, ink, sample| {
        let held = cores.get(of).map_or(&[][..], Vec::as_slice);
        Line::new(of, ink, sample, pieces(held, end_s))
    };
    let bold = |of, subject| line(of, Ink::Subject(subject), Sample::Line);
    // A platform has one of each colour.
    let lines = [
        bold(component::FUNCTION, 0),
        bold(component::QUEUE_PROXY, 1),
        bold(component::GATEWAY, 1),
        bold(component::ACTIVATOR, 2),
        bold(component::PROVIDER, 2),
        bold(component::INGRESS, 3),
        line(component::SIDECAR, Ink::Text, Sample::Fine),
    ];
    Panel { title: "CPU in use (cores)", lines: drawn(lines), panic: Vec::new(), whole: false }
}

fn drawn(lines: impl IntoIterator<Item = Line>) -> Vec<Line> {
    lines.into_iter().filter(|line| !line.pieces.is_empty()).collect()
}

/// The part of a stretch that lies in the plan.
fn within(from: f64, to: f64, end_s: f64) -> Option<(f64, f64)> {
    let (from, to) = (from.max(0.0), to.min(end_s));
    (to > from).then_some((from, to))
}

/// Steps, in pieces without gaps.
fn pieces(held: &[Held], end_s: f64) -> Vec<Vec<(f64, f64)>> {
    let mut out: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut until = f64::NEG_INFINITY;
    for (from, to, value) in held {
        let Some((from, to)) = within(*from, *to, end_s) else { continue };
        match out.last_mut() {
            Some(piece) if from <= until + 1e-6 => piece.extend([(from, *value), (to, *value)]),
            _ => out.push(vec![(from, *value), (to, *value)]),
        }
        until = to;
    }
    out
}

impl Line {
    fn new(label: &str, ink: Ink, sample: Sample, pieces: Vec<Vec<(f64, f64)>>) -> Self {
        Self { label: label.to_owned(), ink, sample, pieces }
    }

    fn stroke(&self) -> Stroke {
        if self.sample == Sample::Fine { Stroke::fine(self.ink) } else { Stroke::bold(self.ink) }
    }
}

impl Panel {
    fn keys(&self) -> Vec<Key> {
        let lines = self.lines.iter();
        let mut keys: Vec<Key> =
            lines.map(|l| Key { label: l.label.clone(), ink: l.ink, sample: l.sample }).collect();
        if !self.panic.is_empty() {
            keys.push(Key { label: "panic mode".to_owned(), ink: Ink::Warning, sample: Sample::Bar });
        }
        keys
    }

    fn height(&self, room: f64) -> f64 {
        let rows = place_legend(&self.keys(), room).last().map_or(0.0, |(_, row)| row + 1.0);
        TITLE + rows * KEYS + PANEL + BELOW
    }

    fn draw(
        &self,
        canvas: &Canvas,
        (top, end): (f64, f64),
        (end_s, warmup_s): (f64, f64),
        x_title: &str,
    ) -> Drawn {
        canvas.text((PANEL_LEFT, top + 16.0), self.title, LABEL, Ink::Muted, Anchor::Start)?;
        let keys = self.keys();
        for (key, (x, row)) in keys.iter().zip(place_legend(&keys, PANEL_RIGHT - PANEL_LEFT)) {
            canvas.key(key, PANEL_LEFT + x, top + TITLE + 8.0 + row * KEYS)?;
        }
        let values = self.lines.iter().flat_map(|line| line.pieces.iter().flatten()).map(|point| point.1);
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let y = if self.whole {
            Axis::whole(high.ceil() as u32, 3)
        } else {
            Axis::linear(low.min(0.0), high.max(1e-3), 3)
        };
        let y_range = (y.range_low(), y.range_high());
        let area =
            Area { left: PANEL_LEFT, top: end - BELOW - PANEL, right: PANEL_RIGHT, bottom: end - BELOW };
        let panel = canvas.panel(area, (Axis::time(end_s), x_title), (y, ""))?;
        panel.band((0.0, warmup_s), y_range)?;
        for (from, to) in &self.panic {
            let (left, right) = (panel.at(*from, y_range.0).0, panel.at(*to, y_range.0).0);
            canvas.bar(
                Area { left, top: area.top - 3.0, right, bottom: area.top + 3.0 },
                Ink::Warning,
                1.0,
            )?;
        }
        for line in &self.lines {
            for piece in &line.pieces {
                panel.line(piece, line.stroke())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_cut_to_the_plan_and_broken_at_gaps() {
        let held = [(-2.0, 1.0, 5.0), (1.0, 2.0, 6.0), (4.0, 99.0, 7.0), (200.0, 300.0, 8.0)];
        let expected =
            vec![vec![(0.0, 5.0), (1.0, 5.0), (1.0, 6.0), (2.0, 6.0)], vec![(4.0, 7.0), (10.0, 7.0)]];
        assert_eq!(pieces(&held, 10.0), expected);
    }
}
