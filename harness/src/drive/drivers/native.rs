//! Our own engine's closed loop, behind the same door as the others.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ClosedLoad, DriverError, Latency, Word};
use crate::{
    analyse::quantiles,
    drive::{Load, Plan, PlayOptions, Progress, answer::StatusJudge, play},
    interrupt::Interrupt,
    record::{Outcome, Record},
};

/// Drives it.
pub(super) async fn drive(
    load: &ClosedLoad,
    progress: Arc<Progress>,
    interrupt: Interrupt,
) -> Result<Word, DriverError> {
    let plan = Plan::Closed {
        connections: load.connections,
        think_time_ns: 0,
        duration_ns: Some(load.duration.as_nanos() as u64),
        requests: None,
    };
    let payloads = Arc::new([load.payload.clone()]);
    let played = Load {
        method: load.method.clone(),
        timeout: load.timeout,
        drain: load.timeout,
        ..Load::new(plan, vec![load.endpoint.clone()], payloads, Arc::new(StatusJudge))
    };
    let kept: Arc<Mutex<Vec<Record>>> = Arc::default();
    let rows = Arc::clone(&kept);
    let sink = move |batch: &[Record]| {
        rows.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
        Ok(())
    };
    let options = PlayOptions { core: load.core, progress, ..PlayOptions::default() };
    let audit = play(played, options, sink, interrupt).await?;
    let records = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Word {
        requests: records.len() as u64,
        failures: failures(&records),
        seconds: load.duration.as_secs_f64(),
        latency_ms: latency(&records),
        cpu_seconds: audit.cpu_share * audit.elapsed_ns as f64 / 1e9,
        records: Some(records),
        interrupted: audit.interrupted,
    })
}

/// Failures by outcome, those that occurred.
pub(super) fn failures(records: &[Record]) -> Vec<(&'static str, u64)> {
    Outcome::ALL
        .into_iter()
        .filter(|&outcome| outcome != Outcome::Ok)
        .map(|outcome| (outcome.name(), records.iter().filter(|r| r.outcome == outcome).count() as u64))
        .filter(|&(_, count)| count > 0)
        .collect()
}

/// Exact percentiles of records.
fn latency(records: &[Record]) -> Latency {
    let told = quantiles::complete(records.iter().map(|record| record.response_ns() as f64 / 1e6));
    Latency { mean: told.mean, p50: told.p50, p90: told.p90, p99: told.p99, p99_9: told.p99_9, max: told.max }
}
