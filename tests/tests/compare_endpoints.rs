//! The main job on URLs that are there already: no cluster, no twin, a server of anybody's.

use tests::{NullTarget, harness, text};

const EXPERIMENT: &str = r#"
title = "a server of one's own"
platforms = ["endpoint", "endpoint"]
trials = 1

[function.own]
path = "/any"
payloads = "requests"
content-type = "text/plain"

[[load]]
name = "steady"
question = "How long do requests take?"
primary-metric = "response_p95_ms"
arrivals = { kind = "constant", rate = 200.0 }
warmup = "200ms"
duration = "1500ms"
"#;

#[test]
fn urls_are_compared_without_a_cluster_and_with_ones_own_payloads() {
    let server = NullTarget::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.toml"), EXPERIMENT).unwrap();
    std::fs::create_dir(folder.path().join("requests")).unwrap();
    std::fs::write(folder.path().join("requests/one.txt"), "one").unwrap();
    let args = ["compare", "--experiment", "e.toml", "--endpoint", &server.url(), "--name", "run"];
    let output = harness(folder.path()).args(args).output().unwrap();
    let (stdout, stderr) = text(&output);
    // On a busy machine the generator may be called late; what counts here is that it was measured.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{stderr}");
    assert!(stderr.contains("URLs that are there already"), "{stderr}");
    // One word a cell, as soon as it ends, and what the harness is by itself.
    let words =
        stderr.lines().filter(|line| line.contains("; VALID") || line.contains("; INVALID: ")).count();
    assert_eq!(words, 2, "{stderr}");
    assert!(stderr.contains("the harness by itself, over loopback"), "{stderr}");
    assert!(stdout.contains("endpoint-2"), "{stdout}");
    let report = std::fs::read_to_string(folder.path().join("runs/run/report.md")).unwrap();
    assert!(
        report.contains("function is the user's own") && report.contains("unknown: it was there already")
    );
    assert!(report.contains("The harness by itself"), "its figures are in the method");
    assert!(report.contains("1 different, 3 to 3 bytes"), "the bodies that were sent are in the table");
}

#[test]
fn a_url_that_nobody_serves_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.toml"), EXPERIMENT).unwrap();
    std::fs::create_dir(folder.path().join("requests")).unwrap();
    std::fs::write(folder.path().join("requests/one.txt"), "one").unwrap();
    let args = ["compare", "--experiment", "e.toml", "--endpoint", "http://127.0.0.1:1"];
    let output = harness(folder.path()).args(args).output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("127.0.0.1:1") && stderr.contains("start it"), "{stderr}");
    assert!(stderr.contains("nothing was measured"), "{stderr}");
}
