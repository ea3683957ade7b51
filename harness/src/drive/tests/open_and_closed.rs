//! Targets that behave: what open and closed loops promise.

use std::time::Instant;

use super::{
    super::null_target::{self, NullOptions},
    *,
};

#[tokio::test]
async fn in_lockstep_the_next_requests_wait_for_the_slowest_of_the_last_ones() {
    use crate::drive::known_target::{Behaviour, KnownOptions, spawn};
    let behaviour: Behaviour = "exponential:3ms".parse().unwrap();
    let target = spawn(KnownOptions { port: 0, behaviour, seed: 1, body_bytes: 2, core: None }).unwrap();
    let load = Load { lockstep: true, ..load(&format!("{}/", target.url()), closed(3, 30)) };
    let (_, mut records) = play_to_the_end(load).await;
    records.sort_by_key(|record| record.scheduled_ns);
    let queries: Vec<&[Record]> = records.chunk_by(|a, b| a.scheduled_ns == b.scheduled_ns).collect();
    assert_eq!(queries.len(), 10, "{:?}", queries.iter().map(|q| q.len()).collect::<Vec<_>>());
    for pair in queries.windows(2) {
        let slowest_ns = pair[0].iter().map(|record| record.done_ns).max().unwrap();
        assert_eq!((pair[1].len(), pair[1][0].scheduled_ns), (3, slowest_ns));
    }
}

#[tokio::test]
async fn an_open_loop_sends_every_call_at_its_time_and_records_it() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let plan = constant(1000.0, 300);
    let Plan::Open { send_times_ns, .. } = plan.clone() else { unreachable!() };
    let (audit, records) = play_to_the_end(load(&target.url(), plan)).await;
    assert_eq!((audit.planned, audit.sent, audit.unfinished), (300, 300, 0));
    assert_eq!((audit.threads, audit.interrupted, &audit.write_error), (1, false, &None));
    assert!(audit.cpu_share > 0.0 && audit.cpu_share < 1.1, "{}", audit.cpu_share);
    assert!(audit.elapsed_ns >= send_times_ns[299]);
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    for (record, scheduled_ns) in records.iter().zip(send_times_ns) {
        assert_eq!(record.scheduled_ns, scheduled_ns);
        let times = [
            record.scheduled_ns,
            record.sent_ns,
            record.connected_ns.unwrap(),
            record.first_byte_ns.unwrap(),
            record.done_ns,
        ];
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!((record.status, record.bytes_received), (200, 2));
    }
    let mut lateness: Vec<_> = records.iter().map(Record::lateness_ns).collect();
    lateness.sort_unstable();
    // A machine that does other work as well is late, but not as late as a loop that waits for answers.
    assert!(lateness[150] < 50_000_000, "median lateness {} ns", lateness[150]);
}

#[tokio::test]
async fn connections_are_kept_and_only_the_first_request_waits_for_one() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let (audit, records) = play_to_the_end(load(&target.url(), closed(1, 20))).await;
    assert_eq!(audit.connections_opened, 1);
    assert!(records[0].connected_ns > Some(records[0].sent_ns));
    assert!(records[1..].iter().all(|record| record.connected_ns == Some(record.sent_ns)));
    assert!(records.windows(2).all(|pair| pair[1].scheduled_ns == pair[0].done_ns));
}

#[tokio::test]
async fn a_closed_loop_ends_after_its_requests_or_its_time() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let (audit, records) = play_to_the_end(load(&target.url(), closed(4, 101))).await;
    assert_eq!((audit.planned, audit.sent), (101, 101));
    assert!(records.iter().all(|record| record.connection < 4));

    let duration_ns = 200_000_000;
    let plan = Plan::Closed {
        connections: 2,
        think_time_ns: 10_000_000,
        duration_ns: Some(duration_ns),
        requests: None,
    };
    let (_, records) = play_to_the_end(load(&target.url(), plan)).await;
    assert!(records.iter().all(|record| record.scheduled_ns < duration_ns));
    // Two connections that pause 10 ms after each answer send 20 requests each at most.
    assert!((4..=40).contains(&records.len()), "{}", records.len());
    for connection in 0..2 {
        let own: Vec<_> = records.iter().filter(|record| record.connection == connection).collect();
        assert!(own.windows(2).all(|pair| pair[1].sent_ns >= pair[0].done_ns + 10_000_000));
    }
}

