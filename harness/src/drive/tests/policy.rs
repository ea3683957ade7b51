//! The connection policy, and what becomes of a backlog.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::{
    super::null_target::{self, NullOptions},
    *,
};

#[tokio::test]
async fn a_busy_pool_makes_requests_wait_and_the_wait_is_not_the_generators() {
    let options = NullOptions { delay: Duration::from_millis(50), ..NullOptions::default() };
    let target = null_target::spawn(&options).unwrap();
    // Two connections serve 40 requests a second; 200 are asked for.
    let mut load = load(&target.url(), constant(200.0, 30));
    load.connections.pool = Some(2);
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!(audit.connections_opened, 2);
    assert!((20..=28).contains(&audit.pool_waits), "{audit:?}");
    let last = records[29].lateness_ns();
    assert!(last > 400_000_000, "the last request waited for its turn: {last} ns");
    assert!(audit.own_lateness_p99_ns < last / 2, "{audit:?}");
    assert!(records.windows(2).all(|pair| pair[0].sent_ns <= pair[1].sent_ns), "first come, first served");
}

#[tokio::test]
async fn without_a_limit_nothing_waits() {
    let options = NullOptions { delay: Duration::from_millis(50), ..NullOptions::default() };
    let target = null_target::spawn(&options).unwrap();
    let (audit, records) = play_to_the_end(load(&target.url(), constant(200.0, 30))).await;
    assert_eq!((audit.pool_waits, outcomes(&records)), (0, vec![Outcome::Ok]));
    let worst = records.iter().map(Record::lateness_ns).max().unwrap();
    assert!(audit.own_lateness_max_ns.abs_diff(worst) <= worst / 500, "{audit:?}, {worst}");
}

#[tokio::test]
async fn a_pool_that_waits_for_one_endpoint_does_not_hold_up_another() {
    let options = NullOptions { delay: Duration::from_millis(300), ..NullOptions::default() };
    let (slow, fast) =
        (null_target::spawn(&options).unwrap(), null_target::spawn(&NullOptions::default()).unwrap());
    let mut load = load(&slow.url(), constant(100.0, 10));
    load.endpoints.push(Endpoint { url: fast.url(), headers: vec![] });
    load.connections.pool = Some(1);
    let Plan::Open { assigned, .. } = &mut load.plan else { unreachable!() };
    *assigned = (0..10).map(|send| Assigned { endpoint: Some(send % 2), payload: None }).collect();
    let (_, records) = play_to_the_end(load).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    let worst =
        |endpoint| records.iter().filter(|r| r.endpoint == endpoint).map(Record::lateness_ns).max().unwrap();
    assert!(worst(0) > 1_000_000_000 && worst(1) < 500_000_000, "{} and {}", worst(0), worst(1));
}

#[tokio::test]
async fn a_connection_for_each_request_is_announced_counted_and_timed() {
    let (heads, seen) = std::sync::mpsc::channel();
    // Keeps the connection open: whether it is used again is the client's affair.
    let url = servers::spawn(move |mut peer| {
        while let Some(head) = peer.request() {
            heads.send(head).unwrap();
            peer.send(servers::OK);
        }
    });
    for plan in [closed(2, 20), constant(200.0, 20)] {
        let mut load = load(&url, plan);
        load.connections.reuse = Reuse::PerRequest;
        let (audit, records) = play_to_the_end(load).await;
        assert_eq!(outcomes(&records), [Outcome::Ok]);
        assert_eq!(audit.connections_opened, 20);
        let mut numbers: Vec<_> = records.iter().map(|record| record.connection).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..20));
        assert!(records.iter().all(|record| record.connected_ns > Some(record.sent_ns)));
    }
    assert!(seen.try_iter().all(|head| head.contains("connection: close\r\n")));
}

/// Stops the generator's thread once, for as long as the machine might.
struct StallingJudge {
    calls: AtomicU32,
    at: u32,
    stall: Duration,
}

impl Judge for StallingJudge {
    fn judge(&self, payload: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement {
        if self.calls.fetch_add(1, SeqCst) == self.at {
            std::thread::sleep(self.stall);
        }
        answer::StatusJudge.judge(payload, status, headers, body)
    }
}

#[tokio::test]
async fn a_backlog_is_worked_off_on_the_connections_at_hand() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let stall = Duration::from_millis(250);
    let judge = Arc::new(StallingJudge { calls: AtomicU32::new(0), at: 300, stall });
    let load = Load { judge, ..load(&target.url(), constant(2000.0, 2000)) };
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!((audit.sent, outcomes(&records)), (2000, vec![Outcome::Ok]));
    // Some 500 calls are overdue after the stall; each of them is late, and says so.
    let late = records.iter().filter(|record| record.lateness_ns() > 20_000_000).count();
    assert!(late >= 300, "{late} late requests");
    assert!(audit.own_lateness_max_ns >= 200_000_000, "{audit:?}");
    let is_late_and_new =
        |record: &&Record| record.lateness_ns() > 20_000_000 && record.connected_ns != Some(record.sent_ns);
    let storm = records.iter().filter(is_late_and_new).count();
    assert!(storm * 4 < late, "{storm} connections were opened for {late} late requests");
}

#[tokio::test]
async fn an_answer_before_the_request_is_written_counts_and_ends_the_connection() {
    let url = servers::spawn(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
        // Takes the rest only when the client has given up.
        std::thread::sleep(Duration::from_millis(300));
    });
    let body = vec![b'x'; 40 << 20];
    let payload = Payload { name: "p".into(), content_type: String::new(), body: body.into() };
    let load = Load { method: hyper::Method::POST, payloads: [payload].into(), ..load(&url, closed(1, 2)) };
    let (audit, records) = play_to_the_end(load).await;
    assert!(records.iter().all(|record| (record.outcome, record.status) == (Outcome::Platform, 413)));
    assert_eq!(audit.connections_opened, 2);
}
