//! A strip of dots a row: every single value, with the median; what the plots of life cycles are made of.

use super::{
    Anchor, Area, Content, Ink, Picture, Sheet,
    axis::Axis,
    canvas::{Canvas, Drawn, Key, LABEL, MARGIN, PANEL_RIGHT, Panel, Sample, Stroke},
    extent, median,
    palette::Marker,
    text::width,
};
use crate::reports::format;

const ROW: f64 = 74.0;

/// A plot of strips.
#[derive(Debug, Clone)]
pub(super) struct Strips {
    pub(super) title: String,
    pub(super) subtitle: String,
    /// What the values are, with their unit.
    pub(super) axis: String,
    /// The unit alone, for labels and descriptions.
    pub(super) unit: &'static str,
    /// What a dot is.
    pub(super) dot: &'static str,
    pub(super) rows: Vec<Strip>,
    pub(super) notes: Vec<String>,
    pub(super) twin: bool,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Strip {
    pub(super) label: String,
    /// Position of its subject in the report.
    pub(super) subject: usize,
    pub(super) values: Vec<Value>,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    pub(super) at: f64,
    /// Whether the true value is larger.
    pub(super) at_least: bool,
    /// Whether it counts.
    pub(super) valid: bool,
}

impl Strips {
    /// Draws it; none without values.
    pub(super) fn draw(mut self) -> Picture {
        self.rows.retain(|row| !row.values.is_empty());
        let values = || self.rows.iter().flat_map(|row| &row.values);
        let Some((low, high)) = extent(values().map(|value| value.at)) else { return Ok(None) };
        let height = self.rows.len() as f64 * ROW + 62.0;
        let first = self.rows.first().map_or(0, |row| row.subject);
        let key = |label: &str, ink, sample| Key { label: label.to_owned(), ink, sample };
        let mut legend = vec![key(self.dot, Ink::Subject(first), Sample::Point(Marker::Circle))];
        if values().any(|value| value.at_least) {
            legend.push(key(
                "longer than that: the wait ended",
                Ink::Subject(first),
                Sample::Point(Marker::Diamond),
            ));
        }
        if values().any(|value| !value.valid) {
            legend.push(key("not counted", Ink::Muted, Sample::Point(Marker::Circle)));
        }
        let sheet = Sheet {
            title: self.title.clone(),
            subtitle: format!("{} A line marks the median of each row.", self.subtitle),
            legend,
            body_height: height,
            notes: self.notes.clone(),
            twin: self.twin,
        };
        let svg = sheet.draw(|canvas| {
            let area = Area {
                left: MARGIN,
                top: canvas.top + 8.0,
                right: PANEL_RIGHT,
                bottom: canvas.top + height - 50.0,
            };
            let panel =
                canvas.panel(area, (Axis::positive(low, high, 7), &self.axis), (Axis::bare(0.0, 1.0), ""))?;
            for (i, row) in self.rows.iter().enumerate() {
                row.draw(canvas, &panel, area.top + i as f64 * ROW, self.unit)?;
            }
            Ok(())
        })?;
        let words: Vec<String> = self.rows.iter().map(|row| format!("{}.", row.words(self.unit))).collect();
        Ok(Some(Content { title: self.title, alt: words.join(" "), svg }))
    }
}

impl Strip {
    fn median(&self) -> Option<f64> {
        median(&mut self.values.iter().filter(|v| v.valid).map(|v| v.at).collect::<Vec<_>>())
    }

    /// Whether the median lies on values that are lower bounds.
    fn is_bound(&self) -> bool {
        let Some(median) = self.median() else { return false };
        self.values.iter().any(|v| v.valid && v.at_least && v.at <= median)
    }

    fn draw(&self, canvas: &Canvas, panel: &Panel, top: f64, unit: &str) -> Drawn {
        let title = self.words(unit);
        let end = MARGIN + 12.0 + width(&title, LABEL);
        let paper =
            Area { left: MARGIN + 1.0, top: top + 4.0, right: end.min(PANEL_RIGHT), bottom: top + 30.0 };
        canvas.bar(paper, Ink::Paper, 0.9)?;
        canvas.text((MARGIN + 6.0, top + 17.0), &title, LABEL, Ink::Text, Anchor::Start)?;
        let y = top + 50.0;
        if let Some(median) = self.median() {
            let x = panel.at(median, 0.0).0;
            canvas.line(&[(x, y - 15.0), (x, y + 15.0)], Stroke::plain(Ink::Text, 2.2))?;
        }
        for (i, value) in self.values.iter().enumerate() {
            // Apart in height, so that equal values do not hide each other.
            let dy = ((i % 3) as f64 - 1.0) * 6.0;
            let (ink, alpha) =
                if value.valid { (Ink::Subject(self.subject), 0.7) } else { (Ink::Muted, 0.4) };
            let marker = if value.at_least { Marker::Diamond } else { Marker::Circle };
            canvas.marker((panel.at(value.at, 0.0).0, y + dy), marker, ink, alpha, 5.0)?;
        }
        Ok(())
    }

    /// `knative, cold: median 812 ms of 15`.
    fn words(&self, unit: &str) -> String {
        let valid = self.values.iter().filter(|v| v.valid).count();
        match self.median() {
            Some(median) => {
                let more = if self.is_bound() { "more than " } else { "" };
                format!("{}: median {more}{} {unit} of {valid}", self.label, format::number(median))
            }
            None => format!("{}: none counts", self.label),
        }
    }
}
