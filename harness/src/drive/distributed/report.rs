//! What is known of each worker after a cell.

use serde::{Deserialize, Serialize};

use crate::drive::{LoopLag, MachineAudit};

/// One of several generators, as the coordinator saw it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Which, from 1.
    pub number: u32,
    /// Where it ran, in words.
    pub place: String,
    /// Its clock minus the coordinator's before the cell, ms. Its times are corrected by it.
    pub clock_offset_ms: f64,
    /// How far the true offset may be from that, ms: half of the shortest round trip.
    pub clock_error_ms: f64,
    /// By how much the offset changed during the cell, ms; none: it could not be asked again.
    pub clock_drift_ms: Option<f64>,
    /// Calls of its part of an open plan.
    pub planned: Option<u64>,
    /// Records that came from it.
    pub records: u64,
    /// Share of its threads' time that it was busy, 0..1; none: it did not come to say so.
    pub cpu_share: Option<f64>,
    /// How late its own loop was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_lag: Option<LoopLag>,
    /// What its machine did meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineAudit>,
    /// Why it ended before its part did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}
