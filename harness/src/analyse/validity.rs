//! VALID or INVALID: faults of the instrument or its machine, each with figures and a remedy.
//!
//! After MLPerf LoadGen, whose results say VALID or INVALID with each unmet constraint and what to
//! change. Nothing that a platform does under load is a fault here (invariant 6 of the design).

use super::{machine, quantiles::beyond, summary::Problem, tally::Tally, window::Window};
use crate::{
    drive::GeneratorAudit,
    experiment::{Arrivals, Metric},
    store::{CellData, CellState},
};

/// Lateness (p99) that is never held against the generator, ms. Timers of tokio tick each
/// millisecond and round up, so up to two ticks are the tool's own grain.
pub const LATENESS_FLOOR_MS: f64 = 2.0;
/// Lateness (p99) up to this share of the median response time is tolerated: latency counts from the
/// intended time, so it can shift the figures by no more than this.
pub const LATENESS_SHARE_OF_MEDIAN: f64 = 0.10;
/// Lateness (p99) that is never tolerated, ms: beyond it the arrivals are bunched, and the load is
/// not the one that was planned, however slow the answers are.
pub const LATENESS_CEILING_MS: f64 = 50.0;
/// Share of its threads' time that the generator may be busy. At 0.8 a request waits for the
/// generator itself for twice as long as it takes to handle one (M/D/1: 0.8 / (2 · 0.2)).
pub const CPU_SHARE_LIMIT: f64 = 0.8;
/// Requests that must lie beyond a percentile for it to be a primary metric. The largest of n
/// observations lies beyond the true p95 with probability 1 - 0.95^n, so a two-sided 95 %
/// order-statistic interval (David and Nagaraja, "Order Statistics", 2003, section 7.1) ends inside
/// the sample from n = 72 on, where 0.95^n is 0.025; in general with ln(1/0.025) = 3.7 expected
/// beyond. Five leave a margin: 100 requests for p95, 500 for p99, 10 for the median.
pub const BEYOND_PRIMARY: u64 = 5;
/// Requests that any metric needs: one request more or less then moves a rate by 3 % at most.
pub const FEWEST_REQUESTS: u64 = 30;
/// Requests that each connection of a closed loop must have sent: else the edges of the interval,
/// which cut one request of each connection, weigh more than a tenth.
pub const ROUNDS_PER_CONNECTION: u64 = 10;
/// Share of the planned interval that one which was cut short must have.
pub const SHORTEST_SHARE: f64 = 0.5;

/// Faults of the generator itself, for `harness load` and cells alike.
pub fn of_generator(counts: &Tally, audit: &GeneratorAudit) -> Vec<Problem> {
    let write_error = audit.write_error.as_ref().map(|error| Problem {
        reason: format!("Records were lost: {error}."),
        remedy: "Free space on the disk of the run folder, or choose another one (--runs-dir, --save), and measure again."
            .into(),
    });
    let interrupted = audit.interrupted.then(|| Problem {
        reason: "The measurement was interrupted.".into(),
        remedy: "Run it again, to its end.".into(),
    });
    let busy = (audit.cpu_share > CPU_SHARE_LIMIT).then(|| Problem {
        reason: format!(
            "The load generator was busy for {:.0} % of the time of its {} threads; the limit is {:.0} %.",
            100.0 * audit.cpu_share,
            audit.threads,
            100.0 * CPU_SHARE_LIMIT
        ),
        remedy: "Lower --rate or --connections, or give the generator a core or machine of its own.".into(),
    });
    let local = audit.local_error.as_ref().map(|fault| Problem {
        reason: format!("This machine could not open connections: {fault}."),
        remedy:
            "Raise its limits (ulimit -n, net.ipv4.ip_local_port_range), or lower --rate or --connections."
                .into(),
    });
    let (median_ms, limit_ms) = (counts.response_ms.p50.unwrap_or(0.0), lateness_limit_ms(counts));
    // The loop's lag says the same as lateness, and is seen where a closed loop hides it.
    let late = late(counts, Some(audit)).or_else(|| machine::lagging(audit.loop_lag.as_ref(), limit_ms));
    let mut problems: Vec<Problem> =
        [write_error, interrupted, local, busy, late].into_iter().flatten().collect();
    problems.extend(machine::problems(audit, median_ms, limit_ms));
    problems.extend(super::workers::problems(&audit.workers, median_ms, limit_ms));
    problems
}

/// The lateness (p99) that the generator may have at this median response time, ms.
fn lateness_limit_ms(counts: &Tally) -> f64 {
    let median_ms = counts.response_ms.p50.unwrap_or(0.0);
    (LATENESS_SHARE_OF_MEDIAN * median_ms).clamp(LATENESS_FLOOR_MS, LATENESS_CEILING_MS)
}

/// Lateness beyond the limit. A request that waited for the connection policy's pool is late by the
/// user's own choice: then the generator's own lateness counts, which the audit knows apart.
fn late(counts: &Tally, audit: Option<&GeneratorAudit>) -> Option<Problem> {
    let p99_ms = match audit.filter(|audit| audit.pool_waits > 0) {
        Some(audit) => audit.own_lateness_p99_ns as f64 / 1e6,
        None => counts.lateness_ms.p99?,
    };
    let median_ms = counts.response_ms.p50.unwrap_or(0.0);
    let limit_ms = lateness_limit_ms(counts);
    (p99_ms > limit_ms).then(|| Problem {
        reason: format!(
            "The generator sent late: p99 {p99_ms:.2} ms, and {limit_ms:.2} ms is the limit at a median response time of {median_ms:.1} ms."
        ),
        remedy: "Lower --rate or --connections, or free a core for the generator (stop other programs, fewer replicas).".into(),
    })
}

