//! A target whose response times are known in advance, to hold a load generator's word against.
//!
//! It answers each request when a seeded model says so, to some tens of microseconds, and keeps a
//! record of its own: what it drew, when it meant to answer, and when it did. The true quantiles of
//! each behaviour are in [`crate::analyse::ground_truth`].

mod behaviour;
mod model;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use behaviour::{Behaviour, BehaviourError};
use model::Model;

use super::{
    DriveError, cores,
    loopback::{Requests, Server, success},
    timer::PreciseTimer,
};

/// Requests whose record is kept; 640 MB of them. Later ones are served alike, and not recorded.
const MOST_KEPT: usize = 20_000_000;

/// What to serve.
#[derive(Debug, Clone, Copy)]
pub struct KnownOptions {
    /// Port on the loopback address; 0 = any free one.
    pub port: u16,
    /// How long requests take.
    pub behaviour: Behaviour,
    /// Seed of the service times.
    pub seed: u64,
    /// Bytes of each answer's body.
    pub body_bytes: usize,
    /// Bind its thread to this core.
    pub core: Option<usize>,
}

/// One request, as the target saw it; nanoseconds since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// When it had been read.
    pub arrived_ns: u64,
    /// The service time that was drawn for it; waiting and stalls are not in it.
    pub service_ns: u64,
    /// When it was to be answered.
    pub due_ns: u64,
    /// When its answer was about to be written.
    pub answered_ns: u64,
}

impl Served {
    /// What it really took, from its last byte in to its first byte out.
    pub fn response_ns(&self) -> u64 {
        self.answered_ns.saturating_sub(self.arrived_ns)
    }

    /// By how much the timer was late.
    pub fn late_ns(&self) -> u64 {
        self.answered_ns.saturating_sub(self.due_ns)
    }
}

/// A running target of known behaviour; dropping it stops it.
#[derive(Debug)]
pub struct KnownTarget {
    server: Server,
    shared: Arc<Shared>,
}

/// What its connections share.
#[derive(Debug)]
struct Shared {
    zero: Instant,
    model: Mutex<Model>,
    served: Mutex<Vec<Served>>,
}

impl Shared {
    fn now_ns(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    fn keep(&self, request: Served) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() < MOST_KEPT {
            served.push(request);
        }
    }
}

impl KnownTarget {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Its own record so far, in the order of its answers; empties it.
    pub fn take_served(&self) -> Vec<Served> {
        std::mem::take(&mut *self.shared.served.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts it on the loopback address, with one thread.
///
/// # Errors
/// When the port is taken, this process may not use the core, or no thread or socket is to be had.
pub fn spawn(options: KnownOptions) -> Result<KnownTarget, DriveError> {
    let shared = Arc::new(Shared {
        zero: Instant::now(),
        model: Mutex::new(Model::new(options.behaviour, options.seed)),
        served: Mutex::default(),
    });
    let (state, answer) = (Arc::clone(&shared), Arc::new(success(options.body_bytes)));
    let server = cores::on_core(options.core, || {
        Server::start("known-target", options.port, 1, move |requests| {
            serve(requests, Arc::clone(&state), Arc::clone(&answer))
        })
    })??;
    Ok(KnownTarget { server, shared })
}

/// Answers one request after the other until the client closes.
async fn serve(mut requests: Requests, shared: Arc<Shared>, answer: Arc<Vec<u8>>) -> std::io::Result<()> {
    let mut timer = PreciseTimer::new()?;
    while requests.next().await? {
        let arrived_ns = shared.now_ns();
        let due = shared.model.lock().unwrap_or_else(PoisonError::into_inner).next(arrived_ns);
        timer.sleep(Duration::from_nanos(due.due_ns.saturating_sub(shared.now_ns()))).await?;
        let answered_ns = shared.now_ns();
        // Before the answer: whoever has it finds the request in the record.
        shared.keep(Served { arrived_ns, service_ns: due.service_ns, due_ns: due.due_ns, answered_ns });
        requests.answer(&answer).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn options(behaviour: &str) -> KnownOptions {
        KnownOptions { port: 0, behaviour: behaviour.parse().unwrap(), seed: 1, body_bytes: 2, core: None }
    }

    /// Sends so many requests one after the other; returns what each took.
    fn ask(target: &KnownTarget, requests: usize) -> Vec<Duration> {
        let mut stream = std::net::TcpStream::connect(target.server.address()).unwrap();
        let mut answer = vec![0; success(2).len()];
        (0..requests)
            .map(|_| {
                let begin = Instant::now();
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
                stream.read_exact(&mut answer).unwrap();
                begin.elapsed()
            })
            .collect()
    }

    #[test]
    fn it_never_answers_early_and_its_own_record_says_what_it_took() {
        let target = spawn(options("exponential:3ms")).unwrap();
        let seen = ask(&target, 40);
        let served = target.take_served();
        assert_eq!(served.len(), 40);
        for (seen, served) in seen.iter().zip(&served) {
            assert!(served.answered_ns >= served.due_ns);
            assert_eq!(served.due_ns, served.arrived_ns + served.service_ns);
            assert!(seen.as_nanos() >= u128::from(served.service_ns), "the client cannot see less");
        }
        let mut late: Vec<u64> = served.iter().map(Served::late_ns).collect();
        late.sort_unstable();
        assert!(late[20] < 900_000, "median lateness of the target {} ns", late[20]);
        assert!(target.take_served().is_empty());
    }

    #[test]
    fn a_stall_delays_all_connections() {
        let target = spawn(options("stalls:1ms:60ms:80ms")).unwrap();
        // Four periods: whichever the phase, most of the time the server is frozen.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(320) {
            ask(&target, 1);
        }
        let longest = target.take_served().iter().map(Served::response_ns).max().unwrap();
        assert!(longest >= 40_000_000, "no request met the stall: {longest} ns at most");
    }

    #[test]
    fn a_core_that_cannot_be_had_is_refused() {
        assert!(spawn(KnownOptions { core: Some(usize::MAX), ..options("constant") }).is_err());
    }
}
