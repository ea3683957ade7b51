//! Times of a quantity, some of them censored, in bounded memory: every value while there are few,
//! a high-resolution histogram once there are many.
//!
//! The histogram is an HdrHistogram (Tene): a value is kept to a stated number of significant
//! decimal digits, so that percentiles are off by no more than that, whatever the distribution.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{
    quantiles::{Run, of_runs},
    summary::Quantiles,
};

/// Values that are kept as they are.
const EXACT: usize = 1_000_000;
/// Significant digits beyond that: percentiles are then off by 0.01 % at most.
const DIGITS: u8 = 4;

/// The same for many small collections side by side (the bins of a plot).
const EXACT_COARSE: usize = 20_000;
const DIGITS_COARSE: u8 = 3;

/// Longest time that the histogram tells apart, ns: a day.
const LONGEST_NS: u64 = 86_400_000_000_000;

/// Times of one quantity, nanoseconds.
#[derive(Debug, Clone)]
pub struct Times {
    complete: Pile,
    censored: Pile,
    sum_ns: u128,
}

impl Default for Times {
    /// None yet; percentiles are exact up to a million values, and within 0.01 % beyond.
    fn default() -> Self {
        Self::with(EXACT, DIGITS)
    }
}

impl Times {
    /// None yet, for many collections side by side: exact up to 20,000 values, and within 0.1 % beyond.
    pub fn coarse() -> Self {
        Self::with(EXACT_COARSE, DIGITS_COARSE)
    }

    fn with(exact: usize, digits: u8) -> Self {
        let pile = || Pile { values: Vec::new(), histogram: None, exact, digits, max_ns: 0 };
        Self { complete: pile(), censored: pile(), sum_ns: 0 }
    }

    /// Takes a time; a censored one is known to be at least this long.
    pub fn push(&mut self, ns: u64, censored: bool) {
        self.sum_ns += u128::from(ns);
        if censored { &mut self.censored } else { &mut self.complete }.push(ns);
    }

    /// Takes all times of another collection.
    pub fn merge(&mut self, other: &Self) {
        self.sum_ns += other.sum_ns;
        self.complete.merge(&other.complete);
        self.censored.merge(&other.censored);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.complete.count() + self.censored.count()
    }

    /// How many of them are censored.
    pub fn censored(&self) -> u64 {
        self.censored.count()
    }

    /// Whether every value is still known as it was, so that percentiles are exact.
    pub fn is_exact(&self) -> bool {
        self.complete.histogram.is_none() && self.censored.histogram.is_none()
    }

    /// Percentiles in milliseconds; see [`super::quantiles`].
    pub fn quantiles(&self) -> Quantiles {
        of_runs(&self.runs(), self.sum_ns as f64 / 1e6)
    }

    /// Ascending values in milliseconds with how often each occurs; at equal times the complete one
    /// comes first.
    pub(super) fn runs(&self) -> Vec<Run> {
        let run = |censored| move |(ns, count): (u64, u64)| Run { ms: ns as f64 / 1e6, count, censored };
        let mut runs: Vec<Run> = self.complete.ascending().map(run(false)).collect();
        runs.extend(self.censored.ascending().map(run(true)));
        runs.sort_by(|a, b| a.ms.total_cmp(&b.ms).then(a.censored.cmp(&b.censored)));
        runs
    }
}

/// Values, complete or censored.
#[derive(Debug, Clone)]
struct Pile {
    values: Vec<u64>,
    histogram: Option<Histogram<u64>>,
    exact: usize,
    digits: u8,
    max_ns: u64,
}