/// What must be known of waits that the connection policy made.
pub(super) fn pool_waits(audit: &GeneratorAudit) -> Option<String> {
    (audit.pool_waits > 0).then(|| {
        format!(
            "pool: {} of {} requests waited for a connection of the pool; the wait is part of their response time.",
            audit.pool_waits, audit.sent
        )
    })
}

/// All faults that show in a cell, apart from the steady state.
pub(super) fn of_cell<R>(data: &CellData<R>, records: u64, window: &Window, counts: &Tally) -> Vec<Problem> {
    if let CellState::Failed(why) = &data.meta.state {
        return vec![Problem {
            reason: format!("The cell could not be measured: {why}."),
            remedy: "Remove the cause, and run the experiment again.".into(),
        }];
    }
    let audit = data.meta.audit.as_ref();
    let mut problems: Vec<Problem> = of_state(&data.meta.state, audit).into_iter().collect();
    problems.extend(data.damage.iter().map(|damage| Problem {
        reason: format!("The cell's files are damaged: {damage}."),
        remedy: "Measure the cell again; what could be read is shown.".into(),
    }));
    match audit {
        Some(audit) => {
            problems.extend(of_generator(counts, audit));
            problems.extend(lost(records, audit));
        }
        None => problems.extend(late(counts, None)),
    }
    problems.extend(too_short(data, window));
    problems.extend(too_few(
        &data.meta.cell.load.arrivals,
        data.meta.cell.load.primary_metric,
        counts.requests,
    ));
    problems
}

/// Faults that show in a cell whose procedure played loads of their own; theirs are told by the outcome.
pub(super) fn of_procedure(data: &CellData<()>) -> Vec<Problem> {
    let problem = |reason: String, remedy: &str| Problem { reason, remedy: remedy.into() };
    let state = match &data.meta.state {
        CellState::Failed(why) => Some(problem(
            format!("The cell could not be measured: {why}."),
            "Remove the cause, and run the experiment again.",
        )),
        CellState::Done => None,
        other => of_state(other, None),
    };
    let damage = data
        .damage
        .iter()
        .map(|damage| problem(format!("The cell's files are damaged: {damage}."), "Measure the cell again."));
    state.into_iter().chain(damage).collect()
}

/// How the cell ended, unless the audit says the same.
fn of_state(state: &CellState, audit: Option<&GeneratorAudit>) -> Option<Problem> {
    let (reason, remedy) = match state {
        CellState::Running => (
            "The cell was begun and never ended: the harness was killed while it ran.",
            "Run the experiment again, to its end.",
        ),
        CellState::Interrupted if !audit.is_some_and(|a| a.interrupted) => {
            ("The measurement was interrupted.", "Run it again, to its end.")
        }
        CellState::Done if audit.is_none() => (
            "The cell has no audit of the load generator, so its faults cannot be ruled out.",
            "Measure the cell again with this version of the harness.",
        ),
        CellState::Done | CellState::Interrupted | CellState::Failed(_) => return None,
    };
    Some(Problem { reason: reason.into(), remedy: remedy.into() })
}

fn lost(records: u64, audit: &GeneratorAudit) -> Option<Problem> {
    (records < audit.sent && audit.write_error.is_none()).then(|| Problem {
        reason: format!("Records were lost: {} requests were sent and {records} records found.", audit.sent),
        remedy: "Measure the cell again; if it recurs, look at the disk of the run folder.".into(),
    })
}

fn too_short<R>(data: &CellData<R>, window: &Window) -> Option<Problem> {
    let planned_s = Window::planned(&data.meta.cell.load).seconds();
    (window.seconds() < SHORTEST_SHARE * planned_s).then(|| Problem {
        reason: format!(
            "The measured interval was cut short: {:.1} s of {planned_s:.1} s are there.",
            window.seconds()
        ),
        remedy: "Run the experiment again, to its end.".into(),
    })
}

fn too_few(arrivals: &Arrivals, primary: Metric, requests: u64) -> Option<Problem> {
    let (needed, why) = needed(arrivals, primary);
    (requests < needed).then(|| Problem {
        reason: format!(
            "Too few requests for {}: {requests} in the interval, {needed} needed ({why}).",
            primary.title()
        ),
        remedy: match arrivals {
            closed if closed.is_closed() => {
                "Lengthen the interval (duration), or use fewer connections.".into()
            }
            _ => "Lengthen the interval (duration), or raise the rate.".into(),
        },
    })
}

/// Requests that the primary metric needs, and why so many.
fn needed(arrivals: &Arrivals, primary: Metric) -> (u64, String) {
    let permille = match primary {
        Metric::ResponseP50Ms => Some(500),
        Metric::ResponseP95Ms => Some(950),
        Metric::ResponseP99Ms => Some(990),
        Metric::GoodputRps
        | Metric::FailureShare
        | Metric::CapacityRps
        | Metric::PeakGoodputRps
        | Metric::BodyMsPerMib
        | Metric::ColdStartMs
        | Metric::IdleLifeS
        | Metric::TimeToScaleS => None,
    };
    let for_percentile = permille.map(|permille| {
        let enough = BEYOND_PRIMARY * 1000 / (1000 - permille);
        debug_assert!(beyond(enough, permille) >= BEYOND_PRIMARY);
        (enough, format!("{BEYOND_PRIMARY} beyond the percentile"))
    });
    let for_rounds = arrivals.connections().map(|connections| {
        (ROUNDS_PER_CONNECTION * u64::from(connections), format!("{ROUNDS_PER_CONNECTION} a connection"))
    });
    let least = (FEWEST_REQUESTS, "the least for any figure".to_owned());
    [for_percentile, for_rounds]
        .into_iter()
        .flatten()
        .fold(least, |most, next| if next.0 > most.0 { next } else { most })
}
