//! The pause before another attempt: exponential, bounded, and drawn at random below its bound
//! ("full jitter"; M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), so
//! that many instances do not come back to a sink at the same moment.

use std::time::Duration;

/// Grows from `first` by a factor of two up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Bound of the first pause.
    pub first: Duration,
    /// Bound of every pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `failed` attempts (from 1): a share of its bound; `draw` is uniform in 0..1.
    pub fn pause(self, failed: u32, draw: f64) -> Duration {
        let doubled = 2_u32.checked_pow(failed.saturating_sub(1)).and_then(|n| self.first.checked_mul(n));
        doubled.unwrap_or(self.longest).min(self.longest).mul_f64(draw.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_double_until_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        let bounds: Vec<_> = (1..=6).map(|failed| backoff.pause(failed, 1.0).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.pause(3, 0.5), Duration::from_millis(200));
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_longest_nor_shorter_than_a_smaller_draw(
            first_ms in 0_u64..10_000, longest_ms in 0_u64..10_000, failed in 0_u32..=u32::MAX,
            draw in 0.0..1.0_f64,
        ) {
            let backoff = Backoff {
                first: Duration::from_millis(first_ms),
                longest: Duration::from_millis(longest_ms),
            };
            let pause = backoff.pause(failed, draw);
            prop_assert!(pause <= backoff.longest);
            prop_assert!(pause <= backoff.pause(failed, 1.0));
            prop_assert!(backoff.pause(failed.saturating_add(1), draw) >= pause);
        }
    }
}
