//! What others measured beside the records: rates from counters, CPU and memory by component.
//!
//! Counters are read as Prometheus defines them: they only grow, except that they begin at zero
//! again with their process (Prometheus documentation, "Metric types: Counter"). Between two samples
//! a counter is taken to grow evenly; nothing is extrapolated by more than the distance of two samples.

use std::collections::BTreeMap;

use super::{
    summary::Spread,
    window::{NS_PER_S, Window},
};
use crate::collect::series::{CellSeries, Series, SeriesKind, component, name};

/// A container that seems to have used more cores than this before its first sample is an old one.
const MOST_CORES: f64 = 8.0;

/// A value, and from when to when it held: seconds since the cell's start.
pub type Held = (f64, f64, f64);

/// CPU and memory of a cell, from series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// CPU seconds of the function's containers over the interval.
    pub cpu_seconds: Option<f64>,
    /// CPU seconds of what else a request passes, over the interval.
    pub plane_cpu_seconds: Option<f64>,
    /// Working set of the function's containers, bytes.
    pub memory_bytes: Option<Spread>,
    /// Median distance of two CPU samples, seconds.
    pub resolution_s: f64,
}

impl Usage {
    /// What the CPU figures can bear. The edges of the interval fall between two samples, and within
    /// that distance only the mean is known.
    pub fn remark(&self, source: &str, window: &Window) -> String {
        let share = 100.0 * self.resolution_s / window.seconds().max(f64::MIN_POSITIVE);
        let bears = if share > 50.0 {
            "the interval is too short for more than its order of magnitude"
        } else {
            "load that begins or ends near an edge shifts it by up to that share"
        };
        format!(
            "CPU and memory are from {source}, with samples {:.0} s apart ({share:.0} % of the interval): {bears}.",
            self.resolution_s
        )
    }
}

/// CPU and memory over an interval.
pub fn usage_of(series: &CellSeries, window: &Window) -> Usage {
    let by_component = cpu_seconds(series, window);
    let plane: Vec<f64> =
        component::DATA_PLANE.iter().filter_map(|c| by_component.get(*c)).copied().collect();
    let memory: Vec<&Series> =
        named(series, name::MEMORY).filter(|s| component_of(s) == component::FUNCTION).collect();
    Usage {
        cpu_seconds: by_component.get(component::FUNCTION).copied(),
        plane_cpu_seconds: (!plane.is_empty()).then(|| plane.iter().sum()),
        memory_bytes: spread(&added(memory.iter().flat_map(|s| levels(s)).collect()), window),
        resolution_s: resolution_s(&cpu(series)),
    }
}

/// CPU seconds over an interval, by component; those without a sample in reach are left out.
pub fn cpu_seconds(series: &CellSeries, window: &Window) -> BTreeMap<String, f64> {
    let all = cpu(series);
    let resolution_s = resolution_s(&all);
    let mut sums = BTreeMap::new();
    for series in all {
        if let Some(used) = consumed(series, window, resolution_s) {
            *sums.entry(component_of(series).to_owned()).or_insert(0.0) += used;
        }
    }
    sums
}

/// Cores in use over time, by component: from, to and the value between them.
pub fn cores(series: &CellSeries) -> BTreeMap<String, Vec<Held>> {
    let mut by_component: BTreeMap<String, Vec<Held>> = BTreeMap::new();
    for series in cpu(series) {
        let held = if series.kind == SeriesKind::Counter { increases(series) } else { levels(series) };
        by_component.entry(component_of(series).to_owned()).or_default().extend(held);
    }
    by_component.into_iter().map(|(component, held)| (component, added(held))).collect()
}

/// The change a second of all counters of a name together, over time.
pub fn rate(series: &CellSeries, name: &str) -> Vec<Held> {
    added(named(series, name).flat_map(increases).collect())
}

/// All gauges of a name together, over time.
pub fn level(series: &CellSeries, name: &str) -> Vec<Held> {
    added(named(series, name).flat_map(levels).collect())
}

/// How much all counters of a name grew over an interval.
pub fn growth(series: &CellSeries, name: &str, window: &Window) -> Option<f64> {
    let all: Vec<&Series> = named(series, name).collect();
    let resolution_s = resolution_s(&all);
    all.into_iter().filter_map(|s| consumed(s, window, resolution_s)).reduce(|a, b| a + b)
}

fn named<'a>(series: &'a CellSeries, name: &str) -> impl Iterator<Item = &'a Series> {
    series.series.iter().filter(move |s| s.name == name && !s.points.is_empty())
}

/// Totals of CPU time where the source knows them, else the use that it states.
fn cpu(series: &CellSeries) -> Vec<&Series> {
    let totals: Vec<&Series> = named(series, name::CPU).collect();
    if totals.is_empty() { named(series, name::CPU_CORES).collect() } else { totals }
}

