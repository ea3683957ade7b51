//! What became of the thresholds: each is looked up in a run's figures, and where no figure can
//! vouch for it, it does not hold.
//!
//! A figure of several trials is the mean over the VALID ones, as in the report's tables; failures
//! are pooled. A ratio carries an interval, and the whole of it must lie on the right side: a ratio
//! that may as well lie beyond the limit has not met it. A percentile that time-outs make a lower
//! bound can pass a floor (`>`), never a ceiling (`<`).

use super::{
    statistics::bootstrap::mean,
    summary::{CellSummary, Comparison, Quantiles, ThresholdResult},
    tally::Tally,
};
use crate::{
    experiment::{Experiment, Quantity, Threshold},
    record::Outcome,
};

/// What one interval yields that a threshold can look at.
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a> {
    /// Response times.
    pub response_ms: &'a Quantiles,
    /// Requests, and those of them that ended well.
    pub requests: (u64, u64),
    /// Correct answers a second.
    pub goodput_rps: f64,
    /// Answers of any kind a second.
    pub achieved_rps: f64,
}

impl<'a> From<&'a CellSummary> for Figures<'a> {
    fn from(cell: &'a CellSummary) -> Self {
        Self {
            response_ms: &cell.response_ms,
            requests: (cell.requests, cell.outcomes.get(Outcome::Ok.name()).copied().unwrap_or(0)),
            goodput_rps: cell.goodput_rps,
            achieved_rps: cell.achieved_rps,
        }
    }
}

impl<'a> From<&'a Tally> for Figures<'a> {
    fn from(counts: &'a Tally) -> Self {
        Self {
            response_ms: &counts.response_ms,
            requests: (counts.requests, counts.count(Outcome::Ok)),
            goodput_rps: counts.goodput_rps,
            achieved_rps: counts.achieved_rps,
        }
    }
}

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    value: f64,
    /// Whether the true value may be larger.
    is_lower_bound: bool,
}

/// Every threshold of the experiment against every figure that it speaks of, in its order.
pub(super) fn evaluate(
    experiment: &Experiment,
    cells: &[CellSummary],
    comparisons: &[Comparison],
) -> Vec<ThresholdResult> {
    let (trials, mut results) = (experiment.trials, Vec::new());
    for threshold in &experiment.thresholds {
        if threshold.is_ratio() {
            results.extend(of_ratios(threshold, comparisons));
            continue;
        }
        for load in &experiment.load {
            for subject in experiment.subjects.iter().filter(|s| threshold.covers(&load.name, &s.label)) {
                let of_both = |c: &&CellSummary| c.subject == subject.label && c.load == load.name;
                let cells: Vec<&CellSummary> =
                    cells.iter().filter(of_both).filter(|c| c.trial <= trials).collect();
                results.push(of_cells(threshold, (&load.name, &subject.label), trials, &cells));
            }
        }
    }
    results
}

/// A threshold on ratios, against all primary comparisons that it speaks of.
pub(super) fn of_ratios(threshold: &Threshold, comparisons: &[Comparison]) -> Vec<ThresholdResult> {
    let of = |c: &&Comparison| c.primary && threshold.covers(&c.load, &c.contender);
    comparisons.iter().filter(of).map(|comparison| of_ratio(threshold, comparison)).collect()
}

fn of_ratio(threshold: &Threshold, comparison: &Comparison) -> ThresholdResult {
    let place = (comparison.load.as_str(), comparison.contender.as_str());
    if let super::summary::Verdict::NoVerdict { reason } = &comparison.verdict {
        return unknown(threshold, place, reason.clone());
    }
    let Some(ratio) = comparison.ratio else {
        return unknown(threshold, place, "there is no ratio: too few trials, or a figure of zero".into());
    };
    let holds = |figure| threshold.operator.holds(figure, threshold.limit);
    let (met, near) = (holds(ratio.low) && holds(ratio.high), holds(ratio.estimate));
    let reason = (near && !met).then(|| "the interval reaches beyond the limit".to_owned());
    let text = format!("{:.3} ({:.3} to {:.3})", ratio.estimate, ratio.low, ratio.high);
    result(threshold, place, Some(ratio.estimate), text, met, reason)
}

/// A threshold on the figures of one subject at one load point.
fn of_cells(
    threshold: &Threshold,
    place: (&str, &str),
    trials: u32,
    cells: &[&CellSummary],
) -> ThresholdResult {
    let valid: Vec<Figures> =
        cells.iter().filter(|c| c.validity.is_valid()).map(|&cell| Figures::from(cell)).collect();
    let out = trials as usize - valid.len().min(trials as usize);
    if valid.is_empty() || 5 * out > trials as usize {
        return unknown(threshold, place, format!("{out} of {trials} trials are INVALID or missing"));
    }
    judge(threshold, place, &valid)
}

