//! Events against sinks that take, refuse, stall, and close.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use prometheus::Registry;

use super::backoff::Backoff;
use super::config::{Sending, Sink};
use super::*;
use crate::instance::ProcessStart;

/// What a sink does with a post.
#[derive(Clone, Copy)]
enum Reaction {
    Say(u16),
    /// Never answers.
    Stall,
    /// Closes the connection instead.
    Close,
}

/// A sink that notes what it gets.
struct FakeSink {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    connections: Arc<AtomicUsize>,
}

/// `react` is asked with the number of the post, from 0.
async fn sink(react: impl Fn(usize) -> Reaction + Send + Sync + 'static) -> FakeSink {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, got) = mpsc::unbounded_channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let (counted, react, posts) = (Arc::clone(&connections), Arc::new(react), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let (tell, react, posts) = (tell.clone(), Arc::clone(&react), Arc::clone(&posts));
            let answer = move |request: Request<hyper::body::Incoming>| {
                let (tell, react, posts) = (tell.clone(), Arc::clone(&react), Arc::clone(&posts));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let reaction = react(posts.fetch_add(1, Ordering::SeqCst));
                    let _ = tell.send((head.headers, body));
                    match reaction {
                        Reaction::Say(status) => {
                            let answer =
                                Response::builder().status(status).body(Full::new(Bytes::from("taken")));
                            Ok(answer.unwrap())
                        }
                        Reaction::Stall => std::future::pending::<Result<_, Infallible>>()
                            .await
                            .map_err(|never| match never {}),
                        Reaction::Close => Err("closed"),
                    }
                }
            };
            let served = hyper::server::conn::http1::Builder::new();
            tokio::spawn(served.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    FakeSink { address, got, connections }
}

fn events(sink: &FakeSink, mode: Mode, change: impl FnOnce(&mut Sending)) -> Events {
    let mut sending = Sending {
        sink: Sink {
            authority: sink.address.to_string(),
            host: sink.address.ip().to_string(),
            port: sink.address.port(),
            path: "/ns/broker".into(),
        },
        source: None,
        kind: None,
        overrides: BTreeMap::new(),
        buffer: 100,
        connections: 1,
        retries: 5,
        backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) },
        timeout: Duration::from_secs(30),
    };
    change(&mut sending);
    let instance = Instance::ready(Some("pod 7/%"), &ProcessStart::now());
    let metrics = EventMetrics::register(&Registry::new()).unwrap();
    Events::start(&EventConfig { mode, sending: Some(sending) }, "null", &instance, metrics)
}

fn answer(text: &str) -> Answer {
    let mut answer = Answer::default();
    answer.body.insert("text".into(), text.into());
    answer
}

/// All events were delivered or dropped, so many of each.
fn assert_fates(events: &Events, delivered: u64, dropped: &[(Loss, u64)]) {
    let lost: u64 = dropped.iter().map(|(_, count)| count).sum();
    let metrics = &events.metrics;
    assert_eq!(metrics.delivered.get(), delivered);
    for (why, count) in dropped {
        assert_eq!(metrics.dropped_for(*why), *count, "{why:?}");
    }
    assert_eq!(metrics.emitted.get(), delivered + lost, "every event has one fate");
}

