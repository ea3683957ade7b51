//! The real binary as a process, with the generated model.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod browser;
pub mod http;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use models::{Manifest, Places};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const MODEL: &str = "mobilenetv2-generated";

/// A running function; killed at the end of the test, whatever that end is.
pub struct Function {
    child: Child,
    pub address: SocketAddr,
}

/// The binary, with no setting of this machine.
pub fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_function"));
    for name in [
        "MODEL",
        "MODELS_DIR",
        "WORKLOAD",
        "HOSTNAME",
        "INSTANCE_ID",
        "HOME",
        "XDG_CACHE_HOME",
        "K_SINK",
        "EVENT_SINK",
    ] {
        command.env_remove(name);
    }
    command.envs([("PORT", "0"), ("BIND", "127.0.0.1")]).envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it with the generated model and waits until it listens.
pub fn start(settings: &[(&str, &str)]) -> Function {
    let models_dir = models_dir().display().to_string();
    start_bare(&[&[("MODEL", MODEL), ("MODELS_DIR", models_dir.as_str())], settings].concat())
}

/// Starts it without a model and waits until it listens.
pub fn start_bare(settings: &[(&str, &str)]) -> Function {
    let mut child = command(settings).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split_once(": "))
        .and_then(|(address, _)| address.parse().ok());
    let Some(address) = address else {
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("no address in '{line}'; {errors}");
    };
    Function { child, address }
}

/// Runs it to its end: exit code and what it wrote on stderr.
pub fn refused(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(settings).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

impl Function {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a kernel out of memory does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it wrote on stderr; to be called after its end.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub fn wait(&mut self) -> ExitStatus {
        http::wait_for("the end of the process", || self.child.try_wait().unwrap())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with the generated model, made once.
pub fn models_dir() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let places = Places { cache: Some(cache), ..Places::default() };
        let found = models::find_model(&Manifest::builtin().unwrap(), Some(MODEL), &places, &mut |_| {});
        found.unwrap().path.parent().unwrap().to_owned()
    })
}

pub fn drawn(name: &str) -> Vec<u8> {
    models::draw::draw(name).unwrap().unwrap()
}

/// A file of the contract, which the harness reads as well.
pub fn contract(name: &str) -> serde_json::Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/contract").join(name).with_extension("json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}
