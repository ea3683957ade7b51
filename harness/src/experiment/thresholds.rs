//! Thresholds on a run's figures: `p99<500ms`, `failures<1%`, `ratio>1.1`.

use serde::{Deserialize, Serialize};

/// A condition that a run's figures must meet; a run that does not ends with exit code 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(pub String);
