//! A small broker of the twin's own, in place of Knative Eventing's: takes CloudEvents by POST,
//! acknowledges with 202 once they are queued, and brings each to the subscribers whose Trigger
//! lets it pass, again and again until they take it.
//!
//! It is a stand-in: queues are in memory (as those of an `MTChannelBasedBroker` over in-memory
//! channels are), and ingress, filter and dispatcher are one thread on the cores of the data planes.
//! The number of attempts and the pauses are the defaults of Knative's `config-br-defaults`:
//! 10 retries, 0.2 s, doubled each time.

mod dispatch;
mod event;

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, StatusCode, body::Incoming};
use tokio::sync::{mpsc, oneshot};

use self::{dispatch::Dispatcher, event::Event};
use super::{
    placement::{confine, placement},
    plane::http::{self, Answer},
};
use crate::{analyse::events::BrokerCounts, drive::Endpoint};

/// Path of the ingress, in the form of a cluster's: namespace and name.
const PATH: &str = "/testbed/default";
/// Longest event that is taken, bytes.
const MOST_EVENT_BYTES: usize = 1 << 20;
/// Delivery times that are kept until somebody takes them.
const MOST_TIMES: usize = 1_000_000;

/// Who gets which events.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Attributes that an event must have, with these values; empty: every event passes. An empty
    /// value stands for any (`spec.filter.attributes` of a Trigger).
    pub filter: BTreeMap<String, String>,
    /// Where they go.
    pub subscriber: Endpoint,
}

/// How a broker is set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrokerOptions {
    /// Events that may wait for each subscriber; a further one is answered with 503.
    pub queue: usize,
    /// Events on their way to each subscriber at the same time.
    pub deliveries: usize,
    /// Attempts after the first.
    pub retries: u32,
    /// Pause after the first failed attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// Of one attempt.
    pub timeout: Duration,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            queue: 100_000,
            deliveries: 16,
            retries: 10,
            first_pause: Duration::from_millis(200),
            timeout: Duration::from_secs(10),
        }
    }
}

/// A running broker; dropping it stops it, with what is queued.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Opens the ingress on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is no free port, or the system refuses a thread.
    pub fn start(triggers: Vec<Trigger>, options: BrokerOptions) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ledger = Arc::<Ledger>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kept = Arc::clone(&ledger);
        let thread = std::thread::Builder::new().name("twin-broker".to_owned()).spawn(move || {
            // Off the generator's core. Where that cannot be, the placement's notice says so.
            let _ = confine(&placement().rest);
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let queues =
                    triggers.into_iter().map(|trigger| Queue::open(trigger, options, &kept)).collect();
                let ingress = Arc::new(Ingress { queues, ledger: kept });
                tokio::select! {
                    () = http::serve(listener, move |request, _| Arc::clone(&ingress).handle(request)) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, ledger, stop: Some(stop), thread: Some(thread) })
    }

    /// Where events are posted.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// What it has counted so far, over all subscribers.
    pub fn counts(&self) -> BrokerCounts {
        self.ledger.lock().counts.clone()
    }

    /// How long events took from their own `time` until a subscriber had taken them, since the last
    /// call, milliseconds; of the first million at most.
    pub fn take_times_ms(&self) -> Vec<f64> {
        std::mem::take(&mut self.ledger.lock().times_ms)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What is counted.
#[derive(Debug, Default)]
struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    counts: BrokerCounts,
    times_ms: Vec<f64>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events that wait for one subscriber.
struct Queue {
    filter: BTreeMap<String, String>,
    sender: mpsc::Sender<Arc<Event>>,
}

impl Queue {
    fn open(trigger: Trigger, options: BrokerOptions, ledger: &Arc<Ledger>) -> Self {
        let (sender, receiver) = mpsc::channel(options.queue.max(1));
        Dispatcher::start(&trigger.subscriber, options, receiver, ledger);
        Self { filter: trigger.filter, sender }
    }
}

struct Ingress {
    queues: Vec<Queue>,
    ledger: Arc<Ledger>,
}

impl Ingress {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let refuse = |status: StatusCode, why: String| {
            self.ledger.lock().counts.refused += 1;
            Ok(http::text(status, why))
        };
        if request.method() != Method::POST || request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND, format!("events are taken by POST at {PATH}"));
        }
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MOST_EVENT_BYTES).collect().await else {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("an event has {MOST_EVENT_BYTES} bytes at most"),
            );
        };
        let event = match Event::read(&head.headers, body.to_bytes()) {
            Ok(event) => Arc::new(event),
            Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
        };
        let mut places = Vec::new();
        for queue in self.queues.iter().filter(|queue| event.passes(&queue.filter)) {
            match queue.sender.try_reserve() {
                Ok(place) => places.push(place),
                Err(_) => {
                    return refuse(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "a subscriber's queue is full".to_owned(),
                    );
                }
            }
        }
        {
            let mut entries = self.ledger.lock();
            entries.counts.accepted += 1;
            entries.counts.queued += places.len() as u64;
        }
        places.into_iter().for_each(|place| place.send(Arc::clone(&event)));
        Ok(http::empty(StatusCode::ACCEPTED))
    }
}

#[cfg(test)]
mod tests;
