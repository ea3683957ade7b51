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

/// A stream of whole numbers.
#[derive(Debug)]
pub(crate) struct Stream {
    state: u64,
}

impl Stream {
    /// Stream `stream` of a seed; streams do not depend on each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { state: mix(mix(seed) ^ stream) }
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let bits = mix(self.state);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits
    }

    /// The next number below `bound`, by multiplication (Lemire, "Fast random integer generation in an
    /// interval", 2019) without the rejection: with bounds this small the bias is below 2^-24.
    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        let product = (self.bits() >> 32) * u64::from(bound);
        // Below the bound, so it fits.
        (product >> 32) as u8
    }

    /// The next number from `low` to `high`, both included and at most 254 apart.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        debug_assert!((0..255).contains(&(high - low)), "{low} to {high}");
        low + i32::from(self.below((high - low + 1) as u8))
    }

    /// One of these, all equally likely.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[usize::from(self.below(N as u8))]
    }
}

/// A stream of numbers uniform in [-1, 1).
#[derive(Debug)]
pub(crate) struct Uniform(Stream);

impl Uniform {
    /// Stream `stream` of a seed; streams do not depend on each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(Stream::new(seed, stream))
    }

    /// The next number: 24 random bits as a multiple of 2^-23, which a float holds exactly.
    pub(crate) fn next(&mut self) -> f32 {
        let bits = self.0.bits() >> 40;
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

    #[test]
    fn whole_numbers_reach_both_ends_of_their_range_equally_often() {
        let mut stream = Stream::new(3, 4);
        let mut counts = [0; 5];
        for _ in 0..10_000 {
            counts[usize::try_from(stream.between(-2, 2) + 2).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (1_850..2_150).contains(count)), "{counts:?}");
    }
}
