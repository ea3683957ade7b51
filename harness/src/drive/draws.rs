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
        unit_of(self.next())
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

/// The same with a weight for each of the things: heavier ones are drawn more often.
#[derive(Debug, Clone)]
pub(super) struct WeightedChoice {
    seed: u64,
    /// Where each thing's share of `[0, 1)` ends.
    ends: Vec<f64>,
}

impl WeightedChoice {
    /// Choices of `seed` for `purpose`. Weights are not negative, and not all zero.
    pub(super) fn new(seed: u64, purpose: &[u8], weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let ends = weights.iter().map(|weight| {
            sum += weight;
            sum / total
        });
        Self { seed: seed_for(seed, purpose), ends: ends.collect() }
    }

    /// The choice of this call.
    pub(super) fn of(&self, call_id: u64) -> usize {
        let bits = mix(self.seed.wrapping_add(call_id.wrapping_add(1).wrapping_mul(GAMMA)));
        let unit = unit_of(bits);
        // The last end may be rounded to just below 1; whoever has weight there gets the rest.
        let last = self.ends.partition_point(|end| *end < self.ends.last().copied().unwrap_or(1.0));
        self.ends.partition_point(|end| *end <= unit).min(last)
    }
}

/// 53 random bits as a number in `[0, 1)`.
fn unit_of(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_how_often_each_is_drawn_and_a_zero_means_never() {
        let weights = [5.0, 0.0, 1.0, 0.5, 3.5, 0.0];
        let choice = WeightedChoice::new(11, b"payload", &weights);
        let calls = 50_000u64;
        let mut counts = [0u32; 6];
        (0..calls).for_each(|call| counts[choice.of(call)] += 1);
        assert_eq!((counts[1], counts[5]), (0, 0));
        let chi2: f64 = counts
            .iter()
            .zip(weights)
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(&n, weight)| {
                let expected = calls as f64 * weight / 10.0;
                (f64::from(n) - expected).powi(2) / expected
            })
            .sum();
        // 3 degrees of freedom: 24 is exceeded 2 times in 10^5.
        assert!(chi2 < 24.0, "chi-squared {chi2}: {counts:?}");
        let same = WeightedChoice::new(11, b"payload", &weights);
        assert!((0..100).all(|call| choice.of(call) == same.of(call)), "a pure function of the call");
    }

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
