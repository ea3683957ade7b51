//! A small HTTP server for the tests of the download: one reply a connection, in order.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::download::Fetcher;
use crate::places::{Item, Kind};

/// What a connection is answered with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// 200 and all of these bytes.
    Whole(&'static [u8]),
    /// 200, all bytes announced, the first so many sent.
    Torn(&'static [u8], usize),
    /// 206 and the bytes from the asked one on.
    Rest(&'static [u8]),
    /// An empty answer of this status.
    Status(&'static str),
}

/// A running server.
pub(crate) struct Server {
    /// Where its file is.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    pub(crate) fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, replies) = (Arc::clone(&asked), replies.to_vec());
        std::thread::spawn(move || {
            for reply in replies {
                let (stream, _) = listener.accept().unwrap();
                let mut from = None;
                let mut lines = BufReader::new(&stream).lines();
                while let Some(Ok(line)) =
                    lines.next().filter(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
                {
                    if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                        from = Some(range.trim_end_matches('-').parse().unwrap());
                    }
                }
                log.lock().unwrap().push(from);
                // A client that hangs up early is part of some tests.
                let _ = (&stream).write_all(&reply.bytes(from));
            }
        });
        Self { url, asked }
    }

    /// For each request so far, the byte from which it asked.
    pub(crate) fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

impl Reply {
    fn bytes(self, from: Option<usize>) -> Vec<u8> {
        let answer = |status: &str, more: &str, announced: usize, body: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {announced}\r\nConnection: close\r\n{more}\r\n"
            );
            [head.as_bytes(), body].concat()
        };
        match self {
            Self::Whole(body) => answer("200 OK", "", body.len(), body),
            Self::Torn(body, sent) => answer("200 OK", "", body.len(), &body[..sent]),
            Self::Rest(body) => {
                let from = from.expect("a request with Range");
                let range = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
                answer("206 Partial Content", &range, body.len() - from, &body[from..])
            }
            Self::Status(status) => answer(status, "", 0, b""),
        }
    }
}

/// A fetcher that no proxy of the machine's stands in the way of, and that does not pause.
pub(crate) fn fetcher() -> Fetcher {
    Fetcher::new(ureq::Agent::config_builder().proxy(None), 3, std::time::Duration::ZERO)
}

/// An URL where nobody listens.
pub(crate) fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/file", listener.local_addr().unwrap())
}

/// A file of these bytes to be had at these URLs.
pub(crate) fn item<'a>(bytes: &[u8], sha256: &'a str, urls: &'a [String]) -> Item<'a> {
    Item {
        kind: Kind::Model,
        folder: None,
        file: "m.onnx",
        urls,
        contents: Some((bytes.len() as u64, sha256)),
    }
}
