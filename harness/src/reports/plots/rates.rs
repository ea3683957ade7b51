//! What was asked and what was answered over time, a panel a subject.

use super::{
    Binned, Content, Document, Ink, Picture, all_data,
    axis::Axis,
    bins,
    canvas::{Key, Sample, Sheet, Stroke},
    end_s, extent, faded_note, legend, load_words, median_over_trials, series, stacked, subtitle,
};
use crate::{experiment::LoadPoint, reports::format};

const PANEL: f64 = 130.0;
const GAP: f64 = 62.0;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let width_s = series::bin_s(load);
    let curves: Vec<(usize, &String, Binned)> = document
        .summary
        .subjects
        .iter()
        .enumerate()
        .map(|(i, subject)| {
            let data = document.data(subject, &load.name).into_iter();
            (i, subject, data.map(|(data, valid)| (bins(data, load), valid)).collect::<Vec<_>>())
        })
        .filter(|(_, _, trials)| trials.iter().any(|(bins, _)| !bins.is_empty()))
        .collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let every_bin = || curves.iter().flat_map(|(_, _, trials)| trials).flat_map(|(bins, _)| bins);
    let (_, high) = extent(every_bin().flat_map(|b| [b.offered_rps, b.achieved_rps])).unwrap_or((0.0, 1.0));

    let closed = load.arrivals.is_closed();
    let title = format!("Offered and achieved rate, {}", load.name);
    let mut keys = legend(document, load, "single trials");
    for key in keys.iter_mut().filter(|key| key.sample == Sample::Line) {
        key.label = format!("{}, achieved", key.label);
    }
    keys.push(Key { label: "offered".to_owned(), ink: Ink::Text, sample: Sample::Fine });
    let mut notes: Vec<String> = faded_note(&all_data(document, load)).into_iter().collect();
    if closed {
        notes.push("In a closed loop a request waits for the answer before it: what is offered follows what is achieved.".to_owned());
    }
    let reading = format!(
        "Bold and black: median over the VALID trials, in bins of {} s. Shaded: warm-up, not counted.",
        format::setting(width_s)
    );
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(load, &reading),
        legend: keys,
        body_height: curves.len() as f64 * (PANEL + GAP) + 50.0,
        notes,
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        for (index, (i, subject, trials)) in curves.iter().enumerate() {
            let y = Axis::linear(0.0, high, 3);
            let y_range = (y.range_low(), y.range_high());
            let x_title = if index + 1 == curves.len() { "time since the load began (s)" } else { "" };
            let name = format!("{subject} (requests/s)");
            let area = stacked(canvas.top, PANEL, GAP, index);
            let panel = canvas.panel(area, (Axis::time(end_s(load)), x_title), (y, &name))?;
            panel.band((0.0, load.warmup.as_secs_f64()), y_range)?;
            for (bins, valid) in trials {
                let points: Vec<_> = bins.iter().map(|b| (b.t_s + width_s / 2.0, b.achieved_rps)).collect();
                panel.line(&points, Stroke::trial(Ink::Subject(*i), *valid))?;
            }
            let valid: Vec<_> = trials.iter().filter(|t| t.1).map(|t| t.0.clone()).collect();
            let achieved = median_over_trials(&valid, width_s, |bin| Some(bin.achieved_rps));
            panel.line(&achieved, Stroke::bold(Ink::Subject(*i)))?;
            let offered = median_over_trials(&valid, width_s, |bin| Some(bin.offered_rps));
            panel.line(&offered, Stroke::fine(Ink::Text))?;
        }
        Ok(())
    })?;
    let alt = format!(
        "Requests offered and answers achieved a second, in bins of {} s, under {}, a panel a subject.",
        format::setting(width_s),
        load_words(load)
    );
    Ok(Some(Content { title, alt, svg }))
}
