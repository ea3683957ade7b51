//! A driver's process: started on its core, stopped for certain, its CPU time taken.

use std::{io, process::Output, time::Duration};

use nix::{
    sys::{
        resource::UsageWho,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::DriverError;
use crate::{
    drive::{audit, cores},
    interrupt::Interrupt,
};

/// How long a driver may take to end after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What is left of a driver's process.
pub(super) struct Ended {
    /// Its output and exit status.
    pub(super) output: Output,
    /// CPU seconds that it used.
    pub(super) cpu_seconds: f64,
    /// Whether the user stopped it.
    pub(super) interrupted: bool,
}

/// Starts a process, bound to a core if one is given. Dropping it kills it.
pub(super) fn start(
    driver: &'static str,
    mut command: Command,
    core: Option<usize>,
) -> Result<Child, DriverError> {
    command.kill_on_drop(true);
    let runtime = tokio::runtime::Handle::current();
    cores::on_core(core, move || {
        let _inside = runtime.enter();
        command.spawn()
    })?
    .map_err(|error| DriverError::Failed { driver, cause: format!("it cannot be started ({error})") })
}

/// Waits for its end and its output; at the user's interrupt, and `limit` after which it should
/// have ended by itself, it gets a SIGINT, on which both drivers print what they have.
pub(super) async fn finish(child: Child, limit: Duration, interrupt: Interrupt) -> io::Result<Ended> {
    let before = audit::cpu_seconds(UsageWho::RUSAGE_CHILDREN);
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let early = tokio::select! {
        output = &mut ended => Some(output?),
        () = interrupt.raised() => None,
        () = tokio::time::sleep(limit) => None,
    };
    let output = if let Some(output) = early {
        output
    } else {
        if let Some(pid) = pid {
            // It may have ended just now.
            let _ = kill(pid, Signal::SIGINT);
        }
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it did not end when it was told to");
        tokio::time::timeout(STOP_LIMIT, ended).await.map_err(|_| late())??
    };
    let cpu_seconds = audit::cpu_seconds(UsageWho::RUSAGE_CHILDREN) - before;
    Ok(Ended { output, cpu_seconds, interrupted: interrupt.is_raised() })
}
