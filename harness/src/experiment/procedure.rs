//! What is done at a load point: a load that is played once, or a search that plays several.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LoadPoint, Slo, duration_text};

/// What is done at a load point in each trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Procedure {
    /// The load is played once.
    #[default]
    Play,
    /// The highest Poisson rate that holds the objective is searched for: bracketing, then bisection.
    #[serde(rename_all = "kebab-case")]
    Capacity {
        /// What must be held.
        #[serde(default)]
        slo: Slo,
        /// The search ends when the bracket is narrower than this share of the rate, 0..1.
        precision: f64,
    },
    /// Closed loops of several numbers of connections, one after another in an order that the seed
    /// gives; each lasts as long as the load point says.
    #[serde(rename_all = "kebab-case")]
    Concurrency {
        /// Connections side by side.
        connections: Vec<u32>,
    },
    /// Scale to zero, prove it, send one request; so many times.
    #[serde(rename_all = "kebab-case")]
    Cold {
        /// Cold starts a trial.
        starts: u32,
        /// How long a platform may take to reach zero.
        #[serde(with = "duration_text")]
        zero_within: Duration,
    },
    /// One request, then silence until the platform has taken the last replica away.
    #[serde(rename_all = "kebab-case")]
    Eviction {
        /// How long is waited for it.
        #[serde(with = "duration_text")]
        at_most: Duration,
    },
}

/// A search's probes, for the plan's estimate: doublings, bisection, the curve.
const PROBES: u32 = 10;

impl LoadPoint {
    /// How long a trial of it takes, more or less.
    pub fn estimate(&self) -> Duration {
        let once = self.warmup + self.duration;
        match &self.procedure {
            Procedure::Play => once,
            // Half of the probes are decided long before their limit.
            Procedure::Capacity { .. } => once * PROBES / 2,
            Procedure::Concurrency { connections } => once * connections.len() as u32,
            // Most of it is the wait for zero, which takes a quarter of its limit or less.
            Procedure::Cold { starts, zero_within } => *zero_within / 4 * *starts,
            Procedure::Eviction { at_most } => *at_most,
        }
    }
}

impl Procedure {
    /// Whether the load is played once, as planned.
    pub fn is_play(&self) -> bool {
        *self == Self::Play
    }
}
