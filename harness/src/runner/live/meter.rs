//! What the live screen knows of the requests: counts and small histograms, filled from the batches
//! that go to disk, on the thread that writes them. The generator's own thread never comes here.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::{
    drive::Plan,
    record::{Outcome, Record},
};

/// Seconds whose counts are kept: as many as a wide screen can show.
pub(super) const KEPT_S: u64 = 120;
/// Seconds that "now" means.
pub(super) const RECENT_S: u64 = 5;
/// Nanoseconds in a second.
const NS: u64 = 1_000_000_000;
/// The percentiles that are shown.
pub(super) const SHOWN: [f64; 3] = [0.50, 0.95, 0.99];

/// Response times, microseconds, to two significant digits.
type Times = Histogram<u64>;

/// Counts of a cell so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    whole: Option<Times>,
    seconds: BTreeMap<u64, Second>,
    outcomes: [u64; Outcome::ALL.len()],
}

#[derive(Debug, Default)]
struct Second {
    answered: u64,
    /// Dropped once the second is no longer recent.
    times: Option<Times>,
}

impl Meter {
    /// Counts requests that ended.
    pub(super) fn take(&mut self, records: &[Record]) {
        for record in records {
            let second = self.seconds.entry(record.done_ns / NS).or_default();
            let answer = !matches!(record.outcome, Outcome::Connect | Outcome::Timeout);
            second.answered += u64::from(answer);
            self.outcomes[record.outcome as usize] += 1;
            // As in the analysis: other failures are left out, time-outs count as long as they took.
            if matches!(record.outcome, Outcome::Ok | Outcome::Timeout) {
                let us = record.response_ns() / 1000;
                note(&mut second.times, us);
                note(&mut self.whole, us);
            }
        }
        let Some(last) = self.seconds.keys().next_back().copied() else { return };
        self.seconds = self.seconds.split_off(&last.saturating_sub(KEPT_S));
        for (_, second) in self.seconds.range_mut(..last.saturating_sub(RECENT_S)) {
            second.times = None;
        }
    }

    /// Answers of any kind in each whole second from `first` to before `end`.
    pub(super) fn answered(&self, first: u64, end: u64) -> Vec<u64> {
        (first..end).map(|at| self.seconds.get(&at).map_or(0, |second| second.answered)).collect()
    }

    /// Percentiles of the last seconds before and with `now`, ms.
    pub(super) fn recent_ms(&self, now: u64) -> [Option<f64>; SHOWN.len()] {
        let mut recent: Option<Times> = None;
        for (_, second) in self.seconds.range(now.saturating_sub(RECENT_S)..) {
            match (&mut recent, &second.times) {
                (_, None) => {}
                // Both grow as they must, so they always fit.
                (Some(recent), Some(times)) => _ = recent.add(times),
                (none, Some(times)) => *none = Some(times.clone()),
            }
        }
        percentiles_ms(recent.as_ref())
    }

    /// Percentiles of the whole cell so far, warm-up included, ms.
    pub(super) fn whole_ms(&self) -> [Option<f64>; SHOWN.len()] {
        percentiles_ms(self.whole.as_ref())
    }

    /// Failures so far, by outcome, those that occurred.
    pub(super) fn failures(&self) -> Vec<(&'static str, u64)> {
        Outcome::ALL
            .iter()
            .filter(|&&outcome| outcome != Outcome::Ok && self.outcomes[outcome as usize] > 0)
            .map(|&outcome| (outcome.name(), self.outcomes[outcome as usize]))
            .collect()
    }
}

fn note(times: &mut Option<Times>, us: u64) {
    if times.is_none() {
        // Two digits is a number of digits that it accepts.
        *times = Times::new(2).ok();
    }
    if let Some(times) = times {
        // It grows as it must; a time that it cannot hold does not occur.
        let _ = times.record(us);
    }
}

fn percentiles_ms(times: Option<&Times>) -> [Option<f64>; SHOWN.len()] {
    SHOWN.map(|share| times.map(|times| times.value_at_quantile(share) as f64 / 1e3))
}

/// Sends that a plan intends in each second; none in a closed loop, which intends none.
pub(super) fn offered(plan: &Plan) -> Option<Vec<u64>> {
    let Plan::Open { send_times_ns, .. } = plan else { return None };
    let seconds = send_times_ns.last().map_or(0, |&last| last / NS + 1);
    let mut counts = vec![0; usize::try_from(seconds).unwrap_or(0)];
    for &at_ns in send_times_ns {
        counts[(at_ns / NS) as usize] += 1;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::shapes::{Extent, constant};

    fn answer(at_s: f64, took_ms: u64, outcome: Outcome) -> Record {
        let scheduled_ns = (at_s * 1e9) as u64;
        Record {
            call_id: 0,
            scheduled_ns,
            sent_ns: scheduled_ns,
            connected_ns: None,
            first_byte_ns: None,
            done_ns: scheduled_ns + took_ms * 1_000_000,
            status: 200,
            outcome,
            bytes_sent: 0,
            bytes_received: 0,
            payload: 0,
            endpoint: 0,
            connection: 0,
            instance: None,
            cold: false,
            server: None,
        }
    }

    #[test]
    fn answers_are_counted_by_the_second_in_which_they_came() {
        let mut meter = Meter::default();
        meter.take(&[answer(0.1, 10, Outcome::Ok), answer(0.995, 10, Outcome::Ok)]);
        meter.take(&[answer(1.2, 10, Outcome::Platform), answer(1.3, 10, Outcome::Connect)]);
        assert_eq!(meter.answered(0, 4), [1, 2, 0, 0], "a refused connection is no answer");
        assert_eq!(meter.failures(), [("connect", 1), ("platform", 1)]);
    }

    #[test]
    fn recent_percentiles_forget_and_those_of_the_cell_do_not() {
        let mut meter = Meter::default();
        let slow: Vec<Record> = (0..100).map(|i| answer(f64::from(i) / 100.0, 100, Outcome::Ok)).collect();
        let fast: Vec<Record> =
            (0..100).map(|i| answer(20.0 + f64::from(i) / 100.0, 2, Outcome::Ok)).collect();
        meter.take(&slow);
        assert!(meter.recent_ms(1)[0].unwrap() > 99.0);
        meter.take(&fast);
        assert!(meter.recent_ms(20)[2].unwrap() < 2.1, "{:?}", meter.recent_ms(20));
        assert!(meter.whole_ms()[2].unwrap() > 99.0);
        // A platform's refusal is fast and no response time; a time-out is slow and one.
        meter.take(&[answer(40.0, 1, Outcome::Overload)]);
        assert_eq!(meter.recent_ms(40), [None; 3]);
        meter.take(&[answer(40.0, 500, Outcome::Timeout)]);
        assert!(meter.recent_ms(40)[0].unwrap() > 495.0);
    }

    #[test]
    fn its_memory_is_bounded_by_the_seconds_that_it_keeps() {
        let mut meter = Meter::default();
        (0..1000).for_each(|s| meter.take(&[answer(f64::from(s), 1, Outcome::Ok)]));
        assert!(meter.seconds.len() as u64 <= KEPT_S + 1);
        assert!(
            meter.seconds.values().filter(|second| second.times.is_some()).count() as u64 <= RECENT_S + 1
        );
    }

    #[test]
    fn a_plan_says_what_it_offers_in_each_second() {
        let plan = Plan::open(constant(10.0, Extent::Count(25)));
        assert_eq!(offered(&plan), Some(vec![10, 10, 5]));
        let closed = Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: None, requests: Some(1) };
        assert_eq!(offered(&closed), None);
    }
}
