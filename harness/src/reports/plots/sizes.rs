//! Response time against the size of the request's body, with the fitted line.

use super::{
    Content, Document, Ink, Picture,
    axis::Axis,
    canvas::{Key, Sample, Sheet, Stroke},
    extent, median,
    palette::Marker,
    stacked,
};
use crate::{
    analyse::summary::{CellSummary, Quantiles, SizeFit},
    experiment::LoadPoint,
    reports::format,
};

const PANEL: f64 = 300.0;
const GAP: f64 = 40.0;
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// Reads one percentile.
type Pick = fn(&Quantiles) -> Option<f64>;

pub(super) fn draw(document: &Document, load: &LoadPoint) -> Picture {
    let subjects = &document.summary.subjects;
    let cells: Vec<Vec<&CellSummary>> =
        subjects.iter().map(|subject| document.valid(subject, &load.name)).collect();
    let sizes = || cells.iter().flatten().flat_map(|cell| &cell.by_size);
    let bytes = extent(sizes().map(|size| size.bytes as f64));
    let times = extent(sizes().flat_map(|s| [s.response_ms.p50, s.response_ms.p95]).flatten());
    let (Some((smallest, largest)), Some((quickest, longest))) = (bytes, times) else { return Ok(None) };

    let title = format!("Response time against the size of the body, {}", load.name);
    let key = |label: String, ink, sample| Key { label, ink, sample };
    let mut legend = Vec::new();
    for (i, subject) in subjects.iter().enumerate() {
        legend.push(key(subject.clone(), Ink::Subject(i), Sample::Line));
    }
    legend.push(key("p95".to_owned(), Ink::Subject(0), Sample::Fine));
    legend.push(key("p50 of a trial".to_owned(), Ink::Subject(0), Sample::Point(Marker::Circle)));
    legend.push(key("fitted line".to_owned(), Ink::Muted, Sample::Thin));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "One connection. Bold: p50, median over the VALID trials. Both scales logarithmic."
            .to_owned(),
        legend,
        body_height: PANEL + GAP + 50.0,
        notes: Vec::new(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let (x, y) = (Axis::log(smallest * 0.8, largest * 1.25), Axis::log(quickest * 0.8, longest * 1.25));
        let area = stacked(canvas.top, PANEL, GAP, 0);
        let mut in_bytes = x;
        in_bytes.ticks = byte_ticks(smallest, largest);
        let panel = canvas.panel(area, (in_bytes, "request body"), (y, "response time (ms)"))?;
        for (i, cells) in cells.iter().enumerate() {
            let ink = Ink::Subject(i);
            if let Some(fit) = middle_fit(cells) {
                let steps = (0..=60).map(|step| smallest * (largest / smallest).powf(f64::from(step) / 60.0));
                let at = |bytes: f64| (bytes, fit.intercept_ms + fit.ms_per_mib * bytes / BYTES_PER_MIB);
                panel.line(&steps.map(at).collect::<Vec<_>>(), Stroke::trial(Ink::Muted, true))?;
            }
            panel.line(&line(cells, |q| q.p95), Stroke::fine(ink))?;
            panel.line(&line(cells, |q| q.p50), Stroke::bold(ink))?;
            for size in cells.iter().flat_map(|cell| &cell.by_size) {
                let Some(ms) = size.response_ms.p50 else { continue };
                canvas.marker(panel.at(size.bytes as f64, ms), Marker::Circle, ink, 0.45, 3.5)?;
            }
        }
        Ok(())
    })?;
    let words = subjects.iter().zip(&cells).filter_map(|(subject, cells)| {
        let fit = middle_fit(cells)?;
        Some(format!(
            "{subject}: {} ms without a body, {} ms more for each MiB.",
            format::number(fit.intercept_ms),
            format::number(fit.ms_per_mib)
        ))
    });
    let alt = words.collect::<Vec<_>>().join(" ");
    Ok(Some(Content { title, alt, svg }))
}

/// Size by size the median over trials.
fn line(cells: &[&CellSummary], pick: Pick) -> Vec<(f64, f64)> {
    let mut bytes: Vec<u64> = cells.iter().flat_map(|cell| &cell.by_size).map(|size| size.bytes).collect();
    bytes.sort_unstable();
    bytes.dedup();
    let point = |bytes: u64| {
        let of_size = cells.iter().flat_map(|cell| &cell.by_size).filter(|size| size.bytes == bytes);
        let mut found: Vec<f64> = of_size.filter_map(|size| pick(&size.response_ms)).collect();
        Some((bytes as f64, median(&mut found)?))
    };
    bytes.into_iter().filter_map(point).collect()
}

/// The medians of slope and intercept over trials.
pub(in crate::reports) fn middle_fit(cells: &[&CellSummary]) -> Option<SizeFit> {
    let of = |pick: fn(&SizeFit) -> f64| {
        median(&mut cells.iter().filter_map(|cell| cell.size_fit.as_ref()).map(pick).collect::<Vec<_>>())
    };
    Some(SizeFit { intercept_ms: of(|fit| fit.intercept_ms)?, ms_per_mib: of(|fit| fit.ms_per_mib)? })
}

/// Powers of four, as people say them.
fn byte_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let all = (0..20).map(|power| 4f64.powi(power)).filter(|v| (low..=high).contains(v));
    all.map(|bytes| (bytes, format::bytes(bytes as u64))).collect()
}
