//! CPU time and memory of processes, from `/proc` and `getrusage`.

use nix::{
    sys::resource::{UsageWho, getrusage},
    unistd::{SysconfVar, sysconf},
};

/// What one process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time since its start, seconds (resolution: a clock tick, 10 ms).
    pub cpu_seconds: f64,
    /// Resident memory, bytes.
    pub memory_bytes: u64,
}

/// Use of a living process; none once it is gone.
pub fn of_process(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let resident_pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(Usage {
        cpu_seconds: cpu_ticks(&stat)? as f64 / configured(SysconfVar::CLK_TCK, 100) as f64,
        memory_bytes: resident_pages * configured(SysconfVar::PAGE_SIZE, 4096),
    })
}

/// CPU seconds of all children of this process that have ended and been waited for.
pub fn of_ended_children() -> f64 {
    rusage_seconds(UsageWho::RUSAGE_CHILDREN)
}

/// CPU seconds of this process.
pub fn of_this_process() -> f64 {
    rusage_seconds(UsageWho::RUSAGE_SELF)
}

fn rusage_seconds(who: UsageWho) -> f64 {
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    getrusage(who).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn configured(variable: SysconfVar, otherwise: u64) -> u64 {
    sysconf(variable).ok().flatten().and_then(|n| u64::try_from(n).ok()).unwrap_or(otherwise)
}

/// `utime` + `stime` of a `/proc/PID/stat` line: fields 14 and 15 of proc_pid_stat(5). The second
/// field is the name in parentheses, which may hold spaces and parentheses itself.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_spaces_and_parentheses() {
        let stat = "77 (a (b) c) S 1 77 77 0 -1 4194304 100 0 0 0 123 45 0 0 20 0 3 0 999 1000 50";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn this_process_uses_memory_and_a_process_that_is_gone_reads_as_none() {
        let usage = of_process(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 1 << 20, "{usage:?}");
        assert_eq!(of_process(u32::MAX), None);
    }
}
