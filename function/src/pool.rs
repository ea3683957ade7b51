//! The inference threads and the bounded queue in front of them.
//!
//! A full queue refuses at once. Work whose caller has gone away is not done.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::workloads::{Answer, Input, Query, Workload, WorkloadError};

/// Threads that wait for work. Dropping it ends them after their current request.
pub struct Pool {
    shared: Arc<Shared>,
}

/// What comes back for a request that was taken.
#[derive(Debug)]
pub struct Done {
    /// How long it waited for a thread.
    pub queued: Duration,
    /// The workload's answer.
    pub result: Result<Answer, WorkloadError>,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// All threads are busy and as many requests wait as may.
    #[error("all threads are busy and {limit} requests wait; raise QUEUE_LIMIT to let more wait")]
    Full {
        /// How many may wait.
        limit: usize,
    },
}

struct Job {
    input: Input,
    query: Query,
    queued_at: Instant,
    reply: oneshot::Sender<Done>,
}

struct Shared {
    workload: Arc<dyn Workload>,
    threads: usize,
    queue_limit: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads (at least one); `queue_limit` requests may wait for them.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(workload: Arc<dyn Workload>, threads: usize, queue_limit: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            workload,
            threads,
            queue_limit,
            state: Mutex::default(),
            work: Condvar::new(),
        });
        let pool = Self { shared };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(format!("inference-{number}"))
                .spawn(move || while shared.serve_one() {})?;
        }
        Ok(pool)
    }

    /// Hands a request in. To drop the receiver is to give the request up.
    ///
    /// # Errors
    /// At once, if the queue is full.
    pub fn submit(&self, input: Input, query: Query) -> Result<oneshot::Receiver<Done>, PoolError> {
        let shared = &*self.shared;
        let (reply, receiver) = oneshot::channel();
        let mut state = shared.state();
        let capacity = shared.threads + shared.queue_limit;
        if state.waiting.len() + state.running >= capacity {
            // Those who left need no place.
            state.waiting.retain(|job| !job.reply.is_closed());
        }
        if state.waiting.len() + state.running >= capacity {
            return Err(PoolError::Full { limit: shared.queue_limit });
        }
        state.waiting.push_back(Job { input, query, queued_at: Instant::now(), reply });
        drop(state);
        shared.work.notify_one();
        Ok(receiver)
    }

    /// Requests that wait for a thread.
    pub fn queue_length(&self) -> usize {
        self.shared.state().waiting.len()
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// Waits for a request and answers it; false once the pool is closed.
    fn serve_one(&self) -> bool {
        let mut state = self
            .work
            .wait_while(self.state(), |state| state.waiting.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let Some(job) = state.waiting.pop_front() else {
            return false;
        };
        if job.reply.is_closed() {
            return true;
        }
        state.running += 1;
        drop(state);

        let queued = job.queued_at.elapsed();
        // A panic is a bug, but it must cost one request and not the thread.
        let result = catch_unwind(AssertUnwindSafe(|| self.workload.handle(&job.input, &job.query)))
            .unwrap_or_else(|panic| Err(WorkloadError::Internal(describe(panic.as_ref()))));

        // Before the reply: who hears of an answer may count on the free place.
        self.state().running -= 1;
        // An error means that the caller has left meanwhile.
        let _ = job.reply.send(Done { queued, result });
        true
    }

    /// The state is whole after every statement that holds the lock, so poison means nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("the workload panicked: {message}")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use bytes::Bytes;
    use serde_json::Map;

    use super::*;

    /// Holds each request until it is let go, so that tests choose the order of events.
    pub(crate) struct Gate {
        pub(crate) entered: Mutex<mpsc::Sender<Bytes>>,
        pub(crate) leave: Mutex<mpsc::Receiver<()>>,
        pub(crate) handled: AtomicUsize,
    }

    impl Gate {
        pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Bytes>, mpsc::Sender<()>) {
            let (entered, enters) = mpsc::channel();
            let (leaves, leave) = mpsc::channel();
            let gate =
                Self { entered: Mutex::new(entered), leave: Mutex::new(leave), handled: AtomicUsize::new(0) };
            (Arc::new(gate), enters, leaves)
        }
    }

    impl Workload for Gate {
        fn name(&self) -> &'static str {
            "gate"
        }

        fn about(&self) -> Map<String, serde_json::Value> {
            Map::new()
        }

        fn warm_up(&self) -> Result<(), WorkloadError> {
            Ok(())
        }

        fn handle(&self, input: &Input, _query: &Query) -> Result<Answer, WorkloadError> {
            assert!(input.body != "panic", "as asked");
            self.entered.lock().unwrap().send(input.body.clone()).unwrap();
            self.leave.lock().unwrap().recv().unwrap();
            self.handled.fetch_add(1, Ordering::SeqCst);
            Ok(Answer { stages: vec![("inference", Duration::from_micros(1500))], ..Answer::default() })
        }
    }

    fn submit(pool: &Pool, input: &'static [u8]) -> Result<oneshot::Receiver<Done>, PoolError> {
        pool.submit(input.into(), Query::default())
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_takes_again_when_there_is_room() {
        let (gate, enters, leaves) = Gate::new();
        let pool = Pool::start(gate, 1, 1).unwrap();
        let running = submit(&pool, b"running").unwrap();
        enters.recv().unwrap();
        let waiting = submit(&pool, b"waiting").unwrap();
        assert_eq!(pool.queue_length(), 1);
        assert_eq!(submit(&pool, b"too many").unwrap_err(), PoolError::Full { limit: 1 });

        leaves.send(()).unwrap();
        assert!(running.blocking_recv().unwrap().result.is_ok());
        enters.recv().unwrap();
        let later = submit(&pool, b"later").unwrap();
        leaves.send(()).unwrap();
        leaves.send(()).unwrap();
        assert!(waiting.blocking_recv().unwrap().queued > Duration::ZERO);
        assert!(later.blocking_recv().unwrap().result.is_ok());
    }

    #[test]
    fn a_queue_limit_of_zero_lets_nobody_wait() {
        let (gate, enters, leaves) = Gate::new();
        let pool = Pool::start(gate, 1, 0).unwrap();
        let running = submit(&pool, b"running").unwrap();
        enters.recv().unwrap();
        assert_eq!(submit(&pool, b"second").unwrap_err(), PoolError::Full { limit: 0 });
        leaves.send(()).unwrap();
        running.blocking_recv().unwrap();
        let third = submit(&pool, b"third").unwrap();
        enters.recv().unwrap();
        leaves.send(()).unwrap();
        assert!(third.blocking_recv().unwrap().result.is_ok());
    }

    #[test]
    fn nobody_computes_for_a_caller_who_left_the_queue() {
        let (gate, enters, leaves) = Gate::new();
        let pool = Pool::start(Arc::clone(&gate) as Arc<dyn Workload>, 1, 2).unwrap();
        let running = submit(&pool, b"running").unwrap();
        enters.recv().unwrap();
        drop(submit(&pool, b"gone").unwrap());
        drop(submit(&pool, b"gone too").unwrap());
        // The places of those who left are given away.
        let stays = submit(&pool, b"stays").unwrap();
        leaves.send(()).unwrap();
        leaves.send(()).unwrap();
        running.blocking_recv().unwrap();
        stays.blocking_recv().unwrap();
        assert_eq!(enters.recv().unwrap().as_ref(), b"stays");
        assert_eq!(gate.handled.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_panic_costs_one_request_and_no_thread() {
        let (gate, enters, leaves) = Gate::new();
        let pool = Pool::start(gate, 1, 1).unwrap();
        let done = submit(&pool, b"panic").unwrap().blocking_recv().unwrap();
        assert_eq!(
            done.result.unwrap_err(),
            WorkloadError::Internal("the workload panicked: as asked".into())
        );
        let next = submit(&pool, b"next").unwrap();
        enters.recv().unwrap();
        leaves.send(()).unwrap();
        assert!(next.blocking_recv().unwrap().result.is_ok());
    }
}
