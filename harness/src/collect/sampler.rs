//! Replica samples at a fixed distance while a cell runs.

use std::time::Duration;

use crate::{
    drive::Progress,
    platforms::{Platform, PlatformError},
    store::TimedSample,
};

/// Distance of two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// Asks the platform for its replicas until `until` resolves, and hands each sample on.
///
/// Times are those of the load that plays, so samples begin when it does. A question that fails is
/// counted, not fatal: the measurement goes on without that sample.
pub async fn sample<P: Platform>(
    platform: &P,
    playing: &Progress,
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
        let Some(at_ns) = playing.elapsed_ns() else { continue };
        match platform.observe().await {
            Ok(sample) => keep(TimedSample { at_ns, sample }),
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
