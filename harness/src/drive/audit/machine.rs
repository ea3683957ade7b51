//! What the generator's machine did while a cell ran: readings folded into findings. Pure.

use serde::{Deserialize, Serialize};

use super::parse::{CpuTicks, Scheduling, Sockets, Swapped, Throttled};

/// Nanoseconds in a second.
const NS: f64 = 1e9;

/// One look at the machine. What could not be read is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reading {
    /// When, on the monotonic clock, nanoseconds.
    pub(super) at_ns: u64,
    /// How late this look came, nanoseconds.
    pub(super) late_ns: u64,
    pub(super) scheduling: Option<Scheduling>,
    pub(super) cpu: Option<CpuTicks>,
    pub(super) swapped: Option<Swapped>,
    /// The wall clock less the monotonic one, nanoseconds: it changes by steps only, since both are
    /// slewed alike.
    pub(super) wall_ahead_ns: Option<i64>,
    /// The clock that runs on while the machine sleeps less the monotonic one, nanoseconds.
    pub(super) slept_ns: Option<i64>,
    /// The fastest core's frequency: idle ones rest at a lower one.
    pub(super) mhz: Option<f64>,
    /// Times that a core was slowed down for its heat, so far.
    pub(super) heat_throttles: Option<u64>,
    pub(super) sockets: Option<Sockets>,
    pub(super) open_files: Option<u64>,
    pub(super) quota: Option<Throttled>,
    /// Time in which some task waited for a CPU, so far, microseconds.
    pub(super) cpu_pressure_us: Option<u64>,
    /// Time in which every task waited for memory, so far, microseconds.
    pub(super) memory_pressure_us: Option<u64>,
}

/// Limits of the process and its network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) open_files: Option<u64>,
    pub(super) local_ports: Option<u64>,
}

/// What the generator's machine did while a cell ran. What could not be read is none, and named in
/// `unreadable`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineAudit {
    /// Looks at it.
    pub looks: u32,
    /// From the first look to the last, seconds.
    pub seconds: f64,
    /// CPU time that looking took, seconds.
    pub looking_cpu_seconds: f64,
    /// The latest look came so much late, ms: the whole process may have stood still.
    pub look_late_ms: f64,
    /// How the generator's thread was given a core.
    pub scheduling: Option<SchedulingAudit>,
    /// Share of the generator's cores' time that the hypervisor took away, 0..1.
    pub steal_share: Option<f64>,
    /// Pages read back from swap and written to it by the whole machine.
    pub swapped_pages: Option<u64>,
    /// The widest step of the wall clock between two looks, ms; negative: it went back.
    pub clock_step_ms: Option<f64>,
    /// Time that the machine slept (suspended), ms.
    pub slept_ms: Option<f64>,
    /// The fastest core's frequency at the beginning (median of the first quarter), MHz.
    pub frequency_first_mhz: Option<f64>,
    /// The same at the end (median of the last quarter), MHz.
    pub frequency_last_mhz: Option<f64>,
    /// Times that a core was slowed down for its heat.
    pub heat_throttles: Option<u64>,
    /// Most TCP sockets in use at a look, in the whole network namespace.
    pub sockets_most: Option<u64>,
    /// Most local ports in use at a look, estimated from above: this process's open files, or all
    /// sockets if they are fewer, and those that wait for their last packets (TIME-WAIT).
    pub ports_most: Option<u64>,
    /// Local ports that there are.
    pub ports_limit: Option<u64>,
    /// Most open files of this process at a look.
    pub open_files_most: Option<u64>,
    /// Its limit.
    pub open_files_limit: Option<u64>,
    /// Share of the time that the process was held back by its cgroup's CPU quota, 0..1.
    pub quota_share: Option<f64>,
    /// Share of the time in which some task of the machine waited for a CPU, 0..1.
    pub cpu_pressure_share: Option<f64>,
    /// Share of the time in which every task of the machine waited for memory, 0..1.
    pub memory_pressure_share: Option<f64>,
    /// What this machine does not tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// How the generator's thread was given a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SchedulingAudit {
    /// Time for which it was ready and waited for a core, seconds.
    pub waited_s: f64,
    /// Of the time that was looked at, 0..1.
    pub waited_share: f64,
    /// Times it was given a core.
    pub times: u64,
}

impl SchedulingAudit {
    /// Mean wait each time it was given a core, ms.
    pub fn mean_wait_ms(&self) -> f64 {
        if self.times == 0 { 0.0 } else { self.waited_s * 1e3 / self.times as f64 }
    }
}

/// Folds readings.
#[derive(Debug, Default)]
pub(super) struct Fold {
    first: Option<Reading>,
    last: Reading,
    audit: MachineAudit,
    mhz: Vec<f64>,
}

