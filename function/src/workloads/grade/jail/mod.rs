//! Runs one strange program within limits, and leaves nothing of it.
//!
//! Three processes, all this binary called again with another first argument, because a process can
//! only be bound by itself, before it becomes the program:
//! - the *supervisor* (`--jail`) gives up root, takes namespaces of its own, measures, ends, reports;
//! - the *init* (`--jail-init`) is process 1 of the new pid namespace: its end is everybody's end;
//! - the *stage* (`--jail-exec`) sets limits, Landlock and seccomp on itself and becomes the program.

mod enforcement;
mod files;
mod folder;
mod ground;
mod stage;
mod stream;
mod supervisor;
mod syscalls;
mod tree;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::protocol::Enforced;
use super::settings::Limits;

const SUPERVISOR: &str = "--jail";
const INIT: &str = "--jail-init";
const STAGE: &str = "--jail-exec";

/// This binary, whatever is mounted or renamed meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// One program, and what it may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// An empty folder: what the program may write to, and where it starts.
    pub folder: PathBuf,
    /// Files that are copied there first, and their names there.
    pub files: Vec<(PathBuf, String)>,
    /// Program (absolute, or a name in the folder) and arguments.
    pub command: Vec<String>,
    /// Its whole environment, beside `HOME` and `TMPDIR`, which are the folder.
    pub environment: Vec<(String, String)>,
    /// What it may read and execute.
    pub readable: Vec<PathBuf>,
    /// Devices that it may read, beside `/dev/null`.
    pub devices: Vec<PathBuf>,
    /// What it may take.
    pub limits: Limits,
    /// The user to become; none to stay who the function is.
    pub user: Option<u32>,
    /// Whether to run although the kernel lacks Landlock or seccomp.
    pub allow_weak: bool,
    /// A file of the folder that is copied out after exit code 0: its name, and where to.
    pub keep: Option<(String, PathBuf)>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(String),
}

/// A limit for which the jail ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breach {
    /// Wall time.
    Wall,
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
    /// Standard output and error.
    Output,
    /// Files.
    Disk,
    /// Processes.
    Processes,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How its first process ended.
    pub end: End,
    /// Why the jail ended it, if it did.
    pub breach: Option<Breach>,
    /// CPU time of all its processes.
    pub cpu: Duration,
    /// From its start to its end.
    pub wall: Duration,
    /// The most memory at one time.
    pub peak_memory_bytes: u64,
    /// What held it.
    pub enforced: Enforced,
    /// What it wrote; they travel after the rest, as they are.
    #[serde(skip)]
    pub stdout: Vec<u8>,
    /// The same of its standard error.
    #[serde(skip)]
    pub stderr: Vec<u8>,
}

/// What the supervisor says first: the report and the lengths of what follows, or what went wrong.
type Head = Result<(Report, u64, u64), String>;

/// Why there is no report. Never the program's doing.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The supervisor could not be started or spoken to.
    #[error("the jail's supervisor cannot be used: {0}")]
    Supervisor(#[from] io::Error),
    /// It ended without a report.
    #[error("the jail's supervisor ended without a report: {0}")]
    NoReport(String),
    /// It could not build the jail.
    #[error("{0}")]
    Refused(String),
}

#[cfg(test)]
impl Report {
    /// A report of a run that took nothing.
    pub fn of(end: End) -> Self {
        Self {
            end,
            breach: None,
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
            peak_memory_bytes: 0,
            enforced: Enforced::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

/// Runs a program to its end. Blocks for at most its time limit and a few seconds.
///
/// # Errors
/// See [`JailError`].
pub fn run(job: &Job, stdin: &[u8]) -> Result<Report, JailError> {
    let mut supervisor = Command::new(MYSELF)
        .arg(SUPERVISOR)
        .arg(encode(job)?)
        // The function's settings are nobody else's business.
        .env_clear()
        // A signal from the terminal is for the function, which still answers what it has begun.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut pipe) = supervisor.stdin.take() {
        // A program may end without reading: then nobody holds the other end.
        let _ = pipe.write_all(stdin);
    }
    let report = supervisor.stdout.take().map(|pipe| read_report(BufReader::new(pipe)));
    let status = supervisor.wait()?;
    match report {
        Some(Ok(report)) => report.map_err(JailError::Refused),
        Some(Err(error)) => Err(JailError::NoReport(format!("{error}; {status}"))),
        None => Err(JailError::NoReport(status.to_string())),
    }
}

fn read_report(mut pipe: BufReader<impl io::Read>) -> io::Result<Result<Report, String>> {
    let mut line = String::new();
    pipe.read_line(&mut line)?;
    let head: Head = serde_json::from_str(&line)?;
    let (mut report, stdout_bytes, stderr_bytes) = match head {
        Ok(head) => head,
        Err(why) => return Ok(Err(why)),
    };
    pipe.by_ref().take(stdout_bytes).read_to_end(&mut report.stdout)?;
    pipe.take(stderr_bytes).read_to_end(&mut report.stderr)?;
    Ok(Ok(report))
}

/// Does the jail's part if this process was called for it: to be asked before anything else in
/// `main`. None if this is the function itself.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let (first, order) = (arguments.next()?, arguments.next());
    match (first.as_str(), order) {
        (SUPERVISOR, Some(order)) => Some(report(decode(&order).and_then(|job| supervisor::run(&job)))),
        (INIT, _) => Some(supervisor::init()),
        (STAGE, Some(order)) => Some(stage::run(&order)),
        _ => None,
    }
}

fn report(mut result: Result<Report, String>) -> ExitCode {
    let (stdout, stderr) = match &mut result {
        Ok(report) => (std::mem::take(&mut report.stdout), std::mem::take(&mut report.stderr)),
        Err(_) => Default::default(),
    };
    let head: Head = result.map(|report| (report, stdout.len() as u64, stderr.len() as u64));
    let send = || -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &head)?;
        out.write_all(b"\n")?;
        out.write_all(&stdout)?;
        out.write_all(&stderr)?;
        out.flush()
    };
    match send() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn encode<T: Serialize>(value: &T) -> io::Result<String> {
    serde_json::to_string(value).map_err(Into::into)
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("the jail's order cannot be read: {error}"))
}

/// Opens a descriptor of this process again by its number, closed on exec.
fn reopen(descriptor: i32) -> io::Result<File> {
    File::options().write(true).open(format!("/proc/self/fd/{descriptor}"))
}
