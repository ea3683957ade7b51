//! Servers that misbehave on purpose, over plain sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// One connection as a server sees it.
pub struct Peer {
    reader: BufReader<TcpStream>,
}

impl Peer {
    /// Reads a whole request; its head, or none when the client has closed.
    pub fn request(&mut self) -> Option<String> {
        let head = self.head()?;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut body).ok()?;
        Some(head)
    }

    /// Reads a request's head, and leaves its body alone.
    pub fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
            if head.len() - before <= 2 {
                return Some(head);
            }
        }
    }

    /// Sends bytes as they are; a client that has gone does not matter.
    pub fn send(&mut self, bytes: &str) {
        let _ = self.reader.get_mut().write_all(bytes.as_bytes());
    }
}

/// Serves each connection with `serve` on a thread of its own; returns the URL.
pub fn spawn(serve: impl Fn(Peer) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(Peer { reader: BufReader::new(stream) }));
        }
    });
    url
}

/// Gives every request the same answer.
pub fn answering(answer: &'static str) -> String {
    spawn(move |mut peer| {
        while peer.request().is_some() {
            peer.send(answer);
        }
    })
}

/// A small success.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an HTTP/2 server saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections accepted.
    pub connections: AtomicUsize,
    /// Requests under way now.
    pub under_way: AtomicUsize,
    /// The most of them at once.
    pub most_under_way: AtomicUsize,
}

/// An HTTP/2 server with prior knowledge. It says in the body what it was asked, and waits for
/// `delay_of(call id)` before it does.
pub fn h2c(delay_of: impl Fn(u64) -> Duration + Send + Sync + 'static) -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/path?q=1", listener.local_addr().unwrap());
    let (seen, delay_of) = (Arc::new(Seen::default()), Arc::new(delay_of));
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, SeqCst);
                let (seen, delay_of) = (Arc::clone(&shared), Arc::clone(&delay_of));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, delay_of) = (Arc::clone(&seen), Arc::clone(&delay_of));
                    async move {
                        let now = seen.under_way.fetch_add(1, SeqCst) + 1;
                        seen.most_under_way.fetch_max(now, SeqCst);
                        let call = request.headers()["x-testbed-call"].to_str().unwrap().parse().unwrap();
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map_or(0, |body| body.to_bytes().len());
                        tokio::time::sleep(delay_of(call)).await;
                        seen.under_way.fetch_sub(1, SeqCst);
                        let said = format!("{} {} {body}", head.method, head.uri);
                        let response = Response::builder().header("x-boot-id", said);
                        response.body(Full::new(Bytes::from(vec![b'x'; 100_000])))
                    }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (url, seen)
}
