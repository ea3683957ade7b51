//! `harness load` with workers that are processes: the whole way, but for a cluster.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use harness::{
    drive::null_target::{self, NullOptions, NullTarget},
    record::Record,
    store::batch,
};
use serde_json::Value;

fn target() -> NullTarget {
    null_target::spawn(&NullOptions::default()).unwrap()
}

fn load(target: &NullTarget, save: &Path, flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command
        .args(["load", &target.url(), "--output", "json", "--quiet", "--save"])
        .arg(save)
        .args(flags.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The result, and the records in the order of their ids. A busy machine may be late (exit code 3).
fn result(ran: &Output, save: &Path) -> (Value, Vec<Record>) {
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{:?}: {err}", ran.status);
    let mut records = records_in(save).unwrap();
    records.sort_by_key(|record| record.call_id);
    (serde_json::from_slice(&ran.stdout).unwrap(), records)
}

#[test]
fn one_two_and_three_processes_measure_what_one_thread_does() {
    let target = target();
    let flags = "--rate 400 --arrivals poisson --duration 700ms --seed 3";
    let plan = |count: u32| {
        let folder = tempfile::tempdir().unwrap();
        let workers = if count == 0 { String::new() } else { format!("--workers {count}") };
        let ran = load(&target, folder.path(), &format!("{flags} {workers}")).output().unwrap();
        let (result, records) = result(&ran, folder.path());
        let reports = result["generator"]["workers"].as_array().map_or(0, Vec::len);
        assert_eq!(reports, count as usize, "{result:#}");
        assert_eq!(result["requests"].as_u64(), Some(records.len() as u64));
        assert!(folder.path().join("records.parquet").is_file());
        records.iter().map(|r| (r.call_id, r.scheduled_ns, r.bytes_sent)).collect::<Vec<_>>()
    };
    let alone = plan(0);
    assert!(alone.len() > 200);
    for count in 1..=3 {
        assert_eq!(plan(count), alone, "{count} workers");
    }
}

#[test]
fn a_clock_that_is_three_seconds_ahead_is_corrected_and_reported() {
    let target = target();
    let folder = tempfile::tempdir().unwrap();
    let mut command = load(&target, folder.path(), "--rate 100 --duration 500ms --workers 2");
    let ran = command.env("HARNESS_WORKER_CLOCK_AHEAD_MS", "3000").output().unwrap();
    let (result, records) = result(&ran, folder.path());
    assert_eq!(records.len(), 50);
    for worker in result["generator"]["workers"].as_array().unwrap() {
        let offset_ms = worker["clock_offset_ms"].as_f64().unwrap();
        assert!((offset_ms - 3000.0).abs() < 500.0, "{worker}");
        assert_eq!(worker["records"], 25);
    }
    assert!(records.iter().filter(|r| r.lateness_ns() < 1_000_000_000).count() > 40, "sent in time");
}

#[test]
fn a_worker_that_is_killed_half_way_makes_it_invalid_and_the_rest_is_kept() {
    let target = target();
    let folder = tempfile::tempdir().unwrap();
    let mut running = load(&target, folder.path(), "--rate 150 --duration 4s --workers 3").spawn().unwrap();
    // Once records have come, all three play.
    wait_for(&mut running, || records_in(folder.path()).is_some_and(|records| records.len() > 100));
    let workers = children(running.id());
    assert_eq!(workers.len(), 3, "{workers:?}");
    let victim = i32::try_from(workers[1]).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), nix::sys::signal::Signal::SIGKILL).unwrap();
    let ran = running.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{}", String::from_utf8_lossy(&ran.stderr));
    let (result, records) = result(&ran, folder.path());
    assert_eq!(result["validity"]["word"], "INVALID");
    let problems = result["validity"]["problems"].as_array().unwrap();
    let reasons: Vec<&str> = problems.iter().filter_map(|problem| problem["reason"].as_str()).collect();
    let lost: Vec<&&str> = reasons.iter().filter(|reason| reason.contains("was lost")).collect();
    let [reason] = lost[..] else { panic!("{reasons:?}") };
    assert!(reason.contains("signal: 9") && reason.contains("of its 200 calls have no record"), "{reason}");
    let mut of_each = [0; 3];
    for record in &records {
        of_each[(record.call_id % 3) as usize] += 1;
    }
    of_each.sort_unstable();
    assert!(of_each[0] < 200 && of_each[1..] == [200, 200], "{of_each:?}");
}

#[test]
fn a_worker_that_people_start_themselves_says_how_it_is_meant() {
    let worker = |flags: &str| {
        let ran = Command::new(env!("CARGO_BIN_EXE_harness"))
            .arg("worker")
            .args(flags.split_whitespace())
            .stdin(Stdio::null())
            .env_remove("HARNESS_WORKER_TOKEN")
            .output()
            .unwrap();
        assert!(matches!(ran.status.code(), Some(1 | 2)), "{ran:?}");
        String::from_utf8(ran.stderr).unwrap()
    };
    assert!(worker("").contains("--load-from local --workers N"));
    assert!(worker("--listen 127.0.0.1:0").contains("HARNESS_WORKER_TOKEN"));
}

/// Records of a file that may still be written; none while its last batch is torn.
fn records_in(save: &Path) -> Option<Vec<Record>> {
    // An Arrow stream ends with eight bytes; this one has no end until it is converted.
    let bytes = fs::read(save.join("records.arrows")).ok()?;
    batch::from_bytes(&[&bytes[..], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat()).ok()
}

fn wait_for(running: &mut Child, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(running.try_wait().unwrap().is_none(), "it ended early");
        assert!(Instant::now() < deadline, "nothing was recorded in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose parent this is, and which are workers.
fn children(parent: u32) -> Vec<u32> {
    let mut found: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let stat = String::from_utf8_lossy(&read("stat")).into_owned();
            let of_parent =
                stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
            of_parent == Some(parent) && read("cmdline").split(|&b| b == 0).any(|word| word == b"worker")
        })
        .collect();
    found.sort_unstable();
    found
}
