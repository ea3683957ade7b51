//! HTTP/2 with prior knowledge, against hyper's server.

use std::sync::atomic::Ordering::SeqCst;

use super::*;

/// A load of `POST`s with a body, over HTTP/2.
fn load2(url: &str, plan: Plan) -> Load {
    let payload =
        Payload { name: "p".into(), content_type: "text/plain".into(), body: vec![b'x'; 70_000].into() };
    let connections = ConnectionPolicy { protocol: Protocol::Http2, ..ConnectionPolicy::default() };
    Load { method: hyper::Method::POST, payloads: [payload].into(), connections, ..load(url, plan) }
}

#[tokio::test]
async fn streams_share_a_connection_and_records_are_as_complete_as_ever() {
    let (url, seen) = servers::h2c(|_| Duration::from_millis(100));
    let (audit, records) = play_to_the_end(load2(&url, constant(400.0, 40))).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, seen.connections.load(SeqCst)), (1, 1));
    assert!(seen.most_under_way.load(SeqCst) > 5, "{seen:?}");
    let said = format!("/POST {url} 70000");
    for record in &records {
        assert_eq!((record.status, record.bytes_received, record.connection), (200, 100_000, 0));
        assert_eq!(record.instance.as_deref(), Some(said.as_str()));
        let times = [
            record.scheduled_ns,
            record.sent_ns,
            record.connected_ns.unwrap(),
            record.first_byte_ns.unwrap(),
            record.done_ns,
        ];
        assert!(times.is_sorted(), "{times:?}");
    }
    assert!(records[0].connected_ns > Some(records[0].sent_ns));
    assert_eq!(records[39].connected_ns, Some(records[39].sent_ns));
}

#[tokio::test]
async fn a_pool_is_that_many_connections() {
    let (url, seen) = servers::h2c(|_| Duration::from_millis(50));
    let mut load = load2(&url, constant(400.0, 40));
    load.connections.pool = Some(3);
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, seen.connections.load(SeqCst)), (3, 3));
    assert!((0..3).all(|number| records.iter().any(|record| record.connection == number)));
}

#[tokio::test]
async fn a_closed_loops_clients_have_connections_of_their_own() {
    let (url, seen) = servers::h2c(|_| Duration::ZERO);
    let (audit, records) = play_to_the_end(load2(&url, closed(4, 40))).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.sent, audit.connections_opened), (40, 4));
    assert!(seen.most_under_way.load(SeqCst) <= 4);
}

#[tokio::test]
async fn a_stream_that_times_out_costs_itself_alone() {
    let delay = |call| if call == 0 { Duration::from_mins(1) } else { Duration::ZERO };
    let (url, _) = servers::h2c(delay);
    let load = Load { timeout: Duration::from_secs(2), ..load2(&url, constant(10.0, 30)) };
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!((records[0].outcome, records[0].status), (Outcome::Timeout, 0));
    assert!(records[0].service_ns() >= 2_000_000_000);
    assert_eq!(outcomes(&records[1..]), [Outcome::Ok]);
    assert_eq!(audit.connections_opened, 1);
}

#[tokio::test]
async fn each_request_may_have_a_connection_of_its_own() {
    let (url, seen) = servers::h2c(|_| Duration::ZERO);
    let mut load = load2(&url, closed(2, 12));
    load.connections.reuse = Reuse::PerRequest;
    let (audit, records) = play_to_the_end(load).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, seen.connections.load(SeqCst)), (12, 12));
    assert!(records.iter().all(|record| record.connected_ns > Some(record.sent_ns)));
}

#[tokio::test]
async fn a_server_of_the_old_protocol_gives_no_answer() {
    let url = servers::answering(servers::OK);
    let (_, records) = play_to_the_end(load2(&url, closed(1, 2))).await;
    assert_eq!(outcomes(&records), [Outcome::Connect]);
}

#[tokio::test]
async fn a_dead_port_is_named() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for load in [
        load2(&format!("http://{address}/"), closed(1, 1)),
        load(&format!("http://{address}/"), closed(1, 1)),
    ] {
        let (audit, records) = play_to_the_end(load).await;
        assert_eq!(outcomes(&records), [Outcome::Connect]);
        let failure = audit.first_failure.unwrap();
        assert!(failure.starts_with(&format!("{address}: ")) && failure.contains("refused"), "{failure}");
    }
}
