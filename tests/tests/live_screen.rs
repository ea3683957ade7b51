//! The live screen in a pseudo-terminal: it comes, shows what goes on, and gives the terminal back.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::{NullTarget, binary};

/// To the alternate screen, and back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

/// Runs `harness load` with these flags in a pseudo-terminal (util-linux's `script` makes it).
fn in_a_terminal(folder: &Path, url: &str, flags: &str) -> Child {
    let harness = binary("harness");
    // Without a terminal of its own, `script` makes one of no size.
    let command =
        format!("stty rows 24 columns 80; exec '{}' load {url} --rate 100 {flags}", harness.display());
    Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(folder)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script (util-linux) is installed")
}

fn shown(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into())
}

#[test]
fn it_shows_the_load_and_gives_the_terminal_back_before_the_result() {
    let (target, folder) = (NullTarget::start(), tempfile::tempdir().unwrap());
    let (code, text) = shown(in_a_terminal(folder.path(), &target.url(), "--duration 2s --allow-invalid"));
    assert_eq!(code, Some(0), "{text}");
    let (_, screen) = text.split_once(TAKEN).expect("the screen is taken");
    let (screen, after) = screen.split_once(GIVEN_BACK).expect("and given back");
    for word in ["offered", "answered", "failures", "p99", "Ctrl-C stops"] {
        assert!(screen.contains(word), "{word} is missing: {screen}");
    }
    assert!(after.contains("requests  200"), "{after}");
}

#[test]
fn without_it_the_terminal_is_left_as_it_is() {
    let (target, folder) = (NullTarget::start(), tempfile::tempdir().unwrap());
    let flags = "--duration 1s --allow-invalid --no-live";
    let (code, text) = shown(in_a_terminal(folder.path(), &target.url(), flags));
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains(TAKEN), "{text}");
}

#[test]
fn ctrl_c_stops_the_load_and_the_terminal_comes_back() {
    let (target, folder) = (NullTarget::start(), tempfile::tempdir().unwrap());
    let mut child = in_a_terminal(folder.path(), &target.url(), "--duration 60s");
    let mut seen = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    // As soon as the screen shows how to stop, it listens.
    while !String::from_utf8_lossy(&seen).contains("Ctrl-C") {
        let mut some = [0; 1024];
        let read = stdout.read(&mut some).unwrap();
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend(&some[..read]);
    }
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let (code, text) = shown(child);
    assert_eq!(code, Some(1), "interrupted: {text}");
    let (_, after) = text.split_once(GIVEN_BACK).expect("the screen is given back");
    assert!(after.contains("The measurement was interrupted"), "{after}");
}
