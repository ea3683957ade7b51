//! Rates that change over time: ramp, spike, square wave. One method for all: the cumulative rate
//! is inverted, so that no request is lost or doubled where one rate ends and the next begins.

use std::time::Duration;

use super::{MOST_SENDS, NS};
use crate::drive::draws::Stream;

/// A stretch in which the rate goes evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    seconds: f64,
    /// Requests a second at its start and at its end.
    from: f64,
    to: f64,
}

impl Stretch {
    fn flat(seconds: f64, rate: f64) -> Self {
        Self { seconds, from: rate, to: rate }
    }

    /// Requests expected in it.
    fn mass(self) -> f64 {
        self.seconds * f64::midpoint(self.from, self.to)
    }

    /// Seconds from its start until `mass` requests are expected to have come (`mass` lies in it).
    ///
    /// Solves from·t + (to - from)·t²/(2·seconds) = mass in the form that is stable for small slopes.
    fn at(self, mass: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * mass).max(0.0).sqrt();
        if self.from + root > 0.0 { (2.0 * mass / (self.from + root)).min(self.seconds) } else { 0.0 }
    }
}

/// Send times over stretches: the k-th request comes when the cumulative rate reaches k (evenly), or
/// the k-th point of a Poisson process of rate 1 (at random: time rescaling, Çinlar, Introduction to
/// Stochastic Processes, 1975, chapter 4.7).
fn over(stretches: &[Stretch], random_seed: Option<u64>) -> Vec<u64> {
    let mut draw = random_seed.map(|seed| Stream::new(seed, b"arrivals"));
    let mut step = move || draw.as_mut().map_or(1.0, |stream| -(1.0 - stream.unit()).ln());
    let mut times = Vec::new();
    let (mut begin_s, mut passed) = (0.0, 0.0);
    // The first request of an even shape comes at the start, as with a constant rate.
    let mut next = if random_seed.is_some() { step() } else { 0.0 };
    for stretch in stretches.iter().filter(|s| s.seconds > 0.0) {
        let mass = stretch.mass();
        while next < passed + mass - 1e-9 && (times.len() as u64) < MOST_SENDS {
            times.push(((begin_s + stretch.at(next - passed)) * NS) as u64);
            next += step();
        }
        begin_s += stretch.seconds;
        passed += mass;
    }
    times
}

/// A rate that goes evenly from `from` to `to` requests a second over the window. `seed`: at random.
pub fn ramp(from: f64, to: f64, window: Duration, seed: Option<u64>) -> Vec<u64> {
    over(&[Stretch { seconds: window.as_secs_f64(), from, to }], seed)
}

/// `base` requests a second, and `peak` for `length` from `at` on. `seed`: at random.
pub fn spike(
    (base, peak): (f64, f64),
    (at, length): (Duration, Duration),
    window: Duration,
    seed: Option<u64>,
) -> Vec<u64> {
    let before = at.min(window);
    let during = length.min(window.saturating_sub(before));
    let after = window.saturating_sub(before).saturating_sub(during);
    let stretch = |time: Duration, rate| Stretch::flat(time.as_secs_f64(), rate);
    over(&[stretch(before, base), stretch(during, peak), stretch(after, base)], seed)
}

/// `low` and `high` requests a second in turn, each for half a period. `seed`: at random.
pub fn square((low, high): (f64, f64), period: Duration, window: Duration, seed: Option<u64>) -> Vec<u64> {
    let half = period.as_secs_f64() / 2.0;
    let whole = window.as_secs_f64();
    if half <= 0.0 {
        return Vec::new();
    }
    let halves = (whole / half).ceil().min(MOST_SENDS as f64) as u64;
    let stretches: Vec<Stretch> = (0..halves)
        .map(|i| Stretch::flat((whole - i as f64 * half).min(half), if i % 2 == 0 { low } else { high }))
        .collect();
    over(&stretches, seed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(times: &[u64], from_s: f64, to_s: f64) -> f64 {
        times.iter().filter(|&&at| (from_s * NS..to_s * NS).contains(&(at as f64))).count() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_ramp_has_the_rate_of_its_place(from in 0.0f64..500.0, to in 1.0f64..2_000.0, part in 0.0f64..0.9) {
            let times = ramp(from, to, Duration::from_secs(10), None);
            prop_assert!(times.is_sorted());
            let rate_at = |s: f64| from + (to - from) * s / 10.0;
            let (begin, end) = (part * 10.0, (part + 0.1) * 10.0);
            let expected = f64::midpoint(rate_at(begin), rate_at(end)) * (end - begin);
            prop_assert!((within(&times, begin, end) - expected).abs() <= 1.5, "{expected}");
        }

        #[test]
        fn a_spike_is_where_it_was_put(base in 0.0f64..100.0, peak in 10.0f64..2_000.0, at_s in 0u64..9) {
            let (at, length) = (Duration::from_secs(at_s), Duration::from_secs(1));
            let times = spike((base, peak), (at, length), Duration::from_secs(10), None);
            prop_assert!(times.is_sorted());
            let at_s = at_s as f64;
            prop_assert!((within(&times, at_s, at_s + 1.0) - peak).abs() <= 1.5);
            prop_assert!((times.len() as f64 - (9.0 * base + peak)).abs() <= 1.5);
        }

        #[test]
        fn a_square_wave_alternates(low in 0.0f64..200.0, high in 1.0f64..1_000.0) {
            let times = square((low, high), Duration::from_secs(2), Duration::from_secs(7), None);
            for half in 0..7 {
                let expected = if half % 2 == 0 { low } else { high };
                let sent = within(&times, f64::from(half), f64::from(half + 1));
                prop_assert!((sent - expected).abs() <= 1.5, "{half}: {sent} {expected}");
            }
        }

        #[test]
        fn at_random_the_number_scatters_as_a_poisson_process_does(seed: u64) {
            let times = ramp(0.0, 1_000.0, Duration::from_secs(10), Some(seed));
            prop_assert!(times.is_sorted());
            // 5,000 expected; 6 standard deviations: 2 in 10^9.
            prop_assert!((times.len() as f64 - 5_000.0).abs() < 6.0 * 5_000f64.sqrt());
            let second_half = within(&times, 5.0, 10.0);
            prop_assert!((second_half - 3_750.0).abs() < 6.0 * 3_750f64.sqrt());
            prop_assert_eq!(&times, &ramp(0.0, 1_000.0, Duration::from_secs(10), Some(seed)));
        }
    }

    #[test]
    fn a_flat_ramp_is_a_constant_rate() {
        let times = ramp(10.0, 10.0, Duration::from_secs(2), None);
        assert_eq!(times.len(), 20);
        assert_eq!((times[0], times[10]), (0, 1_000_000_000));
    }

    #[test]
    fn a_random_ramp_scatters_more_than_an_even_one() {
        let variation = |seed| {
            let times = square((200.0, 200.0), Duration::from_secs(1), Duration::from_secs(20), seed);
            let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt() / mean
        };
        assert!(variation(None) < 0.01 && (variation(Some(3)) - 1.0).abs() < 0.1);
    }
}
