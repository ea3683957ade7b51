//! Where the time goes inside the function: its own stages, and the transfers from and to the object
//! storage apart from them.

use std::collections::BTreeMap;

use super::times::Times;
use crate::record::ServerTimings;

/// Stages that every workload has, in the order in which they pass. `work` is what the workload itself
/// took: all but the wait and the transfers.
pub const STAGES: [&str; 5] = ["queue", "download", "work", "upload", "total"];

/// Times of each of [`STAGES`].
#[derive(Debug, Clone)]
pub(super) struct Inside {
    times: [Times; STAGES.len()],
}

impl Default for Inside {
    /// None yet; five collections side by side, so each is kept coarsely.
    fn default() -> Self {
        Self { times: std::array::from_fn(|_| Times::coarse()) }
    }
}

impl Inside {
    /// Takes what the function reported of one request.
    pub(super) fn take(&mut self, t: ServerTimings) {
        let us = [t.queue_us, t.download_us, t.work_us(), t.upload_us, t.total_us];
        for (times, us) in self.times.iter_mut().zip(us) {
            times.push(u64::from(us) * 1000, false);
        }
    }

    /// Median of each stage, ms; empty if nothing was reported. Medians of stages do not add up to the
    /// total's.
    pub(super) fn medians_ms(&self) -> BTreeMap<String, f64> {
        let stages = STAGES.iter().zip(&self.times);
        stages.filter_map(|(name, times)| Some(((*name).to_owned(), times.quantiles().p50?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_apart_from_the_work() {
        let mut inside = Inside::default();
        assert!(inside.medians_ms().is_empty());
        for extra in [0, 2000, 1000] {
            inside.take(ServerTimings {
                queue_us: 100,
                download_us: 3000 + extra,
                upload_us: 500,
                inference_us: 9000,
                total_us: 13_600 + extra,
                ..ServerTimings::default()
            });
        }
        let found = inside.medians_ms();
        let of = |stage: &str| (found[stage] * 1000.0).round() as u32;
        assert_eq!(STAGES.map(of), [100, 4000, 10_000, 500, 14_600]);
    }
}
