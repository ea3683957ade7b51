//! Images against a real registry, judged by skopeo, and run by podman.
//!
//! The registry is Debian's `docker-registry` on a port of the kernel's choice. A test whose tools are not
//! installed says so in a line that begins with SKIPPED.

mod base;
mod errors;
mod login;
mod push;
mod run;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use harness::image::{Build, Image, ModelFile, build};

/// How long a registry may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);
/// `htpasswd` line of user `ann` with the password `right` (bcrypt, the cheapest).
const HTPASSWD: &str = "ann:$2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC\n";

/// Whether a program is installed; says so if not.
fn installed(test: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !there {
        println!("SKIPPED {test}: {program} is not installed");
    }
    there
}

/// A registry that ends with the test.
struct Registry {
    process: Child,
    /// `localhost:PORT`.
    host: String,
    _storage: tempfile::TempDir,
}

/// How a registry is set up.
#[derive(Default)]
struct Setup<'a> {
    /// Asks for name and password.
    htpasswd: bool,
    /// Certificate and key.
    tls: Option<(&'a Path, &'a Path)>,
}

impl Registry {
    /// Starts one, if it is installed.
    fn start(test: &str, setup: &Setup) -> Option<Self> {
        installed(test, "docker-registry").then(|| {
            let storage = tempfile::tempdir().unwrap();
            let dir = storage.path();
            fs::write(dir.join("htpasswd"), HTPASSWD).unwrap();
            let auth = if setup.htpasswd {
                format!("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", dir.display())
            } else {
                String::new()
            };
            let encryption = setup.tls.map_or(String::new(), |(certificate, key)| {
                format!(", tls: {{certificate: {}, key: {}}}", certificate.display(), key.display())
            });
            let config = dir.join("config.yml");
            let content = format!(
                "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}/data}}}}\n{auth}\
                 http: {{addr: \"127.0.0.1:0\"{encryption}}}\n",
                dir.display()
            );
            fs::write(&config, content).unwrap();
            let mut process = Command::new("docker-registry")
                .arg("serve")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let port = listening_port(&mut process);
            Self { process, host: format!("localhost:{port}"), _storage: storage }
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port in the registry's log. The log is read to its end, so that the registry never waits for us.
fn listening_port(process: &mut Child) -> u16 {
    let log = BufReader::new(process.stderr.take().unwrap());
    let (found, port) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let _ = found.send(digits.parse().unwrap());
            }
        }
    });
    port.recv_timeout(START_LIMIT).expect("docker-registry does not listen")
}

/// What a run of the harness printed.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// The last line of standard error, with a registry's port replaced.
    fn error(&self, registry: &str) -> String {
        let line = self.err.lines().last().unwrap_or_default();
        format!("{} {}", self.code, line.replace(registry, "REGISTRY"))
    }
}

/// The harness with these arguments, no stored credentials, and this on standard input.
fn harness_with(arguments: &[&str], env: &[(&str, &Path)], input: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    for name in
        ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "SOURCE_DATE_EPOCH", "SSL_CERT_FILE"]
    {
        command.env_remove(name);
    }
    let mut process = command
        .args(arguments)
        .env("HOME", home.path())
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that fails before it reads has closed its end.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn harness(arguments: &[&str]) -> Ran {
    harness_with(arguments, &[], "")
}

/// A program's standard output, if it succeeds.
fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A static program and a small model.
fn parts(dir: &Path, program: &[u8]) -> Build {
    let binary = dir.join("program");
    fs::write(&binary, program).unwrap();
    let model = dir.join("m.onnx");
    fs::write(&model, vec![5; 300_000]).unwrap();
    Build {
        binary,
        model: Some(ModelFile {
            name: "m".into(),
            path: model,
            files: Vec::new(),
            sha256: "of the model".into(),
            licence: "Apache-2.0".into(),
        }),
        workload: "classify".into(),
        ..Build::default()
    }
}

/// An image of made-up parts that no one runs: headers of a program for this machine.
fn image(dir: &Path) -> Image {
    build(&parts(dir, &empty_program())).unwrap()
}

/// ELF headers of a program without segments, for the architecture of this machine.
fn empty_program() -> Vec<u8> {
    let mut elf = fs::read(env!("CARGO_BIN_EXE_harness")).unwrap();
    elf.truncate(64);
    // No segments, and so no loader that it would need.
    elf[56..58].fill(0);
    elf
}

/// The image as an OCI archive.
fn archive(dir: &Path) -> (Image, PathBuf) {
    let image = image(dir);
    let path = dir.join("image.tar");
    let name = harness::image::reference::Reference::parse("classify:test").unwrap();
    harness::image::output::archive(&image, &name, harness::image::output::Format::Oci, &path).unwrap();
    (image, path)
}
