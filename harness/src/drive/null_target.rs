//! An endpoint that answers at once: what is measured against it is the harness itself.
//!
//! A loop written out for the purpose: it reads a request's head only as far as the length of its
//! body, and answers with bytes that were made once. One read and one write a request.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mio::{
    Interest, Token, Waker,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

use super::{
    loopback::{MOST_HEAD_BYTES, asks_to_close, content_length, head_end, success},
    reactor::Reactor,
};

/// What one look at a socket reads at most.
const READ_BYTES: usize = 64 << 10;

/// How long a thread rests when no more connections can be accepted.
const NO_FILES_REST: Duration = Duration::from_millis(10);

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
/// Connections follow.
const FIRST: usize = 2;

/// What to serve.
#[derive(Debug, Clone)]
pub struct NullOptions {
    /// Port on the loopback address; 0 = any free one.
    pub port: u16,
    /// Wait this long before each answer.
    pub delay: Duration,
    /// Threads that serve.
    pub threads: usize,
    /// Bytes of the answer's body.
    pub body_bytes: usize,
}

impl Default for NullOptions {
    fn default() -> Self {
        Self { port: 0, delay: Duration::ZERO, threads: 1, body_bytes: 2 }
    }
}

/// A running null target; dropping it stops it.
#[derive(Debug)]
pub struct NullTarget {
    address: SocketAddr,
    threads: Vec<(Waker, JoinHandle<()>)>,
}

impl NullTarget {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for NullTarget {
    fn drop(&mut self) {
        for (waker, thread) in self.threads.drain(..) {
            // A thread that cannot be woken is left alone; a panic of it was printed already.
            if waker.wake().is_ok() {
                let _ = thread.join();
            }
        }
    }
}

/// Starts a null target on the loopback address.
///
/// # Errors
/// When the port is taken, or no thread or socket is to be had.
pub fn spawn(options: &NullOptions) -> io::Result<NullTarget> {
    // With a queue of a thousand: the standard library's is short, and a connection that finds it
    // full waits a second for its next try.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port).into())?;
    let address = listener.local_addr()?;
    let listener = std::net::TcpListener::from(OwnedFd::from(listener));
    let answer = Arc::new(success(options.body_bytes));
    let mut target = NullTarget { address, threads: Vec::new() };
    for _ in 0..options.threads.max(1) {
        let reactor = Reactor::new()?;
        let mut listener = TcpListener::from_std(listener.try_clone()?);
        reactor.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(reactor.registry(), STOP)?;
        let server = Server {
            reactor,
            listener,
            connections: Slab::new(),
            pending: BinaryHeap::new(),
            answer: Arc::clone(&answer),
            delay: options.delay,
            scratch: vec![0; READ_BYTES].into(),
            accepted: 0,
        };
        let thread = std::thread::Builder::new().name("null-target".into()).spawn(move || {
            // It fails when the kernel has no memory left; the clients see the end.
            let _ = server.serve();
        })?;
        target.threads.push((waker, thread));
    }
    Ok(target)
}

/// One thread's connections.
struct Server {
    reactor: Reactor,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// When which connection is to answer; its number tells it from a later one with its key.
    pending: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    answer: Arc<Vec<u8>>,
    delay: Duration,
    scratch: Box<[u8]>,
    accepted: u64,
}

struct Connection {
    stream: TcpStream,
    number: u64,
    /// Received and not used yet.
    input: Vec<u8>,
    /// Bytes of the present request's body that are yet to come.
    body_left: usize,
    /// Bytes of the answer that are yet to be written.
    unsent: usize,
    /// Whether the answer waits for its time.
    waits: bool,
    /// Whether the client asked for the end of the connection after this answer.
    is_last: bool,
    /// Whether the socket has nothing to read until its next event.
    drained: bool,
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

impl Server {
    fn serve(mut self) -> io::Result<()> {
        let mut accept_from = None;
        let mut ready = Vec::new();
        loop {
            let until = [self.pending.peek().map(|Reverse((at, ..))| *at), accept_from];
            self.reactor.wait(until.into_iter().flatten().min())?;
            ready.extend(self.reactor.ready().map(|event| (event.token(), event.is_read_closed())));
            for (token, peer_closed) in ready.drain(..) {
                match token {
                    STOP => return Ok(()),
                    LISTENER => accept_from = self.accept(),
                    Token(token) => self.go_on(token - FIRST, peer_closed),
                }
            }
            let now = Instant::now();
            if accept_from.is_some_and(|at| at <= now) {
                accept_from = self.accept();
            }
            while let Some(&Reverse((at, key, number))) = self.pending.peek()
                && at <= now
            {
                self.pending.pop();
                if let Some(connection) = self.connections.get_mut(key).filter(|it| it.number == number) {
                    connection.waits = false;
                    connection.unsent = self.answer.len();
                    self.go_on(key, false);
                }
            }
        }
    }

