//! The machine under the generator: what of its findings makes a cell INVALID, and what is a remark.
//!
//! Pure rules over [`MachineAudit`]. Each limit says where it comes from. What could not be read is
//! never held against a cell; a run says once what its machine does not tell.

use super::summary::Problem;
use crate::drive::{GeneratorAudit, LoopLag, MachineAudit, SchedulingAudit};

/// Mean wait for a core, each time the generator was ready, that is never held against it, ms. A
/// request meets two such waits, one at its send and one at its answer: together they are the 2 ms
/// that are the tool's own grain ([`super::validity::LATENESS_FLOOR_MS`]).
pub const WAIT_FLOOR_MS: f64 = 1.0;
/// Mean wait for a core up to this share of the median response time is tolerated: with the wait at
/// the answer it makes a tenth ([`super::validity::LATENESS_SHARE_OF_MEDIAN`]).
pub const WAIT_SHARE_OF_MEDIAN: f64 = 0.05;
/// Share of the cell for which the generator may be ready and without a core, if its loop was called
/// late as well. A closed loop offers up to so much less; and [`super::validity::CPU_SHARE_LIMIT`]
/// leaves a fifth of the core free as the room that queueing needs: a generator that waits for a fifth
/// of the time has lost that room. The share alone is no fault: a machine with other work lets many
/// short waits add up, and they do not matter beside long answers.
pub const WAIT_SHARE_LIMIT: f64 = 0.2;
/// Share of a core's time that the hypervisor may take away. A stolen slice is in no other figure of
/// the guest: it looks like a slow answer. 5 % are in the middle of the slow-downs (2, 5, 10 %) that
/// a run sets out to detect.
pub const STEAL_LIMIT: f64 = 0.05;
/// Share of the time that a cgroup's quota may hold the process back. A throttled group stands still
/// for the rest of its period (100 ms by default): from 1 % on, the p99 is the quota's.
pub const QUOTA_LIMIT: f64 = 0.01;
/// Pages of 4 KiB that the machine may swap during a cell: 1 MiB, the stray pages of a program that
/// was asleep. A page that is read back costs its reader a disk access, up to milliseconds.
pub const SWAP_LIMIT_PAGES: u64 = 256;
/// A step of the wall clock that is tolerated, ms. Durations are taken on the monotonic clock; what
/// Prometheus and Kubernetes saw is joined by wall clock, and the closest samples are 250 ms apart:
/// less than half of it moves none to its neighbour.
pub const CLOCK_STEP_LIMIT_MS: f64 = 100.0;
/// Time for which the machine may sleep during a cell, ms: its clocks are read some tens of
/// microseconds apart; nobody is suspended for less.
pub const SLEEP_LIMIT_MS: f64 = 10.0;
/// Share by which the fastest core may become slower from a cell's first quarter to its last. With
/// it, CPU-bound work takes a quarter longer: more than most differences between platforms.
pub const FREQUENCY_DROP_LIMIT: f64 = 0.2;
/// Share of the local ports that may be in use. Beyond it each connect searches long for a free one
/// (`inet_hash_connect` tries them one by one), and that time is then the connection's.
pub const PORTS_LIMIT: f64 = 0.9;
/// Share of the open files that may be in use: the next connections would fail.
pub const FILES_LIMIT: f64 = 0.95;
/// What is half of a limit is worth a remark.
const WORTH_A_REMARK: f64 = 0.5;

/// Faults of the machine, given the median response time of the requests and the limit for lateness
/// that follows from it, ms.
pub fn problems(audit: &GeneratorAudit, median_ms: f64, lateness_limit_ms: f64) -> Vec<Problem> {
    let of = |machine| of_machine(machine, audit.loop_lag.as_ref(), median_ms, lateness_limit_ms);
    audit.machine.as_ref().map_or_else(Vec::new, of)
}

