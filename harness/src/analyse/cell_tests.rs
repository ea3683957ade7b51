//! Cells made by hand: what is counted, what is remarked, and every way to be INVALID.

use proptest::prelude::*;

use super::*;
use crate::{
    analyse::{
        testing::{CellBuilder, answered, ms},
        window::Pacing,
    },
    drive::{LoopLag, MachineAudit},
    record::Record,
};

/// A change to a clean cell.
type Damage = fn(&mut CellData);

fn summary_after(cell: &CellBuilder, damage: Damage) -> CellSummary {
    let mut data = cell.build();
    damage(&mut data);
    super::cell(data).summary
}

fn reasons(summary: &CellSummary) -> Vec<&str> {
    summary.validity.problems.iter().map(|p| p.reason.as_str()).collect()
}

/// The cell is INVALID for this reason alone.
fn check_invalid(cell: &CellBuilder, damage: Damage, reason: &str) {
    let summary = summary_after(cell, damage);
    let reasons = reasons(&summary);
    assert!(reasons.len() == 1 && reasons[0].contains(reason), "wanted '{reason}', got {reasons:?}");
    assert!(!summary.validity.problems[0].remedy.is_empty());
}

/// The cell stays VALID and has this remark.
fn check_remark(cell: &CellBuilder, damage: Damage, remark: &str) {
    let summary = summary_after(cell, damage);
    assert_eq!(reasons(&summary), Vec::<&str>::new());
    assert!(
        summary.remarks.iter().any(|r| r.contains(remark)),
        "wanted '{remark}', got {:?}",
        summary.remarks
    );
}

fn open() -> CellBuilder {
    CellBuilder::open(50.0)
}

fn closed() -> CellBuilder {
    CellBuilder::closed(50.0)
}

#[test]
fn clean_cells_are_valid_and_remarkless() {
    for builder in [open(), closed()] {
        let summary = summary_after(&builder, |_| ());
        assert_eq!((reasons(&summary), summary.remarks.clone()), (vec![], vec![]));
        assert_eq!((summary.requests, summary.window_s, summary.outcomes["ok"]), (500, 10.0, 500));
        assert!((summary.goodput_rps - 50.0).abs() < 0.2 && summary.goodput_rps <= summary.achieved_rps);
        assert!((20.0..22.0).contains(&summary.response_ms.p50.unwrap()));
        assert_eq!((summary.instances, summary.cold_starts), (1, 0));
        assert!((summary.server_ms["inference"] - 15.0).abs() < 1e-9);
        assert!((summary.cpu_seconds.unwrap() - 8.0).abs() < 1e-9 && summary.plane_cpu_seconds.is_some());
        assert!((summary.replicas.unwrap().mean - 2.0).abs() < 1e-9);
    }
    assert!((summary_after(&open(), |_| ()).offered_rps.unwrap() - 50.0).abs() < 1e-6);
    assert_eq!(summary_after(&closed(), |_| ()).offered_rps, None);
}

#[test]
fn requests_count_by_intended_time_in_an_open_loop_and_by_send_in_a_closed_one() {
    let mut late = answered(0, ms(1_999), ms(10));
    late.sent_ns = ms(2_001);
    let held = |pacing| Window { start_ns: ms(2000), end_ns: ms(3000), pacing }.holds(&late);
    assert!(!held(Pacing::Open) && held(Pacing::Closed));
    let window = Window { start_ns: ms(2000), end_ns: ms(3000), pacing: Pacing::Open };
    assert!(window.holds(&answered(0, ms(2000), 1)) && !window.holds(&answered(0, ms(3000), 1)));
}

#[test]
fn rates_count_answers_that_arrived_in_the_interval_whenever_they_were_asked_for() {
    let window = Window { start_ns: ms(2000), end_ns: ms(4000), pacing: Pacing::Closed };
    let rows = [
        answered(0, ms(1800), ms(300)), // asked before, answered within
        answered(3, ms(1900), ms(200)), // the same
        answered(1, ms(2500), ms(200)), // both within
        answered(2, ms(3900), ms(200)), // asked within, answered after
    ];
    let counts = tally(&rows, &window);
    assert_eq!((counts.requests, counts.goodput_rps, counts.achieved_rps), (2, 1.5, 1.5));
    assert_eq!((counts.upload_bytes_per_s, counts.download_bytes_per_s), (1000.0, 750.0));
}

