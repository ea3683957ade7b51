//! What the procedures about life cycles need: to ask rarely, a look at the replicas, and zero.

use std::time::Duration;

use crate::{
    platforms::{PlatformError, ZeroProof},
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
