//! Start and end of the real process: bad settings, missing files, SIGTERM.

mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Instant;

use nix::sys::signal::Signal;
use support::http::{connect, get, head, post, read_reply, wait_for};
use support::{contract, drawn, refused, start};

#[test]
fn after_sigterm_health_fails_at_once_while_requests_are_served_and_it_exits_with_0() {
    let mut function = start(&[("DRAIN_SECONDS", "1.5"), ("GRACE_SECONDS", "20")]);
    let address = function.address;
    let picture = drawn("drawn-hills.jpg");
    assert_eq!(get(address, "/health").status, 200);

    // In flight: half of its body is there when the signal comes.
    let mut in_flight = connect(address);
    let length = picture.len().to_string();
    let headers = [("Content-Length", length.as_str())];
    in_flight.write_all(head("POST", "/predict", &headers).as_bytes()).unwrap();
    let (first, second) = picture.split_at(picture.len() / 2);
    in_flight.write_all(first).unwrap();

    let signalled = Instant::now();
    function.signal(Signal::SIGTERM);
    let refusal = wait_for("a failing health check", || {
        let health = get(address, "/health");
        (health.status != 200).then_some(health)
    });
    assert!(signalled.elapsed().as_secs_f64() < 1.0, "health must fail before the drain is over");
    let expected = contract("problem-shutting-down");
    assert_eq!(refusal.status, expected["status"]);
    assert_eq!(refusal.json(), expected["body"]);
    assert_eq!(refusal.header("Content-Type"), Some("application/problem+json"));
    assert!(refusal.header("X-Instance-Id").is_some());
    assert_eq!(get(address, "/_/ready").status, 503);

    let late = post(address, "/predict", &picture);
    assert_eq!((late.status, late.header("Connection")), (200, Some("close")));
    in_flight.write_all(second).unwrap();
    assert_eq!(read_reply(in_flight).status, 200);
    assert_eq!(function.wait().code(), Some(0));
    assert!(signalled.elapsed().as_secs_f64() >= 1.5, "it must not end before the drain is over");
}

#[test]
fn without_a_drain_the_request_in_flight_is_still_finished() {
    let mut function = start(&[("DRAIN_SECONDS", "0")]);
    let picture = drawn("drawn-hills.jpg");
    let mut in_flight = connect(function.address);
    let length = picture.len().to_string();
    let headers = [("Content-Length", length.as_str())];
    in_flight.write_all(head("POST", "/predict", &headers).as_bytes()).unwrap();
    wait_for("the request to be in flight", || {
        let metrics = String::from_utf8(get(function.address, "/metrics").body).unwrap();
        metrics.contains("\nfunction_in_flight 1\n").then_some(())
    });
    function.signal(Signal::SIGTERM);
    wait_for("the port to be closed", || {
        std::net::TcpStream::connect(function.address).is_err().then_some(())
    });
    in_flight.write_all(&picture).unwrap();
    assert_eq!(read_reply(in_flight).status, 200);
    assert_eq!(function.wait().code(), Some(0));
}

#[test]
fn a_bad_setting_ends_with_2_and_one_line_that_names_the_remedy() {
    for (settings, line) in [
        (&[("PORT", "http")][..], "function: PORT=http: expected a whole number from 0 to 65535\n"),
        (
            &[("WORKLOAD", "dance")],
            "function: WORKLOAD=dance: expected one of: classify, caption, pdf, grade-c, grade-python, logger, null\n",
        ),
    ] {
        assert_eq!(refused(settings), (Some(2), line.to_owned()));
    }
    let (code, line) = refused(&[("MODEL", "resnet")]);
    assert_eq!(code, Some(2), "{line}");
    assert!(
        line.starts_with("function: MODEL=resnet: expected one of: ") && line.lines().count() == 1,
        "{line}"
    );
}

#[test]
fn a_missing_model_ends_with_1_and_one_line_that_names_the_remedy() {
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().to_str().unwrap();
    let (code, line) = refused(&[("MODEL", "mobilenetv2-1.0-224"), ("MODELS_DIR", folder)]);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains("MODELS_DIR") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_port_in_use_ends_with_1_and_one_line_that_names_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = support::models_dir().display().to_string();
    let (code, line) = refused(&[("PORT", &port), ("MODEL", support::MODEL), ("MODELS_DIR", &folder)]);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains("set PORT or BIND") && line.lines().count() == 1, "{line}");
}
