//! Servers that misbehave on purpose, over plain sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

/// One connection as a server sees it.
pub struct Peer {
    reader: BufReader<TcpStream>,
}

impl Peer {
    /// Reads a whole request; its head, or none when the client has closed.
    pub fn request(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
            if head.len() - before <= 2 {
                break;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut body).ok()?;
        Some(head)
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
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = std::sync::Arc::clone(&serve);
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
