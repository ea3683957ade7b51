//! An endpoint that answers at once: what is measured against it is the harness itself.
//!
//! A loop written out for the purpose: it reads a request's head only as far as the length of its
//! body, and answers with bytes that were made once.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

use super::timer::PreciseTimer;

/// Longest request head that is read.
const MOST_HEAD_BYTES: usize = 64 << 10;

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
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl NullTarget {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for NullTarget {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
    }
}

/// Starts a null target on the loopback address.
///
/// # Errors
/// When the port is taken, or no thread or socket is to be had.
pub fn spawn(options: &NullOptions) -> std::io::Result<NullTarget> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let answer = Arc::new(answer(options.body_bytes));
    let mut target = NullTarget { address, stop, threads: Vec::new() };
    for _ in 0..options.threads.max(1) {
        let (listener, answer, stopped) = (listener.try_clone()?, Arc::clone(&answer), stopped.clone());
        let delay = options.delay;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        target.threads.push(std::thread::Builder::new().name("null-target".into()).spawn(move || {
            runtime.block_on(serve(listener, &answer, delay, stopped));
        })?);
    }
    Ok(target)
}

/// Head and body of every answer.
fn answer(body_bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.extend(b"ok".iter().cycle().take(body_bytes));
    answer
}

async fn serve(
    listener: TcpListener,
    answer: &Arc<Vec<u8>>,
    delay: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|&stopped| stopped) => return,
        };
        if let Ok((stream, _)) = accepted {
            let answer = Arc::clone(answer);
            // A connection that breaks concerns its client alone.
            tokio::spawn(async move { drop(serve_connection(stream, &answer, delay).await) });
        } else {
            // Out of files, most likely: give connections time to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Answers one request after the other until the client closes.
async fn serve_connection(mut stream: TcpStream, answer: &[u8], delay: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut timer = if delay.is_zero() { None } else { Some(PreciseTimer::new()?) };
    let mut buffer = vec![0u8; 16 << 10];
    let mut filled = 0;
    loop {
        let head_end = loop {
            if let Some(end) = head_end(&buffer[..filled]) {
                break end;
            }
            if filled == buffer.len() {
                if filled >= MOST_HEAD_BYTES {
                    return Ok(());
                }
                buffer.resize(filled * 2, 0);
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let mut body_left = content_length(&buffer[..head_end]);
        let here = body_left.min(filled - head_end);
        body_left -= here;
        buffer.copy_within(head_end + here..filled, 0);
        filled -= head_end + here;
        // Only when the buffer held nothing else can a body reach beyond it.
        while body_left > 0 {
            let room = body_left.min(buffer.len());
            match stream.read(&mut buffer[..room]).await? {
                0 => return Ok(()),
                read => body_left -= read,
            }
        }
        if let Some(timer) = &mut timer {
            timer.sleep(delay).await?;
        }
        stream.write_all(answer).await?;
    }
}

/// Where the head ends, its empty line included.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The body's length as the head announces it; 0 without a word.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    head.split(|&byte| byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))
        .and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
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
        let mut read = vec![0; answer(3).len() * 3];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, answer(3).repeat(3));
    }

    #[test]
    fn it_waits_before_each_answer() {
        let delay = Duration::from_millis(20);
        let target = spawn(&NullOptions { delay, ..NullOptions::default() }).unwrap();
        let mut stream = std::net::TcpStream::connect(target.address).unwrap();
        let begin = std::time::Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; answer(2).len()]).unwrap();
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
