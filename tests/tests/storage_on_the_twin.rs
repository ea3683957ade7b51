//! A comparison whose inputs come by reference, from the outside; and one whose storage dies half-way.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{comparison, harness, processes_with, text};

/// Long enough for a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is there, or the run has ended without it.
fn wait_for<T>(child: &mut Child, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && start.elapsed() < PATIENCE, "waited in vain for {what}: {ended:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The credentials of the run's storage, from the files that only this user can read.
fn credentials(temporary: &Path) -> Option<[String; 2]> {
    let folder = std::fs::read_dir(temporary)
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("testbed-s3-"))?;
    let read =
        |name: &str| std::fs::read_to_string(folder.path().join(name)).ok().filter(|text| !text.is_empty());
    Some([read("access-key-id")?, read("secret-access-key")?])
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { files_below(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

fn start(folder: &Path, temporary: &Path, duration: &str) -> Child {
    harness(folder)
        .args(comparison(duration))
        .args([
            "--workload",
            "null",
            "--inputs",
            "storage",
            "--results",
            "storage",
            "--no-live",
            "--output",
            "json",
        ])
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_by_reference_tells_its_transfers_apart_and_keeps_no_credentials() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = start(folder.path(), temporary.path(), "1s");
    let secrets = wait_for(&mut child, "the storage's credentials", || credentials(temporary.path()));
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{stderr}");
    assert!(
        stderr.contains("note: Inputs come by reference from an object storage that the twin embeds"),
        "{stderr}"
    );

    let summary: Value = serde_json::from_str(&stdout).unwrap();
    for cell in summary["cells"].as_array().unwrap() {
        assert!(cell["outcomes"]["ok"].as_u64() > Some(0), "{cell:#}");
        let inside = &cell["inside_ms"];
        for stage in ["download", "upload", "work", "total"] {
            assert!(inside[stage].as_f64() > Some(0.0), "{stage}: {inside}");
        }
        // A reference was sent, and not the body of 1 KiB.
        let sent = cell["upload_bytes_per_s"].as_f64().unwrap() / cell["achieved_rps"].as_f64().unwrap();
        assert!((200.0..900.0).contains(&sent), "{sent} bytes a request");
    }
    let run = folder.path().join("runs/run");
    let page = std::fs::read_to_string(run.join("report.md")).unwrap();
    // Tables count VALID cells alone, and a busy machine may have left none.
    let cells = summary["cells"].as_array().unwrap();
    let valid = cells.iter().any(|cell| cell["validity"]["problems"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(page.contains("Where the time goes inside the function"), valid, "{page}");
    assert_eq!(page.contains("Download (ms)"), valid, "{page}");
    assert!(page.contains("by reference from an object storage; results written back to it"), "{page}");
    let environment: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("environment.json")).unwrap()).unwrap();
    assert_eq!(environment["function"]["storage"]["bytes_in"]["1024 bytes"], 1024);

    let mut files = Vec::new();
    files_below(&run, &mut files);
    assert!(files.len() > 10);
    for secret in &secrets {
        assert!(secret.len() >= 20);
        for file in &files {
            let content = std::fs::read(file).unwrap();
            let holds = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds, "{} holds a credential", file.display());
        }
        assert!(!stdout.contains(secret) && !stderr.contains(secret));
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the credentials' files are gone");
    assert_eq!(processes_with(&folder.path().display().to_string()), Vec::<u32>::new());
}

#[test]
fn a_storage_that_dies_half_way_is_counted_as_the_functions_failures() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = start(folder.path(), temporary.path(), "3s");
    // Cells are measured: from now on their requests fail, and the run goes on.
    let records = folder.path().join("runs/run/cells");
    wait_for(&mut child, "the first cell", || std::fs::read_dir(&records).ok()?.next()?.ok());
    let path = folder.path().display().to_string();
    let storage = processes_with(&path).into_iter().find(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("serve-s3")
    });
    let storage = storage.expect("the storage runs as a process of its own").to_string();
    assert!(std::process::Command::new("kill").args(["-9", &storage]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = text(&output);
    let summary: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    let failed: u64 =
        summary["cells"].as_array().unwrap().iter().filter_map(|c| c["outcomes"]["function"].as_u64()).sum();
    assert!(failed > 0, "{stdout}");
    assert_eq!(processes_with(&path), Vec::<u32>::new());
}
