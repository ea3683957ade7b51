//! Workers as processes of this machine: for its further cores, and to test all of it without a
//! cluster.

use std::{path::PathBuf, process::Stdio, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::process::{Child, Command};

use super::{Fate, Line, Share, Workers};
use crate::secret::Secret;

/// How long a process whose output has ended may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Starts `COMMAND worker` for each worker, anew for each load.
#[derive(Debug, Clone)]
pub struct Local {
    command: PathBuf,
}

impl Local {
    /// Workers of a harness's binary.
    pub fn of(command: impl Into<PathBuf>) -> Self {
        Self { command: command.into() }
    }

    /// Workers of this very binary.
    ///
    /// # Errors
    /// If this program does not find its own file.
    pub fn of_this_binary() -> std::io::Result<Self> {
        Ok(Self::of(std::env::current_exe()?))
    }

    fn start(&self) -> Result<Line, String> {
        let mut child = Command::new(&self.command)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal goes to a whole group: the coordinator alone says when to stop.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started ({error})", self.command.display()))?;
        let (Some(output), Some(input)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its standard input or output is missing".to_owned());
        };
        let place = child.id().map_or_else(String::new, |id| format!("process {id} of this machine"));
        Ok(Line {
            input: Box::new(input),
            output: Box::new(output),
            place,
            token: Secret::new(""),
            fate: Box::new(Process(child)),
        })
    }
}

impl Workers for Local {
    fn open(&self, _share: Share) -> BoxFuture<'_, Result<Line, String>> {
        std::future::ready(self.start()).boxed()
    }
}

/// A worker's process; dropping it ends the process.
struct Process(Child);

impl Fate for Process {
    fn learn(&mut self) -> BoxFuture<'_, Option<String>> {
        async {
            let ended = tokio::time::timeout(END_LIMIT, self.0.wait()).await.ok()?.ok()?;
            Some(format!("its process ended with {ended}"))
        }
        .boxed()
    }
}