#[test]
fn failures_are_timed_apart_and_time_outs_are_censored_times() {
    let summary = summary_after(&open(), |data| {
        for (i, record) in data.records.iter_mut().enumerate() {
            match i % 100 {
                0 => (record.outcome, record.done_ns) = (Outcome::Timeout, record.sent_ns + ms(10_000)),
                1 => (record.outcome, record.done_ns) = (Outcome::Platform, record.sent_ns + ms(1)),
                2 => record.outcome = Outcome::WrongAnswer,
                _ => (),
            }
        }
    });
    assert_eq!((summary.response_ms.count, summary.response_ms.censored), (490, 5));
    assert_eq!((summary.failure_ms.count, summary.failure_ms.p50), (10, Some(1.0)));
    assert_eq!(
        summary.response_ms.lower_bounds,
        ["p99", "mean", "max"],
        "rank 486 of 490 is the first of them"
    );
    assert!(summary.remarks.iter().any(|r| r.starts_with("failures: 3.0 % of 500 requests (5 timeout, 5 platform, 5 wrong_answer)")));
    assert!(summary.validity.is_valid());
}

#[test]
fn a_planned_cell_that_is_not_there_is_invalid() {
    let summary = missing(&open().cell());
    assert_eq!(reasons(&summary), ["The cell was planned and was not measured."]);
    assert_eq!((summary.requests, summary.window_s, summary.response_ms.p50), (0, 0.0, None));
}

#[test]
fn a_late_generator_is_invalid() {
    let late: Damage = |data| {
        for record in &mut data.records {
            record.sent_ns += ms(3);
            record.done_ns += ms(3);
        }
    };
    check_invalid(&open(), late, "sent late: p99 3.00 ms, and 2.36 ms is the limit");
    check_invalid(&closed(), late, "sent late");
    // The same lateness is a small share of a slow answer.
    assert!(summary_after(&open().taking(|_| ms(100)), late).validity.is_valid());
}

#[test]
fn a_wait_for_the_pool_is_the_policys_and_not_the_generators() {
    let waited: Damage = |data| {
        data.records.iter_mut().for_each(|record| record.sent_ns += ms(10));
        let audit = data.meta.audit.as_mut().unwrap();
        (audit.pool_waits, audit.own_lateness_p99_ns) = (600, 1_000_000);
    };
    check_remark(&open(), waited, "pool: 600 of 600 requests waited for a connection");
    let late_as_well: Damage = |data| {
        let audit = data.meta.audit.as_mut().unwrap();
        (audit.pool_waits, audit.own_lateness_p99_ns) = (600, ms(3));
    };
    check_invalid(&open(), late_as_well, "sent late: p99 3.00 ms");
}

#[test]
fn lateness_beyond_the_ceiling_is_invalid_however_slow_the_answers() {
    let late: Damage = |data| data.records.iter_mut().for_each(|r| r.sent_ns += ms(60));
    check_invalid(&open().taking(|_| ms(900)), late, "50.00 ms is the limit");
}

#[test]
fn a_busy_generator_is_invalid() {
    check_invalid(&open(), |data| data.meta.audit.as_mut().unwrap().cpu_share = 0.93, "busy for 93 %");
}

#[test]
fn a_machine_that_swapped_or_a_loop_that_stood_still_is_invalid() {
    let swapped: Damage = |data| {
        let machine = MachineAudit { swapped_pages: Some(5000), ..MachineAudit::default() };
        data.meta.audit.as_mut().unwrap().machine = Some(machine);
    };
    check_invalid(&open(), swapped, "swapped 5000 pages");
    let stood_still: Damage = |data| {
        let lag = LoopLag { beats: 1200, p99_ms: 90.0, max_ms: 101.0 };
        data.meta.audit.as_mut().unwrap().loop_lag = Some(lag);
    };
    check_invalid(&closed(), stood_still, "stood still");
}

#[test]
fn lost_records_are_invalid() {
    let full_disk: Damage =
        |data| data.meta.audit.as_mut().unwrap().write_error = Some("no space left".into());
    check_invalid(&open(), full_disk, "Records were lost: no space left");
    check_invalid(&open(), |data| data.records.truncate(599), "600 requests were sent and 599 records found");
}

#[test]
fn an_interrupted_cell_is_invalid_once() {
    let interrupted: Damage = |data| {
        data.meta.state = CellState::Interrupted;
        data.meta.audit.as_mut().unwrap().interrupted = true;
    };
    check_invalid(&open(), interrupted, "The measurement was interrupted");
    check_invalid(
        &open(),
        |data| data.meta.state = CellState::Interrupted,
        "The measurement was interrupted",
    );
}

