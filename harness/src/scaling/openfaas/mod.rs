//! The autoscaler of the OpenFaaS Community Edition: a Prometheus alert, Alertmanager's grouping,
//! and the gateway's answer to each notification.
//!
//! Sources: the chart's alert rule `APIHighInvocationRate`; Prometheus `rules/alerting.go` (a rule
//! with `for` fires at the first evaluation at which it has been pending that long) and
//! `promql/functions.go` (`extrapolatedRate`); Alertmanager `dispatch` (a group is flushed after
//! `group_wait`, then every `group_interval`) and `notify` (`DedupStage`: an unchanged firing group
//! is notified again once *more* than `repeat_interval` passed); openfaas/faas
//! `gateway/handlers/alerthandler.go` (`CalculateReplicas`).
//!
//! Consequences, all tested: at 5 or fewer successes a second it never scales; 1 to 5 replicas
//! takes over two minutes; min = max switches it off.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::knative::BadSetting;

/// Most replicas of a function in the Community Edition.
pub const MAX_REPLICAS: u32 = 5;

/// Settings of the alert rule, of Alertmanager and of the function's scale labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertConfig {
    /// Fewest replicas; at least 1.
    pub min: u32,
    /// Most replicas; at most [`MAX_REPLICAS`].
    pub max: u32,
    /// Percent of `max` that one firing adds (`com.openfaas.scale.factor`).
    pub factor_percent: f64,
    /// The alert holds above this many successful calls a second.
    pub threshold_per_second: f64,
    /// Range of the rate.
    pub rate_range: Duration,
    /// How long it must hold.
    pub pending_for: Duration,
    /// Between two scrapes of the gateway.
    pub scrape_interval: Duration,
    /// Between two evaluations of the rule.
    pub evaluation_interval: Duration,
    /// Alertmanager: from a group's first alert to its first notification.
    pub group_wait: Duration,
    /// Alertmanager: between two looks at a group.
    pub group_interval: Duration,
    /// Alertmanager: an unchanged firing group is notified again after more than this.
    pub repeat_interval: Duration,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            min: 1,
            max: MAX_REPLICAS,
            factor_percent: 10.0,
            threshold_per_second: 5.0,
            rate_range: Duration::from_secs(10),
            pending_for: Duration::from_secs(5),
            scrape_interval: Duration::from_secs(5),
            evaluation_interval: Duration::from_secs(15),
            group_wait: Duration::from_secs(5),
            group_interval: Duration::from_secs(10),
            repeat_interval: Duration::from_secs(30),
        }
    }
}

impl AlertConfig {
    /// Replicas that one firing adds: `ceil(max * factor / 100)`.
    pub fn step(&self) -> u32 {
        (f64::from(self.max) / 100.0 * self.factor_percent).ceil() as u32
    }

    /// Takes over one label of the function or one setting of the chart's Prometheus and
    /// Alertmanager.
    ///
    /// # Errors
    /// When the key is unknown, the value makes no sense, or the Community Edition refuses it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BadSetting> {
        let bad = |expected: &str| BadSetting {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let interval = || {
            humantime::parse_duration(value)
                .ok()
                .filter(|d| *d >= Duration::from_millis(100))
                .ok_or_else(|| bad("write a duration of 100ms or more, for example 15s"))
        };
        match key {
            "com.openfaas.scale.factor" => {
                let factor: Option<f64> = value.parse().ok();
                self.factor_percent =
                    factor.filter(|f| (0.0..=100.0).contains(f)).ok_or_else(|| bad("write 0 to 100"))?;
            }
            "com.openfaas.scale.min" | "com.openfaas.scale.max" => {
                return Err(bad("set the experiment's replicas instead; both platforms must get the same"));
            }
            "com.openfaas.scale.zero"
            | "com.openfaas.scale.zero-duration"
            | "com.openfaas.scale.target"
            | "com.openfaas.scale.type" => {
                return Err(bad("not available in the Community Edition; leave it out"));
            }
            "scrape-interval" => self.scrape_interval = interval()?,
            "evaluation-interval" => self.evaluation_interval = interval()?,
            "group-wait" => self.group_wait = interval()?,
            "group-interval" => self.group_interval = interval()?,
            "repeat-interval" => self.repeat_interval = interval()?,
            _ => {
                return Err(bad("no such label or setting; com.openfaas.scale.factor, scrape-interval, \
                     evaluation-interval, group-wait, group-interval, repeat-interval and \
                     upstream-timeout can be set"));
            }
        }
        Ok(())
    }
}

/// Where the alert stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Alert {
    Inactive,
    Pending(Duration),
    Firing,
}

/// Alertmanager's group of the alert, from the first firing to the resolved notification.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Group {
    next_flush: Duration,
    /// Last firing notification.
    notified: Option<Duration>,
}

