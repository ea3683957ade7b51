//! Whether the measured interval was steady, and whether the platform kept up.
//!
//! The warm-up is a fixed cut stated before the run; this checks that what remains shows no
//! start-up transient and no drift. The interval is divided into 20 batches (batch means: Law,
//! "Simulation Modeling and Analysis", 2015, section 9.5), and early ones are compared with late
//! ones (the idea of Geweke's diagnostic, in "Bayesian Statistics 4", 1992) by the exact rank test of
//! Mann and Whitney over the batches: the first fifth, quarter, third and half with the rest, and the
//! first two fifths with the last two. A change counts if it is both large and improbable.
//! * Open loop: a batch's figure is the lower quartile of its response times. Queueing makes
//!   response times of neighbouring requests alike for long stretches, which a test of their
//!   means mistakes for a trend; the quartile is near the time of a request that met no queue.
//! * Closed loop: a batch's figure is the number of correct answers in a twentieth of the interval.
//!
//! The limits come from simulation (the tests): fewer than 1 % of stationary cells are called
//! unsteady. What is beyond its sight: a transient shorter than a fifth of the interval; and in an
//! open loop of fewer than about 350 requests one shorter than a third, because a single busy spell
//! of a steady queue looks the same there.
//!
//! Scaling, restarts and failures are what a platform does: with one of them, an unsteady course is
//! remarked upon, not INVALID. So is overload, where answers fall behind arrivals.

use super::{
    quantiles::nearest_rank,
    resources::Resources,
    statistics::mann_whitney,
    summary::Problem,
    tally::Tally,
    window::{Pacing, Window, is_answer},
};
use crate::{
    record::{Outcome, Record},
    store::CellData,
};

/// Stretches that an interval is divided into.
const BATCHES: usize = 20;
/// Batches in a fifth of the interval.
const FIFTH: usize = BATCHES / 5;
/// Batches at the start that are compared with all later ones, and what to call these parts.
const EARLY: [(usize, &str); 4] = [
    (FIFTH, "the first fifth and in the rest"),
    (FIFTH + 1, "the first quarter and in the rest"),
    (FIFTH + 3, "the first third and in the rest"),
    (BATCHES / 2, "the first half and in the second"),
];
/// Factor by which late batches must differ from early ones: response times.
const FACTOR_OPEN: f64 = 1.25;
/// The same for rates, which scatter less. A drift of service times to +50 % makes 1.27.
const FACTOR_CLOSED: f64 = 1.2;
/// Rank tests must yield less than this: completions in a closed loop.
const P_CLOSED: f64 = 1e-3;
/// The same for response times, which are more alike among neighbours than chance has it.
const P_OPEN: f64 = 5e-4;
/// Requests from which that limit holds. With fewer, one busy spell spans several batches, and the
/// limit falls with the power 3/2 of their number.
const ENOUGH: usize = 400;
/// Requests below which nothing can be said.
const FEWEST: usize = 5 * BATCHES;
/// Answers that are looked at, at most; of more, one in 2, 4, 8, ...
const MOST_KEPT: usize = 400_000;
/// Share of failures from which an unsteady course is the platform's.
const FAILURE_SHARE: f64 = 0.05;
/// Growth of the unanswered requests from which answers fall behind arrivals: as a share of the
/// requests, and in requests (a stable queue at 70 % load reaches ten about once in 500 looks).
const BEHIND_SHARE: f64 = 0.05;
const BEHIND_REQUESTS: f64 = 10.0;

/// How an interval went.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// What the platform did.
    pub remarks: Vec<String>,
    /// No steady state, and nothing that the platform did explains it.
    pub problem: Option<Problem>,
}

/// A change between an early and a late part of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// Which parts differ, in words.
    parts: &'static str,
    /// Figure of the early part.
    early: f64,
    /// Figure of the late part.
    late: f64,
    /// Of the rank test over the batches.
    p: f64,
}

