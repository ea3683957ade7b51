//! One replica process: start it on a free port, know its last words, end it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::platforms::twin::protocol::FunctionProcess;

/// Variables that a replica gets from the harness's own environment. Everything else of its
/// environment is set explicitly, as in a container.
const INHERITED: [&str; 7] =
    ["PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LANG"];

/// Longest line of a replica's standard error that is kept, bytes.
const LAST_LINE_LIMIT: usize = 500;

/// A running replica. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    address: SocketAddr,
    last_line: Arc<Mutex<String>>,
}

impl Process {
    /// Starts the function on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port is free or the binary cannot be started.
    pub fn start(function: &FunctionProcess, instance: &str) -> io::Result<Self> {
        // The port is free now; should somebody else take it before the function does, the
        // function ends with "address in use" and is started again (see `lost_its_port`).
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut child = Command::new(&function.command)
            .args(&function.arguments)
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))))
            .envs(&function.env)
            .env("BIND", address.ip().to_string())
            .env("PORT", address.port().to_string())
            .env("INSTANCE_ID", instance)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let last_line = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let last_line = Arc::clone(&last_line);
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(mut line)) = lines.next_line().await {
                    if line.trim().is_empty() {
                        continue;
                    }
                    line.truncate(line.floor_char_boundary(LAST_LINE_LIMIT));
                    *last_line.lock().unwrap_or_else(PoisonError::into_inner) = line;
                }
            });
        }
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid, address, last_line })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it listens, once it does.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its last line on standard error.
    pub fn last_line(&self) -> String {
        self.last_line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its last words say that another process took its port.
    pub fn lost_its_port(&self) -> bool {
        let line = self.last_line().to_lowercase();
        line.contains("in use") || line.contains("os error 98")
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When the kernel refuses the wait.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end (SIGTERM), and after the grace time makes it (SIGKILL); returns when it is gone.
    pub async fn end(&mut self, grace: Duration) {
        // The child was not waited for yet, so its process id cannot belong to anybody else.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
