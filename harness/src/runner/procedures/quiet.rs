//! What the procedures about life cycles need: to ask rarely, a look at the replicas, and zero.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Stage;
use crate::{
    drive::{self, Load, Plan, PlayOptions, SinkError},
    platforms::{Platform, PlatformError, ZeroProof},
    record::Record,
};

/// A deployed function that can be asked and watched. A trait, so that the procedures are tested
/// without a platform.
pub(super) trait Quiet {
    /// Sends this many requests, one after another, and keeps their rows.
    ///
    /// # Errors
    /// If nothing could be sent. A request that fails is a row.
    async fn ask(&mut self, requests: u64) -> anyhow::Result<Asked>;
    /// How many replicas are ready now.
    async fn ready(&self) -> Result<u32, PlatformError>;
    /// Waits, without a request, until no replica is left.
    async fn zero(&self, limit: Duration) -> Result<ZeroProof, PlatformError>;
    /// Whether the user wants to stop.
    fn is_interrupted(&self) -> bool;
}

/// Requests that were sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Zero of the rows' times, Unix nanoseconds of this machine's clock.
    pub started_unix_ns: u64,
    /// One a request.
    pub rows: Vec<Record>,
}

impl Quiet for Stage<'_> {
    /// On a connection of its own, always with the first payload: what is compared is the same request.
    async fn ask(&mut self, requests: u64) -> anyhow::Result<Asked> {
        let plan =
            Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: None, requests: Some(requests) };
        let load = self.run.load(self.cell, self.deployed);
        let first = load.payloads.iter().take(1).cloned().collect();
        let load = Load { plan, payloads: first, ..load };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = heard.clone();
        let keep = move |rows: &[Record]| -> Result<(), SinkError> {
            sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(rows);
            Ok(())
        };
        let core = crate::runner::generator_core(self.run.experiment);
        let options = PlayOptions { core, ..PlayOptions::default() };
        let audit = drive::play(load, options, keep, self.run.interrupt.clone()).await?;
        let rows = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
        self.writer.append(&self.shifted(&rows, audit.started_unix_ns))?;
        self.asked += rows.len() as u64;
        Ok(Asked { started_unix_ns: audit.started_unix_ns, rows })
    }

    async fn ready(&self) -> Result<u32, PlatformError> {
        Ok(self.platform.observe().await?.ready)
    }

    async fn zero(&self, limit: Duration) -> Result<ZeroProof, PlatformError> {
        tokio::select! {
            zero = self.platform.wait_for_zero(limit) => zero,
            () = self.run.interrupt.raised() => {
                Err(PlatformError::Control { platform: "harness", cause: "interrupted".to_owned() })
            }
        }
    }

    fn is_interrupted(&self) -> bool {
        self.run.interrupt.is_raised()
    }
}

impl Stage<'_> {
    /// Rows by the clock of the procedure's cell, and numbered through it.
    fn shifted(&self, rows: &[Record], started_unix_ns: u64) -> Vec<Record> {
        let by_ns = started_unix_ns.saturating_sub(self.started_unix_ns);
        let shift = |row: &Record| Record {
            call_id: row.call_id + self.asked,
            scheduled_ns: row.scheduled_ns + by_ns,
            sent_ns: row.sent_ns + by_ns,
            connected_ns: row.connected_ns.map(|at| at + by_ns),
            first_byte_ns: row.first_byte_ns.map(|at| at + by_ns),
            done_ns: row.done_ns + by_ns,
            ..row.clone()
        };
        rows.iter().map(shift).collect()
    }
}
