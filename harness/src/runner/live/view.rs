//! What the live screen shows, as plain values: drawing it is a pure function of them.

/// One state of the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct View {
    /// The experiment's title, or the URL under load.
    pub(super) title: String,
    /// What must not be overlooked beside it, for example that a twin stands in.
    pub(super) mark: Option<String>,
    /// What is going on.
    pub(super) doing: String,
    /// How much of the plan is done, 0..1; none if that is not known.
    pub(super) done: Option<f64>,
    /// Time left, in words.
    pub(super) left: Option<String>,
    /// The load that plays, or played last.
    pub(super) load: Option<LoadView>,
    /// Replicas by subject, in the order in which they were seen: ready, desired.
    pub(super) replicas: Vec<(String, u32, u32)>,
    /// Lines said, oldest first.
    pub(super) said: Vec<String>,
    /// The user asked to stop.
    pub(super) stopping: bool,
}

/// The load of one cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LoadView {
    /// Whether it plays now; what the last one did stays on the screen until the next one begins.
    pub(super) playing: bool,
    /// Seconds since its start.
    pub(super) elapsed_s: f64,
    /// Planned length, seconds; none where it ends with a number of requests.
    pub(super) length_s: Option<f64>,
    /// Requests sent.
    pub(super) sent: u64,
    /// Of them not answered yet.
    pub(super) under_way: u64,
    /// Intended sends in each of the last seconds, oldest first; none in a closed loop.
    pub(super) offered: Option<Vec<u64>>,
    /// Answers in the same seconds.
    pub(super) answered: Vec<u64>,
    /// Response times of the last seconds, ms: p50, p95, p99.
    pub(super) recent_ms: [Option<f64>; 3],
    /// Of the whole load so far.
    pub(super) whole_ms: [Option<f64>; 3],
    /// Failures by outcome, those that occurred.
    pub(super) failures: Vec<(&'static str, u64)>,
}