#[test]
fn a_killed_cell_is_cut_at_its_last_record_and_says_so() {
    let killed: Damage = |data| {
        data.meta.state = CellState::Running;
        data.meta.audit = None;
        data.records.retain(|r| r.done_ns < ms(6_000));
    };
    let summary = summary_after(&open(), killed);
    assert!((summary.window_s - 4.0).abs() < 0.05, "{}", summary.window_s);
    assert!((summary.goodput_rps - 50.0).abs() < 1.0, "{}", summary.goodput_rps);
    assert!(
        summary.remarks[0]
            .starts_with("cut short: the interval ends at the last record, after 4.0 s of 10.0 s")
    );
    let reasons = reasons(&summary);
    assert!(
        reasons[0].contains("never ended") && reasons[1].contains("cut short: 4.0 s of 10.0 s"),
        "{reasons:?}"
    );
}

#[test]
fn damage_and_a_missing_audit_are_invalid() {
    check_invalid(&open(), |data| data.damage.push("a torn last batch".into()), "damaged: a torn last batch");
    check_invalid(&open(), |data| data.meta.audit = None, "no audit");
}

#[test]
fn a_failed_cell_is_invalid_for_that_reason_alone() {
    let failed: Damage = |data| {
        data.meta.state = CellState::Failed("the function did not become ready".into());
        data.records.clear();
    };
    check_invalid(&open(), failed, "could not be measured: the function did not become ready");
}

#[test]
fn too_few_requests_for_the_primary_metric_are_invalid() {
    check_invalid(
        &CellBuilder::open(9.0),
        |_| (),
        "90 in the interval, 100 needed (5 beyond the percentile)",
    );
    assert!(summary_after(&CellBuilder::open(10.0), |_| ()).validity.is_valid());
    check_invalid(&CellBuilder::closed(2.0), |_| (), "20 in the interval, 30 needed");
}

#[test]
fn an_unsteady_interval_is_invalid() {
    let start: fn(f64) -> u64 = |at_s| if at_s < 4.5 { ms(50) } else { ms(20) };
    check_invalid(
        &open().taking(start),
        |_| (),
        "No steady state: the lower quartile of the response time is 50",
    );
    let thin_out: Damage = |data| {
        data.records.retain(|r| r.sent_ns > ms(4_200) || r.call_id % 2 == 0);
        data.meta.audit.as_mut().unwrap().sent = 1;
    };
    check_invalid(&closed(), thin_out, "No steady state: correct answers a second are");
}

#[test]
fn an_unsteady_interval_in_which_the_platform_scaled_or_failed_is_a_result() {
    let slow_start = open().taking(|at_s| if at_s < 4.5 { ms(50) } else { ms(20) });
    check_remark(&slow_start, |data| data.samples[10].sample.ready = 1, "not steady: the lower quartile");
    check_remark(&slow_start, |data| data.samples[10].sample.ready = 1, "between 1 and 2 ready replicas");
    check_remark(
        &slow_start,
        |data| data.samples[12..].iter_mut().for_each(|s| s.sample.restarts = 1),
        "restarted: ",
    );
    let failing: Damage =
        |data| data.records.iter_mut().step_by(10).for_each(|r| r.outcome = Outcome::Platform);
    check_remark(&slow_start, failing, "50 of 500 requests failed meanwhile");
}

#[test]
fn an_overloaded_platform_has_produced_a_result() {
    // Each second adds 400 ms to the wait.
    let queue: fn(f64) -> u64 = |at_s| (at_s * 0.4e9) as u64;
    check_remark(
        &open().taking(queue),
        |_| (),
        "overloaded: answers fell behind arrivals; unanswered requests went from",
    );
}

#[test]
fn failures_and_cold_answers_are_remarks() {
    check_remark(
        &open(),
        |data| data.records.iter_mut().for_each(|r| r.outcome = Outcome::Connect),
        "failures: 100.0 %",
    );
    check_remark(
        &open(),
        |data| data.records[200].cold = true,
        "cold: answers that were an instance's first: 1",
    );
    let time_outs: Damage = |data| {
        for record in data.records.iter_mut().step_by(10) {
            (record.outcome, record.done_ns) = (Outcome::Timeout, record.sent_ns + ms(5000));
        }
    };
    check_remark(&open(), time_outs, "time-outs: p95, p99 of the response time are lower bounds");
}

