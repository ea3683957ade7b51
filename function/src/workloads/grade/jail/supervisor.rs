//! Starts a program on its ground, watches it, ends it with all that it started, and reports.
//!
//! One thread: a process that has taken a pid namespace for its children may start no threads.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid, pipe2};

use super::enforcement::enforced;
use super::folder::{copy_out, fits, place_files};
use super::ground::Ground;
use super::stage::{Bound, Order, Processes};
use super::stream::Stream;
use super::tree::{Tree, exact_cpu};
use super::{Breach, End, INIT, Job, MYSELF, Report, STAGE};

/// How often the program's processes are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often the folder is, where it is no file system of its own.
const LOOK_AT_FILES: Duration = Duration::from_millis(50);
/// How long the end of all processes may take.
const END: Duration = Duration::from_secs(10);

/// Runs a job to its end.
///
/// # Errors
/// If the jail cannot be built, or something could not be ended; in words.
pub(super) fn run(job: &Job) -> Result<Report, String> {
    let ground = Ground::enter(job)?;
    place_files(job)?;
    std::env::set_current_dir(&job.folder).map_err(|error| text("the folder cannot be entered", &error))?;
    let mut run = Run::start(job, ground)?;
    let watched = run.watch();
    let end = run.finish()?;
    watched.map_err(|error| text("the program cannot be watched", &error))?;
    let report = run.report(end)?;
    if let Some((name, to)) = &job.keep
        && report.end == End::Exited(0)
        && report.breach.is_none()
    {
        copy_out(&job.folder.join(name), to).map_err(|error| text("the result cannot be kept", &error))?;
    }
    Ok(report)
}

/// Process 1 of a pid namespace: takes in orphans until it is killed.
pub(super) fn init() -> ExitCode {
    let children = SigSet::from(Signal::SIGCHLD);
    if prctl::set_pdeathsig(Signal::SIGKILL).and_then(|()| children.thread_block()).is_err() {
        return ExitCode::FAILURE;
    }
    while children.wait().is_ok() {
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {
        }
    }
    ExitCode::FAILURE
}

/// A program and those who look after it.
struct Run<'a> {
    job: &'a Job,
    ground: Ground,
    bound: Bound,
    program: Child,
    init: Option<Child>,
    tree: Tree,
    children: SignalFd,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
    breach: Option<Breach>,
    wall: Duration,
    /// CPU time when it was last looked at: the kernel does not count those who die with their init.
    seen_cpu: Duration,
    peak_bytes: u64,
}

impl<'a> Run<'a> {
    fn start(job: &'a Job, ground: Ground) -> Result<Self, String> {
        let broken = |error: Errno| text("the program cannot be prepared", &error);
        let mask = SigSet::from(Signal::SIGCHLD);
        mask.thread_block().map_err(broken)?;
        let children =
            SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(broken)?;
        // The first child of the new pid namespace is its process 1.
        let init = if ground.namespaces {
            let init = myself(INIT, "").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            Some(init.map_err(|error| text("no init", &error))?)
        } else {
            None
        };
        let (status, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).map_err(broken)?;
        let order = Order { job: job.clone(), ground, status: theirs.as_raw_fd() };
        let order = super::encode(&order).map_err(|error| text("no order", &error))?;
        let mut program = myself(STAGE, &order)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| text("the program cannot be started", &error))?;
        drop(theirs);
        // The stage's end of the pipe closes when it becomes the program.
        let bound = read_status(status.into())?;
        let started = Instant::now();
        let init_pid = init.as_ref().map(|init| init.id().cast_signed());
        Ok(Self {
            job,
            ground,
            bound,
            tree: Tree::below(getpid().as_raw(), init_pid),
            stdout: Stream::new(program.stdout.take()),
            stderr: Stream::new(program.stderr.take()),
            program,
            init,
            children,
            started,
            breach: None,
            wall: Duration::ZERO,
            seen_cpu: Duration::ZERO,
            peak_bytes: 0,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.program.id().cast_signed())
    }

    /// Until the program has ended or passed a limit.
    fn watch(&mut self) -> io::Result<()> {
        let (mut looked, mut looked_at_files) = (self.started, self.started);
        loop {
            let left = (looked + LOOK).saturating_duration_since(Instant::now());
            self.wait_for_news(left)?;
            if self.has_ended()? {
                self.wall = self.started.elapsed();
                return Ok(());
            }
            if self.stdout.bytes.len() + self.stderr.bytes.len() > self.job.limits.output_bytes as usize {
                self.breach = Some(Breach::Output);
            } else if self.started.elapsed() > self.job.limits.time {
                self.breach = Some(Breach::Wall);
            } else if looked.elapsed() >= LOOK {
                self.breach = self.look()?;
                looked = Instant::now();
                if self.breach.is_none() && !self.ground.tmpfs && looked_at_files.elapsed() >= LOOK_AT_FILES {
                    self.breach =
                        (!fits(&self.job.folder, self.job.limits.disk_bytes)).then_some(Breach::Disk);
                    looked_at_files = Instant::now();
                }
            }
            if self.breach.is_some() {
                self.wall = self.started.elapsed();
                self.seen_cpu = self.tree.look().cpu + cpu_of_the_ended()?;
                return Ok(());
            }
        }
    }