#[tokio::test]
async fn a_stall_shows_in_every_request_scheduled_in_it_unless_the_loop_is_closed() {
    const STALL: Duration = Duration::from_millis(300);
    // Every answer waits while the stall lasts, from 100 to 400 ms after the first request.
    let stalling = || {
        let first: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        servers::spawn(move |mut peer| {
            while peer.request().is_some() {
                let since = first.get_or_init(Instant::now).elapsed();
                let begin = Duration::from_millis(100);
                if since >= begin && since < begin + STALL {
                    std::thread::sleep((begin + STALL).saturating_sub(since));
                }
                peer.send(servers::OK);
            }
        })
    };
    let slow = |records: &[Record]| {
        records
            .iter()
            .filter(|record| record.response_ns() > 100_000_000 && record.service_ns() > 90_000_000)
            .count()
    };
    let (_, open) = play_to_the_end(load(&stalling(), constant(200.0, 120))).await;
    // 200 requests a second over the 200 ms whose requests wait for longer than 100 ms: 40.
    assert!(slow(&open) >= 30, "the open loop saw {} slow requests", slow(&open));
    let late = open.iter().filter(|record| record.lateness_ns() > 50_000_000).count();
    assert!(late < 20, "{late} requests were sent late: the generator waited for answers");

    let (_, records) = play_to_the_end(load(&stalling(), closed(1, 400))).await;
    assert!(slow(&records) <= 2, "a closed loop of one connection meets a stall once");
}

#[tokio::test]
async fn calls_are_spread_by_the_seed_alone() {
    let targets: Vec<_> = (0..2).map(|_| null_target::spawn(&NullOptions::default()).unwrap()).collect();
    let payload = |size: usize| Payload {
        name: size.to_string(),
        content_type: "text/plain".into(),
        body: vec![b'x'; size].into(),
    };
    let play_with = async |seed, plan| {
        let mut load = load(&targets[0].url(), plan);
        load.endpoints.push(Endpoint { url: targets[1].url(), headers: vec![] });
        load.method = hyper::Method::POST;
        load.payloads = [payload(1), payload(20), payload(3000)].into();
        load.seed = seed;
        let (_, records) = play_to_the_end(load).await;
        assert_eq!(outcomes(&records), [Outcome::Ok]);
        records.iter().map(|r| (r.endpoint, r.payload, r.bytes_sent)).collect::<Vec<_>>()
    };
    let open = play_with(1, constant(2000.0, 60)).await;
    assert_eq!(open, play_with(1, closed(3, 60)).await, "neither timing nor shape changes what a call is");
    assert_ne!(open, play_with(2, closed(3, 60)).await);
    for (endpoint, payload, bytes) in [(0, 0, 1), (1, 1, 20), (0, 2, 3000)] {
        assert!(open.contains(&(endpoint, payload, bytes)));
    }
}

#[tokio::test]
async fn requests_carry_their_headers_and_call_id() {
    let (heads, seen) = std::sync::mpsc::channel();
    let url = servers::spawn(move |mut peer| {
        while let Some(head) = peer.request() {
            heads.send(head).unwrap();
            peer.send(servers::OK);
        }
    });
    let mut load = load(&url, closed(1, 2));
    load.endpoints[0] = Endpoint {
        url: format!("{url}predict?top=5"),
        headers: vec![("Host".into(), "f.example.com".into()), ("X-A".into(), "1".into())],
    };
    load.method = hyper::Method::POST;
    load.payloads =
        [Payload { name: "p".into(), content_type: "image/jpeg".into(), body: Bytes::from_static(b"abc") }]
            .into();
    play_to_the_end(load).await;
    let mut lines: Vec<String> = seen.iter().nth(1).unwrap().lines().map(str::to_owned).collect();
    lines[1..].sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    POST /predict?top=5 HTTP/1.1

    content-length: 3
    content-type: image/jpeg
    host: f.example.com
    x-a: 1
    x-testbed-call: 1
    ");
}