impl Fold {
    pub(super) fn add(&mut self, reading: Reading) {
        let audit = &mut self.audit;
        audit.looks += 1;
        audit.look_late_ms = audit.look_late_ms.max(reading.late_ns as f64 / 1e6);
        self.mhz.extend(reading.mhz);
        most(&mut audit.open_files_most, reading.open_files);
        if let Some(sockets) = reading.sockets {
            most(&mut audit.sockets_most, Some(sockets.in_use));
            let own = reading.open_files.unwrap_or(u64::MAX).min(sockets.in_use);
            most(&mut audit.ports_most, Some(own + sockets.time_wait));
        }
        if self.first.is_none() {
            self.first = Some(reading.clone());
        } else if let (Some(before), Some(now)) = (self.last.wall_ahead_ns, reading.wall_ahead_ns) {
            // The clock of sleeping time moves with the wall clock when the machine wakes up.
            let slept = match (self.last.slept_ns, reading.slept_ns) {
                (Some(before), Some(now)) => now - before,
                _ => 0,
            };
            let step_ms = (now - before - slept) as f64 / 1e6;
            if audit.clock_step_ms.is_none_or(|widest| step_ms.abs() > widest.abs()) {
                audit.clock_step_ms = Some(step_ms);
            }
        }
        self.last = reading;
    }

    pub(super) fn finish(self, limits: Limits, looking_cpu_seconds: f64) -> MachineAudit {
        let Self { first, last, mut audit, mhz } = self;
        let Some(first) = first else {
            audit.unreadable = vec!["anything: nobody looked".into()];
            return audit;
        };
        let span_ns = last.at_ns.saturating_sub(first.at_ns) as f64;
        let share = |ns: f64| if span_ns > 0.0 { ns / span_ns } else { 0.0 };
        audit.looking_cpu_seconds = looking_cpu_seconds;
        audit.seconds = span_ns / NS;
        audit.unreadable = unreadable(&first);
        (audit.open_files_limit, audit.ports_limit) = (limits.open_files, limits.local_ports);
        audit.scheduling = both(first.scheduling, last.scheduling).map(|(first, last)| {
            let waited_ns = last.waited_ns.saturating_sub(first.waited_ns) as f64;
            let times = last.slices.saturating_sub(first.slices);
            SchedulingAudit { waited_s: waited_ns / NS, waited_share: share(waited_ns), times }
        });
        audit.steal_share = both(first.cpu, last.cpu).map(|(first, last)| {
            let total = last.total.saturating_sub(first.total);
            if total == 0 { 0.0 } else { last.stolen.saturating_sub(first.stolen) as f64 / total as f64 }
        });
        audit.swapped_pages = both(first.swapped, last.swapped).map(|(first, last)| {
            last.in_pages.saturating_sub(first.in_pages) + last.out_pages.saturating_sub(first.out_pages)
        });
        audit.slept_ms = both(first.slept_ns, last.slept_ns).map(|(first, last)| (last - first) as f64 / 1e6);
        audit.heat_throttles =
            both(first.heat_throttles, last.heat_throttles).map(|(first, last)| last.saturating_sub(first));
        audit.quota_share =
            both(first.quota, last.quota).map(|(first, last)| share(last.ns.saturating_sub(first.ns) as f64));
        let pressure = |first: Option<u64>, last| {
            both(first, last).map(|(first, last): (u64, u64)| share(last.saturating_sub(first) as f64 * 1e3))
        };
        audit.cpu_pressure_share = pressure(first.cpu_pressure_us, last.cpu_pressure_us);
        audit.memory_pressure_share = pressure(first.memory_pressure_us, last.memory_pressure_us);
        let quarter = mhz.len().div_ceil(4);
        audit.frequency_first_mhz = median(&mhz[..quarter]);
        audit.frequency_last_mhz = median(&mhz[mhz.len() - quarter..]);
        audit
    }
}

/// What a look did not find, in words.
pub(super) fn unreadable(reading: &Reading) -> Vec<String> {
    [
        (reading.scheduling.is_none(), "the generator's scheduling delay (no schedstat)"),
        (reading.cpu.is_none(), "CPU steal (no /proc/stat)"),
        (reading.swapped.is_none(), "swapping (no pswpin in /proc/vmstat)"),
        (reading.wall_ahead_ns.is_none(), "clock steps"),
        (reading.mhz.is_none(), "CPU frequency (no cpufreq)"),
        (reading.heat_throttles.is_none(), "thermal throttling (no thermal_throttle)"),
        (reading.sockets.is_none(), "sockets (no /proc/net/sockstat)"),
        (reading.open_files.is_none(), "open files (no /proc/self/fd)"),
        (reading.cpu_pressure_us.is_none(), "pressure (no /proc/pressure)"),
    ]
    .into_iter()
    .filter(|(missing, _)| *missing)
    .map(|(_, what)| what.to_owned())
    .collect()
}

fn both<T>(first: Option<T>, last: Option<T>) -> Option<(T, T)> {
    first.zip(last)
}

fn most(so_far: &mut Option<u64>, now: Option<u64>) {
    *so_far = (*so_far).max(now);
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
