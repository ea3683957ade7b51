//! Bursts as STeLLAR sends them: requests at once, then a pause; on several endpoints side by side.
//!
//! STeLLAR adds `Exp(1)·ln(IAT)` seconds to a distance of IAT seconds, which vanishes at one second
//! and makes distances shorter below it. Here a stochastic distance is `IAT·(1 + Exp(1)/10)`: a
//! shifted exponential whose shape is the same at every scale.

use std::time::Duration;

use super::{MOST_SENDS, NS};
use crate::{
    drive::{Assigned, draws::Stream},
    experiment::Spacing,
};

/// Mean of the random part of a stochastic distance, as a share of the fixed one.
const RANDOM_SHARE: f64 = 0.1;

/// Send times of bursts over the window, the first at 0, and the endpoint of each request where
/// there are several (each gets the whole burst).
pub fn bursts(
    sizes: &[u32],
    (iat, spacing): (Duration, Spacing),
    parallel: u16,
    window: Duration,
    seed: u64,
) -> (Vec<u64>, Vec<Assigned>) {
    let (mut times, mut assigned) = (Vec::new(), Vec::new());
    let iat_ns = iat.as_nanos() as f64;
    if iat_ns <= 0.0 || sizes.iter().all(|&size| size == 0) {
        return (times, assigned);
    }
    let mut stream = Stream::new(seed, b"bursts");
    let mut at_ns = 0.0;
    for (burst, size) in sizes.iter().cycle().enumerate() {
        if at_ns >= window.as_secs_f64() * NS || times.len() as u64 >= MOST_SENDS {
            break;
        }
        for endpoint in 0..parallel {
            for _ in 0..*size {
                times.push(at_ns as u64);
                if parallel > 1 {
                    assigned.push(Assigned { endpoint: Some(endpoint), payload: None });
                }
            }
        }
        at_ns += match spacing {
            Spacing::Deterministic => iat_ns,
            Spacing::Stochastic => iat_ns * (1.0 - RANDOM_SHARE * (1.0 - stream.unit()).ln()),
            Spacing::Step => iat_ns * (burst + 1) as f64,
        };
    }
    (times, assigned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn starts(times: &[u64]) -> Vec<u64> {
        let mut starts = times.to_vec();
        starts.dedup();
        starts
    }

    proptest! {
        #[test]
        fn a_stochastic_distance_is_never_shorter_and_a_tenth_longer_on_average(
            iat_us in 100u64..10_000_000, seed: u64
        ) {
            let iat = Duration::from_micros(iat_us);
            let (times, _) = bursts(&[1], (iat, Spacing::Stochastic), 1, iat * 3_000, seed);
            let gaps: Vec<f64> = starts(&times).windows(2).map(|w| (w[1] - w[0]) as f64).collect();
            let ns = iat.as_nanos() as f64;
            prop_assert!(gaps.iter().all(|gap| *gap >= ns - 1.0));
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            // The mean of n draws of Exp(1)/10 scatters by 0.1/sqrt(n); 6 of them.
            prop_assert!((mean / ns - 1.1).abs() < 0.6 / (gaps.len() as f64).sqrt() + 2.0 / ns, "{}", mean / ns);
        }

        #[test]
        fn bursts_have_their_sizes_in_turn_on_every_endpoint(
            sizes in prop::collection::vec(1u32..50, 1..5), parallel in 1u16..4
        ) {
            let window = Duration::from_secs(10);
            let (times, assigned) = bursts(&sizes, (Duration::from_secs(1), Spacing::Deterministic), parallel, window, 1);
            prop_assert!(times.is_sorted());
            for (burst, at_ns) in starts(&times).into_iter().enumerate() {
                prop_assert_eq!(at_ns, burst as u64 * 1_000_000_000);
                let size = times.iter().filter(|&&at| at == at_ns).count();
                prop_assert_eq!(size as u32, sizes[burst % sizes.len()] * u32::from(parallel));
            }
            prop_assert_eq!(assigned.len(), if parallel > 1 { times.len() } else { 0 });
            let on_last = assigned.iter().filter(|a| a.endpoint == Some(parallel - 1)).count();
            prop_assert!(parallel == 1 || on_last * usize::from(parallel) == times.len());
        }
    }

    #[test]
    fn steps_lengthen_each_distance() {
        let (times, _) = bursts(&[1], (Duration::from_secs(1), Spacing::Step), 1, Duration::from_secs(11), 1);
        assert_eq!(times, [0, 1, 3, 6, 10].map(|s| s * 1_000_000_000));
    }

    #[test]
    fn the_same_seed_yields_the_same_bursts_and_another_one_others() {
        let draw = |seed| {
            bursts(&[2], (Duration::from_millis(300), Spacing::Stochastic), 2, Duration::from_secs(9), seed)
        };
        assert_eq!(draw(4), draw(4));
        assert_ne!(draw(4), draw(5));
    }
}