fn component_of(series: &Series) -> &str {
    series.labels.get("component").map_or(component::FUNCTION, String::as_str)
}

fn seconds(at_ns: i64) -> f64 {
    at_ns as f64 / NS_PER_S
}

/// Median distance of two samples of the same series, seconds; 0 without two.
fn resolution_s(series: &[&Series]) -> f64 {
    let gaps = series.iter().flat_map(|s| s.points.windows(2)).map(|pair| seconds(pair[1].0 - pair[0].0));
    let mut gaps: Vec<f64> = gaps.filter(|gap| *gap > 0.0).collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)
}

/// Even growth between each two samples. A counter that fell began at zero in between.
fn increases(series: &Series) -> Vec<Held> {
    let grown = |pair: &[(i64, f64)]| {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        let length_s = seconds(to - from);
        let grown = if after < before { after } else { after - before };
        (length_s > 0.0).then(|| (seconds(from), seconds(to), grown / length_s))
    };
    series.points.windows(2).filter_map(grown).collect()
}

/// A gauge holds until its next sample; the last one as long as samples are apart.
fn levels(series: &Series) -> Vec<Held> {
    let points = &series.points;
    let usual_s = resolution_s(&[series]).max(1.0);
    let held = |(i, (at, value)): (usize, &(i64, f64))| {
        let until_s = points.get(i + 1).map_or(seconds(*at) + usual_s, |next| seconds(next.0));
        (seconds(*at), until_s, *value)
    };
    points.iter().enumerate().map(held).collect()
}

/// The sum of values that overlap in time.
fn added(held: Vec<Held>) -> Vec<Held> {
    let mut changes: Vec<(f64, f64, i32)> =
        held.into_iter().flat_map(|(from, to, value)| [(from, value, 1), (to, -value, -1)]).collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out: Vec<Held> = Vec::new();
    let (mut sum, mut overlapping, mut from) = (0.0, 0, f64::NEG_INFINITY);
    for (at, change, begins) in changes {
        if overlapping > 0 && at > from {
            out.push((from, at, sum));
        }
        (from, overlapping) = (at, overlapping + begins);
        // Nothing overlaps: what is left of the sum is rounding.
        sum = if overlapping == 0 { 0.0 } else { sum + change };
    }
    out
}

/// What a series says was used over an interval.
///
/// A container whose first sample comes late was started shortly before it: it is taken to have begun
/// one distance of samples earlier, from zero. One whose last sample comes early by more than two such
/// distances is gone; else its last pace is taken to go on.
fn consumed(series: &Series, window: &Window, resolution_s: f64) -> Option<f64> {
    let (start_s, end_s) = (window.start_ns as f64 / NS_PER_S, window.end_ns as f64 / NS_PER_S);
    let mut held = if series.kind == SeriesKind::Counter { increases(series) } else { levels(series) };
    if series.kind == SeriesKind::Counter {
        let (first, last) = (series.points.first()?, series.points.last()?);
        let (first_s, last_s) = (seconds(first.0), seconds(last.0));
        if first_s > start_s && resolution_s > 0.0 {
            let since_zero = first.1 / resolution_s;
            // Nothing uses that many cores in its first seconds: its beginning was not scraped.
            let is_old = since_zero > MOST_CORES;
            let pace = if is_old { held.first().map_or(0.0, |h| h.2) } else { since_zero };
            held.insert(0, (first_s - resolution_s, first_s, pace));
        }
        if last_s < end_s && end_s - last_s <= 2.0 * resolution_s {
            let pace = held.last().map_or(0.0, |h| h.2);
            held.push((last_s, end_s, pace));
        }
    }
    let overlap = |from: f64, to: f64| (to.min(end_s) - from.max(start_s)).max(0.0);
    let within: Vec<f64> =
        held.iter().filter(|h| overlap(h.0, h.1) > 0.0).map(|h| h.2 * overlap(h.0, h.1)).collect();
    (!within.is_empty()).then(|| within.iter().sum())
}

/// Smallest, mean over time and largest within an interval.
fn spread(held: &[Held], window: &Window) -> Option<Spread> {
    let (start_s, end_s) = (window.start_ns as f64 / NS_PER_S, window.end_ns as f64 / NS_PER_S);
    let within = held.iter().map(|(from, to, value)| (to.min(end_s) - from.max(start_s), *value));
    let within: Vec<(f64, f64)> = within.filter(|(length, _)| *length > 0.0).collect();
    let total: f64 = within.iter().map(|w| w.0).sum();
    Some(Spread {
        min: within.iter().map(|w| w.1).reduce(f64::min)?,
        mean: within.iter().map(|w| w.0 * w.1).sum::<f64>() / total,
        max: within.iter().map(|w| w.1).reduce(f64::max)?,
    })
}

#[cfg(test)]
#[path = "observed_tests.rs"]
mod tests;
