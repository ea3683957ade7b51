//! Constant rates one after another, to see where a target gives way.

use std::time::Duration;

use super::{Extent, constant};

/// Send times at each of `rates` (requests a second) in turn, each for the same share of `window`.
/// A rate of 0 is a pause.
pub fn steps(rates: &[f64], window: Duration) -> Vec<u64> {
    let Ok(count) = u32::try_from(rates.len()) else { return Vec::new() };
    let Some(step) = window.checked_div(count) else { return Vec::new() };
    rates
        .iter()
        .zip(0u32..)
        .flat_map(|(&rate, index)| {
            let begin_ns = (step * index).as_nanos() as u64;
            constant(rate, Extent::Duration(step)).into_iter().map(move |at_ns| begin_ns + at_ns)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_step_has_its_own_rate_and_times_ascend(
            rates in prop::collection::vec(1.0f64..2_000.0, 1..6),
        ) {
            let window = Duration::from_secs(6);
            let times = steps(&rates, window);
            prop_assert!(times.is_sorted());
            let step_ns = window.as_nanos() as u64 / rates.len() as u64;
            for (index, rate) in rates.iter().enumerate() {
                let begin = step_ns * index as u64;
                let sent = times.iter().filter(|&&at| at >= begin && at < begin + step_ns).count();
                prop_assert!((sent as f64 - rate * step_ns as f64 / 1e9).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn no_steps_and_pauses_are_allowed() {
        assert!(steps(&[], Duration::from_secs(1)).is_empty());
        let times = steps(&[10.0, 0.0, 10.0], Duration::from_secs(3));
        assert_eq!(times.len(), 20);
        assert_eq!(times[10], 2_000_000_000);
    }
}
