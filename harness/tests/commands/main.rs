//! The commands for a cluster as a user calls them: the real binary against a small API server on
//! the loopback, whose answers' shapes come from a real one.

mod api_server;
mod cleaning;
mod exporting;
mod refusals;
mod setting_up;
mod showing;

use std::process::{Command, Output};

use api_server::ApiServer;
use tempfile::TempDir;

/// What a command printed, and how it ended.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// The harness with an environment of its own: no kubeconfig but the given one, no home.
fn harness(home: &TempDir, kubeconfig: Option<&str>, arguments: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin");
    if let Some(path) = kubeconfig {
        command.env("KUBECONFIG", path);
    }
    let Output { status, stdout, stderr } = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// The harness with the server as the cluster of the current context.
fn on(server: &ApiServer, arguments: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig(&server.url())).unwrap();
    harness(&home, path.to_str(), arguments)
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: fake
clusters: [{{ name: fake, cluster: {{ server: '{url}' }} }}]
users: [{{ name: fake, user: {{ token: not-a-secret }} }}]
contexts: [{{ name: fake, context: {{ cluster: fake, user: fake }} }}]
"
    )
}
