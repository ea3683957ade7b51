//! The image in a container, run by podman with a storage of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use harness::image::{Build, ModelFile, build, output, reference::Reference};

use super::{installed, parts};

/// How long the function may take until it answers.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// Says who it is and what it finds; stands in for the function.
const STAND_IN: &str = r#"
fn main() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let id = |name: &str| status.lines().find(|l| l.starts_with(name)).unwrap().split_whitespace().nth(1).unwrap().to_string();
    println!("user {} group {}", id("Uid:"), id("Gid:"));
    for name in ["WORKLOAD", "MODEL", "MODELS_DIR", "HOME"] { println!("{name}={}", std::env::var(name).unwrap()); }
    println!("model {} bytes", std::fs::read("/models/m.onnx").unwrap().len());
    println!("tmp {:?}", std::fs::write("/tmp/x", "x").is_ok());
    println!("root {:?}", std::fs::write("/x", "x").is_ok());
}
"#;

/// podman with a storage of its own, which goes with the test.
struct Podman {
    dir: tempfile::TempDir,
}

impl Podman {
    fn command(&self, arguments: &[&str]) -> Command {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut command = Command::new("podman");
        command
            .args(["--root", &path("root"), "--runroot", &path("run"), "--tmpdir", &path("tmp")])
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"])
            .args(arguments);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn load(&self, archive: &Path) {
        let loaded = self.output(&["load", "-i", archive.to_str().unwrap()]);
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.output(&["rm", "--all", "--force", "--time", "1"]);
        let _ = self.output(&["rmi", "--all", "--force"]);
    }
}

/// What `podman run` takes on machines where limits cannot be raised.
const RUN: [&str; 9] = [
    "run",
    "--rm",
    "--runtime",
    "runc",
    "--network",
    "host",
    "--pull=never",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
];

fn podman(test: &str) -> Option<Podman> {
    (installed(test, "podman") && installed(test, "runc"))
        .then(|| Podman { dir: tempfile::tempdir().unwrap() })
}

fn stand_in(dir: &Path) -> Vec<u8> {
    let source = dir.join("stand_in.rs");
    fs::write(&source, STAND_IN).unwrap();
    let program = dir.join("stand_in");
    let built = Command::new("rustc")
        .args(["--edition=2021", "-Ctarget-feature=+crt-static", "-Copt-level=s", "-o"])
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::read(&program).unwrap()
}

#[test]
fn podman_runs_the_image_as_its_user_with_its_environment_and_model() {
    let test = "podman_runs_the_image_as_its_user_with_its_environment_and_model";
    let Some(podman) = podman(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = build(&parts(dir.path(), &stand_in(dir.path()))).unwrap();
    let name = Reference::parse("localhost/classify:test").unwrap();
    let file = dir.path().join("image.tar");
    for (format, label) in [(output::Format::Oci, "oci"), (output::Format::Docker, "docker")] {
        output::archive(&image, &name, format, &file).unwrap();
        podman.load(&file);
        let ran = podman.output(&[&RUN[..], &["localhost/classify:test"]].concat());
        let problem = String::from_utf8_lossy(&ran.stderr);
        // podman's own failure, not the program's: a machine on which no container runs.
        if ran.status.code() == Some(125) {
            println!("SKIPPED {test}: podman cannot run containers here: {}", problem.trim());
            return;
        }
        assert!(ran.status.success(), "{label}: {problem}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(String::from_utf8_lossy(&ran.stdout), @r"
            user 65532 group 65532
            WORKLOAD=classify
            MODEL=m
            MODELS_DIR=/models
            HOME=/tmp
            model 300000 bytes
            tmp true
            root false
            ");
        }
        if format == output::Format::Oci {
            let digest =
                podman.output(&["image", "inspect", "--format", "{{.Digest}}", "localhost/classify:test"]);
            assert_eq!(String::from_utf8_lossy(&digest.stdout).trim(), image.digest);
        }
    }
}

/// The real function's binary, model and picture, if the environment names them.
fn real(test: &str) -> Option<(Build, PathBuf)> {
    let path = |name: &str| env::var_os(name).map(PathBuf::from);
    let found = (path("FUNCTION_BINARY"), path("MODELS_DIR"), path("PICTURES_DIR"));
    let (Some(binary), Some(models), Some(pictures)) = found else {
        println!("SKIPPED {test}: needs FUNCTION_BINARY (static), MODELS_DIR and PICTURES_DIR");
        return None;
    };
    let name = "mobilenetv2-1.0-224";
    let model = ModelFile {
        name: name.into(),
        path: models.join(format!("{name}.onnx")),
        files: Vec::new(),
        sha256: "of the model".into(),
        licence: "Apache-2.0".into(),
    };
    let build = Build { binary, model: Some(model), workload: "classify".into(), ..Build::default() };
    Some((build, pictures.join("cat.jpg")))
}

#[tokio::test]
async fn the_real_function_knows_the_cat_and_its_image_is_small() {
    let test = "the_real_function_knows_the_cat_and_its_image_is_small";
    let Some((parts, cat)) = real(test) else { return };
    let image = build(&parts).unwrap();
    assert!(image.compressed_bytes() < 25_000_000, "{} bytes", image.compressed_bytes());
    let Some(podman) = podman(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image.tar");
    let name = Reference::parse("localhost/classify:real").unwrap();
    output::archive(&image, &name, output::Format::Oci, &file).unwrap();
    podman.load(&file);
    // A port that was free a moment ago; the container shares our network.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let env = format!("--env=PORT={port}");
    let mut container = podman
        .command(&[&RUN[..], &["--env=BIND=127.0.0.1", &env, "localhost/classify:real"]].concat())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let client = reqwest_client();
    let url = format!("http://127.0.0.1:{port}/predict?top=1");
    let picture = fs::read(cat).unwrap();
    let started = Instant::now();
    let answer = loop {
        match client.post(&url).body(picture.clone()).send().await {
            Ok(answer) => break answer.text().await.unwrap(),
            Err(error) => {
                if let Some(status) = container.try_wait().unwrap() {
                    println!("SKIPPED {test}: podman cannot run containers here ({status})");
                    assert_eq!(status.code(), Some(125), "the function ended by itself");
                    return;
                }
                assert!(started.elapsed() < READY_LIMIT, "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    // Ends the container: its process is podman's child.
    let _ = podman.output(&["rm", "--all", "--force", "--time", "5"]);
    let _ = container.wait();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["predictions"][0]["class_id"], "n02124075", "{answer}");
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
