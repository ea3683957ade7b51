//! Plans with variants, reuse and an early stop, from the outside.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tests::{binary, harness, text};

/// A server, and where it listens. Its answers take so long that a generator which a busy machine
/// makes some milliseconds late is still VALID.
struct Server(Child, String);

impl Server {
    fn start() -> Self {
        let mut child = Command::new(binary("harness"))
            .args(["null-target", "--port", "0", "--delay-us", "200000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self(child, url.trim_end_matches('/').to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same server twice; no rate to be settled, so no pilot.
const EXPERIMENT: &str = r#"
title = "a server against itself"
platforms = ["endpoint", "endpoint"]
trials = 8

[function.own]
path = "/any"

[stop-early]
half-width = 0.9
first-look = 2

[[load]]
name = "steady"
question = "How many?"
primary-metric = "goodput_rps"
arrivals = { kind = "closed", connections = 16 }
warmup = "100ms"
duration = "2300ms"
"#;

#[test]
fn a_run_ends_early_by_its_rule_and_what_it_did_not_measure_is_not_missing() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.toml"), EXPERIMENT).unwrap();
    let args =
        ["compare", "--experiment", "e.toml", "--endpoint", &server.1, "--name", "run", "--output", "json"];
    let output = harness(folder.path()).args(args).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{stderr}");
    assert!(!stderr.contains("pilot:"), "no rate, no pilot: {stderr}");
    assert!(stderr.contains("no more trials after"), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    let cells = summary["cells"].as_array().unwrap();
    assert!((4..16).contains(&cells.len()), "{} cells", cells.len());
    assert!(cells.iter().all(|cell| cell["requests"].as_u64() > Some(0)), "{summary:#}");
    let page = std::fs::read_to_string(folder.path().join("runs/run/report.md")).unwrap();
    assert!(page.contains("of at most 8, by the rule that was set before it"), "{page}");
    assert!(!page.contains("MISSING") && !page.contains("incomplete"), "{page}");
    // There is nothing to go on with.
    let again = harness(folder.path()).args(["compare", "--resume", "runs/run"]).output().unwrap();
    assert!(text(&again).1.contains("nothing is missing"), "{}", text(&again).1);
}

#[test]
fn a_dry_run_prints_order_and_cost_of_a_matrix_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |extra: &[&str]| {
        let args = ["compare", "--platforms", "knative,openfaas", "--on", "twin", "--dry-run"];
        let output = harness(folder.path()).args(args).args(extra).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stdout
    };
    let varied = ["--vary", "replicas=1,2", "--vary", "container-concurrency=1,10"];
    let page = plan(&varied);
    assert!(page.contains("80 cells, 40 deployments, 8 pilots"), "{page}");
    assert!(page.contains("... and 28 more (--output json prints all)"), "{page}");
    let json: Value = serde_json::from_str(&plan(&[&varied[..], &["--output", "json"]].concat())).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), 80);
    let subjects: std::collections::BTreeSet<&str> =
        json["cells"].as_array().unwrap().iter().filter_map(|cell| cell["subject"].as_str()).collect();
    assert!(subjects.contains("openfaas-replicas-2-concurrency-10"), "{subjects:?}");
    let reused = plan(&["--reuse-deployments"]);
    assert!(reused.contains("20 cells, 2 deployments") && reused.contains("trials 1 to 5"), "{reused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a dry run has no side effects");
}

#[test]
fn what_a_platform_cannot_do_in_one_variant_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["compare", "--platforms", "knative,openfaas", "--on", "twin", "--dry-run", "--vary", "replicas=1,9"];
    let output = harness(folder.path()).args(args).output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("variant replicas-9: openfaas cannot do this: 9 replicas"), "{stderr}");
}