#[tokio::test]
async fn an_interrupt_ends_the_sending_and_keeps_what_is_under_way() {
    for plan in [constant(100.0, 1000), closed(4, 1000)] {
        // Answers the first ten requests, and nothing after that.
        let left = std::sync::atomic::AtomicI32::new(10);
        let url = servers::spawn(move |mut peer| {
            while peer.request().is_some() {
                if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 0 {
                    peer.send(servers::OK);
                }
            }
        });
        let (raise, interrupt) = Interrupt::new();
        let load =
            Load { timeout: Duration::from_mins(1), drain: Duration::from_mins(1), ..load(&url, plan) };
        let begin = Instant::now();
        let playing = tokio::spawn(played(load, interrupt));
        tokio::time::sleep(Duration::from_millis(300)).await;
        raise.raise();
        let (audit, records) = playing.await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(20), "the drain is short");
        assert!(audit.interrupted && audit.sent < 1000 && audit.unfinished > 0, "{audit:?}");
        assert!(audit.planned >= audit.sent && audit.planned < 1000);
        let unfinished = records.iter().filter(|record| record.outcome == Outcome::Timeout).count() as u64;
        assert_eq!(unfinished, audit.unfinished);
        assert_eq!(outcomes(&records), [Outcome::Ok, Outcome::Timeout]);
    }
}

#[tokio::test]
async fn a_sink_that_fails_does_not_stop_the_load() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let sink = |_: &[Record]| Err("no space left".into());
    let load = load(&target.url(), closed(2, 50));
    let audit = play(load, PlayOptions::default(), sink, Interrupt::never()).await.unwrap();
    assert_eq!(audit.sent, 50);
    assert_eq!(audit.write_error.as_deref(), Some("50 records were not kept: no space left"));
}

#[tokio::test]
async fn progress_and_pinning_are_there_while_it_plays() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let options = PlayOptions { core: Some(0), ..PlayOptions::default() };
    let progress = Arc::clone(&options.progress);
    assert_eq!(progress.elapsed_ns(), None);
    play(load(&target.url(), closed(1, 5)), options, |_| Ok(()), Interrupt::never()).await.unwrap();
    assert_eq!(progress.ended.load(std::sync::atomic::Ordering::Relaxed), 5);
    assert!(progress.elapsed_ns().is_some());
}

#[tokio::test]
async fn loads_that_make_no_sense_are_refused() {
    let refused = async |change: fn(&mut Load)| {
        let mut load = load("http://127.0.0.1:1/", closed(1, 1));
        change(&mut load);
        let result = play(load, PlayOptions::default(), |_| Ok(()), Interrupt::never()).await;
        result.unwrap_err().to_string()
    };
    let messages = [
        refused(|load| load.endpoints.clear()).await,
        refused(|load| load.timeout = Duration::ZERO).await,
        refused(|load| load.plan = constant(0.0, 5)).await,
        refused(|load| load.plan = closed(0, 5)).await,
        refused(|load| load.plan = Plan::open(vec![2, 1])).await,
        refused(|load| {
            load.plan = Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: None, requests: None };
        })
        .await,
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    this load cannot be played: it has no endpoint or no payload; give at least one of each (an empty body is one)
    this load cannot be played: its time-out is zero; give requests time to be answered
    this load cannot be played: its schedule is empty; choose a rate above zero and a longer time
    this load cannot be played: it has no connections; choose at least one
    this load cannot be played: its send times do not ascend; sort them
    this load cannot be played: it would never end; give a duration or a number of requests
    ");
}
