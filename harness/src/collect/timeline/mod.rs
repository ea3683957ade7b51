//! The life of a deployment's replicas, phase by phase: where does a cold start spend its time?
//!
//! Map: `recorder` keeps the watches; `moments` turns what they heard into moments, and is pure;
//! `answers` gathers first answers from the harness's own records; `twin` makes a time line of what a
//! twin's data plane told. [`crate::analyse::lives`] makes durations of it.
//!
//! Two clocks meet here. What an object says of itself is the cluster's clock, mostly in whole
//! seconds; when a watch heard of it is this machine's clock. Both are kept, each with its source.

mod answers;
mod moments;
mod recorder;
#[cfg(test)]
mod tests;
mod twin;

use serde::{Deserialize, Serialize};

pub use answers::FirstAnswers;
pub use moments::{Moments, Watched};
pub use recorder::{Recorder, Target};
pub use twin::of_twin;

use super::clock::ClockOffset;

/// What was seen of one deployment; `deployments/<trial-subject>.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Wall-clock instant of zero (the deploy call), nanoseconds since the Unix epoch, this
    /// machine's clock.
    pub started_unix_ns: u64,
    /// By how much the cluster's clock is ahead of this machine's, where it was found out; moments
    /// by the cluster's clock are corrected by it.
    #[serde(default)]
    pub clock: Option<ClockOffset>,
    /// In the order of their times.
    pub moments: Vec<Moment>,
    /// What could not be watched, one sentence each.
    #[serde(default)]
    pub gaps: Vec<String>,
}

impl Timeline {
    /// Adds first answers that became known later.
    pub fn add(&mut self, answers: &FirstAnswers) {
        self.moments.extend(answers.moments(self.started_unix_ns));
        self.moments.sort_by_key(|moment| (moment.at_ns, moment.phase));
    }
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the deploy call, nanoseconds; negative: before it.
    pub at_ns: i64,
    /// The pod; none: of the whole deployment.
    pub replica: Option<String>,
    /// What began.
    pub phase: Phase,
    /// More in words: a node's name, a condition's reason, an event's message.
    #[serde(default)]
    pub detail: String,
    /// Who says so.
    pub source: Source,
}

/// Who told of a moment, and so by which clock and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The harness's own requests; this machine's clock.
    Answer,
    /// A watch, when it was heard; this machine's clock, a little after the fact.
    Watch,
    /// A microsecond time stamp of an event; the cluster's clock.
    FineEvent,
    /// A time stamp of an event; the cluster's clock, whole seconds.
    Event,
    /// An object's status; the cluster's clock, whole seconds.
    Status,
}

impl Source {
    /// How finely it tells time, ms, the clocks' offset and the watch's own delay apart.
    pub fn resolution_ms(self) -> f64 {
        match self {
            Self::Answer | Self::Watch | Self::FineEvent => 1.0,
            Self::Event | Self::Status => 1000.0,
        }
    }

    /// In words, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Watch => "watch",
            Self::FineEvent | Self::Event => "event",
            Self::Status => "status",
        }
    }
}

/// What happens to a replica, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The deploy call was made.
    Called,
    /// Its pod was made.
    Requested,
    /// A node was found.
    Scheduled,
    /// The image is on the node.
    Pulled,
    /// The function's process runs.
    Started,
    /// Its probes pass.
    Ready,
    /// It gave its first answer to the harness; without a replica: the deployment did.
    FirstAnswer,
    /// It was told to end.
    Terminating,
    /// Its pod is gone.
    Gone,
    /// It was started anew.
    Restarted,
    /// A condition of the whole deployment changed, or the number of replicas that it wants.
    Condition,
    /// The load of a cell began.
    Load,
    /// Something else that was told.
    Event,
}

impl Phase {
    /// The phases of a start, in order.
    pub const START: [Self; 7] = [
        Self::Called,
        Self::Requested,
        Self::Scheduled,
        Self::Pulled,
        Self::Started,
        Self::Ready,
        Self::FirstAnswer,
    ];

    /// In words, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Called => "deploy call",
            Self::Requested => "requested",
            Self::Scheduled => "scheduled",
            Self::Pulled => "image there",
            Self::Started => "started",
            Self::Ready => "ready",
            Self::FirstAnswer => "first answer",
            Self::Terminating => "told to end",
            Self::Gone => "gone",
            Self::Restarted => "restarted",
            Self::Condition => "condition",
            Self::Load => "load begins",
            Self::Event => "event",
        }
    }
}
