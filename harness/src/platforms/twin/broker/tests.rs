//! The broker against subscribers that take, refuse and fail.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A subscriber that answers the n-th event (from 0) with `react(n)` and notes its id.
async fn subscriber(
    react: impl Fn(usize) -> u16 + Send + Sync + 'static,
) -> (Endpoint, mpsc::UnboundedReceiver<(String, Option<String>)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/predict?x=1", listener.local_addr().unwrap());
    let (tell, heard) = mpsc::unbounded_channel();
    let (react, count) = (Arc::new(react), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(http::serve(listener, move |request: Request<Incoming>, _| {
        let (react, tell, count) = (Arc::clone(&react), tell.clone(), Arc::clone(&count));
        async move {
            assert_eq!(request.uri().path_and_query().unwrap(), "/predict?x=1");
            let text = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
            let _ = tell.send((text("ce-id").unwrap_or_default(), text("host")));
            let status = react(count.fetch_add(1, Ordering::SeqCst));
            Ok(http::empty(StatusCode::from_u16(status).unwrap()))
        }
    }));
    (Endpoint { url, headers: vec![("Host".to_owned(), "logger.example".to_owned())] }, heard)
}

fn options() -> BrokerOptions {
    BrokerOptions {
        queue: 100,
        deliveries: 2,
        retries: 3,
        first_pause: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
    }
}

fn all(subscriber: Endpoint) -> Vec<Trigger> {
    vec![Trigger { filter: BTreeMap::new(), subscriber }]
}

async fn post(broker: &Broker, id: &str, kind: &str) -> u16 {
    let url: hyper::Uri = broker.url().parse().unwrap();
    let stream = TcpStream::connect(url.authority().unwrap().as_str()).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let now = humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string();
    let request = Request::post(url.path())
        .header("host", "broker")
        .header("ce-id", id)
        .header("ce-source", "/test")
        .header("ce-specversion", "1.0")
        .header("ce-type", kind)
        .header("ce-time", now)
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    sender.send_request(request).await.unwrap().status().as_u16()
}

async fn settled(broker: &Broker) -> BrokerCounts {
    let began = Instant::now();
    loop {
        let counts = broker.counts();
        if counts.queued == 0 {
            return counts;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{counts:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn an_event_is_acknowledged_and_reaches_the_subscriber_under_its_host() {
    let (endpoint, mut heard) = subscriber(|_| 200).await;
    let broker = Broker::start(all(endpoint), options()).unwrap();
    assert_eq!(post(&broker, "1", "t").await, 202);
    assert_eq!(heard.recv().await.unwrap(), ("1".to_owned(), Some("logger.example".to_owned())));
    let counts = settled(&broker).await;
    assert_eq!((counts.accepted, counts.delivered, counts.retried, counts.lost), (1, 1, 0, 0));
    let times = broker.take_times_ms();
    assert!(times.len() == 1 && times[0] < 20_000.0, "{times:?}");
    assert!(broker.take_times_ms().is_empty());
}

#[tokio::test]
async fn each_trigger_gets_what_its_filter_lets_pass() {
    let (cats, mut of_cats) = subscriber(|_| 202).await;
    let (everything, mut of_all) = subscriber(|_| 202).await;
    let only_cats = Trigger { filter: [("type".to_owned(), "cat".to_owned())].into(), subscriber: cats };
    let broker = Broker::start([vec![only_cats], all(everything)].concat(), options()).unwrap();
    for (id, kind) in [("1", "dog"), ("2", "cat")] {
        assert_eq!(post(&broker, id, kind).await, 202);
    }
    let counts = settled(&broker).await;
    assert_eq!((counts.accepted, counts.delivered), (2, 3));
    assert_eq!(of_cats.recv().await.unwrap().0, "2");
    assert!(of_cats.try_recv().is_err());
    let mut both = [of_all.recv().await.unwrap().0, of_all.recv().await.unwrap().0];
    both.sort();
    assert_eq!(both, ["1", "2"]);
}

#[tokio::test]
async fn a_failing_subscriber_is_asked_again_and_a_refusing_one_is_not() {
    let (failing, _heard) = subscriber(|n| if n < 2 { 503 } else { 200 }).await;
    let broker = Broker::start(all(failing), options()).unwrap();
    post(&broker, "1", "t").await;
    let counts = settled(&broker).await;
    assert_eq!((counts.delivered, counts.retried, counts.lost), (1, 2, 0));

    let (refusing, _heard) = subscriber(|_| 422).await;
    let broker = Broker::start(all(refusing), options()).unwrap();
    post(&broker, "1", "t").await;
    let counts = settled(&broker).await;
    assert_eq!((counts.delivered, counts.retried, counts.lost), (0, 0, 1));

    let nobody = Endpoint { url: "http://127.0.0.1:1/".to_owned(), headers: Vec::new() };
    let broker = Broker::start(all(nobody), options()).unwrap();
    post(&broker, "1", "t").await;
    let counts = settled(&broker).await;
    assert_eq!((counts.delivered, counts.retried, counts.lost), (0, 3, 1));
}

#[tokio::test]
async fn a_full_queue_and_what_is_no_event_are_refused_and_counted() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    // Nobody answers there.
    let silent = Endpoint { url: format!("http://{}/", listener.local_addr().unwrap()), headers: Vec::new() };
    let tight = BrokerOptions { queue: 1, deliveries: 1, ..options() };
    let broker = Broker::start(all(silent), tight).unwrap();
    let mut statuses = Vec::new();
    for id in ["1", "2", "3", "4"] {
        statuses.push(post(&broker, id, "t").await);
    }
    // One is on its way, one waits; the first may not have left the queue when the second came.
    let full = statuses.iter().filter(|status| **status == 503).count();
    assert!((2..=3).contains(&full), "{statuses:?}");
    assert_eq!(post(&broker, "", "t").await, 400);
    let counts = broker.counts();
    assert_eq!((counts.accepted, counts.refused), (4 - full as u64, full as u64 + 1));
}
