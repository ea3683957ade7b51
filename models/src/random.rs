//! Random numbers that are the same on every machine and for ever: integers only, no library
//! whose next version may draw others.

/// The finaliser of SplitMix64 applied to the state after one step from `state`
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of numbers uniform in [-1, 1).
#[derive(Debug)]
pub(crate) struct Uniform {
    state: u64,
}

impl Uniform {
    /// Stream `stream` of a seed; streams do not depend on each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { state: mix(mix(seed) ^ stream) }
    }

    /// The next number: 24 random bits as a multiple of 2^-23, which a float holds exactly.
    pub(crate) fn next(&mut self) -> f32 {
        let bits = mix(self.state) >> 40;
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let centred = bits as i32 - (1 << 23);
        centred as f32 / (1 << 23) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_reference_implementation() {
        // SplitMix64 seeded with 1234567, as published with java.util.SplittableRandom's C version
        // at prng.di.unimi.it.
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let drawn: Vec<u64> =
            (0..3).map(|i| mix(1_234_567_u64.wrapping_add(golden.wrapping_mul(i)))).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_numbers_are_uniform_with_mean_zero_and_variance_one_third() {
        let mut uniform = Uniform::new(1, 2);
        let drawn: Vec<f64> = (0..100_000).map(|_| f64::from(uniform.next())).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 3.0).abs() < 0.01, "{variance}");
        assert!(drawn.iter().all(|x| (-1.0..1.0).contains(x)));
    }
}
