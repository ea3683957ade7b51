//! The main job from the outside: the real binaries, the twin, a run folder, a report.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{comparison, harness, processes_with, text};

fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn start(folder: &Path, duration: &str, extra: &[&str]) -> Child {
    let mut command = harness(folder);
    command.args(comparison(duration)).args(extra);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the harness starts")
}

/// Whether a cell has rows on disk, those of the warm-up and more (a batch every 200 ms takes some
/// 2 KiB); a run that ended before is a failure of the test.
fn records_written(child: &mut Child, folder: &Path) -> bool {
    assert_eq!(child.try_wait().unwrap(), None, "the harness ended before it wrote records");
    let cells = folder.join("runs/run/cells");
    let Ok(cells) = std::fs::read_dir(cells) else { return false };
    cells.flatten().any(|cell| {
        std::fs::metadata(cell.path().join("records.arrows")).is_ok_and(|file| file.len() > 96 << 10)
    })
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
}

fn nothing_is_left_of(folder: &Path) {
    let mark = folder.display().to_string();
    wait_until("every process of the run has ended", Duration::from_secs(20), || {
        processes_with(&mark).is_empty()
    });
}

#[test]
fn a_short_comparison_leaves_a_whole_run_folder_and_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let output = start(folder.path(), "1s", &["--output", "json"]).wait_with_output().unwrap();
    let (stdout, stderr) = text(&output);
    // One trial of one second can bear no verdict: finished, but INVALID.
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).expect("--output json prints JSON alone");
    assert_eq!(summary["twin"], true);
    assert_eq!(summary["subjects"], serde_json::json!(["knative", "openfaas"]));
    let cells = summary["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        assert!(cell["outcomes"]["ok"].as_u64() > Some(0), "{cell:#}");
        assert!(cell["response_ms"]["p50"].as_f64() > Some(0.0), "{cell:#}");
    }
    let run = folder.path().join("runs/run");
    for file in
        ["experiment.toml", "environment.json", "plan.json", "summary.json", "report.md", "report.html"]
    {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    for cell in cells {
        let cell = run.join("cells").join(cell["id"].as_str().unwrap());
        for file in ["cell.json", "records.arrows", "records.parquet", "replicas.jsonl"] {
            assert!(cell.join(file).is_file(), "{} is missing", cell.join(file).display());
        }
    }
    let plots = std::fs::read_dir(run.join("plots")).unwrap().count();
    assert!(plots >= 10, "{plots} plots");
    for page in ["report.md", "report.html"] {
        let page = std::fs::read_to_string(run.join(page)).unwrap();
        assert!(page.contains("say nothing about a real cluster"), "the twin's banner is missing");
        assert!(page.contains("generated"), "the notice on generated weights is missing");
    }
    nothing_is_left_of(folder.path());
}

#[test]
fn a_report_is_rebuilt_from_the_run_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), "1s", &[]).wait_with_output().unwrap();
    let run = folder.path().join("runs/run");
    let before = std::fs::read_to_string(run.join("summary.json")).unwrap();
    for made in ["summary.json", "report.md", "report.html"] {
        std::fs::remove_file(run.join(made)).unwrap();
    }
    std::fs::remove_dir_all(run.join("plots")).unwrap();
    let output = harness(folder.path()).args(["report", "runs/run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output).1);
    assert_eq!(std::fs::read_to_string(run.join("summary.json")).unwrap(), before);
    assert!(run.join("report.html").is_file());
}

#[test]
fn a_killed_run_still_yields_a_report_of_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), "20s", &[]);
    wait_until("records are on disk", Duration::from_mins(1), || records_written(&mut child, folder.path()));
    signal(&child, "-KILL");
    child.wait().unwrap();
    nothing_is_left_of(folder.path());
    let output = harness(folder.path()).args(["report", "runs/run", "--output", "json"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    let cells = summary["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4, "planned cells are listed, measured or not");
    assert!(cells.iter().any(|cell| cell["requests"].as_u64() > Some(0)), "{summary:#}");
    assert!(cells.iter().all(|cell| !cell["validity"]["problems"].as_array().unwrap().is_empty()));
}

#[test]
fn ctrl_c_saves_what_was_measured_and_ends_every_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), "20s", &[]);
    wait_until("records are on disk", Duration::from_mins(1), || records_written(&mut child, folder.path()));
    let at = Instant::now();
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let (_, stderr) = text(&output);
    assert!(at.elapsed() < Duration::from_secs(15), "it went on for {:?}", at.elapsed());
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("interrupted") && stderr.contains("runs/run"), "{stderr}");
    assert!(folder.path().join("runs/run/report.html").is_file());
    nothing_is_left_of(folder.path());
}

#[test]
fn the_same_platform_twice_is_an_a_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let output = harness(folder.path())
        .args(["compare", "--platforms", "openfaas,openfaas", "--on", "twin", "--dry-run"])
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("openfaas-2"), "{stdout}");
}
