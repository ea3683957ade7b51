//! What `/metrics` shows, in the Prometheus text format.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Counter, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::events::metrics::EventMetrics;

/// Bounds of the stage histograms, seconds: 0.5 ms to 10 s.
const BUCKETS_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The function's metrics.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    stages: HistogramVec,
    storage_bytes: IntCounterVec,
    storage_retries: IntCounter,
    in_flight: IntGauge,
    queue_length: IntGauge,
    memory_bytes: IntGauge,
    cpu_seconds: Counter,
    events: EventMetrics,
}

/// Counts a request as in flight while it lives.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Telemetry {
    /// Registers all metrics.
    ///
    /// # Errors
    /// If two have the same name, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let telemetry = Self {
            events: EventMetrics::register(&registry)?,
            registry,
            requests: IntCounterVec::new(
                Opts::new("function_requests_total", "Invocations answered, by status code"),
                &["code"],
            )?,
            stages: HistogramVec::new(
                HistogramOpts::new("function_stage_duration_seconds", "Time in each stage of an invocation")
                    .buckets(BUCKETS_SECONDS.to_vec()),
                &["stage"],
            )?,
            storage_bytes: IntCounterVec::new(
                Opts::new(
                    "function_storage_bytes_total",
                    "Bytes moved from (in) and to (out) the object storage",
                ),
                &["direction"],
            )?,
            storage_retries: IntCounter::new(
                "function_storage_retries_total",
                "Requests to the object storage that were made again, for invocations that succeeded",
            )?,
            in_flight: IntGauge::new("function_in_flight", "Invocations received and not yet answered")?,
            queue_length: IntGauge::new(
                "function_queue_length",
                "Invocations that wait for an inference thread",
            )?,
            memory_bytes: IntGauge::new("function_memory_bytes", "Resident memory of the process")?,
            cpu_seconds: Counter::new(
                "function_cpu_seconds_total",
                "CPU time of the process, user and system",
            )?,
        };
        telemetry.registry.register(Box::new(telemetry.requests.clone()))?;
        telemetry.registry.register(Box::new(telemetry.stages.clone()))?;
        telemetry.registry.register(Box::new(telemetry.storage_bytes.clone()))?;
        telemetry.registry.register(Box::new(telemetry.storage_retries.clone()))?;
        telemetry.registry.register(Box::new(telemetry.in_flight.clone()))?;
        telemetry.registry.register(Box::new(telemetry.queue_length.clone()))?;
        telemetry.registry.register(Box::new(telemetry.memory_bytes.clone()))?;
        telemetry.registry.register(Box::new(telemetry.cpu_seconds.clone()))?;
        Ok(telemetry)
    }

    /// Shows what the workload counts as well.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn show(&self, collectors: Vec<Box<dyn Collector>>) -> prometheus::Result<()> {
        collectors.into_iter().try_for_each(|collector| self.registry.register(collector))
    }

    /// The counters of events.
    pub fn events(&self) -> EventMetrics {
        self.events.clone()
    }

    /// An invocation arrived.
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// An invocation was answered with this status.
    pub fn answered(&self, status: u16) {
        self.requests.with_label_values(&[status.to_string().as_str()]).inc();
    }

    /// A stage took this long.
    pub fn stage(&self, name: &str, duration: Duration) {
        self.stages.with_label_values(&[name]).observe(duration.as_secs_f64());
    }

    /// This much was moved from and to the object storage.
    pub fn moved(&self, bytes_in: usize, bytes_out: usize, retries: u32) {
        self.storage_bytes.with_label_values(&["in"]).inc_by(bytes_in as u64);
        self.storage_bytes.with_label_values(&["out"]).inc_by(bytes_out as u64);
        self.storage_retries.inc_by(u64::from(retries));
    }

    /// All metrics as text; `queue_length` is asked of the pool by the caller.
    ///
    /// # Errors
    /// If a metric cannot be written as text.
    pub fn text(&self, queue_length: usize) -> prometheus::Result<String> {
        self.queue_length.set(i64::try_from(queue_length).unwrap_or(i64::MAX));
        if let Some(bytes) =
            std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes)
        {
            self.memory_bytes.set(bytes);
        }
        // A counter may only grow; two scrapes at the same time may read it in either order.
        let since_last = cpu_seconds() - self.cpu_seconds.get();
        if since_last > 0.0 {
            self.cpu_seconds.inc_by(since_last);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// `VmRSS` of `/proc/self/status` (proc(5)), bytes.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu_seconds() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_what_happened() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.answered(200);
        telemetry.answered(200);
        telemetry.answered(429);
        telemetry.stage("decode", Duration::from_millis(3));
        let in_flight = telemetry.enter();
        let text = telemetry.text(5).unwrap();
        for line in [
            "function_requests_total{code=\"200\"} 2",
            "function_requests_total{code=\"429\"} 1",
            "function_stage_duration_seconds_bucket{stage=\"decode\",le=\"0.0025\"} 0",
            "function_stage_duration_seconds_bucket{stage=\"decode\",le=\"0.005\"} 1",
            "function_stage_duration_seconds_bucket{stage=\"decode\",le=\"10\"} 1",
            "function_in_flight 1",
            "function_queue_length 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(in_flight);
        assert!(telemetry.text(0).unwrap().contains("\nfunction_in_flight 0\n"));
    }

    #[test]
    fn memory_and_cpu_time_are_those_of_the_process() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.text(0).unwrap();
        assert!(telemetry.memory_bytes.get() > 1 << 20);
        assert!(telemetry.cpu_seconds.get() > 0.0);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }
}