    /// Reads what there is to read, and waits for more at most so long.
    fn wait_for_news(&mut self, at_most: Duration) -> io::Result<()> {
        let (readable, [stdout, stderr]) = {
            let mut waiting = vec![PollFd::new(self.children.as_fd(), PollFlags::POLLIN)];
            let mut places = [None; 2];
            for (stream, place) in [&self.stdout, &self.stderr].into_iter().zip(&mut places) {
                if let Some(pipe) = &stream.pipe {
                    *place = Some(waiting.len());
                    waiting.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
                }
            }
            // Rounded up: zero would mean not to wait at all.
            let timeout = PollTimeout::try_from(at_most.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut waiting, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let readable: Vec<bool> = waiting.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            (readable, places)
        };
        if stdout.is_some_and(|place| readable[place]) {
            self.stdout.read_some()?;
        }
        if stderr.is_some_and(|place| readable[place]) {
            self.stderr.read_some()?;
        }
        if readable[0] {
            // Only a bell: who has ended is asked below.
            while self.children.read_signal()?.is_some() {}
        }
        Ok(())
    }

    /// Whether the program has ended; it keeps its number until it is waited for.
    fn has_ended(&self) -> io::Result<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        Ok(waitid(Id::Pid(self.pid()), flags)? != WaitStatus::StillAlive)
    }

    fn look(&mut self) -> io::Result<Option<Breach>> {
        let limits = &self.job.limits;
        let look = self.tree.look();
        self.peak_bytes = self.peak_bytes.max(look.resident_bytes);
        for orphan in look.zombies.into_iter().filter(|&pid| pid != self.pid().as_raw()) {
            // Somebody else's child, left to the supervisor.
            let _ = waitpid(Pid::from_raw(orphan), Some(WaitPidFlag::WNOHANG));
        }
        self.seen_cpu = look.cpu + cpu_of_the_ended()?;
        let cpu = self.seen_cpu.saturating_sub(Duration::from_micros(self.bound.cpu_us));
        Ok(if look.resident_bytes > limits.memory_bytes {
            Some(Breach::Memory)
        } else if cpu > limits.time {
            Some(Breach::Cpu)
        } else if self.bound.processes != Processes::Exactly && look.tasks > limits.processes {
            Some(Breach::Processes)
        } else {
            None
        })
    }

    /// Ends everything that runs, and waits until nothing is left: a subreaper without children
    /// has no descendants.
    fn finish(&mut self) -> Result<End, String> {
        let init_cpu = self.init.as_ref().and_then(|init| exact_cpu(init.id().cast_signed()));
        self.bound.cpu_us += init_cpu.unwrap_or_default().as_micros() as u64;
        // At once for all of its session; for those in others, if seccomp let them, one by one.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        if let Some(init) = &mut self.init {
            let _ = init.kill();
        }
        let (mut end, begun) = (None, Instant::now());
        loop {
            for pid in self.tree.descendants() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            loop {
                match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::Exited(pid, code)) if pid == self.pid() => end = Some(End::Exited(code)),
                    Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid() => {
                        end = Some(End::Signalled(signal.as_str().to_owned()));
                    }
                    Ok(WaitStatus::StillAlive) => break,
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(_) => return end.ok_or_else(|| "the program's end was lost".to_owned()),
                }
            }
            if begun.elapsed() > END {
                return Err(format!("processes could not be ended: {:?}", self.tree.descendants()));
            }
            let _ = self.wait_for_news(Duration::from_millis(1));
        }
    }

    fn report(mut self, end: End) -> Result<Report, String> {
        let lost = |error: io::Error| text("the output is lost", &error);
        // Nobody writes any more. What is left in the pipes is little.
        let limit = self.job.limits.output_bytes as usize;
        while self.stdout.pipe.is_some() {
            self.stdout.read_some().map_err(lost)?;
        }
        while self.stderr.pipe.is_some() {
            self.stderr.read_some().map_err(lost)?;
        }
        if self.breach.is_none() {
            if self.stdout.bytes.len() + self.stderr.bytes.len() > limit {
                self.breach = Some(Breach::Output);
            } else if self.wall > self.job.limits.time {
                self.breach = Some(Breach::Wall);
            }
        }
        self.stdout.bytes.truncate(limit);
        self.stderr.bytes.truncate(limit);
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| text("no usage", &error))?;
        let most_of_one = usage.max_rss().cast_unsigned() * 1024;
        let cpu = cpu_of_the_ended().map_err(lost)?.max(self.seen_cpu);
        Ok(Report {
            end,
            breach: self.breach,
            cpu: cpu.saturating_sub(Duration::from_micros(self.bound.cpu_us)),
            wall: self.wall,
            peak_memory_bytes: self.peak_bytes.max(most_of_one),
            enforced: enforced(self.ground, &self.bound),
            stdout: self.stdout.bytes,
            stderr: self.stderr.bytes,
        })
    }
}

fn myself(part: &str, order: &str) -> Command {
    let mut command = Command::new(MYSELF);
    command.arg(part).arg(order).env_clear();
    command
}

fn read_status(pipe: File) -> Result<Bound, String> {
    let mut lines = BufReader::new(pipe).lines();
    let mut next = || lines.next().transpose().map_err(|error| text("the stage is silent", &error));
    let first = next()?.ok_or("the stage ended without a word")?;
    let Ok(bound) = serde_json::from_str(&first) else { return Err(first) };
    match next()? {
        None => Ok(bound),
        Some(why) => Err(format!("the program cannot be run: {why}")),
    }
}

/// CPU time of all who have ended and were waited for.
fn cpu_of_the_ended() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time() + usage.system_time();
    Ok(Duration::new(cpu.tv_sec().cast_unsigned(), cpu.tv_usec() as u32 * 1000))
}

pub(super) fn text(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("{what}: {error}")
}
