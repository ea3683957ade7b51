//! When a run may end before its last trial.

use serde::{Deserialize, Serialize};

/// Optional stop: after some trials the run looks at its intervals and ends if they are narrow
/// enough. Each look costs confidence, which is paid by the correction that the analysis states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StopRule {
    /// Half-width of a ratio's interval, relative to the ratio, at which it is narrow enough (0.05).
    pub half_width: f64,
    /// Trials before the first look.
    pub first_look: u32,
    /// Trials between looks.
    pub every: u32,
}
