//! The server around a workload that the tests hold in their hands.

use std::io::Write as _;
use std::sync::mpsc;

use bytes::Bytes;

use super::*;
use crate::instance::ProcessStart;
use crate::pool::tests::Gate;

#[path = "../../tests/support/http.rs"]
mod http;

use http::{connect, get, head, post, wait_for};

struct Running {
    address: SocketAddr,
    gate: Arc<Gate>,
    enters: mpsc::Receiver<Bytes>,
    leaves: mpsc::Sender<()>,
    stop: actix_web::dev::ServerHandle,
}

/// One inference thread behind the gate, and `queue_limit` places in front of it.
fn run(queue_limit: usize) -> Running {
    let (gate, enters, leaves) = Gate::new();
    let shared = Arc::clone(&gate);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let setting = |name: &str| match name {
                "PORT" | "DRAIN_SECONDS" => Some("0".to_owned()),
                "BIND" => Some("127.0.0.1".to_owned()),
                _ => None,
            };
            let config = Config::from_lookup(setting).unwrap();
            let workload: Arc<dyn Workload> = shared;
            let pool = Pool::start(Arc::clone(&workload), 1, queue_limit).unwrap();
            let instance = Instance::ready(None, &ProcessStart::now());
            let telemetry = Telemetry::new().unwrap();
            let service = Service::new(&config, workload, pool, instance, telemetry, Storage::default());
            let (server, address) = bind(&service, &config).unwrap();
            send.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, stop) = receive.recv().unwrap();
    Running { address, gate, enters, leaves, stop }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent at once; only its end would have to be awaited.
        drop(self.stop.stop(false));
    }
}

/// A POST whose answer is not waited for.
fn begin(address: SocketAddr, body: &str) -> std::net::TcpStream {
    let mut stream = connect(address);
    let length = body.len().to_string();
    let head = head("POST", "/predict", &[("Content-Length", length.as_str())]);
    stream.write_all((head + body).as_bytes()).unwrap();
    stream
}

fn wait_for_in_flight(address: SocketAddr, count: usize) {
    let line = format!("\nfunction_in_flight {count}\n");
    wait_for(&line, || {
        let metrics = String::from_utf8(get(address, "/metrics").body).unwrap();
        metrics.contains(&line).then_some(())
    });
}

#[test]
fn a_busy_instance_says_429_at_once_and_stays_healthy() {
    let running = run(0);
    let first = begin(running.address, "first");
    running.enters.recv().unwrap();

    let refused = post(running.address, "/predict", b"second");
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("1")));
    assert_eq!(refused.json()["type"], "urn:function:problem:queue-full");
    assert!(refused.header("X-Instance-Id").is_some());
    // The refusal is the first answer of the instance.
    assert_eq!(refused.header("X-Cold-Start"), Some("true"));
    assert_eq!(get(running.address, "/health").status, 200);

    running.leaves.send(()).unwrap();
    let answer = http::read_reply(first);
    assert_eq!((answer.status, answer.header("X-Requests-Served")), (200, Some("1")));
    assert!(answer.header("Server-Timing").unwrap().contains("inference;dur=1.500, total;dur="));
}

#[test]
fn nothing_is_computed_for_a_caller_who_hung_up() {
    let running = run(8);
    let first = begin(running.address, "first");
    running.enters.recv().unwrap();
    let gone = begin(running.address, "gone");
    wait_for_in_flight(running.address, 2);
    drop(gone);
    wait_for_in_flight(running.address, 1);
    let stays = begin(running.address, "stays");
    running.leaves.send(()).unwrap();
    running.leaves.send(()).unwrap();
    assert_eq!(http::read_reply(first).status, 200);
    assert_eq!(http::read_reply(stays).status, 200);
    assert_eq!(running.enters.recv().unwrap().as_ref(), b"stays");
    assert_eq!(running.gate.handled.load(Ordering::SeqCst), 2);
}
