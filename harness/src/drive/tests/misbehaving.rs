//! Targets that close, stall, reset or talk nonsense: every request still becomes one honest row.

use std::net::TcpListener;

use super::*;

/// Closes each connection after three answers, without a word.
fn closing_after_three() -> String {
    servers::spawn(|mut peer| {
        for _ in 0..3 {
            if peer.request().is_some() {
                peer.send(servers::OK);
            }
        }
    })
}

#[tokio::test]
async fn a_stale_connection_is_replaced_and_the_request_sent_once_more() {
    let (audit, records) = play_to_the_end(load(&closing_after_three(), closed(2, 30))).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert!(audit.connections_opened >= 10, "{}", audit.connections_opened);
}

#[tokio::test]
async fn a_post_that_vanished_stays_a_failure_since_it_may_have_been_worked_on() {
    // Reads the second request of each connection, and closes instead of answering.
    let url = servers::spawn(|mut peer| {
        if peer.request().is_some() {
            peer.send(servers::OK);
        }
        peer.request();
    });
    let load = Load { method: hyper::Method::POST, ..load(&url, closed(1, 6)) };
    let (_, records) = play_to_the_end(load).await;
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Connect].repeat(3));
}

#[tokio::test]
async fn an_announced_close_costs_a_connection_and_nothing_else() {
    let url = servers::spawn(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    let load = Load { method: hyper::Method::POST, ..load(&url, closed(1, 10)) };
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!(audit.connections_opened, 10);
}

#[tokio::test]
async fn a_target_that_never_answers_yields_timeouts_at_the_deadline() {
    let url = servers::spawn(|mut peer| while peer.request().is_some() {});
    let timeout = Duration::from_millis(60);
    let (audit, records) = play_to_the_end(Load { timeout, ..load(&url, constant(200.0, 20)) }).await;
    assert_eq!(outcomes(&records), [Outcome::Timeout]);
    assert_eq!(audit.unfinished, 0);
    assert!(records.iter().all(|record| record.service_ns() >= 60_000_000 && record.status == 0));
    let mut times: Vec<_> = records.iter().map(Record::service_ns).collect();
    times.sort_unstable();
    assert!(times[10] < 500_000_000, "half of them took over {} ns", times[10]);
}

#[tokio::test]
async fn what_the_drain_cuts_off_is_a_censored_timeout_and_counted() {
    let url = servers::spawn(|mut peer| while peer.request().is_some() {});
    let closed =
        Plan::Closed { connections: 3, think_time_ns: 0, duration_ns: Some(20_000_000), requests: None };
    for plan in [constant(500.0, 10), closed] {
        let (audit, records) =
            play_to_the_end(Load { drain: Duration::from_millis(50), ..load(&url, plan) }).await;
        assert_eq!(outcomes(&records), [Outcome::Timeout]);
        assert!(records.iter().all(|record| record.done_ns > record.sent_ns));
        assert!(audit.sent >= 3 && audit.unfinished == audit.sent, "{audit:?}");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_an_answer_is_a_connection_failure_with_its_status() {
    let url = servers::spawn(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes!");
    });
    let (_, records) = play_to_the_end(load(&url, constant(200.0, 10))).await;
    assert_eq!(outcomes(&records), [Outcome::Connect]);
    assert!(records.iter().all(|r| r.status == 200 && r.first_byte_ns.is_some() && r.bytes_received <= 10));
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for url in [servers::answering("garbage\r\n\r\n"), servers::answering("HTTP/9.9 abc\r\n\r\n")] {
        let (_, records) = play_to_the_end(load(&url, constant(200.0, 5))).await;
        assert_eq!(outcomes(&records), [Outcome::Connect]);
        assert!(records.iter().all(|record| record.status == 0));
    }
}

#[tokio::test]
async fn tls_to_a_server_without_it_is_a_connection_failure() {
    let url = servers::answering("garbage\r\n\r\n").replace("http://", "https://");
    let (_, records) = play_to_the_end(load(&url, constant(200.0, 3))).await;
    assert_eq!(outcomes(&records), [Outcome::Connect]);
    assert!(records.iter().all(|record| record.connected_ns.is_none()));
}

#[tokio::test]
async fn refusals_and_errors_are_told_apart() {
    for (answer, expected) in [
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", Outcome::Overload),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", Outcome::Overload),
        ("HTTP/1.1 503 Gone\r\nContent-Length: 0\r\n\r\n", Outcome::Platform),
        (
            "HTTP/1.1 500 Oops\r\nX-Boot-Id: b\r\nX-Instance-Id: i\r\nContent-Length: 0\r\n\r\n",
            Outcome::Function,
        ),
        (
            "HTTP/1.1 200 OK\r\nX-Boot-Id: b\r\nX-Instance-Id: i\r\nX-Cold-Start: true\r\nServer-Timing: total;dur=2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n, k\r\n0\r\n\r\n",
            Outcome::Ok,
        ),
    ] {
        let (_, records) = play_to_the_end(load(&servers::answering(answer), closed(1, 3))).await;
        assert_eq!(outcomes(&records), [expected], "{answer}");
        if expected == Outcome::Ok {
            let record = &records[0];
            assert_eq!(
                (record.instance.as_deref(), record.cold, record.bytes_received),
                (Some("i/b"), true, 5)
            );
            assert_eq!(record.server.unwrap().total_us, 2000);
        }
    }
}

#[tokio::test]
async fn a_dead_port_fails_to_connect_and_a_closed_loop_does_not_spin_on_it() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/");
    let plan =
        Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: Some(300_000_000), requests: None };
    let (audit, records) = play_to_the_end(load(&url, plan)).await;
    assert_eq!(outcomes(&records), [Outcome::Connect]);
    assert!(records.iter().all(|record| record.connected_ns.is_none() && record.status == 0));
    assert!((2..=7).contains(&records.len()), "{} attempts: 5, 10, 20, ... ms apart", records.len());
    assert_eq!(audit.local_error, None, "a refusal is the target's");
}

/// Remembers how long the bodies were that it was shown.
struct LengthJudge(Mutex<Vec<usize>>);

impl Judge for LengthJudge {
    fn judge(&self, payload: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement {
        self.0.lock().unwrap().push(body.len());
        answer::StatusJudge.judge(payload, status, headers, body)
    }
}

#[tokio::test]
async fn a_large_body_is_counted_whole_and_kept_in_part() {
    let bytes = 6 << 20;
    let options = null_target::NullOptions { body_bytes: bytes, ..Default::default() };
    let target = null_target::spawn(&options).unwrap();
    let judge = Arc::new(LengthJudge(Mutex::default()));
    let load = Load { judge: judge.clone(), ..load(&target.url(), closed(1, 2)) };
    let (_, records) = play_to_the_end(load).await;
    assert!(records.iter().all(|record| record.bytes_received as usize == bytes));
    let kept = judge.0.lock().unwrap();
    assert!(kept.iter().all(|length| (4 << 20..5 << 20).contains(length)), "{kept:?}");
}
