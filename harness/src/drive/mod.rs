//! Stage 3, the load: a schedule, a player that keeps to it, a client that owns its connections.
//!
//! Load code never learns the platform or the model: it sees endpoints, bytes and a [`Judge`].
//!
//! [`play`] plays a [`Load`]: a thread of its own sends (`player`, `client`, `reactor`), another one
//! hands the rows to a sink, so that a slow disk does not make the generator late.

pub mod answer;
mod audit;
mod calls;
mod client;
mod connections;
mod cores;
pub mod distributed;
mod draws;
pub mod drivers;
mod job;
pub mod known_target;
mod loopback;
pub mod null_target;
mod play;
mod player;
mod reactor;
pub mod shapes;
mod target;
#[cfg(test)]
mod tests;
mod timer;

use std::{sync::Arc, time::Duration};

pub use audit::{LoopLag, MachineAudit, SchedulingAudit, blind_spots};
pub use connections::{ConnectionPolicy, Protocol, Reuse};
pub use cores::apart;
pub use distributed::{LoadFrom, Share, WorkerReport};
pub use play::{PlayOptions, Progress, SinkError, play};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::record::{Outcome, ServerTimings};

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address to connect to and path to ask for, for example `http://127.0.0.1:8080/predict?top=5`.
    pub url: String,
    /// Headers sent with each request, for example the `Host` of a Knative Service.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// One request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What people call it: the file's name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// The bytes, the same to every platform.
    pub body: Bytes,
}

/// What is to be sent when. A pure function of parameters and a seed makes it (see [`shapes`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Absolute send times in nanoseconds since the start, ascending. Never waits for answers.
    Open {
        /// Intended send times.
        send_times_ns: Vec<u64>,
        /// Endpoint and payload of each send, where the schedule decides on them; empty: the seed does.
        assigned: Vec<Assigned>,
    },
    /// Each connection sends its next request when the last one was answered.
    Closed {
        /// Connections side by side.
        connections: u32,
        /// Pause between an answer and the next request, nanoseconds.
        think_time_ns: u64,
        /// Stop after this time, nanoseconds.
        duration_ns: Option<u64>,
        /// Stop after this many requests.
        requests: Option<u64>,
    },
}

impl Plan {
    /// An open plan whose endpoints and payloads the seed draws.
    pub fn open(send_times_ns: Vec<u64>) -> Self {
        Self::Open { send_times_ns, assigned: Vec::new() }
    }
}

/// Endpoint and payload of one send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Index into the load's endpoints; none: the seed draws it.
    pub endpoint: Option<u16>,
    /// Index into the load's payloads; none: the seed draws it.
    pub payload: Option<u16>,
}

/// What a [`Judge`] reads out of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How the request ended.
    pub outcome: Outcome,
    /// The instance that answered, as `instance id/boot id`, if the answer named one.
    pub instance: Option<Arc<str>>,
    /// Whether it was the instance's first answer.
    pub cold: bool,
    /// Times that the function reported.
    pub server: Option<ServerTimings>,
}

