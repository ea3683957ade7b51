//! Replica samples at a fixed distance while a cell runs.

use std::time::{Duration, Instant};

use crate::{
    platforms::{Platform, PlatformError},
    store::TimedSample,
};

/// Distance of two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// Asks the platform for its replicas until `until` resolves, and hands each sample on.
///
/// Times count from `zero`, the cell's start. A question that fails is counted, not fatal: the
/// measurement goes on without that sample.
pub async fn sample<P: Platform>(
    platform: &P,
    zero: Instant,
    until: impl Future<Output = ()>,
    mut keep: impl FnMut(TimedSample),
) -> Missed {
    let mut missed = Missed::default();
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    tokio::pin!(until);
    loop {
        tokio::select! {
            biased;
            () = &mut until => return missed,
            _ = ticks.tick() => {}
        }
        match platform.observe().await {
            Ok(sample) => keep(TimedSample { at_ns: zero.elapsed().as_nanos() as u64, sample }),
            Err(error) => {
                missed.count += 1;
                missed.last = Some(error);
            }
        }
    }
}

/// Samples that could not be taken.
#[derive(Debug, Default)]
pub struct Missed {
    /// How many.
    pub count: u32,
    /// Why the last one failed.
    pub last: Option<PlatformError>,
}
