//! Percentiles of the response time, bin by bin: p95 above, the median below.

use super::{
    Binned, Content, Document, Ink, Picture, all_data,
    axis::Axis,
    bins,
    canvas::{Sheet, Stroke},
    end_s, extent, faded_note, legend, load_words, median_over_trials,
    series::{TimeBin, bin_s},
    stacked, subtitle,
};
use crate::{experiment::LoadPoint, reports::format};

const PANEL: f64 = 170.0;
const GAP: f64 = 62.0;

/// One percentile of a bin.
type Pick = fn(&TimeBin) -> Option<f64>;

const PANELS: [(&str, Pick); 2] = [
    ("p95 of the response time (ms)", |bin| bin.p95_ms),
    ("median of the response time (ms)", |bin| bin.p50_ms),
];

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let width_s = bin_s(load);
    let subjects = document.summary.subjects.iter().enumerate();
    let curves: Vec<(usize, Binned)> = subjects
        .map(|(i, subject)| (i, document.data(subject, &load.name)))
        .map(|(i, data)| (i, data.into_iter().map(|(data, valid)| (bins(data, load), valid)).collect()))
        .collect();
    if curves.iter().flat_map(|(_, trials)| trials).all(|(bins, _)| bins.is_empty()) {
        return Ok(None);
    }
    let title = format!("Response times over time, {}", load.name);
    let reading = format!(
        "Bold: median over the VALID trials, in bins of {} s by send time. Shaded: warm-up, not counted.",
        format::setting(width_s)
    );
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(load, &reading),
        legend: legend(document, load, "single trials"),
        body_height: 2.0 * (PANEL + GAP) + 50.0,
        notes: faded_note(&all_data(document, load)).into_iter().collect(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        for (index, (name, pick)) in PANELS.into_iter().enumerate() {
            let values =
                curves.iter().flat_map(|(_, trials)| trials).flat_map(|(bins, _)| bins).filter_map(pick);
            let (low, high) = extent(values).unwrap_or((0.0, 1.0));
            let y = Axis::positive(low, high, 4);
            let y_range = (y.range_low(), y.range_high());
            let x_title = if index + 1 == PANELS.len() { "time since the load began (s)" } else { "" };
            let area = stacked(canvas.top, PANEL, GAP, index);
            let panel = canvas.panel(area, (Axis::time(end_s(load)), x_title), (y, name))?;
            panel.band((0.0, load.warmup.as_secs_f64()), y_range)?;
            let at = |bin: &TimeBin| Some((bin.t_s + width_s / 2.0, pick(bin)?));
            for (i, trials) in &curves {
                for (bins, valid) in trials {
                    let points: Vec<_> = bins.iter().filter_map(at).collect();
                    panel.line(&points, Stroke::trial(Ink::Subject(*i), *valid))?;
                }
            }
            for (i, trials) in &curves {
                let valid: Vec<_> = trials.iter().filter(|t| t.1).map(|t| t.0.clone()).collect();
                panel.line(&median_over_trials(&valid, width_s, pick), Stroke::bold(Ink::Subject(*i)))?;
            }
        }
        Ok(())
    })?;
    let alt = format!(
        "Median and 95th percentile of the response time in bins of {} s under {}, a line a subject. The tables \
         hold the figures of the measured interval.",
        format::setting(width_s),
        load_words(load)
    );
    Ok(Some(Content { title, alt, svg }))
}