/// Decides what an answer is worth. The harness's knowledge of the workload ends here.
pub trait Judge: Send + Sync {
    /// Judges the complete answer to the payload with this index.
    fn judge(&self, payload: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement;

    /// What it takes to make the same judge in another process (`workloads::judge_of`); none: it
    /// cannot leave this one.
    fn spec(&self) -> Option<serde_json::Value> {
        None
    }
}

/// Everything the player needs to play one cell.
#[derive(Clone)]
pub struct Load {
    /// What is sent when.
    pub plan: Plan,
    /// Where to; requests are spread over them by the seed.
    pub endpoints: Vec<Endpoint>,
    /// HTTP method.
    pub method: hyper::Method,
    /// What is sent; drawn by the seed. Never empty (an empty body is a payload of no bytes).
    pub payloads: Arc<[Payload]>,
    /// Deadline of each request, counted from its actual send.
    pub timeout: Duration,
    /// How long after the last send answers are still awaited.
    pub drain: Duration,
    /// Seed of payload and endpoint draws.
    pub seed: u64,
    /// Judges each answer.
    pub judge: Arc<dyn Judge>,
    /// How connections are used.
    pub connections: ConnectionPolicy,
    /// Weight of each payload in the draw; empty: equal.
    pub weights: Arc<[f64]>,
    /// Closed plans: nobody goes on before all are answered, as in LoadGen's MultiStream. With several
    /// workers, each waits for its own.
    pub lockstep: bool,
    /// Which share of a larger plan `plan` is: it gives its calls their ids in that one.
    pub share: Share,
}

impl Load {
    /// A load of `POST`s with kept connections, 10 s to answer, and equal weights.
    pub fn new(
        plan: Plan,
        endpoints: Vec<Endpoint>,
        payloads: Arc<[Payload]>,
        judge: Arc<dyn Judge>,
    ) -> Self {
        Self {
            plan,
            endpoints,
            method: hyper::Method::POST,
            payloads,
            timeout: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            seed: 0,
            judge,
            connections: ConnectionPolicy::default(),
            weights: Arc::default(),
            lockstep: false,
            share: Share::WHOLE,
        }
    }
}

/// What the load generator says of itself after a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorAudit {
    /// Wall-clock instant of monotonic zero, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// From the start to the end of the drain, nanoseconds.
    pub elapsed_ns: u64,
    /// Intended sends in the plan that were reached before an interrupt (open plans), or sends (closed).
    pub planned: u64,
    /// Requests sent.
    pub sent: u64,
    /// CPU time of the generator process, seconds, over the cell.
    pub cpu_seconds: f64,
    /// Threads that send (each can use at most one core).
    pub threads: u32,
    /// Share of its threads' time that the generator was busy, 0..1.
    pub cpu_share: f64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Requests that were unanswered when the drain ended.
    pub unfinished: u64,
    /// Records that could not be written, with the reason (a full disk, say).
    pub write_error: Option<String>,
    /// The first failure to connect that was this machine's own (open files, ports, memory).
    #[serde(default)]
    pub local_error: Option<String>,
    /// The first failure to connect of all, with host and cause.
    #[serde(default)]
    pub first_failure: Option<String>,
    /// Requests of an open plan that waited because the connection policy's pool was busy. Their
    /// wait is lateness in the records; it is the policy's, not the generator's.
    #[serde(default)]
    pub pool_waits: u64,
    /// Lateness without waits for the policy's pool, that is, the generator's own: 99th percentile
    /// over all requests of an open plan, nanoseconds.
    #[serde(default)]
    pub own_lateness_p99_ns: u64,
    /// Its maximum, nanoseconds.
    #[serde(default)]
    pub own_lateness_max_ns: u64,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// How late the generator's own loop was called; none in runs of older versions.
    #[serde(default)]
    pub loop_lag: Option<LoopLag>,
    /// What its machine did meanwhile; none in runs of older versions.
    #[serde(default)]
    pub machine: Option<MachineAudit>,
    /// The workers that it is the audit of, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerReport>,
}

/// Why a load could not be played. Failed requests are not errors: they are records.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The load makes no sense.
    #[error("this load cannot be played: {0}")]
    Load(String),
    /// An endpoint's address cannot be used.
    #[error("the URL '{url}' cannot be used: {cause}")]
    Url {
        /// The endpoint's URL.
        url: String,
        /// What is wrong with it, and what to write.
        cause: String,
    },
    /// A host name was not resolved.
    #[error("the host '{host}' was not found ({cause}); check its spelling, DNS, or give an IP address")]
    Resolve {
        /// The host name.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// The generator's thread could not be bound to the core.
    #[error("the generator cannot be bound to core {core} ({cause}); choose one of {allowed}")]
    Core {
        /// The core asked for.
        core: usize,
        /// What the kernel said.
        cause: String,
        /// Cores this process may use.
        allowed: String,
    },
    /// The machine refused what the generator needs.
    #[error("the load generator could not start ({0}); free memory, threads or open files, and try again")]
    Start(#[from] std::io::Error),
    /// Several workers were to play it, and could not.
    #[error(transparent)]
    Crew(#[from] distributed::CrewError),
    /// The generator's thread ended without a word: a fault of the harness.
    #[error("the load generator ended unexpectedly; please report this as a fault of the harness")]
    Lost,
}