#[test]
fn steps_have_no_steady_state_to_keep() {
    let mut data = open().taking(|at_s| if at_s < 4.5 { ms(50) } else { ms(20) }).build();
    data.meta.cell.load.arrivals = crate::experiment::Arrivals::Steps { rates: vec![10.0, 90.0] };
    assert!(cell(data).summary.validity.is_valid());
}

#[test]
fn a_load_without_warm_up_is_tallied_whole() {
    let rows: Vec<Record> = (0..10).map(|i| answered(i, ms(100 * i), ms(100))).collect();
    let mut counting = Counting::new(Window { start_ns: 0, end_ns: u64::MAX, pacing: Pacing::Open });
    rows.iter().for_each(|record| counting.take(record));
    counting.until(counting.last_done_ns() + 1);
    let counts = counting.finish();
    assert_eq!((counts.requests, counts.offered_rps), (10, Some(10.0)));
    assert!((counts.achieved_rps - 10.0).abs() < 1e-6, "{}", counts.achieved_rps);
    let first = tally(&rows, &Window::first(std::time::Duration::from_millis(500), Pacing::Closed));
    assert_eq!((first.requests, first.offered_rps, first.goodput_rps), (5, None, 8.0));
}

proptest! {
    #[test]
    fn any_records_whatever_yield_a_summary_that_adds_up(
        rows in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0u8..7), 0..200),
        cut in any::<bool>(),
    ) {
        for builder in [open(), closed()] {
            let mut data = builder.build();
            if cut { data.meta.state = CellState::Running; }
            for (record, (scheduled_ns, sent_ns, done_ns, code)) in data.records.iter_mut().zip(&rows) {
                (record.scheduled_ns, record.sent_ns, record.done_ns) = (*scheduled_ns, *sent_ns, *done_ns);
                record.outcome = Outcome::from_code(*code).unwrap();
            }
            data.records.truncate(rows.len());
            let summary = cell(data).summary;
            prop_assert_eq!(summary.outcomes.values().sum::<u64>(), summary.requests);
            prop_assert_eq!(summary.response_ms.count + summary.failure_ms.count, summary.requests);
            prop_assert_eq!(summary.lateness_ms.count, summary.requests);
            prop_assert!(summary.goodput_rps <= summary.achieved_rps);
        }
    }
}

#[test]
fn cpu_and_memory_are_from_the_series_where_the_platform_told_none() {
    use crate::collect::series::{CellSeries, Series, SeriesKind, name};
    let mut data = CellBuilder::open(20.0).build();
    let series = |name: &str, component: &str, per_s: f64| Series {
        name: name.to_owned(),
        kind: if name == name::CPU { SeriesKind::Counter } else { SeriesKind::Gauge },
        labels: [("component".to_owned(), component.to_owned())].into(),
        points: (-2..4).map(|i| (i * 5_000_000_000, 20.0 + per_s * 5.0 * i as f64)).collect(),
        title: String::new(),
        unit: String::new(),
        window_s: None,
        query: String::new(),
    };
    data.series = Some(CellSeries {
        source: "Prometheus 2.42.0".into(),
        series: vec![
            series(name::CPU, "function", 0.5),
            series(name::CPU, "queue-proxy", 0.2),
            series(name::CPU, "activator", 0.1),
            series(name::MEMORY, "function", 0.0),
        ],
        ..CellSeries::default()
    });
    let told = cell(data.clone()).summary;
    assert!((told.cpu_seconds.unwrap() - 8.0).abs() < 0.01, "the samples go first: {:?}", told.cpu_seconds);
    assert!(!told.remarks.iter().any(|remark| remark.contains("Prometheus")));

    for sample in &mut data.samples {
        (sample.sample.cpu_seconds, sample.sample.plane_cpu_seconds, sample.sample.memory_bytes) =
            (None, None, None);
    }
    let filled = cell(data).summary;
    assert!((filled.cpu_seconds.unwrap() - 5.0).abs() < 1e-9, "{:?}", filled.cpu_seconds);
    assert!((filled.plane_cpu_seconds.unwrap() - 3.0).abs() < 1e-9, "{:?}", filled.plane_cpu_seconds);
    assert!((filled.memory_bytes.unwrap().mean - 20.0).abs() < 1e-9, "{:?}", filled.memory_bytes);
    let remark = filled.remarks.iter().find(|remark| remark.contains("Prometheus 2.42.0")).unwrap();
    assert!(remark.contains("samples 5 s apart (50 % of the interval)"), "{remark}");
}
