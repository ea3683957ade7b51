//! The Knative pod autoscaler (KPA) as a state machine.
//!
//! Follows knative/serving, `pkg/autoscaler/scaling/autoscaler.go` (`Scale`) for the wish, and
//! `pkg/reconciler/autoscaling/kpa/scaler.go` (`handleScaleToZero`, `applyBounds`) for bounds and
//! the way to zero. What differs is said where it differs.

mod config;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

pub use config::{BadSetting, KpaConfig};

use super::window::SecondBuckets;

/// What the autoscaler wants after a tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Pods wanted, within the bounds; none while nothing was observed yet.
    pub desired: Option<u32>,
    /// Whether it is in panic mode.
    pub panic: bool,
    /// Pods x target - target burst capacity - observed concurrency, rounded down.
    pub excess_burst_capacity: i64,
    /// Whether requests go through the activator.
    pub activator_in_path: bool,
    /// Mean concurrency over the stable window.
    pub stable_concurrency: f64,
    /// Mean concurrency over the panic window.
    pub panic_concurrency: f64,
}

/// The autoscaler of one revision.
#[derive(Debug, Clone)]
pub struct Kpa {
    config: KpaConfig,
    stable: SecondBuckets,
    panic: SecondBuckets,
    /// Last time the panic threshold was reached, while in panic.
    panic_since: Option<Duration>,
    /// Most pods wanted during this panic.
    panic_peak: f64,
    /// Recent wishes, for the scale-down delay.
    wishes: VecDeque<(Duration, f64)>,
    /// When the revision last came up from zero (or was created).
    active_since: Duration,
    /// Since when the activator has been in the path, if it is.
    activator_since: Option<Duration>,
    /// Since when zero pods have been wanted, if they are.
    idle_since: Option<Duration>,
    /// The last decision was zero pods.
    at_zero: bool,
}

impl Kpa {
    /// A revision that was created at this time.
    pub fn new(config: KpaConfig, created: Duration) -> Self {
        let activator_at_start = config.target_burst_capacity != 0.0;
        Self {
            stable: SecondBuckets::new(config.window),
            panic: SecondBuckets::new(config.panic_window()),
            config,
            panic_since: None,
            panic_peak: 0.0,
            wishes: VecDeque::new(),
            active_since: created,
            activator_since: activator_at_start.then_some(created),
            idle_since: None,
            at_zero: false,
        }
    }

    /// The settings in force.
    pub fn config(&self) -> &KpaConfig {
        &self.config
    }

    /// Pods right after the creation: the initial scale within the bounds.
    pub fn initial(&self) -> u32 {
        self.bounded(f64::from(self.config.initial_scale))
    }

    /// Takes in the mean concurrency of one second, summed over all pods and the activator.
    pub fn observe(&mut self, at: Duration, concurrency: f64) {
        self.stable.record(at, concurrency);
        self.panic.record(at, concurrency);
    }

    /// Decides. To be called every [`KpaConfig::tick`], and at once when a request meets a
    /// revision at zero (`Poke` in the original).
    pub fn tick(&mut self, now: Duration, ready_pods: u32) -> Decision {
        match (self.stable.average(now), self.panic.average(now)) {
            (Some(stable), Some(panic)) => self.decide(now, ready_pods, stable, panic),
            _ => self.decision(now, None, ready_pods, (0.0, 0.0)),
        }
    }

    /// Decides from given averages of the stable and the panic window. [`Self::tick`] takes them
    /// from what was observed.
    pub fn decide(&mut self, now: Duration, ready_pods: u32, stable: f64, panic: f64) -> Decision {
        let wish = self.wish(now, ready_pods, stable, panic);
        let wish = self.delayed(now, wish);
        let desired = self.hold_last_pod(now, self.bounded(wish));
        self.decision(now, Some(desired), ready_pods, (stable, panic))
    }

    /// Pods wanted by the averages: stable or panic mode, rate limits, activation scale.
    fn wish(&mut self, now: Duration, ready_pods: u32, stable: f64, panic: f64) -> f64 {
        let config = &self.config;
        let ready = f64::from(ready_pods.max(1));
        let most = (config.max_scale_up_rate * ready).ceil();
        let fewest = (ready / config.max_scale_down_rate).floor();
        let wanted_by_panic = (panic / config.aim()).ceil();
        let limited = |average: f64| {
            let wanted = (average / config.aim()).ceil();
            let limited = wanted.max(fewest).min(most);
            if wanted > 0.0 { limited.max(f64::from(config.activation_scale)) } else { limited }
        };
        let (by_stable, by_panic) = (limited(stable), limited(panic));

        if wanted_by_panic / ready >= config.panic_threshold_percent / 100.0 {
            self.panic_since = Some(now);
        } else if self.panic_since.is_some_and(|since| now > since + config.window) {
            self.panic_since = None;
            self.panic_peak = 0.0;
        }
        if self.panic_since.is_none() {
            return by_stable;
        }
        // Never down while in panic.
        self.panic_peak = self.panic_peak.max(by_stable).max(by_panic);
        self.panic_peak
    }

    /// The highest wish within the scale-down delay.
    fn delayed(&mut self, now: Duration, wish: f64) -> f64 {
        let delay = self.config.scale_down_delay;
        if delay.is_zero() {
            return wish;
        }
        self.wishes.push_back((now, wish));
        while self.wishes.front().is_some_and(|&(at, _)| at + delay <= now) {
            self.wishes.pop_front();
        }
        self.wishes.iter().map(|&(_, wish)| wish).fold(wish, f64::max)
    }

    fn bounded(&self, wish: f64) -> u32 {
        let wish = (wish as u32).max(self.config.min_scale);
        if self.config.max_scale == 0 { wish } else { wish.min(self.config.max_scale) }
    }

    /// Holds the last pod until the revision was active for a window and the activator has been
    /// in the path for the grace time and the pod retention.
    fn hold_last_pod(&mut self, now: Duration, desired: u32) -> u32 {
        if desired > 0 {
            if self.at_zero {
                self.active_since = now;
            }
            self.at_zero = false;
            self.idle_since = None;
            return desired;
        }
        if self.at_zero {
            return 0;
        }
        if now < self.active_since + self.config.window {
            return 1;
        }
        // From here on the revision counts as inactive, which alone puts the activator in the path.
        let idle_since = *self.idle_since.get_or_insert(now);
        let activator_since = *self.activator_since.get_or_insert(now);
        let grace_over = now >= activator_since + self.config.scale_to_zero_grace;
        if grace_over && now >= idle_since + self.config.pod_retention {
            self.at_zero = true;
            return 0;
        }
        1
    }

    fn decision(
        &mut self,
        now: Duration,
        desired: Option<u32>,
        ready_pods: u32,
        (stable, panic): (f64, f64),
    ) -> Decision {
        let burst = self.config.target_burst_capacity;
        let excess = if burst == 0.0 {
            0.0
        } else if burst < 0.0 {
            -1.0
        } else {
            (f64::from(ready_pods) * self.config.target - burst - panic).floor()
        };
        let in_path = ready_pods == 0 || desired == Some(0) || self.idle_since.is_some() || excess < 0.0;
        self.activator_since = in_path.then(|| self.activator_since.unwrap_or(now));
        Decision {
            desired,
            panic: self.panic_since.is_some(),
            excess_burst_capacity: excess as i64,
            activator_in_path: in_path,
            stable_concurrency: stable,
            panic_concurrency: panic,
        }
    }
}
