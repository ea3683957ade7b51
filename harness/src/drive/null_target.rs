//! An endpoint that answers at once: what is measured against it is the harness itself.

use std::{sync::Arc, time::Duration};

use super::{
    loopback::{Requests, Server, success},
    timer::PreciseTimer,
};

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
    server: Server,
}

impl NullTarget {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// Starts a null target on the loopback address.
///
/// # Errors
/// When the port is taken, or no thread or socket is to be had.
pub fn spawn(options: &NullOptions) -> std::io::Result<NullTarget> {
    let (answer, delay) = (Arc::new(success(options.body_bytes)), options.delay);
    let server = Server::start("null-target", options.port, options.threads, move |requests| {
        serve(requests, Arc::clone(&answer), delay)
    })?;
    Ok(NullTarget { server })
}

/// Answers one request after the other until the client closes.
async fn serve(mut requests: Requests, answer: Arc<Vec<u8>>, delay: Duration) -> std::io::Result<()> {
    let mut timer = if delay.is_zero() { None } else { Some(PreciseTimer::new()?) };
    while requests.next().await? {
        if let Some(timer) = &mut timer {
            timer.sleep(delay).await?;
        }
        requests.answer(&answer).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn it_answers_pipelined_requests_with_and_without_bodies() {
        let target = spawn(&NullOptions { body_bytes: 3, ..NullOptions::default() }).unwrap();
        let mut stream = std::net::TcpStream::connect(target.server.address()).unwrap();
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
    fn it_waits_before_each_answer() {
        let delay = Duration::from_millis(20);
        let target = spawn(&NullOptions { delay, ..NullOptions::default() }).unwrap();
        let mut stream = std::net::TcpStream::connect(target.server.address()).unwrap();
        let begin = std::time::Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; success(2).len()]).unwrap();
        assert!(begin.elapsed() >= delay);
    }

    #[test]
    fn dropping_it_frees_the_port() {
        let target = spawn(&NullOptions { threads: 2, ..NullOptions::default() }).unwrap();
        let address = target.server.address();
        drop(target);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
