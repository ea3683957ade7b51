//! What is done at a load point: a load that is played once, or a search that plays several.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration_text;

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
        /// Percentile of the response time that must be held, 0..1 (0.99).
        quantile: f64,
        /// Its limit, ms.
        limit_ms: f64,
        /// Share of failed requests that is tolerated, 0..1.
        failures: f64,
        /// The search ends when the bracket is narrower than this share of the rate, 0..1.
        precision: f64,
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

impl Procedure {
    /// Whether the load is played once, as planned.
    pub fn is_play(&self) -> bool {
        *self == Self::Play
    }
}
