//! A Poisson process: exponential distances, what many independent users look like.

use super::{Extent, MOST_SENDS, NS, playable};
use crate::drive::draws::Stream;

/// Send times of a Poisson process of `rate` requests a second.
///
/// Gaps are drawn by inversion, `-ln(1 - u) / rate` (Devroye, Non-Uniform Random Variate
/// Generation, 1986, chapter 2); the first request comes one gap after the start.
pub fn poisson(rate: f64, extent: Extent, seed: u64) -> Vec<u64> {
    if !playable(rate) {
        return Vec::new();
    }
    let mut stream = Stream::new(seed, b"arrivals");
    let mut at_ns = 0.0;
    (0..MOST_SENDS)
        .map(|index| {
            at_ns += -(1.0 - stream.unit()).ln() * NS / rate;
            (index, at_ns)
        })
        .take_while(|&(index, at_ns)| extent.contains(index, at_ns))
        .map(|(_, at_ns)| at_ns as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn gaps(times: &[u64]) -> Vec<f64> {
        std::iter::once(&0).chain(times).zip(times).map(|(a, b)| (b - a) as f64).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_rate_lies_within_sampling_error(rate in 200.0f64..5_000.0, seed: u64) {
            let times = poisson(rate, Extent::Duration(Duration::from_secs(5)), seed);
            let expected = rate * 5.0;
            // The count's standard deviation is the root of its mean; 6 of them: 2 in 10^9.
            prop_assert!((times.len() as f64 - expected).abs() < 6.0 * expected.sqrt());
        }

        #[test]
        fn times_ascend_and_stay_in_the_window(rate in 1.0f64..5_000.0, seed: u64) {
            let times = poisson(rate, Extent::Duration(Duration::from_secs(1)), seed);
            prop_assert!(times.is_sorted());
            prop_assert!(times.iter().all(|&at| at < 1_000_000_000));
        }

        #[test]
        fn gaps_are_exponential(rate in 1.0f64..50_000.0, seed: u64) {
            let count = 4_000;
            let mut gaps = gaps(&poisson(rate, Extent::Count(count), seed));
            let n = gaps.len() as f64;
            let mean = gaps.iter().sum::<f64>() / n;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let variation = variance.sqrt() / mean;
            prop_assert!((variation - 1.0).abs() < 0.12, "coefficient of variation {variation}");
            // Kolmogorov-Smirnov distance to 1 - exp(-x); 2.5 / sqrt(n) is exceeded 7 times in 10^6.
            gaps.sort_by(f64::total_cmp);
            let distance = gaps
                .iter()
                .enumerate()
                .map(|(i, gap)| {
                    let cdf = 1.0 - (-gap * rate / NS).exp();
                    (cdf - i as f64 / n).abs().max(((i + 1) as f64 / n - cdf).abs())
                })
                .fold(0.0, f64::max);
            // Whole nanoseconds add at most rate / 10^9 to the distance.
            prop_assert!(distance < 2.5 / n.sqrt() + rate / NS, "distance {distance}");
        }
    }

    #[test]
    fn the_same_seed_yields_the_same_schedule_and_another_one_another() {
        let draw = |seed| poisson(100.0, Extent::Count(50), seed);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // Pinned: a change of the generator would silently change every saved experiment.
        assert_eq!(draw(7)[..3], [8_266_040, 8_508_137, 28_075_131]);
    }
}
