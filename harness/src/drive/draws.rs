//! Randomness that belongs to us: the same seed draws the same numbers for ever.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
//! 2014): small, written out, and good enough for schedules and choices.

/// The golden ratio's increment of SplitMix64.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's output function: every bit of the input changes half of the output's.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seed for one purpose, so that different draws of a cell do not depend on each other.
fn seed_for(seed: u64, purpose: &[u8]) -> u64 {
    purpose
        .iter()
        .fold(mix(seed.wrapping_add(GAMMA)), |state, &byte| mix(state.wrapping_add(GAMMA) ^ u64::from(byte)))
}

/// A stream of numbers for one purpose.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of `seed` for `purpose`.
    pub(super) fn new(seed: u64, purpose: &[u8]) -> Self {
        Self { state: seed_for(seed, purpose) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Which of `choices` things call number `call_id` gets: uniform, and a pure function of its
/// arguments, so that every platform gets the same bytes for the same call. 0 for no choices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    seed: u64,
    choices: u64,
}

impl Choice {
    /// Choices of `seed` for `purpose`.
    pub(super) fn new(seed: u64, purpose: &[u8], choices: usize) -> Self {
        Self { seed: seed_for(seed, purpose), choices: choices as u64 }
    }

    /// The choice of this call.
    pub(super) fn of(self, call_id: u64) -> usize {
        let bits = mix(self.seed.wrapping_add(call_id.wrapping_add(1).wrapping_mul(GAMMA)));
        // Multiply and shift (Lemire, 2019): a bias of choices / 2^64 is beyond measure.
        ((u128::from(bits) * u128::from(self.choices)) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_uniform_and_independent_of_their_purpose() {
        let (payload, endpoint) = (Choice::new(1, b"payload", 5), Choice::new(1, b"endpoint", 5));
        let calls = 50_000u64;
        let mut counts = [[0u32; 5]; 5];
        for call in 0..calls {
            counts[payload.of(call)][endpoint.of(call)] += 1;
        }
        let expected = calls as f64 / 25.0;
        let chi2: f64 = counts.iter().flatten().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        // 24 degrees of freedom: 60 is exceeded 6 times in 10^5.
        assert!(chi2 < 60.0, "chi-squared {chi2}");
    }

    #[test]
    fn one_choice_is_always_the_first() {
        assert!((0..100).all(|call| Choice::new(9, b"payload", 1).of(call) == 0));
    }

    #[test]
    fn units_lie_in_their_interval() {
        let mut stream = Stream::new(3, b"test");
        let mean =
            (0..10_000).map(|_| stream.unit()).inspect(|u| assert!((0.0..1.0).contains(u))).sum::<f64>();
        assert!((mean / 10_000.0 - 0.5).abs() < 0.02);
    }
}