/// Looks at how an interval went.
pub(super) fn course<R>(data: &CellData<R>, watched: &Watched, counts: &Tally, used: &Resources) -> Course {
    let window = &watched.window;
    let behind = watched.falls_behind(counts.requests);
    let steps = !data.meta.cell.load.arrivals.is_stationary();
    let change = if steps || behind.is_some() { None } else { watched.change() };
    let mut course = Course { remarks: behind.into_iter().collect(), problem: None };
    let Some(change) = change else { return course };
    let found = describe(change, window.pacing);
    match excuse(counts, used) {
        Some(excuse) => course.remarks.push(format!("not steady: {found}; {excuse}.")),
        None => {
            course.problem = Some(Problem {
                reason: format!("No steady state: {found}."),
                remedy:
                    "Lengthen the load before the interval (warmup) and the interval (duration) of this load \
                         point, and see that nothing else runs on the machine."
                        .into(),
            });
        }
    }
    course
}

fn describe(change: Change, pacing: Pacing) -> String {
    let Change { parts, early, late, p } = change;
    match pacing {
        Pacing::Open => format!(
            "the lower quartile of the response time is {early:.1} ms in {parts} {late:.1} ms (rank test p = {p:.5})"
        ),
        Pacing::Closed => {
            format!("correct answers a second are {early:.1} in {parts} {late:.1} (rank test p = {p:.5})")
        }
    }
}

/// What the platform did that explains an unsteady course.
fn excuse(counts: &Tally, used: &Resources) -> Option<String> {
    if let Some(replicas) = used.replicas.filter(|r| r.min < r.max) {
        Some(format!("the platform went between {} and {} ready replicas", replicas.min, replicas.max))
    } else if used.restarts > 0 {
        Some(format!("replicas that ended meanwhile: {}", used.restarts))
    } else if counts.failures() as f64 > FAILURE_SHARE * counts.requests as f64 {
        Some(format!("{} of {} requests failed meanwhile", counts.failures(), counts.requests))
    } else {
        None
    }
}

/// What the course of an interval is judged by; takes one record after another.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    window: Window,
    /// Requests that came in, and ended, before the interval and before its end.
    came: [u64; 2],
    went: [u64; 2],
    /// Open loop: call and response time (ns) of correct answers, one call in `step`.
    times: Vec<(u64, u64)>,
    step: u64,
    /// Closed loop: call, and when its correct answer came, seconds since the interval's start.
    done_s: Vec<(u64, f64)>,
}

impl Watched {
    /// Nothing seen yet.
    pub(super) fn new(window: Window) -> Self {
        Self { window, came: [0; 2], went: [0; 2], times: Vec::new(), step: 1, done_s: Vec::new() }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, r: &Record) {
        for (i, at_ns) in [self.window.start_ns, self.window.end_ns].into_iter().enumerate() {
            self.came[i] += u64::from(r.scheduled_ns < at_ns);
            let ended = is_answer(r.outcome) || r.outcome == Outcome::Connect;
            self.went[i] += u64::from(ended && r.done_ns < at_ns);
        }
        if r.outcome != Outcome::Ok || !r.call_id.is_multiple_of(self.step) {
            return;
        }
        // By the call's number, so that a later thinning keeps what an earlier one would have kept.
        if self.window.pacing == Pacing::Open && self.window.holds(r) {
            self.times.push((r.call_id, r.response_ns()));
        } else if self.window.pacing == Pacing::Closed && self.window.saw_answer(r) {
            self.done_s.push((r.call_id, (r.done_ns - self.window.start_ns) as f64 / 1e9));
        }
        if self.times.len().max(self.done_s.len()) > MOST_KEPT {
            self.step *= 2;
            let step = self.step;
            self.times.retain(|(call, _)| call % step == 0);
            self.done_s.retain(|(call, _)| call % step == 0);
        }
    }

