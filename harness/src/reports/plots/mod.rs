//! The plots, one file each. To add one, write its file and its arm in [`PlotKind`].

mod axis;
mod canary;
mod canvas;
mod capacity;
mod cold_starts;
mod concurrency;
mod eviction;
mod failures;
mod latency_cdf;
mod latency_over_time;
mod lives;
mod observed;
mod palette;
mod phases;
mod provisioning;
mod rates;
mod ratios;
mod replicas;
mod sizes;
mod strips;
mod text;

use std::collections::BTreeSet;

use canvas::{Anchor, Area, DrawError, Key, PANEL_LEFT, PANEL_RIGHT, Sample, Sheet};
use palette::Ink;
pub use palette::css_variables;
pub(super) use sizes::middle_fit;

use super::{Document, format};
use crate::{
    analyse::{CellDigest, series},
    experiment::{LoadPoint, Procedure},
};

/// A plot, as an SVG file of its own on white paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Its file is `plots/NAME.svg` (and `.png`); also its anchor.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The same for those who cannot see it, with the figures that matter most.
    pub alt: String,
    /// The picture.
    pub svg_light: String,
}

/// The kinds of plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlotKind {
    /// Distribution of response times, with a logarithmic tail.
    LatencyCdf,
    /// Percentiles of the response time, bin by bin.
    LatencyOverTime,
    /// What was asked and what was answered, bin by bin.
    Rates,
    /// Replicas, over time.
    Replicas,
    /// Replicas ready against replicas needed, over time.
    Provisioning,
    /// Every cold start, beside warm requests.
    ColdStarts,
    /// How long idle instances lived.
    Eviction,
    /// Response times of revisions that share the traffic.
    Canary,
    /// Response time against offered rate, of searches for the capacity.
    Capacity,
    /// Throughput and response time against connections.
    Concurrency,
    /// Response time against the size of the body.
    Sizes,
    /// What went wrong how often.
    Failures,
    /// Ratios with their intervals and every trial.
    Ratios,
    /// Where starts spend their time.
    Phases,
    /// Each replica's life.
    Lives,
    /// What others measured of a subject, beside the records; by position in the report.
    Observed(usize),
}

/// Why a plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error(
    "the plot '{name}' could not be drawn ({cause}); 'harness report' draws it again, and the tables do without"
)]
pub struct PlotError {
    /// Which one.
    name: String,
    /// What the drawing library said.
    cause: String,
}

/// A picture and its description; none if there is nothing to show.
type Picture = Result<Option<Content>, DrawError>;

/// What a plot's file makes.
struct Content {
    title: String,
    alt: String,
    svg: String,
}

impl PlotKind {
    /// Drawn once for each load point, in this order.
    pub const BY_LOAD: [Self; 11] = [
        Self::Canary,
        Self::ColdStarts,
        Self::Eviction,
        Self::Provisioning,
        Self::Capacity,
        Self::Concurrency,
        Self::Sizes,
        Self::LatencyCdf,
        Self::LatencyOverTime,
        Self::Rates,
        Self::Replicas,
    ];
    /// Drawn once for the run.
    pub const ONCE: [Self; 4] = [Self::Failures, Self::Ratios, Self::Phases, Self::Lives];

    /// Whether there can be anything to see: without a load there are no rates and percentiles.
    fn shows(self, procedure: &Procedure) -> bool {
        let without_load = matches!(procedure, Procedure::Cold { .. } | Procedure::Eviction { .. });
        !without_load || matches!(self, Self::ColdStarts | Self::Eviction)
    }

    /// Name of the file without its ending; `load` counts only for kinds that are drawn for each load point.
    pub fn file_stem(self, load: &str) -> String {
        let stem = match self {
            Self::LatencyCdf => "latency-cdf",
            Self::LatencyOverTime => "latency-over-time",
            Self::Rates => "rates",
            Self::Replicas => "replicas",
            Self::Provisioning => "provisioning",
            Self::ColdStarts => "cold-starts",
            Self::Eviction => "eviction",
            Self::Canary => "canary",
            Self::Capacity => "capacity",
            Self::Concurrency => "concurrency",
            Self::Sizes => "sizes",
            Self::Failures => "failures",
            Self::Ratios => "ratios",
            Self::Phases => "phases",
            Self::Lives => "lives",
            Self::Observed(subject) => return format!("observed-{load}-{}", subject + 1),
        };
        if Self::ONCE.contains(&self) { stem.to_owned() } else { format!("{stem}-{load}") }
    }

    fn draw(self, document: &Document, load: &LoadPoint) -> Picture {
        match self {
            Self::LatencyCdf => latency_cdf::draw(document, load),
            Self::LatencyOverTime => latency_over_time::draw(document, load),
            Self::Rates => rates::draw(document, load),
            Self::Replicas => replicas::draw(document, load),
            Self::Provisioning => provisioning::draw(document, load),
            Self::ColdStarts => cold_starts::draw(document, load),
            Self::Eviction => eviction::draw(document, load),
            Self::Canary => canary::draw(document, load),
            Self::Capacity => capacity::draw(document, load),
            Self::Concurrency => concurrency::draw(document, load),
            Self::Sizes => sizes::draw(document, load),
            Self::Failures => failures::draw(document),
            Self::Ratios => ratios::draw(document),
            Self::Phases => phases::draw(document),
            Self::Lives => lives::draw(document),
            Self::Observed(subject) => observed::draw(document, load, subject),
        }
    }
}

