//! The life of a deployment's replicas, phase by phase.

use serde::{Deserialize, Serialize};

/// What was seen of one deployment; `deployments/<trial-subject>.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Wall-clock instant of zero (the deploy call), nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// In the order of their times.
    pub moments: Vec<Moment>,
    /// What could not be watched, one sentence each.
    #[serde(default)]
    pub gaps: Vec<String>,
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the deploy call, nanoseconds.
    pub at_ns: i64,
    /// The pod; none: of the whole deployment.
    pub replica: Option<String>,
    /// What began.
    pub phase: Phase,
    /// More in words: a node's name, a condition's reason, an event's message.
    #[serde(default)]
    pub detail: String,
    /// Who says so: `watch` (this machine's clock, when it was heard), `status` (the cluster's
    /// clock, whole seconds), `event` (the cluster's clock, whole seconds), `answer` (this machine).
    pub source: String,
}

/// What happens to a replica, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
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
    /// It gave its first answer to the harness.
    FirstAnswer,
    /// It was told to end.
    Terminating,
    /// Its pod is gone.
    Gone,
    /// It was started anew.
    Restarted,
    /// A condition of the whole deployment changed.
    Condition,
    /// Something else that was told.
    Event,
}