    /// Open loop: requests that came in minus answers that went out, over the interval.
    fn falls_behind(&self, requests: u64) -> Option<String> {
        if self.window.pacing == Pacing::Closed {
            return None;
        }
        let [before, after] = [0, 1].map(|i| self.came[i] as f64 - self.went[i] as f64);
        let growth = after - before;
        (growth > BEHIND_REQUESTS.max(BEHIND_SHARE * requests as f64)).then(|| {
            format!(
                "overloaded: answers fell behind arrivals; unanswered requests went from {before} to {after} while {requests} came in."
            )
        })
    }

    /// The most improbable change, if one is large and improbable enough.
    fn change(&self) -> Option<Change> {
        match self.window.pacing {
            Pacing::Open => {
                // Calls are numbered in the order of their intended sends.
                let mut in_order = self.times.clone();
                in_order.sort_unstable_by_key(|(call, _)| *call);
                let times: Vec<f64> = in_order.iter().map(|(_, ns)| *ns as f64 / 1e6).collect();
                change_of_times(&times)
            }
            Pacing::Closed => {
                let done_s: Vec<f64> = self.done_s.iter().map(|(_, at_s)| *at_s).collect();
                let thinned = change_of_rate(&done_s, self.window.seconds());
                // Rates of a thinned list are those of the whole, divided.
                let whole = self.step as f64;
                thinned.map(|c| Change { early: c.early * whole, late: c.late * whole, ..c })
            }
        }
    }
}

/// A change in response times (any unit) in the order of their requests.
fn change_of_times(times: &[f64]) -> Option<Change> {
    let n = times.len();
    if n < FEWEST {
        return None;
    }
    let quartile = |from: usize, to: usize| {
        let mut batch = times[from * n / BATCHES..to * n / BATCHES].to_vec();
        batch.sort_by(f64::total_cmp);
        nearest_rank(&batch, 250).unwrap_or(0.0)
    };
    most_improbable(quartile, FACTOR_OPEN, P_OPEN * (n as f64 / ENOUGH as f64).min(1.0).powf(1.5))
}

/// A change in the rate of events at these times (seconds since the interval's start).
fn change_of_rate(done_s: &[f64], length_s: f64) -> Option<Change> {
    if done_s.len() < FEWEST || length_s <= 0.0 {
        return None;
    }
    let mut counts = [0_u32; BATCHES];
    for at_s in done_s {
        counts[((at_s / length_s * BATCHES as f64) as usize).min(BATCHES - 1)] += 1;
    }
    let batch_s = length_s / BATCHES as f64;
    let rate = |from: usize, to: usize| {
        f64::from(counts[from..to].iter().sum::<u32>()) / batch_s / (to - from) as f64
    };
    most_improbable(rate, FACTOR_CLOSED, P_CLOSED)
}

/// Compares early with late batches. `figure(from, to)` is the figure of a range of batches.
fn most_improbable(figure: impl Fn(usize, usize) -> f64, factor: f64, p_limit: f64) -> Option<Change> {
    let batches = |from: usize, to: usize| (from..to).map(|i| figure(i, i + 1)).collect::<Vec<f64>>();
    let starts = EARLY.map(|(length, parts)| (parts, (0, length), (length, BATCHES)));
    let ends = ("the first two fifths and in the last two", (0, 2 * FIFTH), (3 * FIFTH, BATCHES));
    let splits = starts.into_iter().chain([ends]);
    splits
        .filter_map(|(parts, early, late)| {
            let (before, after) = (figure(early.0, early.1), figure(late.0, late.1));
            let large = before.max(after) >= factor * before.min(after);
            let test = || mann_whitney::p_value(&batches(early.0, early.1), &batches(late.0, late.1));
            let p = if large { test() } else { 1.0 };
            (p < p_limit).then_some(Change { parts, early: before, late: after, p })
        })
        .min_by(|a, b| a.p.total_cmp(&b.p))
}

#[cfg(test)]
#[path = "steady_tests.rs"]
mod tests;
