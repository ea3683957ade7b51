//! One audit out of all workers'. Pure.

use super::{Share, clock::ClockReading, member::Ended, report::WorkerReport};
use crate::drive::GeneratorAudit;

/// One worker's part, once it has ended.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) share: Share,
    pub(super) place: String,
    /// Calls of its part of an open plan.
    pub(super) planned: Option<u64>,
    pub(super) before: ClockReading,
    pub(super) after: Option<ClockReading>,
    /// Records that came from it.
    pub(super) records: u64,
    pub(super) ended: Ended,
}

impl Part {
    fn report(&self) -> WorkerReport {
        let ms = |ns: i64| ns as f64 / 1e6;
        let (audit, lost) = match &self.ended {
            Ended::Done(audit) => (Some(audit), None),
            Ended::Lost(cause) => (None, Some(cause.clone())),
        };
        WorkerReport {
            number: self.share.index + 1,
            place: self.place.clone(),
            clock_offset_ms: ms(self.before.offset_ns),
            clock_error_ms: self.before.error_ns as f64 / 1e6,
            clock_drift_ms: self.after.map(|after| ms(after.offset_ns - self.before.offset_ns)),
            planned: self.planned,
            records: self.records,
            cpu_share: audit.map(|audit| audit.cpu_share),
            loop_lag: audit.and_then(|audit| audit.loop_lag),
            machine: audit.and_then(|audit| audit.machine.clone()),
            lost,
        }
    }
}

/// What all of them say together: counts are added up, and of shares of time the worst counts,
/// since one busy worker is enough to make requests late. A worker that was lost counts with what
/// came from it.
pub(super) fn merged(
    parts: &[Part],
    started_unix_ns: u64,
    elapsed_ns: u64,
    write_error: Option<String>,
) -> GeneratorAudit {
    let mut all = GeneratorAudit { started_unix_ns, elapsed_ns, write_error, ..GeneratorAudit::default() };
    for part in parts {
        all.workers.push(part.report());
        let audit = match &part.ended {
            Ended::Done(audit) => audit,
            Ended::Lost(_) => {
                all.planned += part.planned.unwrap_or(part.records);
                all.sent += part.records;
                continue;
            }
        };
        // Whoever adds to an audit is told here that several become one.
        let GeneratorAudit {
            started_unix_ns: _,
            elapsed_ns: _,
            planned,
            sent,
            cpu_seconds,
            threads,
            cpu_share,
            connections_opened,
            unfinished,
            write_error,
            local_error,
            first_failure,
            pool_waits,
            own_lateness_p99_ns,
            own_lateness_max_ns,
            interrupted,
            loop_lag,
            // Each worker's machine is judged by itself.
            machine: _,
            workers: _,
        } = audit.as_ref();
        let of_worker =
            |error: &Option<String>| error.as_ref().map(|error| format!("{}: {error}", part.share.name()));
        all.planned += planned;
        all.sent += sent;
        all.cpu_seconds += cpu_seconds;
        all.threads += threads;
        all.cpu_share = all.cpu_share.max(*cpu_share);
        all.connections_opened += connections_opened;
        all.unfinished += unfinished;
        all.write_error = all.write_error.or_else(|| of_worker(write_error));
        all.local_error = all.local_error.or_else(|| of_worker(local_error));
        all.first_failure = all.first_failure.or_else(|| of_worker(first_failure));
        all.pool_waits += pool_waits;
        // Percentiles of several sets cannot be put together: the worst worker's is at least all of theirs.
        all.own_lateness_p99_ns = all.own_lateness_p99_ns.max(*own_lateness_p99_ns);
        all.own_lateness_max_ns = all.own_lateness_max_ns.max(*own_lateness_max_ns);
        all.interrupted |= interrupted;
        all.loop_lag =
            [all.loop_lag, *loop_lag].into_iter().flatten().max_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(index: u32, ended: Ended) -> Part {
        let before = ClockReading { offset_ns: 3_000_000_000, error_ns: 250_000 };
        Part {
            share: Share { index, of: 3 },
            place: format!("place {index}"),
            planned: Some(10),
            before,
            after: Some(ClockReading { offset_ns: 3_000_500_000, error_ns: 100_000 }),
            records: 4,
            ended,
        }
    }

    fn done(audit: GeneratorAudit) -> Ended {
        Ended::Done(Box::new(audit))
    }

    #[test]
    fn counts_are_added_up_and_the_worst_share_counts() {
        let one = GeneratorAudit {
            planned: 10,
            sent: 9,
            cpu_seconds: 1.5,
            threads: 1,
            cpu_share: 0.9,
            connections_opened: 2,
            unfinished: 1,
            ..GeneratorAudit::default()
        };
        let two = GeneratorAudit {
            cpu_share: 0.2,
            local_error: Some("no port".into()),
            interrupted: true,
            ..one.clone()
        };
        let all = merged(&[part(0, done(one)), part(1, done(two))], 5, 7, None);
        assert_eq!((all.started_unix_ns, all.elapsed_ns), (5, 7));
        assert_eq!((all.planned, all.sent, all.connections_opened, all.unfinished), (20, 18, 4, 2));
        assert_eq!((all.threads, all.cpu_seconds), (2, 3.0));
        assert!((all.cpu_share - 0.9).abs() < 1e-9 && all.interrupted);
        assert_eq!(all.local_error.as_deref(), Some("worker 2 of 3: no port"));
        let report = &all.workers[1];
        assert_eq!((report.number, report.place.as_str(), report.records), (2, "place 1", 4));
        assert_eq!(
            (report.clock_offset_ms, report.clock_error_ms, report.clock_drift_ms),
            (3000.0, 0.25, Some(0.5))
        );
    }

    #[test]
    fn a_lost_worker_counts_with_its_plan_and_with_what_came_from_it() {
        let all = merged(&[part(2, Ended::Lost("killed".into()))], 0, 0, Some("disk full".into()));
        assert_eq!((all.planned, all.sent), (10, 4));
        assert_eq!(all.workers[0].lost.as_deref(), Some("killed"));
        assert_eq!(all.write_error.as_deref(), Some("disk full"));
    }
}
