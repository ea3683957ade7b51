//! A run that was stopped goes on: what is there stays, what was cut off is measured again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{binary, comparison, harness, processes_with, text};

fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_default()).unwrap_or_default()
}

/// Cells by their state, as far as the folder tells.
fn cells(run: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(run.join("cells")) else { return BTreeMap::new() };
    entries
        .flatten()
        .map(|entry| {
            let state = json(&entry.path().join("cell.json"))["state"]["state"].as_str().map(String::from);
            (entry.file_name().to_string_lossy().into_owned(), state.unwrap_or_default())
        })
        .collect()
}

fn resume(folder: &Path, extra: &[&str]) -> Output {
    let function = binary("function").display().to_string();
    let args = ["compare", "--resume", "runs/run", "--offline", "--function-binary"];
    let mut command = harness(folder);
    command.args(args);
    if !extra.contains(&"--function-binary") {
        command.arg(&function);
    }
    command.args(extra.iter().filter(|word| **word != "--function-binary")).output().unwrap()
}

/// The first deployment's second cell is being played.
fn is_half_way(run: &Path) -> Option<(String, String)> {
    let cells = cells(run);
    let done = cells.iter().find(|(_, state)| *state == "done")?.0.clone();
    let running = cells.iter().find(|(_, state)| *state == "running")?.0.clone();
    let rows = std::fs::metadata(run.join("cells").join(&running).join("records.arrows")).ok()?.len();
    (rows > 8 << 10).then_some((done, running))
}

fn records(run: &Path, cell: &str) -> Vec<u8> {
    std::fs::read(run.join("cells").join(cell).join("records.arrows")).unwrap()
}

#[test]
fn a_run_that_was_killed_half_way_goes_on_and_keeps_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let run: PathBuf = folder.join("runs/run");
    let mut child = harness(folder)
        .args(comparison("3s"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the harness starts");
    let mut half_way = None;
    wait_until("one cell is whole and one is torn", Duration::from_mins(2), || {
        assert_eq!(child.try_wait().unwrap(), None, "the harness ended too early");
        half_way = is_half_way(&run);
        half_way.is_some()
    });
    // While it goes on, nobody else may.
    let busy = resume(folder, &[]);
    assert!(text(&busy).1.contains("by another process"), "{}", text(&busy).1);
    assert!(Command::new("kill").args(["-KILL", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
    let (whole, torn) = half_way.unwrap();
    let kept = records(&run, &whole);
    let mark = folder.display().to_string();
    wait_until("its processes have ended", Duration::from_secs(20), || processes_with(&mark).is_empty());

    // Another function must not be mixed into the same figures.
    let other = folder.join("other-function");
    let mut bytes = std::fs::read(binary("function")).unwrap();
    bytes.push(0);
    std::fs::write(&other, bytes).unwrap();
    let refused = resume(folder, &["--function-binary", &other.display().to_string()]);
    let (_, stderr) = text(&refused);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.contains("the function's binary is another one") && last.contains("--function-binary"),
        "{last}"
    );
    assert!(run.join("cells").join(&torn).is_dir(), "a refusal changes nothing");

    let planned = resume(folder, &["--dry-run", "--output", "json"]);
    let plan: Value = serde_json::from_str(&text(&planned).0).unwrap();
    assert_eq!(plan["budget"]["cells"], 3, "{plan:#}");

    let output = resume(folder, &["--output", "json"]);
    let (stdout, stderr) = text(&output);
    // One trial of some seconds can bear no verdict: finished, but INVALID.
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    let cells = summary["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        assert!(cell["outcomes"]["ok"].as_u64() > Some(0), "{cell:#}");
        assert!(!cell["validity"].to_string().contains("killed"), "{cell:#}");
    }
    assert_eq!(records(&run, &whole), kept, "a whole cell is not measured again");
    assert!(run.join("cells").join(format!("{torn}.torn-1")).is_dir(), "the torn cell is kept aside");
    let environment = json(&run.join("environment.json"));
    assert_eq!(environment["resumed"][0]["cells"], 3, "{environment:#}");
    let page = std::fs::read_to_string(run.join("report.md")).unwrap();
    assert!(page.contains("The run was stopped and resumed at"), "the report tells of it");
    assert!(page.contains("lie on two deployments each"), "{page}");

    let again = resume(folder, &[]);
    assert!(text(&again).1.contains("nothing is missing"), "{}", text(&again).1);
    wait_until("its processes have ended", Duration::from_secs(20), || processes_with(&mark).is_empty());
}

#[test]
fn resume_takes_no_flags_of_an_experiment_and_no_folder_that_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let refused = resume(dir.path(), &["--trials", "3"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).1.contains("leave out --trials"), "{}", text(&refused).1);
    let nowhere = resume(dir.path(), &[]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere).1.contains("is not a run folder"), "{}", text(&nowhere).1);
    std::fs::create_dir_all(dir.path().join("runs/run")).unwrap();
    let empty = resume(dir.path(), &[]);
    assert!(text(&empty).1.contains("start the run anew"), "{}", text(&empty).1);
}