/// The autoscaler of one function.
#[derive(Debug, Clone)]
pub struct CeAutoscaler {
    config: AlertConfig,
    desired: u32,
    next_scrape: Duration,
    next_evaluation: Duration,
    /// Scrape times (seconds) and counter values within the rate's range.
    scrapes: VecDeque<(Duration, u64)>,
    alert: Alert,
    group: Option<Group>,
}

impl CeAutoscaler {
    /// A function created now. Prometheus runs since before: its next scrape and evaluation come
    /// at the given phases after the creation.
    pub fn new(config: AlertConfig, created: Duration, scrape_in: Duration, evaluation_in: Duration) -> Self {
        Self {
            desired: config.min,
            next_scrape: created + scrape_in,
            next_evaluation: created + evaluation_in,
            scrapes: VecDeque::new(),
            alert: Alert::Inactive,
            group: None,
            config,
        }
    }

    /// The settings in force.
    pub fn config(&self) -> &AlertConfig {
        &self.config
    }

    /// Replicas wanted.
    pub fn desired(&self) -> u32 {
        self.desired
    }

    /// Whether the alert fires.
    pub fn is_firing(&self) -> bool {
        self.alert == Alert::Firing
    }

    /// Lets everything happen that is due by now and returns the replicas wanted.
    ///
    /// `successes` counts the calls answered with 200 since the creation. Call it a few times a
    /// second: a scrape that is due sees the count of the call that follows it.
    pub fn advance(&mut self, now: Duration, successes: u64) -> u32 {
        loop {
            let flush = self.group.map_or(Duration::MAX, |group| group.next_flush);
            let due = self.next_scrape.min(self.next_evaluation).min(flush);
            if due > now {
                return self.desired;
            }
            // At one instant: scrape, then evaluate, then notify. A notification takes a moment to
            // travel in reality, so a flush sees the evaluation of the same instant.
            if due == self.next_scrape {
                self.scrapes.push_back((due, successes));
                self.next_scrape += self.config.scrape_interval;
            } else if due == self.next_evaluation {
                self.evaluate(due);
                self.next_evaluation += self.config.evaluation_interval;
            } else {
                self.flush(due);
            }
        }
    }

    fn evaluate(&mut self, now: Duration) {
        while self.scrapes.front().is_some_and(|&(at, _)| at + self.config.rate_range < now) {
            self.scrapes.pop_front();
        }
        let high = self.rate(now).is_some_and(|rate| rate > self.config.threshold_per_second);
        self.alert = match (high, self.alert) {
            (false, _) => Alert::Inactive,
            (true, Alert::Inactive) => Alert::Pending(now),
            (true, Alert::Pending(since)) if now >= since + self.config.pending_for => Alert::Firing,
            (true, same) => same,
        };
        if self.alert == Alert::Firing && self.group.is_none() {
            self.group = Some(Group { next_flush: now + self.config.group_wait, notified: None });
        }
    }

    fn flush(&mut self, now: Duration) {
        let Some(group) = &mut self.group else { return };
        group.next_flush = now + self.config.group_interval;
        if self.alert == Alert::Firing {
            if group.notified.is_none_or(|at| now > at + self.config.repeat_interval) {
                group.notified = Some(now);
                let step = self.config.step();
                // A step of nothing takes the gateway's other branch: down to min.
                self.desired =
                    if step == 0 { self.config.min } else { (self.desired + step).min(self.config.max) };
            }
        } else {
            if group.notified.is_some() {
                self.desired = self.config.min;
            }
            self.group = None;
        }
    }

    /// `rate(counter[range])` at this instant, as Prometheus extrapolates it; none with fewer than
    /// two scrapes in the range. The counter never resets here.
    fn rate(&self, now: Duration) -> Option<f64> {
        let (&(first_at, first), &(last_at, last)) = (self.scrapes.front()?, self.scrapes.back()?);
        let samples = self.scrapes.len();
        if samples < 2 {
            return None;
        }
        let range_s = self.config.rate_range.as_secs_f64();
        let sampled_s = last_at.saturating_sub(first_at).as_secs_f64();
        let gap_s = sampled_s / (samples - 1) as f64;
        let increase = (last - first) as f64;
        let mut to_start_s = range_s - now.saturating_sub(first_at).as_secs_f64();
        let to_end_s = now.saturating_sub(last_at).as_secs_f64();
        if increase > 0.0 {
            // A counter cannot have been below zero before the first scrape.
            to_start_s = to_start_s.min(sampled_s * (first as f64 / increase));
        }
        let reach = |distance_s: f64| if distance_s < gap_s * 1.1 { distance_s } else { gap_s / 2.0 };
        Some(increase * (sampled_s + reach(to_start_s) + reach(to_end_s)) / sampled_s / range_s)
    }
}
