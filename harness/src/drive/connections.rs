//! How connections are used: kept or new for each request, how many, which protocol.

use serde::{Deserialize, Serialize};

/// The connection policy of a load; the same for every platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConnectionPolicy {
    /// Whether a connection serves more than one request.
    pub reuse: Reuse,
    /// Connections to each endpoint at most in an open loop; none: as many as it takes. A request
    /// that finds all of them busy waits. Its wait is lateness in the records, but not the
    /// generator's own (`GeneratorAudit::pool_waits`, `own_lateness_p99_ns`).
    ///
    /// Over HTTP/2 a pool is that many connections, with up to 100 streams each; without a limit,
    /// one connection, and further ones where 100 streams are not enough. In a closed loop each
    /// client has a connection of its own, whatever the pool and the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    /// What is spoken on them.
    pub protocol: Protocol,
}

/// Whether a connection serves more than one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// Kept open and used again.
    #[default]
    KeepAlive,
    /// A new connection for each request, closed after its answer.
    PerRequest,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    #[value(name = "http1")]
    Http1,
    /// HTTP/2 with prior knowledge (over TLS: by ALPN).
    #[value(name = "http2")]
    Http2,
}
