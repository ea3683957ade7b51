//! Ratios of the contenders to the baseline: a diamond with its interval for each comparison, and a
//! dot for each trial (that trial of the contender over the baseline's geometric mean).

use super::{
    Anchor, Area, Content, Document, Ink, Picture, Sheet,
    axis::Axis,
    canvas::{Canvas, Drawn, Key, LABEL, MARGIN, PANEL_RIGHT, Panel, Sample, Stroke, WIDTH},
    extent,
    palette::Marker,
    text::shortened,
};
use crate::{
    analyse::summary::{Comparison, TrialValue},
    reports::format,
};

const ROW: f64 = 100.0;

pub(super) fn draw(document: &Document) -> Picture {
    let rows: Vec<Row> = document.summary.comparisons.iter().filter_map(row).collect();
    let values = rows.iter().flat_map(|row| {
        let interval = row.comparison.ratio.iter().flat_map(|ratio| [ratio.low, ratio.estimate, ratio.high]);
        interval.chain(row.dots.iter().map(|dot| dot.0)).collect::<Vec<_>>()
    });
    let Some((low, high)) = extent(values.filter(|v| *v > 0.0).chain([1.0])) else { return Ok(None) };
    if rows.is_empty() {
        return Ok(None);
    }
    let height = rows.len() as f64 * ROW + 62.0;
    let title = "Ratios, with every trial".to_owned();
    let (point, faded) =
        (rows.iter().any(|r| r.dots.iter().any(|d| d.1)), rows.iter().any(|r| r.dots.iter().any(|d| !d.1)));
    let first = rows.first().map_or(0, |row| document.position(&row.comparison.contender));
    let key = |label: &str, ink, sample| Key { label: label.to_owned(), ink, sample };
    let mut legend = vec![key("estimate and interval", Ink::Text, Sample::Point(Marker::Diamond))];
    if point {
        legend.push(key("single trial", Ink::Subject(first), Sample::Point(Marker::Circle)));
    }
    if faded {
        legend.push(key("not counted (INVALID)", Ink::Muted, Sample::Point(Marker::Circle)));
    }
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Contender divided by baseline; 1 is no difference. Logarithmic scale.".to_owned(),
        legend,
        body_height: height,
        notes: Vec::new(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let area = Area {
            left: MARGIN,
            top: canvas.top + 8.0,
            right: PANEL_RIGHT,
            bottom: canvas.top + height - 50.0,
        };
        // Room for the direction at both sides of 1.
        let (low, high) = (low.min(0.9) / 1.06, high.max(1.1) * 1.06);
        let panel =
            canvas.panel(area, (Axis::log(low, high), "contender / baseline"), (Axis::bare(0.0, 1.0), ""))?;
        let x = panel.at(1.0, 0.0).0;
        canvas.line(&[(x, area.top), (x, area.bottom)], Stroke::plain(Ink::Text, 1.6))?;
        for (i, row) in rows.iter().enumerate() {
            row.draw(document, canvas, &panel, area.top + i as f64 * ROW)?;
        }
        Ok(())
    })?;
    let words: Vec<String> = rows.iter().map(|row| format!("{}.", row.words())).collect();
    Ok(Some(Content { title, alt: words.join(" "), svg }))
}

/// One comparison with its dots: ratio, and whether it counts.
struct Row<'a> {
    comparison: &'a Comparison,
    dots: Vec<(f64, bool)>,
}

fn row(comparison: &Comparison) -> Option<Row<'_>> {
    let baseline = geometric_mean(&comparison.baseline_trials)?;
    let dots = comparison.contender_trials.iter();
    let dots: Vec<_> =
        dots.filter_map(|t| Some((t.value.filter(|v| *v > 0.0)? / baseline, t.valid))).collect();
    // A described metric without a ratio (no failures at all, say) would only stretch the axis.
    (comparison.ratio.is_some() || comparison.primary && !dots.is_empty()).then_some(Row { comparison, dots })
}

/// Of the VALID trials' values above 0.
fn geometric_mean(trials: &[TrialValue]) -> Option<f64> {
    let logs: Vec<f64> =
        trials.iter().filter(|t| t.valid).filter_map(|t| t.value).filter(|v| *v > 0.0).map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

impl Row<'_> {
    fn draw(&self, document: &Document, canvas: &Canvas, panel: &Panel, top: f64) -> Drawn {
        let c = self.comparison;
        let primary = if c.primary { "" } else { " (not judged)" };
        let name = format!("{}, {}{primary}", c.load, c.metric.title());
        canvas.bar(
            Area { left: MARGIN + 1.0, top: top + 2.0, right: PANEL_RIGHT, bottom: top + 44.0 },
            Ink::Paper,
            0.85,
        )?;
        canvas.text((MARGIN + 6.0, top + 13.0), &name, LABEL, Ink::Text, Anchor::Start)?;
        canvas.text((MARGIN + 6.0, top + 33.0), &self.figures(13.0), LABEL, Ink::Muted, Anchor::Start)?;

        let y = top + 62.0;
        let ink = Ink::Subject(document.position(&c.contender));
        for (i, (ratio, valid)) in self.dots.iter().enumerate() {
            // Apart in height, so that equal trials do not hide each other.
            let dy = ((i % 3) as f64 - 1.0) * 5.0;
            let (ink, alpha) = if *valid { (ink, 0.65) } else { (Ink::Muted, 0.4) };
            canvas.marker((panel.at(*ratio, 0.0).0, y + dy), Marker::Circle, ink, alpha, 5.0)?;
        }
        if let Some(ratio) = c.ratio {
            let x = |v: f64| panel.at(v, 0.0).0;
            let ends = [x(ratio.low), x(ratio.high)];
            canvas.line(&[(ends[0], y), (ends[1], y)], Stroke::plain(Ink::Text, 2.2))?;
            for end in ends {
                canvas.line(&[(end, y - 6.0), (end, y + 6.0)], Stroke::plain(Ink::Text, 2.2))?;
            }
            canvas.marker((x(ratio.estimate), y), Marker::Diamond, Ink::Text, 1.0, 5.5)?;
        }
        let direction =
            if c.metric.higher_is_better() { ("", "more is better ▶") } else { ("◀ less is better", "") };
        canvas.text((MARGIN + 6.0, top + 86.0), direction.0, LABEL - 2.0, Ink::Muted, Anchor::Start)?;
        canvas.text((WIDTH - 26.0, top + 86.0), direction.1, LABEL - 2.0, Ink::Muted, Anchor::End)
    }

    /// `room`: for each label, in ems.
    fn figures(&self, room: f64) -> String {
        let pair =
            [&self.comparison.contender, &self.comparison.baseline].map(|label| shortened(label, 1.0, room));
        let pair = pair.join(" / ");
        match self.comparison.ratio {
            Some(r) => {
                let [estimate, low, high] = [r.estimate, r.low, r.high].map(format::ratio);
                format!("{pair}: {estimate} [{low}, {high}]")
            }
            None => format!("{pair}: no interval"),
        }
    }

    fn words(&self) -> String {
        format!(
            "{}, {}: {}",
            self.comparison.load,
            self.comparison.metric.title(),
            self.figures(f64::INFINITY)
        )
    }
}
