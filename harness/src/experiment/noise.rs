//! How much trials are expected to vary: what the plan's smallest effect rests on.

use serde::{Deserialize, Serialize};

/// Scatter of a load point's primary metric between trials, as an earlier run had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedNoise {
    /// Name of the load point.
    pub load: String,
    /// Standard deviation over the mean, 0..1.
    pub variation: f64,
    /// Where it is from: name of a run.
    pub from: String,
}
