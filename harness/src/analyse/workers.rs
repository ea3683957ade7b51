//! Faults of a load that several generators drove: one was lost, or nobody knows when it sent.

use super::{machine, summary::Problem};
use crate::drive::WorkerReport;

/// How uncertain a worker's clock may be, ms: its error before the cell and its change since. Times
/// of one worker are compared with those of another only through their clocks; 5 ms keep the order of
/// arrivals at the rates of a comparison, and are reached over the network of a cluster.
pub const CLOCK_LIMIT_MS: f64 = 5.0;

/// What was wrong with the workers of a cell and their machines, given the median response time and the limit
/// for lateness that follows from it, ms.
pub(super) fn problems(workers: &[WorkerReport], median_ms: f64, limit_ms: f64) -> Vec<Problem> {
    let of = workers.len();
    let of_machine = |worker: &WorkerReport| {
        let lag = worker.loop_lag.as_ref();
        let judge = |machine| machine::of_machine(machine, lag, median_ms, limit_ms);
        let found = worker.machine.as_ref().map(judge);
        let number = worker.number;
        found.into_iter().flatten().map(move |Problem { reason, remedy }| Problem {
            reason: format!("Worker {number} of {of}: {reason}"),
            remedy,
        })
    };
    workers
        .iter()
        .flat_map(|worker| {
            [lost(worker, of), clock(worker, of)].into_iter().flatten().chain(of_machine(worker))
        })
        .collect()
}

fn lost(worker: &WorkerReport, of: usize) -> Option<Problem> {
    let cause = worker.lost.as_ref()?;
    let missing = match worker.planned {
        Some(planned) => {
            format!("{} of its {planned} calls have no record", planned.saturating_sub(worker.records))
        }
        None => format!("{} records came from it", worker.records),
    };
    Some(Problem {
        reason: format!("Worker {} of {of} was lost ({}): {cause}; {missing}.", worker.number, worker.place),
        remedy: "Remove the cause and measure again; what the others measured is kept.".into(),
    })
}

fn clock(worker: &WorkerReport, of: usize) -> Option<Problem> {
    let drift_ms = worker.clock_drift_ms.unwrap_or(0.0);
    let uncertain_ms = worker.clock_error_ms + drift_ms.abs();
    (uncertain_ms > CLOCK_LIMIT_MS).then(|| Problem {
        reason: format!(
            "The clock of worker {} of {of} ({}) is known within {uncertain_ms:.1} ms only (it moved by {drift_ms:.1} \
             ms in the cell); the limit is {CLOCK_LIMIT_MS:.0} ms.",
            worker.number, worker.place
        ),
        remedy: "Run the harness nearer to the workers, and keep their machines' clocks in step (chrony, NTP).".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::MachineAudit;

    fn worker(error_ms: f64, drift_ms: Option<f64>) -> WorkerReport {
        WorkerReport {
            number: 2,
            place: "pod load-1".into(),
            clock_offset_ms: 3000.0,
            clock_error_ms: error_ms,
            clock_drift_ms: drift_ms,
            planned: Some(100),
            records: 40,
            ..WorkerReport::default()
        }
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_and_one_that_is_unsure_is_a_fault() {
        assert_eq!(problems(&[worker(4.0, Some(-0.9)), worker(0.1, None)], 10.0, 2.0), []);
        let found = problems(&[worker(4.0, Some(-1.1)), worker(5.1, None)], 10.0, 2.0);
        assert_eq!(found.len(), 2);
        insta::assert_snapshot!(found[0].reason, @"The clock of worker 2 of 2 (pod load-1) is known within 5.1 ms only (it moved by -1.1 ms in the cell); the limit is 5 ms.");
    }

    #[test]
    fn each_workers_machine_is_judged_by_itself() {
        let stolen = MachineAudit { steal_share: Some(0.3), ..MachineAudit::default() };
        let found = problems(
            &[worker(0.1, None), WorkerReport { machine: Some(stolen), ..worker(0.1, None) }],
            10.0,
            2.0,
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].reason.starts_with("Worker 2 of 2: "), "{}", found[0].reason);
    }

    #[test]
    fn a_lost_worker_is_named_with_what_is_missing() {
        let lost =
            WorkerReport { lost: Some("its process ended with signal: 9".into()), ..worker(0.1, None) };
        let closed = WorkerReport { planned: None, ..lost.clone() };
        let reasons: Vec<String> =
            problems(&[lost, closed], 10.0, 2.0).into_iter().map(|problem| problem.reason).collect();
        insta::assert_snapshot!(reasons.join("\n"), @r"
        Worker 2 of 2 was lost (pod load-1): its process ended with signal: 9; 60 of its 100 calls have no record.
        Worker 2 of 2 was lost (pod load-1): its process ended with signal: 9; 40 records came from it.
        ");
    }
}
