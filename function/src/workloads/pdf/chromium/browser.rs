//! One browser process with its children: started, watched, ended, its folder removed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

use super::connection::{CallError, Connection, Message};
use super::launcher::{self, Orders};

/// A browser that has not answered after so long does not come up.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Name of a browser's folder, before the function's process id and a number.
const FOLDER_PREFIX: &str = "function-browser-";

/// How much of what the browser wrote on stderr is shown when it does not start.
const LAST_LINES: usize = 3;

/// Which browser to start, and how it is shut in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The browser.
    pub program: PathBuf,
    /// Whether its renderers run in its own sandbox.
    pub sandbox: bool,
    /// Whether to try for a network namespace.
    pub own_network: bool,
    /// The most data that each of its processes may have.
    pub process_bytes: u64,
}

/// A running browser. Dropped, it and its children are killed and its folder is removed.
pub struct Browser {
    connection: Arc<Connection>,
    keeper: Option<JoinHandle<()>>,
    documents: AtomicU64,
    /// Name and version, as it says them.
    pub product: String,
    /// Whether it has a network namespace of its own.
    pub own_network: bool,
    // Last: removed after the processes are gone.
    _folder: Folder,
}

/// Why a browser did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refused a process, a thread or a file.
    #[error("the browser cannot be started: {0}")]
    System(#[from] io::Error),
    /// It ended, or did not speak.
    #[error("the browser did not start ({cause}): {last_words}")]
    Failed {
        /// What was waited for.
        cause: CallError,
        /// The end of what it wrote on stderr.
        last_words: String,
    },
}

impl Browser {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(plan: &Plan) -> Result<Self, StartError> {
        let folder = Folder::create()?;
        let said = folder.0.join("stderr");
        let (ours, theirs) = UnixStream::pair()?;
        let connection = Arc::new(Connection::new(ours)?);
        let inbox = connection.inbox();
        inbox.adopt(launcher::SESSION);

        let command = command(plan, &folder.0, File::create(&said)?, theirs)?;
        let keeper = keep(Arc::clone(&connection), command)?;
        let mut browser = Self {
            connection: Arc::clone(&connection),
            keeper: Some(keeper),
            documents: AtomicU64::new(0),
            product: String::new(),
            own_network: false,
            _folder: folder,
        };
        let until = Instant::now() + START_LIMIT;
        let greeting = inbox.next(until).and_then(|message| {
            let own_network =
                matches!(message, Message::Event { params, .. } if params["own_network"] == true);
            Ok((own_network, inbox.ask("Browser.getVersion", &json!({}), until)?))
        });
        let (own_network, version) =
            greeting.map_err(|cause| StartError::Failed { cause, last_words: last_words(&said) })?;
        browser.own_network = own_network;
        version["product"].as_str().unwrap_or("a browser without a name").clone_into(&mut browser.product);
        // Nothing that a page gives to download is written anywhere.
        inbox
            .ask("Browser.setDownloadBehavior", &json!({ "behavior": "deny" }), until)
            .map_err(|cause| StartError::Failed { cause, last_words: last_words(&said) })?;
        drop(inbox);
        Ok(browser)
    }

    /// The line to it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Counts a document that it is given; how many it had before.
    pub fn count_document(&self) -> u64 {
        self.documents.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.connection.end();
        if let Some(keeper) = self.keeper.take() {
            // A panic there has been reported by its thread.
            let _ = keeper.join();
        }
    }
}

/// Starts the process in a thread that reads what it says and buries it. The kernel kills the browser
/// when that thread ends, however it ends (`PR_SET_PDEATHSIG`), so a killed function leaves none.
fn keep(connection: Arc<Connection>, mut command: Command) -> io::Result<JoinHandle<()>> {
    let (tell, told) = sync_channel(1);
    let keeper = thread::Builder::new().name("browser".into()).spawn(move || {
        let spawned = command.spawn();
        // It holds the browser's end of the socket, which must be closed here to see its end.
        drop(command);
        let (outcome, child) = match spawned {
            Ok(child) => (Ok(()), Some(child)),
            Err(error) => (Err(error), None),
        };
        // The starter waits for this.
        let _ = tell.send(outcome);
        if let Some(child) = child {
            connection.read_until_end();
            bury(child);
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(keeper)
}

/// Kills the browser and its children. Its renderers end when it does; the group is for those that hang.
fn bury(mut child: Child) {
    // Both fail only for what is gone already.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
}

fn command(plan: &Plan, folder: &Path, stderr: File, socket: UnixStream) -> io::Result<Command> {
    let mut browser = vec![plan.program.clone().into_os_string()];
    browser.extend(super::flags::flags(folder, plan.sandbox));
    let orders =
        Orders { own_network: plan.own_network, process_bytes: plan.process_bytes, command: browser };
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(orders.arguments())
        // Nothing of the function's settings, which may hold keys, is in a page's reach.
        .env_clear()
        .envs(
            ["PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "LD_LIBRARY_PATH"]
                .iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (OsString::from(name), value))),
        )
        .envs(["HOME", "TMPDIR", "XDG_RUNTIME_DIR"].map(|name| (name, folder)))
        .envs([("LANG", "C.UTF-8"), ("TZ", "UTC"), ("DBUS_SESSION_BUS_ADDRESS", "disabled:")])
        .current_dir(folder)
        .stdin(OwnedFd::from(socket.try_clone()?))
        .stdout(OwnedFd::from(socket))
        .stderr(stderr)
        .process_group(0);
    Ok(command)
}

fn last_words(said: &Path) -> String {
    let text = fs::read(said).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.get(lines.len().saturating_sub(LAST_LINES)..) {
        None | Some([]) => "it said nothing".to_owned(),
        Some(last) => last.join(" / "),
    }
}

/// A browser's own folder: profile, caches, temporary files.
struct Folder(PathBuf);

impl Folder {
    /// Makes one that only this user can enter, in the folder for temporary files.
    fn create() -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let name = format!("{FOLDER_PREFIX}{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next function that starts.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of functions that were killed: those whose process is no more.
pub fn remove_leftovers() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split('-').next());
        let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
        if owner.is_some_and(|owner| {
            owner != std::process::id() && !Path::new(&format!("/proc/{owner}")).exists()
        }) {
            // Another function may be just as tidy.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