/// The same of the machine of one of several generators.
pub(super) fn of_machine(
    machine: &MachineAudit,
    loop_lag: Option<&LoopLag>,
    median_ms: f64,
    lateness_limit_ms: f64,
) -> Vec<Problem> {
    let called_late = loop_lag.is_none_or(|lag| lag.p99_ms > lateness_limit_ms);
    [
        machine.scheduling.and_then(|scheduling| starved(&scheduling, median_ms, called_late)),
        stolen(machine),
        throttled(machine),
        swapped(machine),
        stepped(machine),
        slept(machine),
        slowed(machine),
        nearly_exhausted(machine),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The generator's loop was called late, against the limit for lateness. For closed loops, whose
/// sends wait for answers and so hide it.
pub(super) fn lagging(lag: Option<&LoopLag>, limit_ms: f64) -> Option<Problem> {
    let lag = lag.filter(|lag| lag.p99_ms > limit_ms)?;
    Some(problem(
        format!(
            "The generator stood still at times: its loop was called {:.1} ms late at the 99th percentile ({:.0} ms at \
             worst), and {limit_ms:.2} ms is the limit.",
            lag.p99_ms, lag.max_ms
        ),
        "Free a core for the generator (--core, stop other programs), and let nothing stop or throttle its process.",
    ))
}

/// What is worth knowing of the machine without being a fault, one sentence each.
pub(super) fn remarks(audit: &GeneratorAudit) -> Vec<String> {
    let Some(machine) = &audit.machine else { return Vec::new() };
    let between = |share: f64, limit: f64| share > WORTH_A_REMARK * limit && share <= limit;
    let mut remarks = Vec::new();
    if let Some(share) = machine.steal_share.filter(|&share| between(share, STEAL_LIMIT)) {
        remarks.push(format!(
            "machine: the hypervisor took {} of the generator's CPU time away.",
            percent(share)
        ));
    }
    if let Some(scheduling) = machine.scheduling.filter(|s| between(s.waited_share, WAIT_SHARE_LIMIT)) {
        remarks.push(format!(
            "machine: the generator waited for a core for {} of the time ({:.2} ms each time).",
            percent(scheduling.waited_share),
            scheduling.mean_wait_ms()
        ));
    }
    if let Some((drop, first, last)) =
        slow_down(machine).filter(|(drop, ..)| between(*drop, FREQUENCY_DROP_LIMIT))
    {
        remarks.push(format!(
            "machine: the CPU became {} slower, from {first:.0} to {last:.0} MHz.",
            percent(drop)
        ));
    }
    // Memory alone: that tasks wait for a CPU is what load is, and the generator's own wait is known.
    if let Some(share) = machine.memory_pressure_share.filter(|&share| share > 0.01) {
        remarks.push(format!("machine: everything waited for memory for {} of the time.", percent(share)));
    }
    remarks
}

fn starved(scheduling: &SchedulingAudit, median_ms: f64, called_late: bool) -> Option<Problem> {
    let limit_ms = (WAIT_SHARE_OF_MEDIAN * median_ms).max(WAIT_FLOOR_MS);
    let mean_ms = scheduling.mean_wait_ms();
    (mean_ms > limit_ms || called_late && scheduling.waited_share > WAIT_SHARE_LIMIT).then(|| {
        problem(
            format!(
                "The generator was starved of CPU: it waited for a core for {} of the time, {mean_ms:.2} ms each time it \
                 had work; the limits are {} and {limit_ms:.2} ms.",
                percent(scheduling.waited_share),
                percent(WAIT_SHARE_LIMIT)
            ),
            "Give it a core of its own (--core, stop other programs, fewer replicas), or a machine of its own.",
        )
    })
}

fn stolen(machine: &MachineAudit) -> Option<Problem> {
    let share = machine.steal_share.filter(|&share| share > STEAL_LIMIT)?;
    Some(problem(
        format!(
            "The hypervisor took {} of the generator's CPU time away (steal); the limit is {}.",
            percent(share),
            percent(STEAL_LIMIT)
        ),
        "Measure on a machine whose CPUs are not shared (a dedicated or larger instance), or at another hour.",
    ))
}

fn throttled(machine: &MachineAudit) -> Option<Problem> {
    let share = machine.quota_share.filter(|&share| share > QUOTA_LIMIT)?;
    Some(problem(
        format!(
            "A CPU quota held the generator's process back for {} of the time; the limit is {}.",
            percent(share),
            percent(QUOTA_LIMIT)
        ),
        "Raise or remove the CPU limit of its container or cgroup (cpu.max).",
    ))
}

fn swapped(machine: &MachineAudit) -> Option<Problem> {
    let pages = machine.swapped_pages.filter(|&pages| pages > SWAP_LIMIT_PAGES)?;
    Some(problem(
        format!("The machine swapped {pages} pages during the cell; the limit is {SWAP_LIMIT_PAGES}."),
        "Free memory, use fewer replicas, or switch swap off (swapoff -a).",
    ))
}

fn stepped(machine: &MachineAudit) -> Option<Problem> {
    let step_ms = machine.clock_step_ms.filter(|step_ms| step_ms.abs() > CLOCK_STEP_LIMIT_MS)?;
    Some(problem(
        format!(
            "The machine's clock was set {:.0} ms {} during the cell; the limit is {CLOCK_STEP_LIMIT_MS:.0} ms.",
            step_ms.abs(),
            if step_ms > 0.0 { "forward" } else { "back" }
        ),
        "Let the clock settle before a run (chrony or systemd-timesyncd synchronised), and set it by hand never during one.",
    ))
}

fn slept(machine: &MachineAudit) -> Option<Problem> {
    let slept_ms = machine.slept_ms.filter(|&slept_ms| slept_ms > SLEEP_LIMIT_MS)?;
    Some(problem(
        format!("The machine slept for {:.1} s during the cell.", slept_ms / 1e3),
        "Keep it awake (systemd-inhibit), and measure again.",
    ))
}

/// By which share the CPU became slower, and from where to where.
fn slow_down(machine: &MachineAudit) -> Option<(f64, f64, f64)> {
    let (first, last) = (machine.frequency_first_mhz?, machine.frequency_last_mhz?);
    (first > 0.0).then(|| (1.0 - last / first, first, last))
}

fn slowed(machine: &MachineAudit) -> Option<Problem> {
    let remedy =
        "Cool the machine, fix its frequency (cpupower frequency-set -g performance), and measure again.";
    if let Some(times) = machine.heat_throttles.filter(|&times| times > 0) {
        return Some(problem(
            format!("The CPU slowed itself down for its heat, {times} times during the cell."),
            remedy,
        ));
    }
    let (drop, first, last) = slow_down(machine).filter(|(drop, ..)| *drop > FREQUENCY_DROP_LIMIT)?;
    Some(problem(
        format!(
            "The CPU became {} slower during the cell, from {first:.0} to {last:.0} MHz; the limit is {}.",
            percent(drop),
            percent(FREQUENCY_DROP_LIMIT)
        ),
        remedy,
    ))
}

fn nearly_exhausted(machine: &MachineAudit) -> Option<Problem> {
    let over = |used: Option<u64>, limit: Option<u64>, share: f64| {
        let (used, limit) = (used?, limit?);
        (limit > 0 && used as f64 > share * limit as f64).then_some((used, limit))
    };
    if let Some((used, limit)) = over(machine.ports_most, machine.ports_limit, PORTS_LIMIT) {
        return Some(problem(
            format!(
                "Up to {used} of {limit} local ports were in use: connecting takes longer when few are free."
            ),
            "Keep connections open, widen net.ipv4.ip_local_port_range, or lower --rate.",
        ));
    }
    let (used, limit) = over(machine.open_files_most, machine.open_files_limit, FILES_LIMIT)?;
    Some(problem(
        format!(
            "Up to {used} of {limit} files that the generator may open were open: requests wait for a connection."
        ),
        "Raise the limit (ulimit -n), or lower --rate or --connections.",
    ))
}

fn problem(reason: String, remedy: &str) -> Problem {
    Problem { reason, remedy: remedy.to_owned() }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(change: impl FnOnce(&mut MachineAudit)) -> Vec<String> {
        problems(&audit(change), 20.0, 2.0).into_iter().map(|problem| problem.reason).collect()
    }

    /// A quiet machine, changed.
    fn audit(change: impl FnOnce(&mut MachineAudit)) -> GeneratorAudit {
        let mut machine = MachineAudit {
            scheduling: Some(SchedulingAudit { waited_s: 0.01, waited_share: 0.001, times: 1000 }),
            steal_share: Some(0.001),
            swapped_pages: Some(3),
            clock_step_ms: Some(0.02),
            slept_ms: Some(0.0),
            frequency_first_mhz: Some(3000.0),
            frequency_last_mhz: Some(2900.0),
            heat_throttles: Some(0),
            ports_most: Some(100),
            ports_limit: Some(28_232),
            open_files_most: Some(100),
            open_files_limit: Some(1024),
            quota_share: Some(0.0),
            ..MachineAudit::default()
        };
        change(&mut machine);
        GeneratorAudit { machine: Some(machine), ..GeneratorAudit::default() }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut MachineAudit), expected: &str) {
        let found = reasons(change);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn a_quiet_machine_has_no_faults_and_neither_has_one_that_tells_nothing() {
        assert_eq!(reasons(|_| ()), Vec::<String>::new());
        assert_eq!(reasons(|machine| *machine = MachineAudit::default()), Vec::<String>::new());
        assert_eq!(problems(&GeneratorAudit::default(), 20.0, 2.0), []);
    }

    #[test]
    fn each_fault_is_named_with_its_figures() {
        check(|m| m.steal_share = Some(0.051), "took 5.1 % of the generator's CPU time away (steal)");
        check(|m| m.swapped_pages = Some(257), "swapped 257 pages");
        check(|m| m.clock_step_ms = Some(-400.0), "set 400 ms back");
        check(|m| m.clock_step_ms = Some(101.0), "set 101 ms forward");
        check(|m| m.slept_ms = Some(30_000.0), "slept for 30.0 s");
        check(|m| m.heat_throttles = Some(2), "for its heat, 2 times");
        check(
            |m| m.frequency_last_mhz = Some(2100.0),
            "30.0 % slower during the cell, from 3000 to 2100 MHz",
        );
        check(|m| m.ports_most = Some(27_000), "27000 of 28232 local ports");
        check(|m| m.open_files_most = Some(1000), "1000 of 1024 files");
        check(|m| m.quota_share = Some(0.03), "quota held the generator's process back for 3.0 %");
    }

    #[test]
    fn a_wait_for_a_core_is_measured_against_the_answers_and_against_the_cell() {
        let waited = |waited_s, waited_share, times| Some(SchedulingAudit { waited_s, waited_share, times });
        // 1.5 ms each time, of answers that take 20 ms (limit 1 ms) and of such that take 100 ms (5 ms).
        let slow = audit(|m| m.scheduling = waited(1.5, 0.15, 1000));
        assert!(problems(&slow, 20.0, 2.0)[0].reason.contains("15.0 % of the time, 1.50 ms each time"));
        assert_eq!(problems(&slow, 100.0, 10.0), []);
        // Rarely, but a quarter of the time in all.
        check(|m| m.scheduling = waited(2.5, 0.25, 200_000), "waited for a core for 25.0 %");
        // The same, and its loop was called in time: many short waits beside other work.
        let mut in_time = audit(|m| m.scheduling = waited(2.5, 0.25, 200_000));
        in_time.loop_lag = Some(LoopLag { beats: 1000, p99_ms: 1.0, max_ms: 3.0 });
        assert_eq!(problems(&in_time, 20.0, 2.0), []);
        in_time.loop_lag = Some(LoopLag { beats: 1000, p99_ms: 2.5, max_ms: 3.0 });
        assert_eq!(problems(&in_time, 20.0, 2.0).len(), 1);
    }

    #[test]
    fn a_loop_that_is_called_late_is_a_fault_beyond_the_limit_alone() {
        let lag = LoopLag { beats: 500, p99_ms: 84.0, max_ms: 130.0 };
        assert!(
            lagging(Some(&lag), 2.0)
                .unwrap()
                .reason
                .contains("84.0 ms late at the 99th percentile (130 ms at worst)")
        );
        assert_eq!(lagging(Some(&LoopLag { p99_ms: 1.9, ..lag }), 2.0), None);
        assert_eq!(lagging(None, 2.0), None);
    }

    #[test]
    fn half_of_a_limit_is_a_remark_and_beyond_it_the_fault_speaks_alone() {
        let remarked = remarks(&audit(|m| {
            m.steal_share = Some(0.03);
            m.frequency_last_mhz = Some(2550.0);
            m.memory_pressure_share = Some(0.02);
        }));
        assert_eq!(
            remarked,
            [
                "machine: the hypervisor took 3.0 % of the generator's CPU time away.",
                "machine: the CPU became 15.0 % slower, from 3000 to 2550 MHz.",
                "machine: everything waited for memory for 2.0 % of the time.",
            ]
        );
        assert_eq!(remarks(&audit(|m| m.steal_share = Some(0.2))), Vec::<String>::new());
    }
}
