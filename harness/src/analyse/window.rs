//! The measured interval: which records count, and at its edges which do not.
//!
//! A cell plays `warmup` seconds of load that are not counted (a fixed cut, stated before the run)
//! and then `duration` seconds that are: the half-open interval [warmup, warmup + duration).
//! * A request belongs to the interval if its *intended* send time (open loop) or its *actual*
//!   send time (closed loop) lies in it. All latencies, outcomes and counts are of these.
//! * A rate counts what *happened* in the interval: answers whose last byte arrived in it, also
//!   those sent during warm-up. Else an overloaded platform would be credited with the answers
//!   that it gave during the drain, after the load had ended.
//! * A cell that was not played to its end has its interval cut at the last thing that a record
//!   tells; requests in flight at that moment left no record.

use crate::{
    experiment::{Arrivals, LoadPoint},
    record::{Outcome, Record},
    store::{CellData, CellState},
};

/// Nanoseconds in a second.
pub(crate) const NS_PER_S: f64 = 1e9;

/// Which of a request's times says when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// By a schedule: the intended send time counts.
    Open,
    /// By the answers: the actual send time counts.
    Closed,
}

impl From<&Arrivals> for Pacing {
    fn from(arrivals: &Arrivals) -> Self {
        if arrivals.is_closed() { Self::Closed } else { Self::Open }
    }
}

/// A half-open interval since the cell's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First nanosecond in it.
    pub start_ns: u64,
    /// First nanosecond after it; never before `start_ns`.
    pub end_ns: u64,
    /// What counts as sent when.
    pub pacing: Pacing,
}

impl Window {
    /// The measured interval of a load point.
    pub fn planned(load: &LoadPoint) -> Self {
        let start_ns = nanos(load.warmup);
        Self { start_ns, end_ns: start_ns + nanos(load.duration), pacing: Pacing::from(&load.arrivals) }
    }

    /// The measured interval of a cell as far as it was played; its last request ended at
    /// `last_done_ns`.
    pub fn of_cell<R>(data: &CellData<R>, last_done_ns: u64) -> Self {
        let planned = Self::planned(&data.meta.cell.load);
        let whole = data.meta.state == CellState::Done && data.damage.is_empty();
        let end_ns =
            if whole { planned.end_ns } else { last_done_ns.clamp(planned.start_ns, planned.end_ns) };
        Self { end_ns, ..planned }
    }

    /// The first `duration` of a load without warm-up (for `harness load --duration`).
    pub fn first(duration: std::time::Duration, pacing: Pacing) -> Self {
        Self { start_ns: 0, end_ns: nanos(duration), pacing }
    }

    /// Its length, seconds.
    pub fn seconds(&self) -> f64 {
        self.end_ns.saturating_sub(self.start_ns) as f64 / NS_PER_S
    }

    /// When the request was sent, for the purpose of belonging to an interval, nanoseconds.
    pub fn sent_ns(&self, record: &Record) -> u64 {
        match self.pacing {
            Pacing::Open => record.scheduled_ns,
            Pacing::Closed => record.sent_ns,
        }
    }

    /// Whether the request belongs to the interval.
    pub fn holds(&self, record: &Record) -> bool {
        self.spans(self.sent_ns(record))
    }

    /// Whether an answer of any kind was complete in the interval, whenever it was asked for.
    pub fn saw_answer(&self, record: &Record) -> bool {
        is_answer(record.outcome) && self.spans(record.done_ns)
    }

    /// Whether the instant lies in the interval.
    pub fn spans(&self, at_ns: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&at_ns)
    }
}

/// Whether somebody answered, rightly or wrongly.
pub(crate) fn is_answer(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Connect | Outcome::Timeout)
}

/// A duration of any plausible length as nanoseconds (584 years at most).
fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
