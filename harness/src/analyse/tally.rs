//! What a stretch of load amounted to: counts, rates and times. Serves cells and `harness load` alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    quantiles::{Observation, complete, quantiles},
    summary::Quantiles,
    window::{NS_PER_S, Pacing, Window},
};
use crate::record::{Outcome, Record, ServerTimings};

/// Nanoseconds in a millisecond.
const NS_PER_MS: f64 = 1e6;

/// Counts, rates and times of the requests of one interval. See [`super::window`] for what counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Length of the interval, seconds.
    pub window_s: f64,
    /// Requests that belong to it.
    pub requests: u64,
    /// Intended requests a second; none in a closed loop, or with fewer than two requests.
    pub offered_rps: Option<f64>,
    /// Answers of any kind a second.
    pub achieved_rps: f64,
    /// Correct answers a second.
    pub goodput_rps: f64,
    /// Requests by outcome; every outcome is listed, also those that did not occur.
    pub outcomes: BTreeMap<String, u64>,
    /// From the intended send to the end, of correct answers and (censored) time-outs.
    pub response_ms: Quantiles,
    /// From the actual send to the end, of the same.
    pub service_ms: Quantiles,
    /// From the intended send to the end, of failures other than time-outs.
    pub failure_ms: Quantiles,
    /// From the intended to the actual send, of all.
    pub lateness_ms: Quantiles,
    /// Time to open a connection, of requests that opened one.
    pub connect_ms: Quantiles,
    /// Mean of the function's stages over correct answers that report them, ms.
    pub server_ms: BTreeMap<String, f64>,
    /// Request body bytes a second, by send.
    pub upload_bytes_per_s: f64,
    /// Response body bytes a second, by arrival.
    pub download_bytes_per_s: f64,
    /// Answers that were an instance's first.
    pub cold_starts: u64,
    /// Different instances that answered.
    pub instances: u64,
}

impl Tally {
    /// Requests that ended in this way.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.name()).copied().unwrap_or(0)
    }

    /// Requests that did not end in a correct answer.
    pub fn failures(&self) -> u64 {
        self.requests - self.count(Outcome::Ok)
    }
}

/// Counts and sums up the records that belong to the interval.
pub fn tally(records: &[Record], window: &Window) -> Tally {
    let held: Vec<&Record> = records.iter().filter(|r| window.holds(r)).collect();
    let answers: Vec<&Record> = records.iter().filter(|r| window.saw_answer(r)).collect();
    let correct = || held.iter().filter(|r| r.outcome == Outcome::Ok);
    let timed = |time_ns: fn(&Record) -> u64| {
        quantiles(held.iter().filter(|r| matches!(r.outcome, Outcome::Ok | Outcome::Timeout)).map(|r| {
            Observation { ms: time_ns(r) as f64 / NS_PER_MS, censored: r.outcome == Outcome::Timeout }
        }))
    };
    let failed = held.iter().filter(|r| !matches!(r.outcome, Outcome::Ok | Outcome::Timeout));
    let connects = held.iter().filter_map(|r| r.connected_ns?.checked_sub(r.sent_ns).filter(|&ns| ns > 0));
    let count_of = |outcome| held.iter().filter(|r| r.outcome == outcome).count() as u64;
    let per_s = |amount: f64| if window.seconds() > 0.0 { amount / window.seconds() } else { 0.0 };
    Tally {
        window_s: window.seconds(),
        requests: held.len() as u64,
        offered_rps: offered_rps(&held, window.pacing),
        achieved_rps: per_s(answers.len() as f64),
        goodput_rps: per_s(answers.iter().filter(|r| r.outcome == Outcome::Ok).count() as f64),
        outcomes: Outcome::ALL.iter().map(|&o| (o.name().to_owned(), count_of(o))).collect(),
        response_ms: timed(Record::response_ns),
        service_ms: timed(Record::service_ns),
        failure_ms: complete(failed.map(|r| r.response_ns() as f64 / NS_PER_MS)),
        lateness_ms: complete(held.iter().map(|r| r.lateness_ns() as f64 / NS_PER_MS)),
        connect_ms: complete(connects.map(|ns| ns as f64 / NS_PER_MS)),
        server_ms: server_means(correct().filter_map(|r| r.server)),
        upload_bytes_per_s: per_s(held.iter().map(|r| f64::from(r.bytes_sent)).sum()),
        download_bytes_per_s: per_s(answers.iter().map(|r| f64::from(r.bytes_received)).sum()),
        cold_starts: held.iter().filter(|r| r.cold).count() as u64,
        instances: held.iter().filter_map(|r| r.instance.as_deref()).collect::<BTreeSet<_>>().len() as u64,
    }
}

/// Gaps over the time from the first to the last intended send: it does not depend on how long the
/// last answers took, nor on where between two sends the interval was cut.
fn offered_rps(held: &[&Record], pacing: Pacing) -> Option<f64> {
    if pacing == Pacing::Closed {
        return None;
    }
    let first_ns = held.iter().map(|r| r.scheduled_ns).min()?;
    let last_ns = held.iter().map(|r| r.scheduled_ns).max()?;
    let span_s = (last_ns - first_ns) as f64 / NS_PER_S;
    (span_s > 0.0).then(|| (held.len() - 1) as f64 / span_s)
}

fn server_means(timings: impl Iterator<Item = ServerTimings>) -> BTreeMap<String, f64> {
    let timings: Vec<ServerTimings> = timings.collect();
    if timings.is_empty() {
        return BTreeMap::new();
    }
    let mean_ms = |us: fn(&ServerTimings) -> u32| {
        timings.iter().map(|t| f64::from(us(t))).sum::<f64>() / timings.len() as f64 / 1000.0
    };
    BTreeMap::from([
        ("queue".to_owned(), mean_ms(|t| t.queue_us)),
        ("decode".to_owned(), mean_ms(|t| t.decode_us)),
        ("preprocess".to_owned(), mean_ms(|t| t.preprocess_us)),
        ("inference".to_owned(), mean_ms(|t| t.inference_us)),
        ("total".to_owned(), mean_ms(|t| t.total_us)),
    ])
}
