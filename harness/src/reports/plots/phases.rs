//! Where starts spend their time: for each subject and kind of start a bar of median stages, one
//! after the other.

use std::collections::BTreeSet;

use super::{
    Anchor, Area, Content, Document, Ink, Picture, Sheet,
    axis::Axis,
    canvas::{Canvas, Drawn, Key, LABEL, MARGIN, PANEL_RIGHT, Panel, Sample},
    text::width,
};
use crate::{
    analyse::lives::{self, StartSummary},
    collect::timeline::Phase,
    reports::format,
};

const ROW: f64 = 74.0;
const BAR: f64 = 28.0;

/// One bar.
struct Row {
    title: String,
    summary: StartSummary,
}

pub(super) fn draw(document: &Document) -> Picture {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let all = document.lives(subject);
        for summary in lives::starts(all.iter().flat_map(|(_, lives)| lives)) {
            let title = format!(
                "{subject}, {}: {} (median of {})",
                summary.start.title(),
                milliseconds(summary.median_ms),
                summary.starts
            );
            rows.push(Row { title, summary });
        }
    }
    let longest = rows.iter().map(Row::sum_ms).fold(0.0, f64::max);
    if rows.is_empty() || longest <= 0.0 {
        return Ok(None);
    }
    let title = "Where a start spends its time".to_owned();
    let height = rows.len() as f64 * ROW + 62.0;
    let sheet = Sheet {
        title: title.clone(),
        subtitle:
            "Medians over replicas and trials, one stage after the other. Each stage ends when what its name \
                   says has come about."
                .to_owned(),
        legend: legend(rows.iter().flat_map(|row| row.summary.stages.iter().map(|stage| stage.to))),
        body_height: height,
        notes: vec![
            "A start under load is scaling up, mostly. Medians of stages need not add up to the median of \
             the whole."
                .to_owned(),
        ],
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let area = Area {
            left: MARGIN,
            top: canvas.top + 8.0,
            right: PANEL_RIGHT,
            bottom: canvas.top + height - 50.0,
        };
        let x = Axis::linear(0.0, longest / 1e3 * 1.02, 8);
        let panel = canvas.panel(area, (x, "seconds"), (Axis::bare(0.0, 1.0), ""))?;
        for (i, row) in rows.iter().enumerate() {
            row.draw(canvas, &panel, area.top + i as f64 * ROW)?;
        }
        Ok(())
    })?;
    let words: Vec<String> = rows.iter().map(Row::words).collect();
    Ok(Some(Content { title, alt: words.join(" "), svg }))
}

impl Row {
    fn sum_ms(&self) -> f64 {
        self.summary.stages.iter().map(|stage| stage.median_ms).sum()
    }

    fn draw(&self, canvas: &Canvas, panel: &Panel, top: f64) -> Drawn {
        let end = MARGIN + 6.0 + width(&self.title, LABEL) + 6.0;
        let paper =
            Area { left: MARGIN + 1.0, top: top + 4.0, right: end.min(PANEL_RIGHT), bottom: top + 30.0 };
        canvas.bar(paper, Ink::Paper, 0.9)?;
        canvas.text((MARGIN + 6.0, top + 17.0), &self.title, LABEL, Ink::Text, Anchor::Start)?;
        let mut from_ms = 0.0;
        for stage in &self.summary.stages {
            let to_ms = from_ms + stage.median_ms;
            let (left, right) = (panel.at(from_ms / 1e3, 0.0).0, panel.at(to_ms / 1e3, 0.0).0);
            let area = Area { left, top: top + 34.0, right, bottom: top + 34.0 + BAR };
            canvas.bar(area, stage_ink(stage.to), 1.0)?;
            let label = milliseconds(stage.median_ms);
            if width(&label, LABEL - 2.0) + 8.0 < right - left {
                let middle = (f64::midpoint(left, right), top + 34.0 + BAR / 2.0);
                canvas.text(middle, &label, LABEL - 2.0, Ink::OnStage, Anchor::Middle)?;
            }
            from_ms = to_ms;
        }
        Ok(())
    }

    fn words(&self) -> String {
        let stages = self.summary.stages.iter();
        let stages: Vec<String> =
            stages.map(|s| format!("{} {}", s.to.title(), milliseconds(s.median_ms))).collect();
        format!("{}: {}.", self.title, stages.join(", "))
    }
}

/// The stages that there are, in order.
pub(super) fn legend(to: impl Iterator<Item = Phase>) -> Vec<Key> {
    let there: BTreeSet<Phase> = to.collect();
    let key =
        |phase: Phase| Key { label: phase.title().to_owned(), ink: stage_ink(phase), sample: Sample::Bar };
    there.into_iter().map(key).collect()
}

/// The colour of the stage that ends with a phase.
pub(super) fn stage_ink(to: Phase) -> Ink {
    let at = Phase::START.iter().position(|phase| *phase == to).unwrap_or(1);
    Ink::Stage(at.saturating_sub(1))
}

/// `850 ms`, `12.3 s`.
fn milliseconds(ms: f64) -> String {
    if ms < 999.5 { format!("{ms:.0} ms") } else { format!("{} s", format::number(ms / 1e3)) }
}
