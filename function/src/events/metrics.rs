//! What is counted of events.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Bounds of the delivery times, seconds: 0.25 ms to 30 s.
const BUCKETS_SECONDS: [f64; 13] =
    [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Why nobody gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// As many wait already as may.
    BufferFull,
    /// Longer than an event may be.
    TooLarge,
    /// The sink will not have it: a status that no further attempt would change.
    Refused,
    /// The last attempt failed as well.
    RetriesExhausted,
    /// The instance ended before.
    Shutdown,
}

impl Loss {
    const ALL: [Self; 5] =
        [Self::BufferFull, Self::TooLarge, Self::Refused, Self::RetriesExhausted, Self::Shutdown];

    /// As metrics and headers spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer-full",
            Self::TooLarge => "too-large",
            Self::Refused => "refused",
            Self::RetriesExhausted => "retries-exhausted",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The counters; clones count into the same.
#[derive(Debug, Clone)]
pub struct EventMetrics {
    /// Events made.
    pub emitted: IntCounter,
    /// Events that the sink took.
    pub delivered: IntCounter,
    /// Attempts after the first.
    pub retried: IntCounter,
    dropped: IntCounterVec,
    /// Events that wait for a connection.
    pub buffer_length: IntGauge,
    delivery: Histogram,
}

impl EventMetrics {
    /// Registers all of them; every reason of a drop begins at 0.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            emitted: IntCounter::new("function_events_emitted_total", "Events made, one a correct answer")?,
            delivered: IntCounter::new("function_events_delivered_total", "Events that the sink took")?,
            retried: IntCounter::new("function_events_retried_total", "Attempts after the first")?,
            dropped: IntCounterVec::new(
                Opts::new("function_events_dropped_total", "Events that nobody gets, by reason"),
                &["reason"],
            )?,
            buffer_length: IntGauge::new(
                "function_events_buffer_length",
                "Events that wait for a connection to the sink",
            )?,
            delivery: Histogram::with_opts(
                HistogramOpts::new(
                    "function_events_delivery_seconds",
                    "From the answer until the sink took its event",
                )
                .buckets(BUCKETS_SECONDS.to_vec()),
            )?,
        };
        for reason in Loss::ALL {
            metrics.dropped_many(reason, 0);
        }
        registry.register(Box::new(metrics.emitted.clone()))?;
        registry.register(Box::new(metrics.delivered.clone()))?;
        registry.register(Box::new(metrics.retried.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.buffer_length.clone()))?;
        registry.register(Box::new(metrics.delivery.clone()))?;
        Ok(metrics)
    }

    /// The sink took an event after this time.
    pub(super) fn delivered_after(&self, duration: Duration) {
        self.delivered.inc();
        self.delivery.observe(duration.as_secs_f64());
    }

    pub(super) fn dropped(&self, why: Loss) {
        self.dropped_many(why, 1);
    }

    pub(super) fn dropped_many(&self, why: Loss, count: u64) {
        self.dropped.with_label_values(&[why.word()]).inc_by(count);
    }

    /// Events dropped for this reason so far.
    pub fn dropped_for(&self, why: Loss) -> u64 {
        self.dropped.with_label_values(&[why.word()]).get()
    }
}
