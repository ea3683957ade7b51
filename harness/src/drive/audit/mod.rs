//! What the generator knows of itself: its CPU time, its core, its limits; and of its machine.
//!
//! `watch` looks at the machine a few times a second (`host` reads, `parse` understands, `machine`
//! folds), and `beat` feels from inside how late the generator's own thread is called. The judgement
//! is `analyse::machine`'s.

mod beat;
mod host;
mod machine;
mod parse;
mod watch;

pub(super) use beat::Beat;
pub use beat::LoopLag;
pub use machine::{MachineAudit, SchedulingAudit};
pub(super) use watch::Watch;
pub use watch::blind_spots;

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{
        resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit},
        time::TimeValLike,
    },
    unistd::Pid,
};

use super::DriveError;

/// Connections are counted in memory, ports and files: more than this is a fault of the plan.
const MOST_CONNECTIONS: u64 = 16_384;

/// Files that the rest of the process keeps open.
const OTHER_FILES: u64 = 128;

/// CPU seconds (user and system) used so far by the calling thread, or by the whole process.
/// `getrusage(2)`; 0 where the kernel does not say.
pub(super) fn cpu_seconds(who: UsageWho) -> f64 {
    getrusage(who).map_or(0.0, |usage| {
        (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
    })
}

/// Binds the calling thread to one core.
pub(super) fn pin(core: usize) -> Result<(), DriveError> {
    let mut set = CpuSet::new();
    set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).map_err(|error| DriveError::Core {
        core,
        cause: error.to_string(),
        allowed: allowed_cores(),
    })
}

/// The cores that the calling thread may use, as `0, 1, 5`.
fn allowed_cores() -> String {
    let cores: Vec<String> = watch::allowed_cores().iter().map(usize::to_string).collect();
    if cores.is_empty() { "those of this machine".into() } else { cores.join(", ") }
}

/// How many connections may be open at once: raises the soft limit of open files to the hard one.
pub(super) fn most_connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, hard)| {
        if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
    });
    usize::try_from(files.saturating_sub(OTHER_FILES).clamp(1, MOST_CONNECTIONS)).unwrap_or(1)
}

/// Whether a failure to connect was this machine's own fault, in words with the remedy.
/// The error numbers are those of Linux's `errno(3)`.
pub(super) fn local_fault(error: &std::io::Error) -> Option<String> {
    use nix::errno::Errno;
    let remedy = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE | Errno::ENFILE => "raise the limit of open files (ulimit -n), or lower the load",
        Errno::EADDRNOTAVAIL => {
            "no local port was free: widen net.ipv4.ip_local_port_range, or use a target that keeps connections open"
        }
        Errno::ENOBUFS | Errno::ENOMEM => "free memory, or lower the load",
        _ => return None,
    };
    Some(format!("{error}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_grows_with_work_of_this_thread() {
        let begin = cpu_seconds(UsageWho::RUSAGE_THREAD);
        let mut sum = 0u64;
        while cpu_seconds(UsageWho::RUSAGE_THREAD) < begin + 0.005 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused_with_those_that_do() {
        let error = pin(CpuSet::count() - 1).unwrap_err().to_string();
        assert!(error.contains("choose one of 0") || error.contains("choose one of "), "{error}");
        assert!(pin(usize::MAX).is_err());
    }

    #[test]
    fn this_machines_faults_are_told_from_the_targets() {
        let fault = |code| local_fault(&std::io::Error::from_raw_os_error(code));
        assert!(fault(24).unwrap().contains("ulimit -n"));
        assert!(fault(99).unwrap().contains("local port"));
        assert_eq!(fault(111), None, "connection refused is the target's answer");
    }
}
