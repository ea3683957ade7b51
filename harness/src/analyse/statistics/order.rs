//! Intervals for quantiles from order statistics: whatever the distribution is.
//!
//! Of `n` independent observations, the number that lie below the p-quantile is binomial. The
//! interval from the l-th to the u-th smallest observation therefore holds the quantile with
//! probability P(l <= B < u), B ~ Bin(n, p): David and Nagaraja, "Order Statistics", 2003, section
//! 7.1; Conover, "Practical Nonparametric Statistics", 1999, section 3.2; Le Boudec, "Performance
//! Evaluation of Computer and Communication Systems", 2010, theorem 2.1. Nothing is assumed of the
//! distribution, and nothing but discrete levels can be reached, so the level reached is stated.
//!
//! Five observations span their median with 93.75 %: six are the fewest that reach 95 %.

use super::distributions::{binomial_cdf, normal_quantile};

/// Observations from which ranks come from the normal approximation with a continuity correction
/// outwards (Le Boudec, section 2.2.2); below, they are exact.
const EXACT_UP_TO: u64 = 2000;

/// Two ranks, from 1, and the probability with which they enclose the quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranks {
    /// Rank of the lower end.
    pub low: u64,
    /// Rank of the upper end.
    pub high: u64,
    /// Confidence reached, 0..1.
    pub confidence: f64,
}

/// The closest ranks that leave out at most (1 - `confidence`) / 2 on each side of the quantile
/// `share` (0..1) of `count` independent observations. Where a side cannot be left with so little,
/// its rank is the extreme one, and the confidence reached is below what was asked for. None
/// without observations.
pub fn ranks(count: u64, share: f64, confidence: f64) -> Option<Ranks> {
    if count == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    if count > EXACT_UP_TO {
        let (mean, sd) = (count as f64 * share, (count as f64 * share * (1.0 - share)).sqrt());
        let reach = normal_quantile(1.0 - tail) * sd;
        let (low, high) = ((mean - reach).floor(), (mean + reach).ceil() + 1.0);
        if low >= 1.0 && high <= count as f64 {
            return Some(Ranks { low: low as u64, high: high as u64, confidence });
        }
    }
    // P(quantile below the l-th) = P(B <= l - 1): the largest l for which that is at most the tail.
    let at_most = |rank: u64| binomial_cdf(rank, count, share);
    let low = partition(count, |l| at_most(l - 1) <= tail).max(1);
    // P(quantile not below the u-th) = 1 - P(B <= u - 1): the smallest u for which that is at most the tail.
    let high = (partition(count, |u| 1.0 - at_most(u - 1) > tail) + 1).min(count);
    Some(Ranks { low, high, confidence: at_most(high - 1) - at_most(low - 1) })
}

/// The largest rank of 1..=count that holds, where all up to some rank hold and none after; or 0.
fn partition(count: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut held, mut beyond) = (0, count + 1);
    while beyond - held > 1 {
        let middle = u64::midpoint(held, beyond);
        if holds(middle) { held = middle } else { beyond = middle }
    }
    held
}

/// A median with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The middle value; between the two middle ones of an even number.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence reached, 0..1; below what was asked for with fewer than six values at 95 %.
    pub confidence: f64,
}

/// The median of independent values, with its order-statistic interval. None with fewer than two.
pub fn median(values: &[f64], confidence: f64) -> Option<Median> {
    if values.len() < 2 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let Ranks { low, high, confidence } = ranks(n as u64, 0.5, confidence)?;
    Some(Median {
        estimate: f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
        low: sorted[low as usize - 1],
        high: sorted[high as usize - 1],
        confidence,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    #[test]
    fn five_values_cannot_reach_95_per_cent_and_six_do() {
        let five = median(&[5.0, 1.0, 4.0, 2.0, 3.0], 0.95).unwrap();
        assert_eq!((five.estimate, five.low, five.high), (3.0, 1.0, 5.0));
        assert!((five.confidence - 0.9375).abs() < 1e-12, "30 of 32");
        let six = ranks(6, 0.5, 0.95).unwrap();
        assert_eq!((six.low, six.high), (1, 6));
        assert!((six.confidence - 0.968_75).abs() < 1e-12);
        assert_eq!(median(&[1.0], 0.95), None);
        assert_eq!(ranks(0, 0.5, 0.95), None);
    }

    #[test]
    fn ranks_of_the_median_are_those_of_the_binomial_table() {
        // From Pascal's triangle: 1 + 8 of 256 are too many to leave out on a side of eight, and so on.
        for (n, low, high, confidence) in
            [(8, 1, 8, 0.9922), (9, 2, 8, 0.961), (10, 2, 9, 0.979), (20, 6, 15, 0.959)]
        {
            let found = ranks(n, 0.5, 0.95).unwrap();
            assert_eq!((found.low, found.high), (low, high), "{n}");
            assert!((found.confidence - confidence).abs() < 1e-3, "{found:?}");
        }
    }

    #[test]
    fn a_percentile_that_too_few_lie_beyond_ends_at_the_largest_and_says_how_sure_it_is() {
        let found = ranks(100, 0.99, 0.95).unwrap();
        assert_eq!(found.high, 100);
        assert!(found.confidence < 0.75, "{found:?}");
    }

    #[test]
    fn many_observations_get_nearly_the_exact_ranks() {
        for share in [0.5, 0.95, 0.99] {
            let (exact, about) = (ranks(2000, share, 0.95).unwrap(), ranks(2001, share, 0.95).unwrap());
            assert!(
                exact.low.abs_diff(about.low) <= 2 && exact.high.abs_diff(about.high) <= 2,
                "{exact:?} {about:?}"
            );
        }
        let large = ranks(50_000_000, 0.999, 0.95).unwrap();
        assert!(large.low < 49_950_000 && large.high > 49_950_000);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
        for n in [5_usize, 9, 20] {
            let mut held = 0;
            let mut stated = 0.0;
            for _ in 0..4000 {
                let draws: Vec<f64> = (0..n).map(|_| rng.random::<f64>().powi(7)).collect();
                let found = median(&draws, 0.95).unwrap();
                stated = found.confidence;
                held += u32::from(found.low <= 0.5_f64.powi(7) && 0.5_f64.powi(7) <= found.high);
            }
            // Three standard errors of 4000 draws are about 0.01.
            assert!(
                (f64::from(held) / 4000.0 - stated).abs() < 0.012,
                "{n}: {held} of 4000, stated {stated}"
            );
        }
    }

    proptest! {
        #[test]
        fn ranks_are_in_order_and_closer_ones_would_not_reach_the_level(n in 1u64..400, share in 0.01f64..0.99) {
            let found = ranks(n, share, 0.95).unwrap();
            prop_assert!(1 <= found.low && found.low <= found.high && found.high <= n);
            let below = |rank: u64| binomial_cdf(rank - 1, n, share);
            // The extreme rank is taken where even it leaves out more than a tail.
            prop_assert!(found.low == 1 || below(found.low) <= 0.025, "the lower tail");
            prop_assert!(below(found.low + 1) > 0.025, "the lower rank could be higher");
            prop_assert!(found.high == n || 1.0 - below(found.high) <= 0.025, "the upper tail");
            prop_assert!(found.high == 1 || 1.0 - below(found.high - 1) > 0.025, "the upper rank could be lower");
        }
    }
}
