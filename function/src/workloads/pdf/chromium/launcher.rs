//! The step between the function and the browser: this same program, started anew with one thread,
//! takes away what the browser shall not have and then becomes the browser.
//!
//! Two things can be done only here without unsafe code: the protocol's socket is put at the numbers
//! 3 and 4, where `--remote-debugging-pipe` expects it, and the process moves into a network
//! namespace of its own, in which there is no network at all.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{close, dup2_stdin, dup2_stdout};
use serde_json::json;

/// The first argument that makes the program a launcher.
pub const ARGUMENT: &str = "--launch-browser";

/// The session in whose name the launcher says what it could do, before the browser speaks.
pub const SESSION: &str = "launcher";

/// Who the browser is where the function is root: it does not sandbox a root's renderers.
const NOBODY: u32 = 65_532;

/// What the launcher is told; on the command line in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// Whether to try for a network namespace.
    pub own_network: bool,
    /// The most data that each process of the browser may have, bytes (RLIMIT_DATA).
    pub process_bytes: u64,
    /// The browser and its arguments.
    pub command: Vec<OsString>,
}

impl Orders {
    /// The arguments that [`entry`] understands.
    pub fn arguments(&self) -> Vec<OsString> {
        let settings =
            [ARGUMENT.into(), u8::from(self.own_network).to_string(), self.process_bytes.to_string()];
        settings.into_iter().map(OsString::from).chain(self.command.iter().cloned()).collect()
    }

    /// Reads what follows [`ARGUMENT`].
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let own_network = arguments.next()? == "1";
        let process_bytes = arguments.next()?.to_str()?.parse().ok()?;
        let command: Vec<_> = arguments.collect();
        (!command.is_empty()).then_some(Self { own_network, process_bytes, command })
    }
}

/// Becomes the browser if the program was started for that; otherwise returns none at once. Must be
/// called while there is one thread.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let outcome = Orders::read(arguments)
        .ok_or_else(|| io::Error::other("incomplete orders"))
        .and_then(|orders| launch(&orders));
    let Err(error) = outcome;
    eprintln!("the browser cannot be started: {error}");
    Some(ExitCode::FAILURE)
}

fn launch(orders: &Orders) -> io::Result<Infallible> {
    for number in [3, 4] {
        // Usually there is nothing to close.
        let _ = close(number);
        if fcntl(io::stdin(), FcntlArg::F_DUPFD(number))? != number {
            return Err(io::Error::other(format!("file descriptor {number} is taken")));
        }
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_DATA, orders.process_bytes, orders.process_bytes)?;
    let own_network = orders.own_network && leave_network().is_ok();
    let report = json!({
        "sessionId": SESSION, "method": "Launcher.ready", "params": { "own_network": own_network },
    });
    let mut stdout = io::stdout();
    stdout.write_all(format!("{report}\0").as_bytes())?;
    stdout.flush()?;
    // From here on both belong to the browser, whose words on stdout are of no use.
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    // Last: moving into a namespace may clear it. The thread that started this lives as long as the
    // browser shall.
    set_pdeathsig(Signal::SIGKILL)?;
    let (program, arguments) =
        orders.command.split_first().ok_or_else(|| io::Error::other("no browser named"))?;
    Err(Command::new(program).args(arguments).exec())
}

/// Moves into a user namespace, which is what an unprivileged process needs for it, and into an empty
/// network namespace: not even the loopback interface is up.
fn leave_network() -> io::Result<()> {
    // Its files belong to whom the process acts for.
    let owner = fs::metadata("/proc/self")?;
    let (user, group) = (owner.uid(), owner.gid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    // user_namespaces(7): who may map only himself must give up setgroups first.
    fs::write("/proc/self/setgroups", "deny")?;
    let inside = |id: u32| if id == 0 { NOBODY } else { id };
    fs::write("/proc/self/uid_map", format!("{} {user} 1", inside(user)))?;
    fs::write("/proc/self/gid_map", format!("{} {group} 1", inside(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_command_line() {
        let orders = Orders {
            own_network: true,
            process_bytes: 1 << 30,
            command: vec!["/usr/bin/browser".into(), "--flag=a b".into()],
        };
        let arguments = orders.arguments();
        assert_eq!(arguments[0], ARGUMENT);
        assert_eq!(Orders::read(arguments.into_iter().skip(1)), Some(orders));
        assert_eq!(Orders::read(["1", "5"].map(OsString::from).into_iter()), None);
        assert_eq!(Orders::read(["1", "much", "x"].map(OsString::from).into_iter()), None);
    }
}