/// A threshold on one interval that stands by itself, as of `harness load`.
pub fn of_interval(threshold: &Threshold, figures: Figures, valid: bool) -> ThresholdResult {
    if valid {
        judge(threshold, ("", ""), &[figures])
    } else {
        unknown(threshold, ("", ""), "the measurement is INVALID".into())
    }
}

fn judge(threshold: &Threshold, place: (&str, &str), figures: &[Figures]) -> ThresholdResult {
    let Some(Measured { value, is_lower_bound }) = measured(threshold.quantity, figures) else {
        let why = match threshold.quantity {
            Quantity::Response("p99_9") => "there is no such figure: fewer than ten requests lie beyond it",
            _ => "there is no such figure: no correct answer",
        };
        return unknown(threshold, place, why.into());
    };
    let bound = if is_lower_bound { "at least " } else { "" };
    let text = format!("{bound}{}", in_words(threshold.quantity, value));
    let holds = threshold.operator.holds(value, threshold.limit);
    let cannot = is_lower_bound && !threshold.operator.is_floor();
    let reason = cannot.then(|| "time-outs make it a lower bound: the true figure is larger".to_owned());
    result(threshold, place, Some(value), text, holds && !cannot, reason)
}

/// The figure over these intervals.
fn measured(quantity: Quantity, figures: &[Figures]) -> Option<Measured> {
    let exactly = |value: f64| Some(Measured { value, is_lower_bound: false });
    let over = |of: fn(&Figures) -> f64| mean(&figures.iter().map(of).collect::<Vec<_>>());
    match quantity {
        Quantity::Goodput => exactly(over(|f| f.goodput_rps)),
        Quantity::Achieved => exactly(over(|f| f.achieved_rps)),
        Quantity::Failures => {
            let requests: u64 = figures.iter().map(|f| f.requests.0).sum();
            let correct: u64 = figures.iter().map(|f| f.requests.1).sum();
            if requests == 0 { None } else { exactly(1.0 - correct as f64 / requests as f64) }
        }
        Quantity::Response(name) => {
            let values: Option<Vec<f64>> = figures.iter().map(|f| f.response_ms.named(name)).collect();
            let is_lower_bound =
                figures.iter().any(|f| f.response_ms.lower_bounds.iter().any(|bound| bound == name));
            Some(Measured { value: mean(&values?), is_lower_bound })
        }
        Quantity::Ratio => None,
    }
}

fn in_words(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Response(_) => format!("{value:.1} ms"),
        Quantity::Failures => format!("{:.2} %", 100.0 * value),
        Quantity::Goodput | Quantity::Achieved => format!("{value:.1}/s"),
        Quantity::Ratio => format!("{value:.3}"),
    }
}

fn unknown(threshold: &Threshold, place: (&str, &str), reason: String) -> ThresholdResult {
    result(threshold, place, None, "nothing".into(), false, Some(reason))
}

fn result(
    threshold: &Threshold,
    (load, subject): (&str, &str),
    measured: Option<f64>,
    text: String,
    met: bool,
    reason: Option<String>,
) -> ThresholdResult {
    let (load, subject) = (load.to_owned(), subject.to_owned());
    ThresholdResult { threshold: threshold.to_string(), load, subject, measured, text, met, reason }
}

impl ThresholdResult {
    /// In one line: `met: p99<500ms (closed-8, knative): 412.3 ms`.
    pub fn line(&self) -> String {
        let word = if self.met { "met" } else { "NOT MET" };
        let place: Vec<&str> =
            [self.load.as_str(), self.subject.as_str()].into_iter().filter(|name| !name.is_empty()).collect();
        let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
        let reason = self.reason.as_ref().map_or(String::new(), |reason| format!("; {reason}"));
        format!("{word}: {}{place}: {}{reason}", self.threshold, self.text)
    }
}

impl Quantiles {
    /// The figure of this name, as in `lower_bounds`.
    pub fn named(&self, name: &str) -> Option<f64> {
        match name {
            "mean" => self.mean,
            "p50" => self.p50,
            "p90" => self.p90,
            "p95" => self.p95,
            "p99" => self.p99,
            "p99_9" => self.p99_9,
            "max" => self.max,
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "thresholds_tests.rs"]
mod tests;