    /// Accepts what is there; when to try again if this machine gives no more files.
    fn accept(&mut self) -> Option<Instant> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let entry = self.connections.vacant_entry();
                    let token = Token(entry.key() + FIRST);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    // One that cannot be served is closed.
                    if stream.set_nodelay(true).is_ok()
                        && self.reactor.registry().register(&mut stream, token, interest).is_ok()
                    {
                        self.accepted += 1;
                        entry.insert(Connection::new(stream, self.accepted));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return Some(Instant::now() + NO_FILES_REST),
            }
        }
    }

    fn go_on(&mut self, key: usize, peer_closed: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.drained = false;
        let waited = connection.waits;
        if connection.go_on(&self.answer, self.delay, &mut self.scratch, peer_closed) == Fate::Ends {
            // A connection that breaks concerns its client alone.
            self.connections.remove(key);
        } else if connection.waits && !waited {
            self.pending.push(Reverse((Instant::now() + self.delay, key, connection.number)));
        }
    }
}

impl Connection {
    fn new(stream: TcpStream, number: u64) -> Self {
        Self {
            stream,
            number,
            input: Vec::new(),
            body_left: 0,
            unsent: 0,
            waits: false,
            is_last: false,
            drained: false,
        }
    }

    /// Answers one request after the other until the socket or the clock has to be waited for.
    fn go_on(&mut self, answer: &[u8], delay: Duration, scratch: &mut [u8], peer_closed: bool) -> Fate {
        loop {
            while self.unsent > 0 {
                match self.stream.write(&answer[answer.len() - self.unsent..]) {
                    Ok(written) if written == self.unsent && self.is_last => return Fate::Ends,
                    Ok(0) => return Fate::Ends,
                    Ok(written) => self.unsent -= written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Stays,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Fate::Ends,
                }
            }
            if self.waits {
                return Fate::Stays;
            }
            match self.take_request() {
                Some(true) if delay.is_zero() => self.unsent = answer.len(),
                Some(true) => self.waits = true,
                Some(false) if self.drained => return Fate::Stays,
                Some(false) => match self.stream.read(scratch) {
                    Ok(0) => return Fate::Ends,
                    Ok(read) => {
                        // A short read has emptied the socket, but an end that came with it makes
                        // no event of its own.
                        self.drained = read < scratch.len() && !peer_closed;
                        let body = self.body_left.min(read);
                        self.body_left -= body;
                        self.input.extend_from_slice(&scratch[body..read]);
                        if body > 0 && self.body_left == 0 {
                            self.unsent = if delay.is_zero() { answer.len() } else { 0 };
                            self.waits = !delay.is_zero();
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Stays,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Fate::Ends,
                },
                None => return Fate::Ends,
            }
        }
    }

    /// Takes a request off the input. Whether it is complete; none when its head is too long.
    fn take_request(&mut self) -> Option<bool> {
        if self.body_left > 0 {
            return Some(false);
        }
        let Some(head_end) = head_end(&self.input) else {
            return (self.input.len() <= MOST_HEAD_BYTES).then_some(false);
        };
        let head = &self.input[..head_end];
        self.is_last = asks_to_close(head);
        let length = content_length(head);
        let here = length.min(self.input.len() - head_end);
        self.body_left = length - here;
        self.input.drain(..head_end + here);
        Some(self.body_left == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn it_answers_pipelined_requests_with_and_without_bodies() {
        let target = spawn(&NullOptions { body_bytes: 3, ..NullOptions::default() }).unwrap();
        let mut stream = std::net::TcpStream::connect(target.address).unwrap();
        let body = "x".repeat(100_000);
        let requests = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /p HTTP/1.1\r\ncontent-LENGTH: {}\r\n\r\n{body}GET / HTTP/1.1\r\n\r\n",
            body.len()
        );
        stream.write_all(requests.as_bytes()).unwrap();
        let mut read = vec![0; success(3).len() * 3];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, success(3).repeat(3));
    }

    #[test]
    fn a_client_that_asks_for_it_gets_an_answer_and_the_end() {
        let target = spawn(&NullOptions::default()).unwrap();
        let mut stream = std::net::TcpStream::connect(target.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        assert_eq!(read, success(2));
    }

    #[test]
    fn it_waits_before_each_answer() {
        let delay = Duration::from_millis(20);
        let target = spawn(&NullOptions { delay, ..NullOptions::default() }).unwrap();
        let mut stream = std::net::TcpStream::connect(target.address).unwrap();
        let begin = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; success(2).len()]).unwrap();
        assert!(begin.elapsed() >= delay);
    }

    #[test]
    fn dropping_it_frees_the_port() {
        let target = spawn(&NullOptions { threads: 2, ..NullOptions::default() }).unwrap();
        let address = target.address;
        drop(target);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
