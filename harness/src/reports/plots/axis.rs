//! An axis that chooses its own ticks: linear, logarithmic, or the tail of a distribution.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};

use crate::{analyse::series, reports::format};

/// Spans above this ratio are drawn logarithmically.
const LOG_FROM_RATIO: f64 = 20.0;

/// One axis of a panel.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Where a grid line and a label stand.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high`, widened to round numbers, with about `wanted` ticks.
    pub(super) fn linear(low: f64, high: f64, wanted: usize) -> Self {
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        let step = series::nice_step((high - low) / wanted.max(1) as f64);
        let (first, last) = ((low / step).floor(), (high / step - 1e-9).ceil());
        let ticks: Vec<f64> = (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
        let decimals = (-(step * 1.001).log10().floor()).max(0.0) as usize;
        let label = |v: &f64| (*v, label(*v, decimals));
        Self { low: first * step, high: last * step, log: false, ticks: ticks.iter().map(label).collect() }
    }

    /// From 0 to at least `high`, whole numbers only.
    pub(super) fn whole(high: u32, wanted: u32) -> Self {
        let high = high.max(1);
        let step = series::nice_step(f64::from(high) / f64::from(wanted)).max(1.0).round() as u32;
        let last = high.div_ceil(step) * step;
        let ticks = (0..=last / step).map(|i| (f64::from(i * step), (i * step).to_string())).collect();
        // A little room above, so that a line at the top is not cut in half.
        Self { low: 0.0, high: f64::from(last) * 1.06, log: false, ticks }
    }

    /// From `low` to `high` (both above 0) on a logarithmic scale. Ticks at 1, 2 and 5 of each decade, or
    /// decades alone where there are many, or even steps where there is less than one.
    pub(super) fn log(low: f64, high: f64) -> Self {
        let low = low.max(1e-9);
        let high = high.max(low * 1.001);
        let decades = (high / low).log10();
        let marks: &[f64] = if decades > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let all = (first..=last).flat_map(|d| marks.iter().map(move |mark| mark * 10f64.powi(d)));
        let mut ticks: Vec<_> = all.filter(|v| (low..=high).contains(v)).map(|v| (v, trimmed(v))).collect();
        if ticks.len() < 3 {
            let even = Self::linear(low, high, 6).ticks;
            ticks = even.into_iter().filter(|(v, _)| (low..=high).contains(v)).collect();
        }
        Self { low, high, log: true, ticks }
    }

    /// For positive values (latencies): linear from 0, or logarithmic if they span a wide range.
    pub(super) fn positive(low: f64, high: f64, wanted: usize) -> Self {
        if low > 0.0 && high / low > LOG_FROM_RATIO {
            Self::log(low * 0.9, high * 1.1)
        } else {
            Self::linear(0.0, high * 1.02, wanted)
        }
    }

    /// The share of requests up to a value, with equal room for each further nine: from 0 % over
    /// 90 % and 99 % up to `nines` nines. Values are those of [`nines`].
    pub(super) fn tail(high_nines: f64) -> Self {
        let shares = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
        let ticks = shares.map(|share| (nines(share), format!("{} %", trimmed(share * 100.0))));
        let high = high_nines.max(1.5);
        Self { low: 0.0, high, log: false, ticks: ticks.into_iter().filter(|t| t.0 <= high).collect() }
    }

    /// Without labels, for panels that write their own.
    pub(super) fn bare(low: f64, high: f64) -> Self {
        Self { low, high, log: false, ticks: Vec::new() }
    }

    /// Seconds from 0 to the end of a plan.
    pub(super) fn time(end_s: f64) -> Self {
        let ticks = Self::linear(0.0, end_s, 7).ticks.into_iter().filter(|(at, _)| *at <= end_s).collect();
        Self { low: 0.0, high: end_s.max(1e-3), log: false, ticks }
    }

    /// Where it begins.
    pub(super) fn range_low(&self) -> f64 {
        self.low
    }

    /// Where it ends.
    pub(super) fn range_high(&self) -> f64 {
        self.high
    }

    fn part(&self, value: f64) -> f64 {
        let part = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Nothing is drawn outside of its panel.
        part.clamp(0.0, 1.0)
    }
}

/// -log10(1 - share): 0 for none, 1 for 90 %, 2 for 99 %.
pub(super) fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-12).log10()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (f64::from(limit.1 - limit.0) * self.part(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

fn label(value: f64, decimals: usize) -> String {
    if decimals > 0 { format!("{value:.decimals$}") } else { format::count(value.max(0.0).round() as u64) }
}

/// Without the zeros at its end.
fn trimmed(value: f64) -> String {
    if value >= 1.0 && value.fract() < 1e-6 {
        return label(value, 0);
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        assert_eq!(labels(&Axis::linear(0.0, 87.0, 5)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::whole(5, 4)), ["0", "2", "4", "6"]);
        assert_eq!(labels(&Axis::whole(0, 4)), ["0", "1"]);
        assert_eq!(labels(&Axis::log(0.8, 60.0)), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(&Axis::tail(3.0)), ["0 %", "50 %", "90 %", "95 %", "99 %", "99.9 %"]);
    }

    proptest! {
        #[test]
        fn an_axis_covers_its_data_with_a_readable_number_of_distinct_ticks(
            low in 1e-3..1e6_f64, factor in 1.0001..1e6_f64, wanted in 3..8_usize,
        ) {
            for axis in [Axis::linear(low, low * factor, wanted), Axis::positive(low, low * factor, wanted)] {
                prop_assert!(axis.range().start <= low && axis.range().end >= low * factor * 0.999_999);
                prop_assert!((2..=12).contains(&axis.ticks.len()), "{:?}", axis);
                let mut distinct = labels(&axis);
                distinct.dedup();
                prop_assert_eq!(distinct.len(), axis.ticks.len());
            }
        }

        #[test]
        fn larger_values_stand_further_along(a in 0.1..1e4_f64, b in 0.1..1e4_f64) {
            let axis = Axis::log(0.05, 2e4);
            let at = |v: f64| axis.map(&v, (0, 100_000));
            prop_assert_eq!(a < b && at(a) > at(b), false);
        }
    }
}
