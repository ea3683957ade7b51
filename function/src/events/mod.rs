//! What was answered, told to a sink: each correct answer becomes a CloudEvent 1.0 in binary mode
//! over HTTP, posted beside the answer or, for comparison, before it.
//!
//! Every event meets one fate, delivered or dropped for a named reason, and is counted with it:
//! `emitted = delivered + dropped + those still under way`. Events have no order: several
//! connections send them side by side; `ce-sequence` tells the order in which they were made.
//!
//! Map: `config` are the settings, `binding` is how attributes become headers, `metrics` counts,
//! `backoff` is the pause between attempts, `sender` posts.

pub mod backoff;
pub mod binding;
pub mod config;
pub mod metrics;
mod sender;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::config::{EventConfig, Mode};
use self::metrics::{EventMetrics, Loss};
use crate::instance::Instance;
use crate::workloads::Answer;

/// Longest event that every intermediary has to forward (CloudEvents 1.0.2, "Size Limits"), less
/// a KiB for the attributes, bytes.
const MOST_DATA_BYTES: usize = 63 << 10;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The sink took it.
    Delivered,
    /// Nobody will get it.
    Dropped(Loss),
}

/// An event on its way.
#[derive(Debug)]
struct Event {
    /// The same in every attempt.
    id: String,
    number: u64,
    time: String,
    subject: String,
    data: Bytes,
    made_at: Instant,
    /// Who waits for its fate.
    reply: Option<oneshot::Sender<Fate>>,
}

/// What an answer says of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// `ce-id`.
    pub id: String,
    /// What is known; none: it waits in the buffer.
    pub fate: Option<Fate>,
    /// How long the answer waited for it; none if it did not.
    pub waited: Option<Duration>,
}

impl Receipt {
    /// In a word: `queued`, `delivered`, or why it was dropped.
    pub fn word(&self) -> &'static str {
        match self.fate {
            None => "queued",
            Some(Fate::Delivered) => "delivered",
            Some(Fate::Dropped(why)) => why.word(),
        }
    }
}

/// What makes events and hands them to the sender. Inert where no events are wanted.
#[derive(Debug)]
pub struct Events {
    emitter: Option<Emitter>,
    metrics: EventMetrics,
}

#[derive(Debug)]
struct Emitter {
    is_inline: bool,
    boot_id: String,
    made: AtomicU64,
    buffer: mpsc::Sender<Event>,
    /// Events made whose fate is open.
    open: watch::Sender<usize>,
    senders: Mutex<Vec<JoinHandle<()>>>,
}

impl Events {
    /// Starts the tasks that post, on the runtime of the caller; none where no events are wanted.
    pub fn start(config: &EventConfig, workload: &str, instance: &Instance, metrics: EventMetrics) -> Self {
        let EventConfig { mode, sending } = config;
        let emitter = sending.as_ref().filter(|_| *mode != Mode::Off).map(|sending| {
            let (buffer, waiting) = mpsc::channel(sending.buffer);
            let open = watch::Sender::new(0);
            let template = binding::template(sending, workload, &instance.id);
            let senders = sender::start(sending, template, waiting, &metrics, &open);
            Emitter {
                is_inline: *mode == Mode::Inline,
                boot_id: instance.boot_id.clone(),
                made: AtomicU64::new(0),
                buffer,
                open,
                senders: Mutex::new(senders),
            }
        });
        Self { emitter, metrics }
    }

    /// Makes the event of an answer. In the background it returns at once, whatever the sink does;
    /// inline it waits for the event's fate. None where no events are wanted.
    ///
    /// `call` is the caller's own number of the request, if there is one.
    pub async fn emit(&self, answer: &Answer, call: Option<&str>) -> Option<Receipt> {
        let emitter = self.emitter.as_ref()?;
        let made_at = Instant::now();
        let number = emitter.made.fetch_add(1, Ordering::Relaxed);
        self.metrics.emitted.inc();
        let id = format!("{}-{number}", emitter.boot_id);
        let (reply, fate) = oneshot::channel();
        let event = Event {
            id: id.clone(),
            number,
            time: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
            subject: call.map_or_else(|| format!("event/{number}"), |call| format!("call/{call}")),
            data: data_of(answer),
            made_at,
            reply: emitter.is_inline.then_some(reply),
        };
        if let Err(why) = self.hand_over(emitter, event) {
            self.metrics.dropped(why);
            return Some(Receipt { id, fate: Some(Fate::Dropped(why)), waited: None });
        }
        if !emitter.is_inline {
            return Some(Receipt { id, fate: None, waited: None });
        }
        // The sender answers unless it is stopped, which counts the event as it stops.
        let fate = fate.await.unwrap_or(Fate::Dropped(Loss::Shutdown));
        Some(Receipt { id, fate: Some(fate), waited: Some(made_at.elapsed()) })
    }

    fn hand_over(&self, emitter: &Emitter, event: Event) -> Result<(), Loss> {
        if event.data.len() > MOST_DATA_BYTES {
            return Err(Loss::TooLarge);
        }
        let place = emitter.buffer.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Loss::BufferFull,
            mpsc::error::TrySendError::Closed(()) => Loss::Shutdown,
        })?;
        emitter.open.send_modify(|open| *open += 1);
        self.metrics.buffer_length.inc();
        place.send(event);
        Ok(())
    }

    /// Waits until every event has met its fate, for `limit` at most; then stops sending and counts
    /// what is left as dropped. Returns how many those are.
    pub async fn finish(&self, limit: Duration) -> u64 {
        let Some(emitter) = &self.emitter else { return 0 };
        let mut open = emitter.open.subscribe();
        // An error means that the time is up; the sender of the watch lives in `self`.
        let _ = tokio::time::timeout(limit, open.wait_for(|open| *open == 0)).await;
        let senders = std::mem::take(&mut *emitter.senders.lock().unwrap_or_else(PoisonError::into_inner));
        for sender in senders {
            sender.abort();
            // Waited for, so that nothing is delivered after the count.
            let _ = sender.await;
        }
        let left = *emitter.open.borrow() as u64;
        self.metrics.dropped_many(Loss::Shutdown, left);
        left
    }
}

/// The answer without the facts of this one instance and call; of a document, what it is.
fn data_of(answer: &Answer) -> Bytes {
    let text = match &answer.document {
        None => serde_json::to_string(&answer.body),
        Some(document) => {
            let about = json!({ "content_type": document.content_type, "bytes": document.bytes.len() });
            let mut data = answer.body.clone();
            data.insert("document".into(), about);
            serde_json::to_string(&data)
        }
    };
    // A map of JSON values is JSON.
    text.unwrap_or_default().into()
}
