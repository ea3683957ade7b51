//! Equal distances between sends.

use super::{Extent, MOST_SENDS, NS, playable};

/// Send times at `rate` requests a second, the first at 0. Draws nothing.
pub fn constant(rate: f64, extent: Extent) -> Vec<u64> {
    if !playable(rate) {
        return Vec::new();
    }
    // Each time is computed from its index: adding up gaps would add up rounding errors.
    (0..MOST_SENDS)
        .map(|index| (index, index as f64 * NS / rate))
        .take_while(|&(index, at_ns)| extent.contains(index, at_ns))
        .map(|(_, at_ns)| at_ns as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gaps_do_not_vary_and_the_rate_is_exact(rate in 0.5f64..5_000.0, seconds in 1u64..4) {
            let times = constant(rate, Extent::Duration(Duration::from_secs(seconds)));
            prop_assert!((times.len() as f64 - rate * seconds as f64).abs() <= 1.0);
            let gap = NS / rate;
            for pair in times.windows(2) {
                prop_assert!(((pair[1] - pair[0]) as f64 - gap).abs() <= 2.0);
            }
        }

        #[test]
        fn a_count_is_kept(rate in 0.5f64..50_000.0, count in 0u64..500) {
            prop_assert_eq!(constant(rate, Extent::Count(count)).len() as u64, count);
        }
    }
}
