//! The settings of the KPA, with Knative's defaults and the ranges its webhook enforces.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the KPA for one revision, cluster-wide ones included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KpaConfig {
    /// Concurrent requests that one pod is meant to carry, before utilisation.
    pub target: f64,
    /// Share of the target that is aimed at, percent.
    pub target_utilization_percent: f64,
    /// The stable window.
    pub window: Duration,
    /// The panic window, percent of the stable one.
    pub panic_window_percent: f64,
    /// Panic begins when the panic window wants this many percent of the ready pods.
    pub panic_threshold_percent: f64,
    /// At most this many times the ready pods in one step.
    pub max_scale_up_rate: f64,
    /// At most a division of the ready pods by this in one step.
    pub max_scale_down_rate: f64,
    /// Fewest pods; 0 allows scale to zero.
    pub min_scale: u32,
    /// Most pods; 0 = no limit.
    pub max_scale: u32,
    /// Pods right after the deployment.
    pub initial_scale: u32,
    /// Fewest pods while there is any traffic at all.
    pub activation_scale: u32,
    /// A lower wish counts only after it held this long.
    pub scale_down_delay: Duration,
    /// How long the activator must have been in the path before the last pod goes.
    pub scale_to_zero_grace: Duration,
    /// How long the last pod stays after traffic ended, at least.
    pub pod_retention: Duration,
    /// Spare capacity below which the activator stays in the path; 0 = only from zero, -1 = always.
    pub target_burst_capacity: f64,
    /// Time between two decisions.
    pub tick: Duration,
}

impl Default for KpaConfig {
    fn default() -> Self {
        Self {
            target: 100.0,
            target_utilization_percent: 70.0,
            window: Duration::from_mins(1),
            panic_window_percent: 10.0,
            panic_threshold_percent: 200.0,
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            min_scale: 0,
            max_scale: 0,
            initial_scale: 1,
            activation_scale: 1,
            scale_down_delay: Duration::ZERO,
            scale_to_zero_grace: Duration::from_secs(30),
            pod_retention: Duration::ZERO,
            target_burst_capacity: 211.0,
            tick: Duration::from_secs(2),
        }
    }
}

/// A setting that Knative's webhook would refuse, or that the twin does not know.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {value}: {expected}")]
pub struct BadSetting {
    /// The setting's key, without prefix.
    pub key: String,
    /// What was given.
    pub value: String,
    /// What is accepted.
    pub expected: String,
}

impl KpaConfig {
    /// Concurrency aimed at per pod: target times utilisation.
    pub fn aim(&self) -> f64 {
        // 0.01 is Knative's least target.
        (self.target * self.target_utilization_percent / 100.0).max(0.01)
    }

    /// Length of the panic window.
    pub fn panic_window(&self) -> Duration {
        self.window.mul_f64(self.panic_window_percent / 100.0)
    }

    /// Takes over one annotation (with or without `autoscaling.knative.dev/`) or one cluster-wide
    /// setting of `config-autoscaler`.
    ///
    /// # Errors
    /// When the key is unknown or the value is outside the range that Knative accepts.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BadSetting> {
        let key = key.strip_prefix("autoscaling.knative.dev/").unwrap_or(key);
        let bad = |expected: &str| BadSetting {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let number = |low: f64, high: f64, expected: &str| {
            value.parse::<f64>().ok().filter(|n| (low..=high).contains(n)).ok_or_else(|| bad(expected))
        };
        let duration = |low_s: u64, high_s: u64, expected: &str| {
            humantime::parse_duration(value)
                .ok()
                .filter(|d| (Duration::from_secs(low_s)..=Duration::from_secs(high_s)).contains(d))
                .ok_or_else(|| bad(expected))
        };
        match key {
            "class" if value == "kpa.autoscaling.knative.dev" => {}
            "class" => return Err(bad("the twin has the KPA only: kpa.autoscaling.knative.dev")),
            "metric" if value == "concurrency" => {}
            "metric" => return Err(bad("the twin scales by concurrency only: write concurrency")),
            "target" => self.target = number(0.01, f64::MAX, "write a number of 0.01 or more")?,
            "target-utilization-percentage" => {
                self.target_utilization_percent = number(1.0, 100.0, "write 1 to 100")?;
            }
            "window" => self.window = duration(6, 3600, "write 6s to 1h")?,
            "panic-window-percentage" => {
                self.panic_window_percent = number(1.0, 100.0, "write 1 to 100")?;
            }
            "panic-threshold-percentage" => {
                self.panic_threshold_percent = number(110.0, 1000.0, "write 110 to 1000")?;
            }
            "max-scale-up-rate" => self.max_scale_up_rate = number(1.01, f64::MAX, "write more than 1")?,
            "max-scale-down-rate" => {
                self.max_scale_down_rate = number(1.01, f64::MAX, "write more than 1")?;
            }
            "initial-scale" => self.initial_scale = number(0.0, 1000.0, "write 0 to 1000")? as u32,
            "activation-scale" => self.activation_scale = number(2.0, 1000.0, "write 2 to 1000")? as u32,
            "scale-down-delay" => self.scale_down_delay = duration(0, 3600, "write 0s to 1h")?,
            "scale-to-zero-pod-retention-period" => {
                self.pod_retention = duration(0, 3600, "write 0s to 1h")?;
            }
            "scale-to-zero-grace-period" => {
                self.scale_to_zero_grace = duration(0, 3600, "write 0s to 1h")?;
            }
            "target-burst-capacity" => {
                self.target_burst_capacity = number(-1.0, f64::MAX, "write -1, 0 or more")?;
            }
            "min-scale" | "max-scale" => {
                return Err(bad("set the experiment's replicas instead; both platforms must get the same"));
            }
            _ => {
                return Err(bad(
                    "no such setting of the autoscaler; see the table in Knative's documentation",
                ));
            }
        }
        Ok(())
    }
}
