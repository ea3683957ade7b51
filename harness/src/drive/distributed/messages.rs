//! What is said on the line to a worker.
//!
//! ```text
//! here: hello ─ job, its calls ─ payloads that are wanted ─ ping.. ─ start ─ (stop) ─ ping..
//! there:      welcome ─       want ─                 ready ─ pong.. ─   rows, progress.. ─ done ─ pong..
//! ```

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::share::Share;
use crate::drive::{Assigned, ConnectionPolicy, Endpoint, GeneratorAudit, Judge, Load, Payload, Plan};

/// Version of what is said; both sides must have the same.
pub(super) const PROTOCOL: u32 = 1;

/// From the coordinator. No `Debug`: the first one holds the token.
#[derive(Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum ToWorker {
    /// The first message: who may drive load with this worker.
    Hello { protocol: u32, version: String, token: String },
    /// A load; frames with its calls follow.
    Job(Box<Job>),
    /// What time is it?
    Ping,
    /// Play the job when your clock shows this.
    Start { at_ns: u64 },
    /// Send no more, and tell what was measured.
    Stop,
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum FromWorker {
    /// Answer to `Hello`.
    Welcome,
    /// Answer to `Job`: payloads that it lacks, by their SHA-256. A frame with each follows from there.
    Want { payloads: Vec<String> },
    /// The job is complete.
    Ready,
    /// Answer to `Ping`, by the worker's clock.
    Pong { taken_ns: u64, answered_ns: u64 },
    /// While it plays. Rows come in frames between.
    Progress { sent: u64 },
    /// It has played; all rows have been sent.
    Done { audit: Box<GeneratorAudit> },
    /// It cannot do what was asked.
    Failed { cause: String },
}

/// A load without its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) share: Share,
    pub(super) pace: Pace,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) method: String,
    pub(super) payloads: Vec<PayloadName>,
    /// As bits: a rounded weight could draw another payload.
    pub(super) weights: Vec<u64>,
    pub(super) timeout: Duration,
    pub(super) drain: Duration,
    pub(super) seed: u64,
    pub(super) judge: Value,
    pub(super) connections: ConnectionPolicy,
    pub(super) lockstep: bool,
    pub(super) core: Option<usize>,
}

/// How calls follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub(super) enum Pace {
    /// At times that come in so many frames.
    Open { frames: usize, has_assigned: bool },
    /// After the answer to the last one.
    Closed { connections: u32, think_time_ns: u64, duration_ns: Option<u64>, requests: Option<u64> },
}

/// A payload without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PayloadName {
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) sha256: String,
}

impl PayloadName {
    fn of(payload: &Payload) -> Self {
        Self {
            name: payload.name.clone(),
            content_type: payload.content_type.clone(),
            sha256: models::sha256_hex(&payload.body),
        }
    }
}

impl Job {
    /// The job that plays a load whose plan is the share's part already.
    ///
    /// # Errors
    /// In words, if its judge cannot be made in another process.
    pub(super) fn new(load: &Load, core: Option<usize>, frames: usize) -> Result<Self, String> {
        // Whoever adds to a load is told here that workers must get it too.
        let Load {
            plan,
            endpoints,
            method,
            payloads,
            timeout,
            drain,
            seed,
            judge,
            connections,
            weights,
            lockstep,
            share,
        } = load;
        let judge = judge.spec().ok_or("its judge cannot leave this process")?;
        let pace = match plan {
            Plan::Open { assigned, .. } => Pace::Open { frames, has_assigned: !assigned.is_empty() },
            Plan::Closed { connections, think_time_ns, duration_ns, requests } => Pace::Closed {
                connections: *connections,
                think_time_ns: *think_time_ns,
                duration_ns: *duration_ns,
                requests: *requests,
            },
        };
        Ok(Self {
            share: *share,
            pace,
            endpoints: endpoints.clone(),
            method: method.to_string(),
            payloads: payloads.iter().map(PayloadName::of).collect(),
            weights: weights.iter().map(|weight| weight.to_bits()).collect(),
            timeout: *timeout,
            drain: *drain,
            seed: *seed,
            judge,
            connections: *connections,
            lockstep: *lockstep,
            core,
        })
    }

    /// The load again.
    ///
    /// # Errors
    /// In words, if its method is none.
    pub(super) fn load(
        self,
        calls: (Vec<u64>, Vec<Assigned>),
        bodies: &[Bytes],
        judge: Arc<dyn Judge>,
    ) -> Result<Load, String> {
        let plan = match self.pace {
            Pace::Open { .. } => Plan::Open { send_times_ns: calls.0, assigned: calls.1 },
            Pace::Closed { connections, think_time_ns, duration_ns, requests } => {
                Plan::Closed { connections, think_time_ns, duration_ns, requests }
            }
        };
        let named = self.payloads.into_iter().zip(bodies);
        let payloads = named.map(|(PayloadName { name, content_type, .. }, body)| Payload {
            name,
            content_type,
            body: body.clone(),
        });
        Ok(Load {
            plan,
            endpoints: self.endpoints,
            method: self.method.parse().map_err(|_| format!("'{}' is no HTTP method", self.method))?,
            payloads: payloads.collect(),
            timeout: self.timeout,
            drain: self.drain,
            seed: self.seed,
            judge,
            connections: self.connections,
            lockstep: self.lockstep,
            weights: self.weights.into_iter().map(f64::from_bits).collect(),
            share: self.share,
        })
    }
}
