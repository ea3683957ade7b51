//! What the targets on the loopback address share: threads that accept, and requests read off a
//! connection as fast as may be.
//!
//! A loop written out for the purpose: it reads a request's head only as far as the length of its
//! body, so that the target costs next to nothing beside the tool that is measured against it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

/// Longest request head that is read.
pub(super) const MOST_HEAD_BYTES: usize = 64 << 10;

/// Threads that serve on the loopback address; dropping it stops them.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens on a port (0 = any free one), and calls `handle` with each connection.
    ///
    /// # Errors
    /// When the port is taken, or no thread or socket is to be had.
    pub(super) fn start<H, F>(name: &str, port: u16, threads: usize, handle: H) -> std::io::Result<Self>
    where
        H: Fn(Requests) -> F + Clone + Send + 'static,
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let mut server = Self { address, stop, threads: Vec::new() };
        for _ in 0..threads.max(1) {
            let (listener, stopped, handle) = (listener.try_clone()?, stopped.clone(), handle.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            server.threads.push(std::thread::Builder::new().name(name.into()).spawn(move || {
                runtime.block_on(accept(listener, handle, stopped));
            })?);
        }
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
    }
}

async fn accept<H, F>(listener: TcpListener, handle: H, mut stopped: watch::Receiver<bool>)
where
    H: Fn(Requests) -> F,
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|&stopped| stopped) => return,
        };
        if let Ok((stream, _)) = accepted {
            // A connection that breaks concerns its client alone.
            if let Ok(requests) = Requests::new(stream) {
                tokio::spawn(handle(requests));
            }
        } else {
            // Out of files, most likely: give connections time to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The requests of one connection, one after the other.
#[derive(Debug)]
pub(super) struct Requests {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Requests {
    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 << 10], filled: 0 })
    }

    /// Reads the next request to the end of its body; false when the client has closed.
    pub(super) async fn next(&mut self) -> std::io::Result<bool> {
        let head_end = loop {
            if let Some(end) = head_end(&self.buffer[..self.filled]) {
                break end;
            }
            if self.filled == self.buffer.len() {
                if self.filled >= MOST_HEAD_BYTES {
                    return Ok(false);
                }
                self.buffer.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]).await? {
                0 => return Ok(false),
                read => self.filled += read,
            }
        };
        let mut body_left = content_length(&self.buffer[..head_end]);
        let here = body_left.min(self.filled - head_end);
        body_left -= here;
        self.buffer.copy_within(head_end + here..self.filled, 0);
        self.filled -= head_end + here;
        // Only when the buffer held nothing else can a body reach beyond it.
        while body_left > 0 {
            let room = body_left.min(self.buffer.len());
            match self.stream.read(&mut self.buffer[..room]).await? {
                0 => return Ok(false),
                read => body_left -= read,
            }
        }
        Ok(true)
    }

    /// Writes an answer, head and body.
    pub(super) async fn answer(&mut self, answer: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(answer).await
    }
}

/// Head and body of a success with so many bytes.
pub(super) fn success(body_bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.extend(b"ok".iter().cycle().take(body_bytes));
    answer
}

/// Where the head ends, its empty line included.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The body's length as the head announces it; 0 without a word.
pub(super) fn content_length(head: &[u8]) -> usize {
    value(head, b"content-length:").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether the client wants the connection to end with the answer.
pub(super) fn asks_to_close(head: &[u8]) -> bool {
    value(head, b"connection:").is_some_and(|text| text.eq_ignore_ascii_case("close"))
}

/// The value of a header, whose name is given with its colon.
fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    head.split(|&byte| byte == b'\n')
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .and_then(|line| std::str::from_utf8(&line[name.len()..]).ok())
        .map(str::trim)
}
