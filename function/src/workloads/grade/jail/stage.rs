//! The last step: binds itself and becomes the program.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;
use serde::{Deserialize, Serialize};

use super::ground::Ground;
use super::{Job, files, reopen, syscalls};

/// Descriptors that a program may have open.
const MAX_DESCRIPTORS: u64 = 256;

/// Processes of the jail that run as the program's user: supervisor and init.
const JAIL_PROCESSES: u64 = 2;

/// The limit on processes times this is granted where a user is not the submission's alone.
const ROOM_FOR_OTHERS: u64 = 4;

/// More tasks than a kernel has, `PID_MAX_LIMIT`.
const MAX_TASKS: u64 = 1 << 22;

/// The first version of Landlock that keeps signals inside.
const LANDLOCK_WITH_SIGNALS: u32 = 6;

/// What the supervisor tells the stage.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The job.
    pub job: Job,
    /// Where it is.
    pub ground: Ground,
    /// The descriptor that takes [`Bound`], or a sentence about what went wrong.
    pub status: i32,
}

/// What the stage could bind, written before it becomes the program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    /// Landlock's version, 0 for none.
    pub landlock_abi: u32,
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// What the kernel's limit on processes is.
    pub processes: Processes,
    /// CPU time until here, microseconds, which is not the program's.
    pub cpu_us: u64,
}

/// How the kernel bounds the number of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Processes {
    /// At the limit: the user, or the user in his namespace, is nobody else.
    Exactly,
    /// At some times the limit: the user is somebody else as well, other containers' included.
    Roughly,
    /// Not at all.
    Never,
}

/// Never returns if all goes well.
pub(super) fn run(order: &str) -> ExitCode {
    // Without an order there is nobody to tell.
    let Ok(order) = super::decode::<Order>(order) else { return ExitCode::FAILURE };
    let Ok(mut status) = reopen(order.status) else { return ExitCode::FAILURE };
    let why = match bind(&order, status.as_raw_fd()) {
        Ok(bound) => match send(&mut status, &bound) {
            Ok(()) => become_program(&order.job).to_string(),
            Err(error) => error.to_string(),
        },
        Err(why) => why,
    };
    let _ = writeln!(status, "{why}");
    ExitCode::FAILURE
}

fn bind(order: &Order, status: i32) -> Result<Bound, String> {
    let (job, ground) = (&order.job, order.ground);
    let failed = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
    setsid().map_err(failed("no session of its own"))?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed("no death signal"))?;
    close_all_but(status).map_err(|error| format!("descriptors cannot be closed: {error}"))?;
    SigSet::empty().thread_set_mask().map_err(failed("signals cannot be unblocked"))?;
    prctl::set_no_new_privs().map_err(failed("new privileges cannot be given up"))?;
    let (processes, process_limit) = process_limit(job.limits.processes, ground);
    let process_limit = process_limit.map(|limit| (Resource::RLIMIT_NPROC, limit));
    for (resource, limit) in limits(job).into_iter().chain(process_limit) {
        // Who started the function may have set a lower one.
        let (_, highest) = getrlimit(resource).map_err(failed("a limit cannot be read"))?;
        let limit = limit.min(highest);
        setrlimit(resource, limit, limit).map_err(failed("a limit cannot be set"))?;
    }
    let landlock_abi = files::restrict(job).map_err(|error| format!("Landlock: {error}"))?;
    let signals_stay_inside = ground.namespaces || ground.own_user || landlock_abi >= LANDLOCK_WITH_SIGNALS;
    let seccomp = syscalls::restrict(!signals_stay_inside);
    if !job.allow_weak && (landlock_abi == 0 || seccomp.is_err()) {
        return Err(format!(
            "the sandbox is too weak: {} is missing in this kernel or container; run on a node that \
             has it (Linux 5.13 or later), or accept it with GRADE_ALLOW_WEAK_SANDBOX=1",
            if landlock_abi == 0 {
                "Landlock (what keeps a program from the function's files)"
            } else {
                "seccomp"
            }
        ));
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(failed("no usage"))?;
    let cpu = usage.user_time() + usage.system_time();
    let cpu_us = cpu.tv_sec().cast_unsigned() * 1_000_000 + cpu.tv_usec().cast_unsigned();
    Ok(Bound { landlock_abi, seccomp: seccomp.is_ok(), processes, cpu_us })
}

/// Limits of each process. Time, memory and disk are watched for all of them together; these hold
/// when the watcher comes late.
fn limits(job: &Job) -> Vec<(Resource, u64)> {
    let wanted = &job.limits;
    let seconds = wanted.time.as_secs_f64().ceil() as u64 + 1;
    vec![
        (Resource::RLIMIT_CPU, seconds),
        // Programs reserve more than they touch; what they touch is watched.
        (Resource::RLIMIT_AS, wanted.memory_bytes.saturating_mul(4).saturating_add(1 << 30)),
        (Resource::RLIMIT_FSIZE, wanted.disk_bytes),
        (Resource::RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ]
}

/// The kernel counts the tasks of a user in a user namespace, whoever started them. Where the
/// user is the function's own, there is room for other submissions beside; who has more than the
/// limit is ended by the supervisor.
fn process_limit(wanted: u64, ground: Ground) -> (Processes, Option<u64>) {
    if ground.namespaces || ground.own_user {
        return (Processes::Exactly, Some(wanted + JAIL_PROCESSES));
    }
    match tasks_of_this_user() {
        Some(tasks) => (Processes::Roughly, Some(tasks + wanted * ROOM_FOR_OTHERS)),
        None => (Processes::Never, None),
    }
}

/// How many tasks the kernel counts for this user, which it tells nobody: found by lowering the
/// limit until a thread is refused. None if it refuses none, or all.
fn tasks_of_this_user() -> Option<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).ok()?;
    let may_start = |limit| {
        let start = || std::thread::Builder::new().stack_size(16 << 10).spawn(|| {});
        setrlimit(Resource::RLIMIT_NPROC, limit, hard).is_ok()
            && start().is_ok_and(|thread| thread.join().is_ok())
    };
    let (mut refused, mut granted) = (0, hard.min(MAX_TASKS));
    if may_start(refused) || !may_start(granted) {
        return None;
    }
    while granted - refused > 1 {
        let middle = refused.midpoint(granted);
        if may_start(middle) {
            granted = middle;
        } else {
            refused = middle;
        }
    }
    Some(refused)
}

/// Closes what this process inherited beside its three pipes.
fn close_all_but(kept: i32) -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&descriptor| descriptor > 2 && descriptor != kept)
        .collect();
    for descriptor in open {
        // One of them was the listing itself and is closed already.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// One line, whole before the program begins.
fn send(status: &mut fs::File, bound: &Bound) -> io::Result<()> {
    let mut line = serde_json::to_vec(bound)?;
    line.push(b'\n');
    status.write_all(&line)
}

/// Returns only what went wrong.
fn become_program(job: &Job) -> io::Error {
    let Some((program, arguments)) = job.command.split_first() else {
        return io::Error::other("no program");
    };
    Command::new(job.folder.join(program))
        .args(arguments)
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .env("HOME", &job.folder)
        .env("TMPDIR", &job.folder)
        .exec()
}
