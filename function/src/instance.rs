//! Who answers: the facts by which a caller can tell instances, starts and first calls apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

/// The moment at which this process began, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct ProcessStart {
    monotonic: Instant,
    wall: SystemTime,
}

impl ProcessStart {
    /// To be called first thing in `main`.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}

/// This process, once it is ready to serve.
#[derive(Debug)]
pub struct Instance {
    /// Stable name of the instance.
    pub id: String,
    /// Random, new at every process start: 16 hex digits.
    pub boot_id: String,
    /// When the process began, RFC 3339 with milliseconds.
    pub started_at: String,
    /// From the process's begin until it was ready, milliseconds.
    pub init_ms: f64,
    invocations: AtomicU64,
}

/// An answer's place among the instance's invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Invocations answered before it.
    pub requests_served: u64,
    /// Whether it is the first.
    pub cold_start: bool,
}

/// The facts in the body of an answer.
#[derive(Debug, Serialize)]
pub struct Facts<'a> {
    id: &'a str,
    boot_id: &'a str,
    started_at: &'a str,
    requests_served: u64,
    cold_start: bool,
    init_ms: f64,
}

impl Instance {
    /// Names the instance and stops the clock of its initialisation. Without an `id` one is made
    /// of the boot id.
    pub fn ready(id: Option<&str>, start: &ProcessStart) -> Self {
        let boot_id = format!("{:016x}", rand::random::<u64>());
        Self {
            id: id.map_or_else(|| format!("instance-{boot_id}"), str::to_owned),
            boot_id,
            started_at: humantime::format_rfc3339_millis(start.wall).to_string(),
            init_ms: milliseconds(start.monotonic.elapsed()),
            invocations: AtomicU64::new(0),
        }
    }

    /// Takes the next turn: to be called once for each invocation, when its answer is known.
    pub fn take_turn(&self) -> Turn {
        let requests_served = self.invocations.fetch_add(1, Ordering::Relaxed);
        Turn { requests_served, cold_start: requests_served == 0 }
    }

    /// For an answer that is no invocation, such as a health check: it takes no turn.
    pub fn bystander(&self) -> Turn {
        Turn { requests_served: self.invocations.load(Ordering::Relaxed), cold_start: false }
    }

    /// The facts for an answer's body.
    pub fn facts(&self, turn: Turn) -> Facts<'_> {
        Facts {
            id: &self.id,
            boot_id: &self.boot_id,
            started_at: &self.started_at,
            requests_served: turn.requests_served,
            cold_start: turn.cold_start,
            init_ms: self.init_ms,
        }
    }
}

/// Milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_turn_alone_is_cold_and_bystanders_take_none() {
        let instance = Instance::ready(Some("pod-1"), &ProcessStart::now());
        assert_eq!(instance.bystander(), Turn { requests_served: 0, cold_start: false });
        assert_eq!(instance.take_turn(), Turn { requests_served: 0, cold_start: true });
        assert_eq!(instance.take_turn(), Turn { requests_served: 1, cold_start: false });
        assert_eq!(instance.bystander(), Turn { requests_served: 2, cold_start: false });
    }

    #[test]
    fn every_start_has_its_own_boot_id_and_a_nameless_instance_gets_a_name() {
        let start = ProcessStart::now();
        let (one, two) = (Instance::ready(None, &start), Instance::ready(None, &start));
        assert_eq!(one.boot_id.len(), 16);
        assert_ne!(one.boot_id, two.boot_id);
        assert_ne!(one.id, two.id);
        assert!(humantime::parse_rfc3339(&one.started_at).is_ok());
    }

    #[test]
    fn milliseconds_keep_three_decimals() {
        assert!((milliseconds(Duration::from_nanos(1_234_567)) - 1.235).abs() < 1e-9);
    }
}
