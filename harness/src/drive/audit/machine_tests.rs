//! Readings made by hand, and what they fold into.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A quiet machine at this second.
fn quiet(second: u64) -> Reading {
    Reading {
        at_ns: second * SECOND,
        scheduling: Some(Scheduling { ran_ns: second * 1000, waited_ns: 50, slices: 10 * second }),
        cpu: Some(CpuTicks { total: 200 * second, stolen: 3 }),
        swapped: Some(Swapped { in_pages: 7, out_pages: 9 }),
        wall_ahead_ns: Some(5_000),
        slept_ns: Some(0),
        mhz: Some(3000.0),
        heat_throttles: Some(4),
        sockets: Some(Sockets { in_use: 30, time_wait: 5 }),
        open_files: Some(20),
        quota: Some(Throttled { ns: 11, times: 1 }),
        cpu_pressure_us: Some(100),
        memory_pressure_us: Some(100),
        late_ns: 0,
    }
}

fn folded(readings: impl IntoIterator<Item = Reading>) -> MachineAudit {
    let mut fold = Fold::default();
    readings.into_iter().for_each(|reading| fold.add(reading));
    fold.finish(Limits { open_files: Some(1024), local_ports: Some(28_232) }, 0.001)
}

#[test]
fn a_quiet_machine_has_nothing_to_show() {
    let audit = folded((0..=10).map(quiet));
    assert_eq!((audit.looks, audit.seconds), (11, 10.0));
    assert_eq!(audit.scheduling, Some(SchedulingAudit { waited_s: 0.0, waited_share: 0.0, times: 100 }));
    assert_eq!((audit.steal_share, audit.swapped_pages), (Some(0.0), Some(0)));
    assert_eq!((audit.clock_step_ms, audit.slept_ms), (Some(0.0), Some(0.0)));
    assert_eq!((audit.frequency_first_mhz, audit.frequency_last_mhz), (Some(3000.0), Some(3000.0)));
    assert_eq!((audit.heat_throttles, audit.quota_share), (Some(0), Some(0.0)));
    assert_eq!((audit.ports_most, audit.ports_limit), (Some(25), Some(28_232)));
    assert_eq!((audit.open_files_most, audit.open_files_limit), (Some(20), Some(1024)));
    assert_eq!(audit.unreadable, Vec::<String>::new());
}

#[test]
fn counters_are_differences_and_shares_are_of_the_time_between_the_looks() {
    let mut last = quiet(10);
    last.scheduling = Some(Scheduling { ran_ns: 0, waited_ns: 50 + 3 * SECOND, slices: 1000 });
    last.cpu = Some(CpuTicks { total: 2000, stolen: 103 });
    last.swapped = Some(Swapped { in_pages: 107, out_pages: 309 });
    last.heat_throttles = Some(6);
    last.quota = Some(Throttled { ns: 11 + SECOND, times: 9 });
    last.cpu_pressure_us = Some(100 + 5_000_000);
    let audit = folded([quiet(0), last]);
    let scheduling = audit.scheduling.unwrap();
    assert_eq!((scheduling.waited_s, scheduling.waited_share, scheduling.times), (3.0, 0.3, 1000));
    assert!((scheduling.mean_wait_ms() - 3.0).abs() < 1e-9);
    assert_eq!((audit.steal_share, audit.swapped_pages), (Some(0.05), Some(400)));
    assert_eq!((audit.heat_throttles, audit.quota_share), (Some(2), Some(0.1)));
    assert_eq!((audit.cpu_pressure_share, audit.memory_pressure_share), (Some(0.5), Some(0.0)));
}

#[test]
fn the_widest_step_of_the_clock_is_kept_with_its_sign_and_sleeping_is_no_step() {
    let ahead = [5_000, 40_005_000, -60_000_000, -60_000_000];
    let stepped = (0..4).map(|i| Reading { wall_ahead_ns: Some(ahead[i as usize]), ..quiet(i) });
    assert_eq!(folded(stepped).clock_step_ms, Some(-100.005));
    let slept = (0..3).map(|i| {
        let slept = i64::from(i > 1) * 30_000_000_000;
        Reading { wall_ahead_ns: Some(5_000 + slept), slept_ns: Some(slept), ..quiet(i) }
    });
    let audit = folded(slept);
    assert_eq!((audit.clock_step_ms, audit.slept_ms), (Some(0.0), Some(30_000.0)));
}

#[test]
fn frequencies_are_medians_of_the_first_and_last_quarter() {
    let mhz = [3000.0, 800.0, 3000.0, 3000.0, 2500.0, 2000.0, 2000.0, 2000.0, 3000.0, 2000.0, 2000.0];
    let audit = folded((0..11).map(|i| Reading { mhz: Some(mhz[i as usize]), ..quiet(i) }));
    assert_eq!((audit.frequency_first_mhz, audit.frequency_last_mhz), (Some(3000.0), Some(2000.0)));
}

#[test]
fn the_most_of_a_gauge_counts_and_ports_are_bounded_by_the_processs_own_files() {
    let busy = Reading {
        sockets: Some(Sockets { in_use: 5000, time_wait: 9000 }),
        open_files: Some(900),
        late_ns: 70_000_000,
        ..quiet(1)
    };
    let audit = folded([quiet(0), busy, quiet(2)]);
    assert_eq!(
        (audit.sockets_most, audit.ports_most, audit.open_files_most),
        (Some(5000), Some(9900), Some(900))
    );
    assert!((audit.look_late_ms - 70.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_made_up_for_it() {
    let blind = |second| Reading { at_ns: second * SECOND, ..Reading::default() };
    let audit = folded([blind(0), blind(1)]);
    assert_eq!(audit.scheduling, None);
    assert_eq!((audit.steal_share, audit.frequency_first_mhz, audit.ports_most), (None, None, None));
    assert_eq!(audit.unreadable.len(), 9);
    assert_eq!(folded([]).unreadable, ["anything: nobody looked"]);
}
