//! What a stretch of load amounted to: counts, rates and times. Serves cells and `harness load` alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    inside::Inside,
    summary::Quantiles,
    times::Times,
    window::{NS_PER_S, Pacing, Window},
};
use crate::record::{Outcome, Record, ServerTimings};

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
    /// Medians over the same, by [`super::inside::STAGES`], ms.
    pub inside_ms: BTreeMap<String, f64>,
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
    let mut counting = Counting::new(*window);
    for record in records {
        counting.take(record);
    }
    counting.finish()
}

/// A tally in the making: takes one record after another and keeps none of them.
#[derive(Debug, Clone)]
pub struct Counting {
    window: Window,
    requests: u64,
    answers: u64,
    correct_answers: u64,
    outcomes: [u64; Outcome::ALL.len()],
    response: Times,
    service: Times,
    failure: Times,
    lateness: Times,
    connect: Times,
    server: ServerSums,
    inside: Inside,
    bytes_sent: f64,
    bytes_received: f64,
    cold_starts: u64,
    instances: BTreeSet<Arc<str>>,
    /// First and last intended send.
    span_ns: Option<(u64, u64)>,
    last_done_ns: u64,
}

impl Counting {
    /// Nothing yet. The interval's end may come later: see [`Counting::until`].
    pub fn new(window: Window) -> Self {
        Self {
            window,
            requests: 0,
            answers: 0,
            correct_answers: 0,
            outcomes: [0; Outcome::ALL.len()],
            response: Times::default(),
            service: Times::default(),
            failure: Times::default(),
            lateness: Times::default(),
            connect: Times::default(),
            server: ServerSums::default(),
            inside: Inside::default(),
            bytes_sent: 0.0,
            bytes_received: 0.0,
            cold_starts: 0,
            instances: BTreeSet::new(),
            span_ns: None,
            last_done_ns: 0,
        }
    }

    /// Takes a record; one that does not belong to the interval changes nothing.
    pub fn take(&mut self, record: &Record) {
        self.last_done_ns = self.last_done_ns.max(record.done_ns);
        if self.window.saw_answer(record) {
            self.answers += 1;
            self.correct_answers += u64::from(record.outcome == Outcome::Ok);
            self.bytes_received += f64::from(record.bytes_received);
        }
        if !self.window.holds(record) {
            return;
        }
        self.requests += 1;
        self.outcomes[record.outcome as usize] += 1;
        let censored = record.outcome == Outcome::Timeout;
        if matches!(record.outcome, Outcome::Ok | Outcome::Timeout) {
            self.response.push(record.response_ns(), censored);
            self.service.push(record.service_ns(), censored);
        } else {
            self.failure.push(record.response_ns(), false);
        }
        self.lateness.push(record.lateness_ns(), false);
        let connect_ns = record.connected_ns.and_then(|at_ns| at_ns.checked_sub(record.sent_ns));
        if let Some(ns) = connect_ns.filter(|&ns| ns > 0) {
            self.connect.push(ns, false);
        }
        if let Some(timings) = record.server.filter(|_| record.outcome == Outcome::Ok) {
            self.server.take(timings);
            self.inside.take(timings);
        }
        self.bytes_sent += f64::from(record.bytes_sent);
        self.cold_starts += u64::from(record.cold);
        if let Some(instance) = &record.instance
            && !self.instances.contains(instance)
        {
            self.instances.insert(Arc::clone(instance));
        }
        let (first, last) = self.span_ns.unwrap_or((record.scheduled_ns, record.scheduled_ns));
        self.span_ns = Some((first.min(record.scheduled_ns), last.max(record.scheduled_ns)));
    }

    /// When the last request ended, of all that were taken, nanoseconds since the start.
    pub fn last_done_ns(&self) -> u64 {
        self.last_done_ns
    }

    /// The interval ended then, earlier than was planned, and after all that was taken.
    pub fn until(&mut self, end_ns: u64) {
        self.window.end_ns = end_ns.max(self.window.start_ns);
    }

    /// Response times of correct answers and (censored) time-outs so far.
    pub fn response_times(&self) -> &Times {
        &self.response
    }

    /// The sums.
    pub fn finish(&self) -> Tally {
        let seconds = self.window.seconds();
        let per_s = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let outcomes = Outcome::ALL.iter().map(|&o| (o.name().to_owned(), self.outcomes[o as usize]));
        Tally {
            window_s: seconds,
            requests: self.requests,
            offered_rps: self.offered_rps(),
            achieved_rps: per_s(self.answers as f64),
            goodput_rps: per_s(self.correct_answers as f64),
            outcomes: outcomes.collect(),
            response_ms: self.response.quantiles(),
            service_ms: self.service.quantiles(),
            failure_ms: self.failure.quantiles(),
            lateness_ms: self.lateness.quantiles(),
            connect_ms: self.connect.quantiles(),
            server_ms: self.server.means_ms(),
            inside_ms: self.inside.medians_ms(),
            upload_bytes_per_s: per_s(self.bytes_sent),
            download_bytes_per_s: per_s(self.bytes_received),
            cold_starts: self.cold_starts,
            instances: self.instances.len() as u64,
        }
    }

    /// Gaps over the time from the first to the last intended send: it does not depend on how long
    /// the last answers took, nor on where between two sends the interval was cut.
    fn offered_rps(&self) -> Option<f64> {
        if self.window.pacing == Pacing::Closed {
            return None;
        }
        let (first_ns, last_ns) = self.span_ns?;
        let span_s = (last_ns - first_ns) as f64 / NS_PER_S;
        (span_s > 0.0).then(|| (self.requests - 1) as f64 / span_s)
    }
}

/// Sums of what the function reported, microseconds.
#[derive(Debug, Clone, Default)]
struct ServerSums {
    count: u64,
    us: [u64; 5],
}

impl ServerSums {
    /// Names in the order of the sums.
    const NAMES: [&str; 5] = ["queue", "decode", "preprocess", "inference", "total"];

    fn take(&mut self, t: ServerTimings) {
        self.count += 1;
        for (sum, us) in
            self.us.iter_mut().zip([t.queue_us, t.decode_us, t.preprocess_us, t.inference_us, t.total_us])
        {
            *sum += u64::from(us);
        }
    }

    fn means_ms(&self) -> BTreeMap<String, f64> {
        if self.count == 0 {
            return BTreeMap::new();
        }
        let mean_ms = |us: u64| us as f64 / self.count as f64 / 1000.0;
        Self::NAMES.iter().zip(self.us).map(|(name, us)| ((*name).to_owned(), mean_ms(us))).collect()
    }
}