impl Pile {
    fn push(&mut self, ns: u64) {
        self.max_ns = self.max_ns.max(ns);
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(ns);
        } else {
            self.values.push(ns);
            if self.values.len() > self.exact {
                self.condense();
            }
        }
    }

    /// From values to a histogram.
    fn condense(&mut self) {
        // The bounds are constants that the crate accepts.
        let Ok(mut histogram) = Histogram::new_with_bounds(1, LONGEST_NS, self.digits) else { return };
        for ns in std::mem::take(&mut self.values) {
            histogram.saturating_record(ns);
        }
        self.histogram = Some(histogram);
    }

    fn merge(&mut self, other: &Self) {
        self.max_ns = self.max_ns.max(other.max_ns);
        if self.histogram.is_none()
            && (other.histogram.is_some() || self.values.len() + other.values.len() > self.exact)
        {
            self.condense();
        }
        match (&mut self.histogram, &other.histogram) {
            (Some(own), Some(others)) => {
                for (ns, count) in ascending(others, other.max_ns) {
                    own.saturating_record_n(ns, count);
                }
            }
            (Some(own), None) => other.values.iter().for_each(|&ns| own.saturating_record(ns)),
            (None, _) => self.values.extend_from_slice(&other.values),
        }
    }

    fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(self.values.len() as u64, Histogram::len)
    }

    /// Ascending values with how often each occurs.
    fn ascending(&self) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        if let Some(histogram) = &self.histogram {
            return Box::new(ascending(histogram, self.max_ns));
        }
        let mut counts = BTreeMap::new();
        if self.values.len() < 64 {
            self.values.iter().for_each(|&ns| *counts.entry(ns).or_insert(0_u64) += 1);
            return Box::new(counts.into_iter());
        }
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for ns in sorted {
            match runs.last_mut() {
                Some(last) if last.0 == ns => last.1 += 1,
                _ => runs.push((ns, 1)),
            }
        }
        Box::new(runs.into_iter())
    }
}

/// Recorded values at the middle of their buckets; the largest is known as it was.
fn ascending(histogram: &Histogram<u64>, max_ns: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    histogram.iter_recorded().map(move |step| {
        let value = step.value_iterated_to();
        (histogram.median_equivalent(value).min(max_ns), step.count_at_value())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyse::quantiles::{Observation, quantiles};

    fn times(values: &[(u64, bool)], exact: usize) -> Times {
        let mut times = Times::with(exact, DIGITS);
        values.iter().for_each(|&(ns, censored)| times.push(ns, censored));
        times
    }

    #[test]
    fn nothing_yields_no_figures() {
        assert_eq!(Times::default().quantiles(), Quantiles::default());
    }

    proptest! {
        #[test]
        fn few_values_give_the_exact_percentiles(
            values in prop::collection::vec((0u64..1_000_000_000, prop::bool::weighted(0.05)), 1..400)
        ) {
            let seen = times(&values, EXACT).quantiles();
            let truth = quantiles(values.iter().map(|&(ns, censored)| Observation { ms: ns as f64 / 1e6, censored }));
            prop_assert_eq!(Quantiles { mean: None, ..seen.clone() }, Quantiles { mean: None, ..truth.clone() });
            prop_assert!((seen.mean.unwrap() - truth.mean.unwrap()).abs() < 1e-6);
        }

        #[test]
        fn many_values_are_off_by_a_hundredth_of_a_percent_at_most(
            values in prop::collection::vec((1u64..10_000_000_000, prop::bool::weighted(0.02)), 50..400)
        ) {
            let (seen, truth) = (times(&values, 10).quantiles(), times(&values, EXACT).quantiles());
            prop_assert_eq!((seen.count, seen.censored), (truth.count, truth.censored));
            for (seen, truth) in [(seen.p50, truth.p50), (seen.p95, truth.p95), (seen.p99, truth.p99), (seen.max, truth.max)] {
                let (seen, truth) = (seen.unwrap(), truth.unwrap());
                prop_assert!((seen - truth).abs() <= 1e-4 * truth, "{seen} {truth}");
            }
        }

        #[test]
        fn merged_collections_are_as_one(
            a in prop::collection::vec((1u64..10_000_000, prop::bool::weighted(0.05)), 0..60),
            b in prop::collection::vec((1u64..10_000_000, prop::bool::weighted(0.05)), 1..60),
            exact in 1usize..80,
        ) {
            let mut merged = times(&a, exact);
            merged.merge(&times(&b, exact));
            let all: Vec<_> = a.iter().chain(&b).copied().collect();
            let whole = times(&all, EXACT).quantiles();
            let seen = merged.quantiles();
            prop_assert_eq!((seen.count, seen.censored), (whole.count, whole.censored));
            let (seen, truth) = (seen.p90.unwrap(), whole.p90.unwrap());
            prop_assert!((seen - truth).abs() <= 1e-4 * truth, "{seen} {truth}");
        }
    }
}