/// Draws every plot for which there is data.
///
/// # Errors
/// When the drawing library refuses, which is a fault of the plot and not of the data.
pub fn all(document: &Document) -> Result<Vec<Plot>, PlotError> {
    let loads = &document.experiment.load;
    let by_load = loads
        .iter()
        .flat_map(|load| PlotKind::BY_LOAD.map(|kind| (kind, load)))
        .filter(|(kind, load)| kind.shows(&load.procedure));
    let subjects = 0..document.summary.subjects.len();
    let observed = loads
        .iter()
        .flat_map(|load| subjects.clone().map(move |subject| (PlotKind::Observed(subject), load)));
    let once = loads.first().into_iter().flat_map(|load| PlotKind::ONCE.map(|kind| (kind, load)));
    let mut plots = Vec::new();
    for (kind, load) in by_load.chain(observed).chain(once) {
        let name = kind.file_stem(&load.name);
        match kind.draw(document, load) {
            Ok(None) => (),
            Ok(Some(Content { title, alt, svg })) => {
                let svg_light = described(&svg, &title, &alt);
                plots.push(Plot { name, title, alt, svg_light });
            }
            Err(cause) => return Err(PlotError { name, cause: cause.to_string() }),
        }
    }
    Ok(plots)
}

impl Plot {
    /// The picture for a page: colours as CSS variables (see [`css_variables`]), as wide as its box.
    pub fn for_page(&self) -> String {
        let svg = self.svg_light.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "");
        let fixed = svg.find(" width=").zip(svg.find(" viewBox="));
        let fluid = fixed.map_or(svg.clone(), |(from, to)| format!("{}{}", &svg[..from], &svg[to..]));
        palette::with_variables(&fluid)
    }
}

/// Puts title and description into the picture, for screen readers.
fn described(svg: &str, title: &str, alt: &str) -> String {
    let escaped = |text: &str| maud::html! { (text) }.into_string();
    let (title, alt) = (escaped(title), escaped(alt));
    let label = format!("<svg role=\"img\" aria-label=\"{title}\"");
    let svg = svg.replacen("<svg", &label, 1);
    svg.replacen('>', &format!(">\n<title>{title}</title>\n<desc>{alt}</desc>"), 1)
}

/// Smallest and largest of the finite values.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |found, v| {
        let (low, high) = found.unwrap_or((v, v));
        Some((v.min(low), v.max(high)))
    })
}

/// The median of some values.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Legend entries of the subjects that have data at a load point, and what thin and faded lines mean.
fn legend(document: &Document, load: &LoadPoint, thin: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let (mut any_valid, mut any_invalid) = (false, false);
    for (i, subject) in document.summary.subjects.iter().enumerate() {
        let data = document.data(subject, &load.name);
        if data.is_empty() {
            continue;
        }
        any_valid |= data.iter().any(|(_, valid)| *valid);
        any_invalid |= data.iter().any(|(_, valid)| !valid);
        keys.push(Key { label: subject.clone(), ink: Ink::Subject(i), sample: Sample::Line });
    }
    if any_valid && !thin.is_empty() {
        // Thin lines have their subject's colour; the first one's stands for all.
        keys.push(Key { label: thin.to_owned(), ink: Ink::Subject(0), sample: Sample::Thin });
    }
    if any_invalid {
        keys.push(Key { label: "not counted".to_owned(), ink: Ink::Muted, sample: Sample::Faded });
    }
    keys
}

/// Names the cells that are drawn faded.
fn faded_note(cells: &[(&CellDigest, bool)]) -> Option<String> {
    let ids: BTreeSet<&str> =
        cells.iter().filter(|(_, valid)| !valid).map(|(data, _)| data.meta.cell.id.as_str()).collect();
    let list = ids.into_iter().collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then(|| format!("Grey, not counted (INVALID or unfinished): {list}."))
}

/// Data of all subjects at a load point.
fn all_data<'a>(document: &Document<'a>, load: &LoadPoint) -> Vec<(&'a CellDigest, bool)> {
    document.summary.subjects.iter().flat_map(|subject| document.data(subject, &load.name)).collect()
}

/// End of a load point's plan, seconds since the cell's start.
fn end_s(load: &LoadPoint) -> f64 {
    (load.warmup + load.duration).as_secs_f64()
}

/// Trials of a subject in bins, each with whether it is VALID.
type Binned = Vec<(Vec<series::TimeBin>, bool)>;

/// Bins of a cell that lie wholly in its plan.
fn bins(data: &CellDigest, load: &LoadPoint) -> Vec<series::TimeBin> {
    let (width_s, end_s) = (series::bin_s(load), end_s(load));
    data.records.bins.iter().copied().filter(|bin| bin.t_s + width_s <= end_s + 1e-6).collect()
}

/// Bin by bin the median over the trials of one quantity, at the middle of the bins.
fn median_over_trials(
    trials: &[Vec<series::TimeBin>],
    width_s: f64,
    value: impl Fn(&series::TimeBin) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let longest = trials.iter().map(Vec::len).max().unwrap_or(0);
    let point = |i: usize| {
        let mut values: Vec<f64> = trials.iter().filter_map(|bins| value(bins.get(i)?)).collect();
        Some(((i as f64 + 0.5) * width_s, median(&mut values)?))
    };
    (0..longest).filter_map(point).collect()
}

/// The area of one of several panels below each other.
fn stacked(top: f64, panel_height: f64, gap: f64, index: usize) -> Area {
    let top = top + gap + index as f64 * (panel_height + gap);
    Area { left: PANEL_LEFT, top, right: PANEL_RIGHT, bottom: top + panel_height }
}

/// How the load point is called in descriptions.
fn load_words(load: &LoadPoint) -> String {
    format!("{} ({})", load.name, format::arrivals(&load.arrivals))
}

/// A subtitle: the load, and how to read the plot.
fn subtitle(load: &LoadPoint, reading: &str) -> String {
    let arrivals = format::arrivals(&load.arrivals);
    let (first, rest) = arrivals.split_at(1);
    format!("{}{rest}. {reading}", first.to_uppercase())
}
