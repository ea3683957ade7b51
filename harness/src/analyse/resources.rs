//! What the replicas used during the measured interval, from the samples taken beside the load.

use super::{summary::Spread, window::Window};
use crate::{platforms::ReplicaSample, store::TimedSample};

/// Share of the interval that samples must cover before a consumption over it is stated.
const COVERED_SHARE: f64 = 0.9;

/// Replicas, CPU and memory over one interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Ready replicas.
    pub replicas: Option<Spread>,
    /// CPU seconds of the replicas.
    pub cpu_seconds: Option<f64>,
    /// CPU seconds of the platform's data plane.
    pub plane_cpu_seconds: Option<f64>,
    /// Resident memory of the replicas, bytes.
    pub memory_bytes: Option<Spread>,
    /// Replicas that ended without having been told to.
    pub restarts: u32,
}

/// Sums up the samples of an interval.
pub fn resources(samples: &[TimedSample], window: &Window) -> Resources {
    let mut samples: Vec<&TimedSample> = samples.iter().collect();
    samples.sort_by_key(|s| s.at_ns);
    // The state at the start of the interval is what the last sample before it saw.
    let first = samples.partition_point(|s| s.at_ns <= window.start_ns).saturating_sub(1);
    let after = samples.partition_point(|s| s.at_ns < window.end_ns);
    // One sample beyond the end, so that consumption can be read off at the end itself.
    let around = &samples[first.min(after)..(after + 1).min(samples.len())];
    let within = &samples[first.min(after)..after];
    let used = |of: fn(&ReplicaSample) -> Option<f64>| {
        let points: Vec<(u64, f64)> = around.iter().filter_map(|s| Some((s.at_ns, of(&s.sample)?))).collect();
        consumption(&points, window)
    };
    let measured: Vec<&TimedSample> =
        within.iter().copied().filter(|s| s.sample.memory_bytes.is_some()).collect();
    Resources {
        replicas: spread(within, window, |s| f64::from(s.ready)),
        cpu_seconds: used(|s| s.cpu_seconds),
        plane_cpu_seconds: used(|s| s.plane_cpu_seconds),
        memory_bytes: spread(&measured, window, |s| s.memory_bytes.unwrap_or_default() as f64),
        restarts: match (within.first(), within.last()) {
            (Some(first), Some(last)) => last.sample.restarts.saturating_sub(first.sample.restarts),
            _ => 0,
        },
    }
}

/// Smallest, mean over time and largest; a sample holds until the next one.
fn spread(within: &[&TimedSample], window: &Window, of: fn(&ReplicaSample) -> f64) -> Option<Spread> {
    let values = || within.iter().map(|s| of(&s.sample));
    let starts_ns = || within.iter().map(|s| s.at_ns.max(window.start_ns));
    let ends_ns = starts_ns().skip(1).chain([window.end_ns]);
    let held_ns = |(start, end): (u64, u64)| end.saturating_sub(start) as f64;
    let weights: Vec<f64> = starts_ns().zip(ends_ns).map(held_ns).collect();
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    Some(Spread {
        min: values().reduce(f64::min)?,
        mean: values().zip(&weights).map(|(v, w)| v * w).sum::<f64>() / total,
        max: values().reduce(f64::max)?,
    })
}

/// Growth of a running total over the interval, read off linearly between samples; none if the
/// samples leave a tenth of the interval or more uncovered.
fn consumption(points: &[(u64, f64)], window: &Window) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let from_ns = window.start_ns.max(first.0);
    let to_ns = window.end_ns.min(last.0);
    let covered_ns = to_ns.checked_sub(from_ns)? as f64;
    let length_ns = (window.end_ns - window.start_ns) as f64;
    if covered_ns <= 0.0 || covered_ns < COVERED_SHARE * length_ns {
        return None;
    }
    // What is not covered is taken to have gone on at the same pace.
    let grown = total_at(points, to_ns) - total_at(points, from_ns);
    Some((grown * length_ns / covered_ns).max(0.0))
}

fn total_at(points: &[(u64, f64)], at_ns: u64) -> f64 {
    let next = points.partition_point(|p| p.0 < at_ns);
    match (next.checked_sub(1).and_then(|i| points.get(i)), points.get(next)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (at_ns - a.0) as f64 / (b.0 - a.0) as f64,
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::window::Pacing;

    fn sample(at_s: f64, ready: u32, cpu_seconds: f64, restarts: u32) -> TimedSample {
        let sample = ReplicaSample {
            ready,
            desired: ready,
            cpu_seconds: Some(cpu_seconds),
            memory_bytes: Some(u64::from(ready) * 1000),
            plane_cpu_seconds: None,
            restarts,
        };
        TimedSample { at_ns: (at_s * 1e9) as u64, sample }
    }

    const WINDOW: Window = Window { start_ns: 2_000_000_000, end_ns: 6_000_000_000, pacing: Pacing::Open };

    #[test]
    fn the_mean_weighs_each_sample_by_how_long_it_held() {
        let seen =
            resources(&[sample(0.0, 1, 0.0, 0), sample(3.0, 3, 3.0, 0), sample(9.0, 9, 9.0, 0)], &WINDOW);
        assert_eq!(seen.replicas, Some(Spread { min: 1.0, mean: 2.5, max: 3.0 }));
        assert_eq!(seen.memory_bytes, Some(Spread { min: 1000.0, mean: 2500.0, max: 3000.0 }));
    }

    #[test]
    fn consumption_is_read_off_at_the_edges_between_samples() {
        let seen =
            resources(&[sample(1.0, 1, 10.0, 1), sample(3.0, 1, 12.0, 1), sample(7.0, 1, 20.0, 3)], &WINDOW);
        // 11 at 2 s, 18 at 6 s.
        assert_eq!(seen.cpu_seconds, Some(7.0));
        assert_eq!(seen.plane_cpu_seconds, None);
        assert_eq!(seen.restarts, 0, "the restarts were seen after the interval");
    }

    #[test]
    fn samples_that_miss_much_of_the_interval_yield_no_consumption() {
        let seen = resources(&[sample(3.0, 1, 1.0, 0), sample(6.0, 1, 2.0, 0)], &WINDOW);
        assert_eq!(seen.cpu_seconds, None);
        assert_eq!(resources(&[], &WINDOW), Resources::default());
    }

    #[test]
    fn restarts_inside_the_interval_are_counted() {
        let seen = resources(&[sample(1.0, 1, 0.0, 1), sample(4.0, 1, 0.0, 4)], &WINDOW);
        assert_eq!(seen.restarts, 3);
    }
}
