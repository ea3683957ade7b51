//! Two real processes: one that answers and tells, one that listens.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use support::http::{get, post, send, wait_for};
use support::{Function, refused, start};

fn logger() -> Function {
    start(&[("WORKLOAD", "logger")])
}

fn null(sink: SocketAddr, settings: &[(&str, &str)]) -> Function {
    let sink = format!("http://{sink}/");
    start(&[&[("WORKLOAD", "null"), ("EVENT_SINK", sink.as_str())], settings].concat())
}

fn listed(logger: &Function) -> Value {
    get(logger.address, "/events?last=50").json()
}

fn metric(address: SocketAddr, name: &str) -> u64 {
    let text = String::from_utf8(get(address, "/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn every_answer_becomes_one_event_at_the_logger() {
    let logger = logger();
    let function = null(logger.address, &[("INSTANCE_ID", "pod-1")]);
    let mut sent = Vec::new();
    for n in 0..20 {
        let call = n.to_string();
        let reply = send(function.address, "POST", "/predict", &[("X-Testbed-Call", &call)], b"hello");
        assert_eq!((reply.status, reply.header("X-Event-Fate")), (200, Some("queued")));
        sent.push(reply.header("X-Event-Id").unwrap().to_owned());
    }
    // A refusal is no event.
    assert_eq!(post(function.address, "/predict", b"").status, 400);
    wait_for("all events", || (listed(&logger)["received"] == 20).then_some(()));
    let page = listed(&logger);
    let mut got: Vec<&str> =
        page["events"].as_array().unwrap().iter().map(|e| e["event"]["id"].as_str().unwrap()).collect();
    got.sort_unstable();
    sent.sort_unstable();
    assert_eq!(got, sent);
    assert_eq!(
        (&page["duplicates"], &page["by_type_and_source"][0]["source"]),
        (&0.into(), &"/testbed/null/pod-1".into())
    );
    assert_eq!(page["events"][0]["event"]["data"]["bytes"], 5);
    assert_eq!(metric(function.address, "function_events_delivered_total"), 20);
    assert_eq!(
        metric(logger.address, "logger_events_total{mode=\"binary\",type=\"testbed.null.answered\"}"),
        20
    );
}

#[test]
fn inline_the_answer_comes_after_the_event_and_says_so() {
    let logger = logger();
    let function = null(logger.address, &[("EVENT_MODE", "inline")]);
    let reply = post(function.address, "/predict", b"hello");
    assert_eq!(listed(&logger)["received"], 1, "it was there before the answer");
    assert_eq!(reply.header("X-Event-Fate"), Some("delivered"));
    assert!(reply.header("Server-Timing").unwrap().contains(", event;dur="), "{reply:?}");
    assert!(reply.json()["timing_ms"]["event"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_sink_that_never_answers_delays_no_answer_and_its_events_are_counted_at_the_end() {
    // Connections are accepted by the system, and nobody reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut function = null(
        silent.local_addr().unwrap(),
        &[("EVENT_BUFFER", "3"), ("EVENT_CONNECTIONS", "1"), ("DRAIN_SECONDS", "0"), ("GRACE_SECONDS", "1")],
    );
    let began = Instant::now();
    let fates: Vec<_> = (0..10)
        .map(|_| post(function.address, "/predict", b"x").header("X-Event-Fate").unwrap().to_owned())
        .collect();
    assert!(began.elapsed() < Duration::from_secs(4), "an attempt takes 5 s, so the answers waited");
    assert_eq!(fates.last().map(String::as_str), Some("buffer-full"));
    let queued = fates.iter().filter(|fate| *fate == "queued").count();
    assert!((3..=4).contains(&queued), "three in the buffer, one under way: {fates:?}");
    assert_eq!(
        metric(function.address, "function_events_dropped_total{reason=\"buffer-full\"}"),
        10 - queued as u64
    );
    function.signal(Signal::SIGTERM);
    assert_eq!(function.wait().code(), Some(0));
    assert!(function.stderr().contains(&format!("{queued} events were not delivered")));
}

#[test]
fn at_the_end_the_buffer_is_emptied_within_the_grace_time() {
    let logger = logger();
    let mut function = null(logger.address, &[("DRAIN_SECONDS", "0"), ("EVENT_CONNECTIONS", "1")]);
    for _ in 0..30 {
        assert_eq!(post(function.address, "/predict", b"x").status, 200);
    }
    function.signal(Signal::SIGTERM);
    assert_eq!(function.wait().code(), Some(0));
    assert_eq!(listed(&logger)["received"], 30);
}

#[test]
fn the_logger_answers_events_without_a_body_and_refuses_what_is_none() {
    let logger = logger();
    let attributes = [
        ("ce-id", "1"),
        ("ce-source", "/x"),
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-subject", "a%20b"),
    ];
    let reply = send(logger.address, "POST", "/", &attributes, b"");
    assert_eq!((reply.status, reply.header("X-Event-Number"), reply.body.len()), (200, Some("1"), 0));
    assert!(reply.header("X-Instance-Id").is_some() && reply.header("Server-Timing").is_some());
    let again = send(logger.address, "POST", "/", &attributes, b"{}");
    assert_eq!(
        (again.header("X-Event-Number"), again.header("X-Event-Duplicate")),
        (Some("2"), Some("true"))
    );
    let missing = send(logger.address, "POST", "/", &attributes[1..], b"{}");
    assert_eq!(
        (missing.status, missing.json()["type"].as_str()),
        (422, Some("urn:function:problem:damaged-input"))
    );
    assert_eq!(post(logger.address, "/", b"{}").status, 415);
    assert_eq!(get(logger.address, "/events?last=many").status, 400);
    assert_eq!(listed(&logger)["events"][0]["event"]["subject"], "a b");
    assert_eq!(metric(logger.address, "logger_refused_events_total"), 2);
}

#[test]
fn a_mode_without_a_sink_keeps_it_from_starting() {
    let (code, stderr) = refused(&[("WORKLOAD", "null"), ("EVENT_MODE", "inline")]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("EVENT_MODE=inline: expected off, or a sink in EVENT_SINK or K_SINK"),
        "{stderr}"
    );
}
