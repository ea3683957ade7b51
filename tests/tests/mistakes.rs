//! A user's mistakes: one clear line that names the remedy, and the right exit code.

use tests::{binary, comparison, harness, text};

fn refused(args: &[&str], code: i32, remedy: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = harness(folder.path()).args(args).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stderr.contains(remedy), "{args:?} does not name '{remedy}': {stderr}");
    assert!(stdout.is_empty(), "{args:?} prints {stdout}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn without_a_cluster_compare_names_the_twin_and_does_not_fall_back() {
    refused(&["compare", "--platforms", "knative,openfaas"], 2, "--on twin");
}

#[test]
fn an_unknown_platform_is_refused_with_those_that_there_are() {
    refused(&["compare", "--platforms", "knative,lambda", "--on", "twin"], 2, "openfaas");
}

#[test]
fn a_comparison_of_one_is_refused() {
    refused(&["compare", "--platforms", "knative", "--on", "twin"], 2, "harness run");
}

#[test]
fn a_missing_experiment_file_is_named() {
    refused(&["compare", "--experiment", "absent.toml", "--on", "twin"], 2, "absent.toml");
}

#[test]
fn a_model_that_is_nowhere_to_be_found_is_refused_with_the_remedy() {
    let function = binary("function").display().to_string();
    let args = ["compare", "--platforms", "knative,openfaas", "--on", "twin", "--offline"];
    let more = ["--model", "mobilenetv2-12", "--function-binary", &function];
    refused(&[&args[..], &more[..]].concat(), 1, "MODELS_DIR");
}

#[test]
fn an_unknown_model_is_refused_with_those_that_there_are() {
    refused(
        &["compare", "--platforms", "knative,openfaas", "--on", "twin", "--model", "x"],
        2,
        "mobilenetv2-12",
    );
}

#[test]
fn more_replicas_than_the_community_edition_allows_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let output = harness(folder.path()).args(comparison("1s")).args(["--replicas", "9"]).output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--replicas"), "{stderr}");
}

#[test]
fn a_report_of_a_folder_that_is_no_run_is_refused() {
    refused(&["report", "nowhere"], 2, "nowhere");
}

#[test]
fn load_without_a_rate_or_connections_is_refused() {
    refused(&["load", "http://127.0.0.1:1/"], 2, "--rate");
}

#[test]
fn load_at_a_dead_server_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["load", "http://127.0.0.1:1/", "--connections", "1", "--requests", "5"];
    let output = harness(folder.path()).args(args).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stdout.contains("5 connect"), "what was measured is printed: {stdout}");
    assert!(
        stderr.lines().last().unwrap().starts_with("error: ") && stderr.contains("127.0.0.1:1"),
        "{stderr}"
    );
}