async fn ids(sink: &mut FakeSink, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let (headers, _) = sink.got.recv().await.unwrap();
        ids.push(headers["ce-id"].to_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn an_event_carries_every_required_attribute_in_its_headers() {
    let mut sink = sink(|_| Reaction::Say(202)).await;
    let events = events(&sink, Mode::Background, |sending| {
        sending.overrides = [("region".to_owned(), "Zürich 1".to_owned())].into();
    });
    let receipt = events.emit(&answer("x"), Some("42")).await.unwrap();
    let (headers, body) = sink.got.recv().await.unwrap();
    let text = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(text("ce-id"), receipt.id);
    assert_eq!(text("ce-specversion"), "1.0");
    assert_eq!(text("ce-type"), "testbed.null.answered");
    // The instance's name is a part of a URI reference, whose percent signs are encoded once more.
    assert_eq!(text("ce-source"), "/testbed/null/pod%2520".to_owned() + "7%252F%2525");
    assert_eq!(text("ce-subject"), "call/42");
    assert_eq!(text("ce-sequence"), "00000000000000000000");
    assert_eq!(text("ce-region"), "Z%C3%BCrich%201");
    assert!(humantime::parse_rfc3339(text("ce-time")).is_ok());
    assert_eq!((text("content-type"), text("host")), ("application/json", &*sink.address.to_string()));
    assert_eq!(body, "{\"text\":\"x\"}");
}

#[tokio::test]
async fn a_failing_sink_is_asked_again_with_the_same_id_until_it_takes_the_event() {
    let reactions =
        [Reaction::Say(503), Reaction::Say(429), Reaction::Close, Reaction::Say(500), Reaction::Say(202)];
    let mut sink = sink(move |n| reactions[n.min(4)]).await;
    let events = events(&sink, Mode::Background, |_| {});
    let id = events.emit(&answer("x"), None).await.unwrap().id;
    assert_eq!(events.finish(Duration::from_secs(30)).await, 0);
    assert_eq!(ids(&mut sink, 5).await, vec![id; 5]);
    assert_eq!(events.metrics.retried.get(), 4);
    assert_fates(&events, 1, &[]);
}

#[tokio::test]
async fn nothing_is_lost_when_the_sink_comes_back_in_time() {
    let mut sink = sink(|n| Reaction::Say(if n < 12 { 503 } else { 202 })).await;
    let events = events(&sink, Mode::Background, |sending| {
        sending.connections = 3;
        sending.retries = 20;
    });
    let mut made = Vec::new();
    for _ in 0..30 {
        made.push(events.emit(&answer("x"), None).await.unwrap().id);
    }
    assert_eq!(events.finish(Duration::from_secs(30)).await, 0);
    assert_fates(&events, 30, &[]);
    let mut got = ids(&mut sink, 42).await;
    got.sort();
    got.dedup();
    made.sort();
    assert_eq!(got, made);
}

#[tokio::test]
async fn a_stalled_sink_delays_no_answer_and_what_does_not_fit_is_counted_as_dropped() {
    let sink = sink(|_| Reaction::Stall).await;
    let events = events(&sink, Mode::Background, |sending| sending.buffer = 2);
    let began = Instant::now();
    let mut words = Vec::new();
    for _ in 0..10 {
        words.push(events.emit(&answer("x"), None).await.unwrap().word());
    }
    assert!(began.elapsed() < Duration::from_secs(1), "the sink answers never, so this waited for it");
    // Nothing else ran meanwhile: two are in the buffer, the other eight had no place.
    assert_eq!(words.iter().filter(|word| **word == "queued").count(), 2);
    assert_eq!(events.metrics.buffer_length.get(), 2);
    assert_eq!(events.finish(Duration::from_millis(20)).await, 2, "what is left is counted");
    assert_fates(&events, 0, &[(Loss::BufferFull, 8), (Loss::Shutdown, 2)]);
}

#[tokio::test]
async fn a_refusal_is_final_and_attempts_are_bounded() {
    let mut sink = sink(|n| Reaction::Say(if n == 0 { 400 } else { 500 })).await;
    let events = events(&sink, Mode::Background, |sending| sending.retries = 2);
    events.emit(&answer("refused"), None).await.unwrap();
    events.emit(&answer("failing"), None).await.unwrap();
    assert_eq!(events.finish(Duration::from_secs(30)).await, 0);
    assert_eq!(ids(&mut sink, 4).await.len(), 4, "once, and three times");
    assert!(sink.got.try_recv().is_err());
    assert_fates(&events, 0, &[(Loss::Refused, 1), (Loss::RetriesExhausted, 1)]);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_given_up() {
    let mut sink = sink(|n| if n == 0 { Reaction::Stall } else { Reaction::Say(202) }).await;
    let events = events(&sink, Mode::Background, |sending| sending.timeout = Duration::from_millis(50));
    events.emit(&answer("x"), None).await.unwrap();
    assert_eq!(events.finish(Duration::from_secs(30)).await, 0);
    assert_eq!(ids(&mut sink, 2).await.len(), 2);
    assert_fates(&events, 1, &[]);
}

#[tokio::test]
async fn events_go_over_one_kept_connection() {
    let sink = sink(|_| Reaction::Say(202)).await;
    let events = events(&sink, Mode::Inline, |_| {});
    for _ in 0..5 {
        assert_eq!(events.emit(&answer("x"), None).await.unwrap().word(), "delivered");
    }
    assert_eq!(sink.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn inline_waits_for_the_fate_and_names_it() {
    let sink = sink(|n| Reaction::Say(if n == 0 { 202 } else { 500 })).await;
    let events = events(&sink, Mode::Inline, |sending| sending.retries = 0);
    let first = events.emit(&answer("x"), None).await.unwrap();
    assert_eq!((first.word(), first.waited.is_some()), ("delivered", true));
    let second = events.emit(&answer("x"), None).await.unwrap();
    assert_eq!(second.word(), "retries-exhausted");
    assert_fates(&events, 1, &[(Loss::RetriesExhausted, 1)]);
}

#[tokio::test]
async fn what_no_intermediary_has_to_forward_is_not_sent() {
    let sink = sink(|_| Reaction::Say(202)).await;
    let events = events(&sink, Mode::Background, |_| {});
    let receipt = events.emit(&answer(&"x".repeat(70_000)), None).await.unwrap();
    assert_eq!(receipt.word(), "too-large");
    let document = Answer {
        document: Some(crate::workloads::Document {
            content_type: "application/pdf",
            bytes: vec![0; 70_000].into(),
        }),
        ..Answer::default()
    };
    assert_eq!(data_of(&document), "{\"document\":{\"bytes\":70000,\"content_type\":\"application/pdf\"}}");
    assert_eq!(events.emit(&document, None).await.unwrap().word(), "queued");
}

#[tokio::test]
async fn where_no_events_are_wanted_there_are_none() {
    let instance = Instance::ready(None, &ProcessStart::now());
    let metrics = EventMetrics::register(&Registry::new()).unwrap();
    let events = Events::start(&EventConfig::default(), "null", &instance, metrics);
    assert_eq!(events.emit(&answer("x"), None).await, None);
    assert_eq!(events.finish(Duration::ZERO).await, 0);
}
