//! One row for each request: what was intended, what was sent, what came back.
//!
//! Shared by `drive` (which makes rows), `store` (which keeps them) and `analyse` (which reads
//! them). All times are monotonic nanoseconds since the cell's start; the cell's metadata holds
//! the wall-clock instant of that start.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How a request ended. Every request ends in exactly one of these; failures stay rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// A complete answer with the expected content.
    Ok = 0,
    /// No answer: connection refused, reset, or closed before the answer was complete.
    Connect = 1,
    /// No complete answer before the request's deadline, or before the end of the drain.
    /// The latency is censored: the true one is at least as long.
    Timeout = 2,
    /// An announced refusal: 429, or 503 with `Retry-After`.
    Overload = 3,
    /// An error status without the function's own headers: the platform answered.
    Platform = 4,
    /// An error status with the function's own headers: the function answered.
    Function = 5,
    /// A success status whose content is not the expected one.
    WrongAnswer = 6,
}

impl Outcome {
    /// All outcomes, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Connect,
        Self::Timeout,
        Self::Overload,
        Self::Platform,
        Self::Function,
        Self::WrongAnswer,
    ];

    /// The name used in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::Platform => "platform",
            Self::Function => "function",
            Self::WrongAnswer => "wrong_answer",
        }
    }

    /// The outcome with this code, as stored in record files.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Times that the function reported about one request, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerTimings {
    /// Waiting for an inference thread.
    pub queue_us: u32,
    /// From bytes to pixels.
    pub decode_us: u32,
    /// From pixels to the model's input.
    pub preprocess_us: u32,
    /// The model.
    pub inference_us: u32,
    /// Fetching an input by reference from the object storage; 0 for one in the request.
    pub download_us: u32,
    /// Writing the result back to it; 0 if it was not.
    pub upload_us: u32,
    /// All of the handler.
    pub total_us: u32,
}

impl ServerTimings {
    /// What the workload itself took: all but the wait for a thread and the transfers.
    pub fn work_us(&self) -> u32 {
        self.total_us
            .saturating_sub(self.queue_us)
            .saturating_sub(self.download_us)
            .saturating_sub(self.upload_us)
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Position in the plan, from 0; unique in a cell and sent along as `X-Testbed-Call`.
    pub call_id: u64,
    /// Intended send time. In a closed loop: when the connection became free to send.
    pub scheduled_ns: u64,
    /// When sending began (a connection was at hand or being opened).
    pub sent_ns: u64,
    /// When the connection for it was ready; equal to `sent_ns` on a reused connection,
    /// none if no connection came about.
    pub connected_ns: Option<u64>,
    /// When the head of the answer arrived.
    pub first_byte_ns: Option<u64>,
    /// When the answer was complete, or the request was given up.
    pub done_ns: u64,
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Request body bytes.
    pub bytes_sent: u32,
    /// Response body bytes.
    pub bytes_received: u32,
    /// Index into the cell's payloads.
    pub payload: u16,
    /// Index into the cell's endpoints.
    pub endpoint: u16,
    /// Number of the connection that carried it, from 0.
    pub connection: u32,
    /// The instance that answered, as `instance id/boot id`, if the answer named one.
    pub instance: Option<Arc<str>>,
    /// Whether the answer says that it was the instance's first.
    pub cold: bool,
    /// What the function reported, if it did.
    pub server: Option<ServerTimings>,
}

impl Record {
    /// From the intended send time to the end, in nanoseconds (what a user would feel).
    pub fn response_ns(&self) -> u64 {
        self.done_ns.saturating_sub(self.scheduled_ns)
    }

    /// From the actual send to the end, in nanoseconds.
    pub fn service_ns(&self) -> u64 {
        self.done_ns.saturating_sub(self.sent_ns)
    }

    /// How late the generator sent it, in nanoseconds.
    pub fn lateness_ns(&self) -> u64 {
        self.sent_ns.saturating_sub(self.scheduled_ns)
    }
}
