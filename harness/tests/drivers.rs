//! The drivers of others, end to end: this very binary runs goose, wrk runs where it is installed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
};

/// A null target that ends with the test.
struct Target {
    process: Child,
    url: String,
}

impl Target {
    fn start(args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_harness"))
            .arg("null-target")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned() + "/";
        Self { process, url }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn load(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).args(["load", url, "--quiet"]).args(args).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const CLOSED: [&str; 8] = ["--connections", "3", "--duration", "1s", "--timeout", "2s", "--output", "json"];

#[cfg(feature = "goose")]
mod goose {
    use super::*;

    #[test]
    fn it_runs_in_a_process_of_its_own_and_its_requests_become_records() {
        let target = Target::start(&["--behaviour", "constant:5ms"]);
        let folder = tempfile::tempdir().unwrap();
        let save = folder.path().join("kept").display().to_string();
        let args = [&CLOSED[..], &["--driver", "goose", "--save", &save]].concat();
        let said = json(&load(&target.url, &args));
        let requests = said["requests"].as_u64().unwrap();
        // 3 connections x 200 requests/s at best; a busy machine manages fewer.
        assert!((20..=700).contains(&requests), "{said:#}");
        assert_eq!(said["failures"], serde_json::json!({}));
        let its = said["latency_ms"]["p50"].as_f64().unwrap();
        let ours = said["latency_of_records_ms"]["p50"].as_f64().unwrap();
        assert!(its >= 4.9 && ours >= 5.0, "goose cannot be faster than the target: {said:#}");
        // Its buckets are right to 0.8 %; the ends of the run differ by a request or two.
        assert!((its / ours - 1.0).abs() < 0.05, "{said:#}");
        for file in ["records.arrows", "records.parquet", "load.json"] {
            assert!(folder.path().join("kept").join(file).exists(), "{file}");
        }
    }

    #[test]
    fn a_dead_target_is_one_line_and_exit_code_1() {
        let output = load("http://127.0.0.1:1/", &[&CLOSED[..], &["--driver", "goose"]].concat());
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains("goose got no good answer from http://127.0.0.1:1/"), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }

    #[test]
    fn a_body_and_headers_reach_the_target() {
        let target = Target::start(&[]);
        let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        std::fs::write(file.path(), vec![7; 40_000]).unwrap();
        let body = file.path().display().to_string();
        let args = [&CLOSED[..], &["--driver", "goose", "--body", &body, "-H", "X-A: b"]].concat();
        let said = json(&load(&target.url, &args));
        assert!(said["requests"].as_u64().unwrap() > 20, "{said:#}");
        assert_eq!(said["failures"], serde_json::json!({}));
    }
}

#[cfg(not(feature = "goose"))]
#[test]
fn without_goose_the_remedy_is_named() {
    let output = load("http://127.0.0.1:1/", &[&CLOSED[..], &["--driver", "goose"]].concat());
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("--features goose"), "{err}");
}

#[test]
fn without_wrk_the_remedy_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["load", "http://127.0.0.1:1/", "--driver", "wrk"])
        .args(CLOSED)
        .env("PATH", "")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("apt-get install wrk"), "{err}");
}

#[test]
fn wrk_drives_and_is_understood_where_it_is_installed() {
    if Command::new("wrk").arg("-v").output().is_err() {
        eprintln!("SKIPPED wrk_drives_and_is_understood_where_it_is_installed: no wrk");
        return;
    }
    let target = Target::start(&["--behaviour", "constant:5ms"]);
    let said = json(&load(&target.url, &[&CLOSED[..], &["--driver", "wrk"]].concat()));
    assert!((20..=700).contains(&said["requests"].as_u64().unwrap()), "{said:#}");
    let latency = &said["latency_ms"];
    for name in ["mean", "p50", "p90", "p99", "p99_9", "max"] {
        assert!(latency[name].as_f64().unwrap() >= 5.0, "{name} of {said:#}");
    }
    let dead = load("http://127.0.0.1:1/", &[&CLOSED[..], &["--driver", "wrk"]].concat());
    let err = String::from_utf8_lossy(&dead.stderr);
    assert_eq!(dead.status.code(), Some(1), "{err}");
    assert!(err.contains("wrk failed: unable to connect"), "{err}");
}

#[test]
fn a_calibration_prints_every_word_beside_the_truth() {
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["calibrate", "--behaviour", "constant:20ms", "--drivers", "native", "--duration", "2s"])
        .args(["--rate", "100", "--connections", "2", "--output", "json", "--quiet"])
        .output()
        .unwrap();
    // On a busy machine the harness may well be off by more than 1 % (exit code 3): that is a result.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let calibration = &read["calibrations"][0];
    assert_eq!(calibration["true_ms"], serde_json::json!([20.0, 20.0, 20.0, 20.0]));
    let drivers: Vec<&str> =
        calibration["drivers"].as_array().unwrap().iter().map(|d| d["driver"].as_str().unwrap()).collect();
    assert_eq!(drivers, ["native open loop", "native closed loop"]);
    assert!(calibration["drivers"][0]["ms"][0].as_f64().unwrap() >= 20.0);
    assert!(calibration["target_ms"][0].as_f64().unwrap() >= 20.0);
}
