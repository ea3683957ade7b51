//! Replay of recorded loads: the Azure Functions traces of 2019 (invocations a minute) and 2021
//! (single invocations), and schedules written by hand. Reading them is `super::files`' work.
//!
//! Sources: Shahrad et al., "Serverless in the Wild", USENIX ATC 2020 (2019 data set); Zhang et al.,
//! "Faster and Cheaper Serverless Computing on Harvested Resources", SOSP 2021 (2021 data set).

use std::time::Duration;

use super::{MOST_SENDS, NS, files::Invocation};
use crate::{
    drive::{Assigned, draws::Stream},
    experiment::Spread,
};

/// Factors on a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// On the number of invocations.
    pub rate: f64,
    /// On the speed of time.
    pub time: f64,
}

/// Send times of invocations a minute. A scaled count keeps its fraction by the seed: 2.5 becomes 2
/// or 3, with equal chances.
pub fn minutes(counts: &[u32], spread: Spread, scale: Scale, window: Duration, seed: u64) -> Vec<u64> {
    let mut stream = Stream::new(seed, b"trace");
    let minute_ns = 60.0 * NS / scale.time;
    let end_ns = window.as_nanos() as f64;
    let mut times: Vec<u64> = Vec::new();
    for (minute, &count) in counts.iter().enumerate() {
        let begin_ns = minute as f64 * minute_ns;
        if begin_ns >= end_ns || times.len() as u64 >= MOST_SENDS {
            break;
        }
        let count = whole(f64::from(count) * scale.rate, &mut stream);
        let first = times.len();
        times.extend((0..count).map(|i| {
            let place = match spread {
                Spread::Uniform => stream.unit(),
                Spread::Even => i as f64 / count as f64,
            };
            (begin_ns + place * minute_ns) as u64
        }));
        times[first..].sort_unstable();
    }
    times.retain(|at| (*at as f64) < end_ns);
    times
}

/// Send times of single invocations (ascending, seconds). More than there are come as copies within
/// the following second, less are a sample, both by the seed.
pub fn invocations(starts_s: &[f64], scale: Scale, window: Duration, seed: u64) -> Vec<u64> {
    let mut stream = Stream::new(seed, b"trace");
    let end_ns = window.as_nanos() as f64;
    let mut times: Vec<u64> = Vec::new();
    for &start_s in starts_s {
        if start_s / scale.time * NS >= end_ns || times.len() as u64 >= MOST_SENDS {
            break;
        }
        for copy in 0..whole(scale.rate, &mut stream) {
            let shift_s = if copy == 0 { 0.0 } else { stream.unit() };
            times.push(((start_s + shift_s) / scale.time * NS) as u64);
        }
    }
    times.sort_unstable();
    times.retain(|at| (*at as f64) < end_ns);
    times
}

/// Send times of a schedule, with what it says of endpoints and payloads.
pub fn schedule(rows: &[Invocation], window: Duration) -> (Vec<u64>, Vec<Assigned>) {
    let end_ns = window.as_nanos() as f64;
    let inside = rows.iter().filter(|row| row.at_s * NS < end_ns);
    let (times, assigned): (Vec<u64>, Vec<Assigned>) =
        inside.map(|row| ((row.at_s * NS) as u64, row.assigned)).unzip();
    let decides = assigned.iter().any(|a| *a != Assigned::default());
    (times, if decides { assigned } else { Vec::new() })
}

/// A whole number whose expectation is this one.
fn whole(expected: f64, stream: &mut Stream) -> u64 {
    let floor = expected.floor();
    floor as u64 + u64::from(stream.unit() < expected - floor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AS_IT_IS: Scale = Scale { rate: 1.0, time: 1.0 };

    proptest! {
        #[test]
        fn every_minute_has_its_invocations(counts in prop::collection::vec(0u32..200, 1..30), seed: u64) {
            let window = Duration::from_secs(60 * counts.len() as u64);
            for spread in [Spread::Uniform, Spread::Even] {
                let times = minutes(&counts, spread, AS_IT_IS, window, seed);
                prop_assert!(times.is_sorted());
                for (minute, count) in counts.iter().enumerate() {
                    let begin = minute as u64 * 60_000_000_000;
                    let sent = times.iter().filter(|at| (begin..begin + 60_000_000_000).contains(at)).count();
                    prop_assert_eq!(sent as u32, *count);
                }
                prop_assert_eq!(&times, &minutes(&counts, spread, AS_IT_IS, window, seed));
            }
        }

        #[test]
        fn scaling_in_rate_keeps_the_expected_number(scale in 0.05f64..3.0, seed: u64) {
            let counts = [100; 60];
            let window = Duration::from_hours(1);
            let times = minutes(&counts, Spread::Uniform, Scale { rate: scale, time: 1.0 }, window, seed);
            // Each minute's fraction scatters by half a request at most: 6 standard deviations of 60.
            prop_assert!((times.len() as f64 - 6_000.0 * scale).abs() < 6.0 * 0.5 * 60f64.sqrt() + 1.0);
            let starts: Vec<f64> = (0..2_000).map(f64::from).collect();
            let copied = invocations(&starts, Scale { rate: scale, time: 1.0 }, Duration::from_secs(9_999), seed);
            prop_assert!((copied.len() as f64 - 2_000.0 * scale).abs() < 6.0 * 0.5 * 2_000f64.sqrt());
            prop_assert!(copied.is_sorted());
        }

        #[test]
        fn scaling_in_time_moves_every_invocation(time in 0.5f64..100.0) {
            let starts = [0.0, 1.5, 60.0];
            let times = invocations(&starts, Scale { rate: 1.0, time }, Duration::from_secs(1_000), 1);
            for (at, start) in times.iter().zip(starts) {
                prop_assert!((*at as f64 - start / time * 1e9).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn what_lies_beyond_the_window_is_cut() {
        let window = Duration::from_secs(90);
        let times = minutes(&[60, 60, 60], Spread::Even, AS_IT_IS, window, 1);
        assert_eq!(times.len(), 90);
        assert_eq!(invocations(&[0.0, 89.0, 90.0], AS_IT_IS, window, 1).len(), 2);
    }

    #[test]
    fn invocations_of_a_minute_are_as_bursty_as_chance_has_it() {
        // Index of dispersion of the counts in seconds: 1 for uniform places, near 0 for even ones.
        let dispersion = |spread| {
            let times = minutes(&[6_000; 10], spread, AS_IT_IS, Duration::from_mins(10), 5);
            let mut counts = vec![0.0; 600];
            times.iter().for_each(|at| counts[(at / 1_000_000_000) as usize] += 1.0);
            let mean = counts.iter().sum::<f64>() / 600.0;
            counts.iter().map(|c: &f64| (c - mean).powi(2)).sum::<f64>() / 600.0 / mean
        };
        assert!((dispersion(Spread::Uniform) - 1.0).abs() < 0.25);
        assert!(dispersion(Spread::Even) < 0.01);
    }
}
