//! What the end-to-end tests share: the two binaries, and a short experiment.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

/// The binary of this name, from the same build as this test.
///
/// `cargo test --workspace` builds both binaries beside the tests; when only this package is
/// tested, they are built here.
///
/// # Panics
/// If cargo cannot build it.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own file");
        let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_path_buf();
        if !(folder.join("harness").is_file() && folder.join("function").is_file()) {
            let status = Command::new(env!("CARGO"))
                .args(["build", "--package", "harness", "--package", "function", "--bins"])
                .status()
                .expect("cargo runs");
            assert!(status.success(), "building the binaries failed");
        }
        folder
    });
    folder.join(name)
}

/// A harness command in an empty folder of its own, with models and pictures that our own code
/// makes, so that it needs neither a download nor the user's cache.
pub fn harness(folder: &Path) -> Command {
    let mut command = Command::new(binary("harness"));
    command
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("MODELS_DIR")
        .env_remove("PICTURES_DIR")
        .env_remove("KUBECONFIG")
        .env("HOME", folder);
    command
}

/// A server that answers at once, until it is dropped.
#[derive(Debug)]
pub struct NullTarget {
    child: Child,
    url: String,
}

impl NullTarget {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        let mut child = Command::new(binary("harness"))
            .args(["null-target", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the null target starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let url =
            line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned();
        Self { child, url }
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.url.trim_end_matches('/').to_owned()
    }
}

impl Drop for NullTarget {
    fn drop(&mut self) {
        // It is gone already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Flags of a comparison with one trial of intervals of this length, on generated weights.
pub fn comparison(duration: &str) -> Vec<String> {
    let function = binary("function").display().to_string();
    ["compare", "--platforms", "knative,openfaas", "--on", "twin", "--offline"]
        .into_iter()
        .chain(["--trials", "1", "--duration", duration, "--connections", "2", "--name", "run"])
        .map(String::from)
        .chain(["--function-binary".into(), function])
        .collect()
}

/// Standard output and standard error of a finished command, as text.
pub fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into())
}

/// Processes, other than this one, whose command line holds this text.
pub fn processes_with(text: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid: &u32| pid != std::process::id())
        .filter(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            [command, environment].iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
        })
        .collect()
}
