//! A generator that is starved on purpose says so: INVALID, with the right reason.

use std::{
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use tests::{NullTarget, harness, text};

/// Stops a process for 100 ms, again and again, until it ends.
fn stop_for_moments(mut child: Child) -> Output {
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status();
        sent.expect("kill is there").success()
    };
    // Until its handlers and connections are up; a stop before that would do no harm either.
    sleep(Duration::from_millis(500));
    // A child that ended is a zombie until it is waited for: signals reach it, and do nothing.
    for _ in 0..8 {
        signal("-STOP");
        sleep(Duration::from_millis(100));
        signal("-CONT");
        sleep(Duration::from_millis(200));
    }
    child.try_wait().expect("its state can be asked for");
    child.wait_with_output().expect("it ends")
}

/// Drives load at a null target, is stopped for moments, and says what it makes of it.
fn load_while_stopped(how: &[&str]) -> (Option<i32>, serde_json::Value) {
    let (target, folder) = (NullTarget::start(), tempfile::tempdir().unwrap());
    let child = harness(folder.path())
        .args(["load", &target.url(), "--duration", "3s", "--output", "json", "--quiet"])
        .args(how)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = stop_for_moments(child);
    let (stdout, stderr) = text(&output);
    let result = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"));
    (output.status.code(), result)
}

fn reasons(result: &serde_json::Value) -> Vec<&str> {
    assert_eq!(result["validity"]["word"], "INVALID", "{result}");
    let problems = result["validity"]["problems"].as_array().unwrap();
    problems.iter().map(|problem| problem["reason"].as_str().unwrap()).collect()
}

#[test]
fn an_open_loop_that_was_stopped_for_moments_sent_late() {
    let (code, result) = load_while_stopped(&["--rate", "200"]);
    assert_eq!(code, Some(3), "{result}");
    assert!(reasons(&result).iter().any(|reason| reason.contains("sent late")), "{result}");
}

#[test]
fn a_closed_loop_that_was_stopped_for_moments_stood_still_and_may_be_allowed_to() {
    let (code, result) = load_while_stopped(&["--connections", "1", "--allow-invalid"]);
    assert_eq!(code, Some(0), "--allow-invalid forgives in the exit code alone");
    assert!(reasons(&result).iter().any(|reason| reason.contains("stood still")), "{result}");
}
