//! Receives CloudEvents 1.0 over HTTP, in binary or structured mode, keeps and counts them, and says
//! which it has seen before.
//!
//! Its answer has no body; number and fate are in headers. A Trigger's dispatcher takes a body that
//! is no event for a failure and sends the event again (knative/eventing,
//! `pkg/broker/filter/filter_handler.go`), and a body that is one for a reply.

mod event;
mod metrics;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::Context as _;
use bytes::Bytes;
use prometheus::core::Collector;
use serde_json::{Map, Value, json};

use self::event::Event;
use self::metrics::Metrics;
pub use self::settings::{FileSync, Settings};
use self::store::Store;
use super::{Answer, Document, Input, Query, Stopwatch, Workload, WorkloadError};
use crate::config::Config;

/// Its name, as `WORKLOAD` spells it.
pub const NAME: &str = "logger";
/// Where the last events are listed.
pub const PAGE: &str = "/events";
/// Events of a page where nobody says how many.
const USUAL_LAST: usize = 20;

/// Keeps the events that it gets.
pub struct Logger {
    settings: Settings,
    store: Mutex<Store>,
    metrics: Metrics,
}

/// Makes the workload ready to be called.
///
/// # Errors
/// If its file cannot be written.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Workload>> {
    Ok(Box::new(Logger::new(config.logger.clone())?))
}

impl Logger {
    fn new(settings: Settings) -> anyhow::Result<Self> {
        let store = Store::open(&settings).with_context(|| {
            let file = settings.file.clone().unwrap_or_default();
            format!("cannot append to {}; set LOGGER_FILE to a file that can be written", file.display())
        })?;
        Ok(Self { settings, store: Mutex::new(store), metrics: Metrics::new()? })
    }

    /// The store is whole after every statement that holds the lock, so poison means nothing.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workload for Logger {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let mut about = Map::new();
        about.insert("keeps".into(), json!(self.settings.keep));
        about.insert("file".into(), json!(self.settings.file));
        about.insert("sync".into(), json!(self.settings.sync.name()));
        about.insert("page".into(), json!(format!("GET {PAGE}?last=N")));
        about
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        Ok(())
    }

    fn takes_empty_bodies(&self) -> bool {
        true
    }

    fn handle(&self, input: &Input, _query: &Query) -> Result<Answer, WorkloadError> {
        let mut watch = Stopwatch::start();
        let event = Event::read(input).inspect_err(|_| self.metrics.refused())?;
        watch.lap("decode");
        let kept = self.store().keep(&event, SystemTime::now()).map_err(|error| {
            WorkloadError::Internal(format!("the event could not be written to LOGGER_FILE: {error}"))
        })?;
        self.metrics.received(event.mode, &event.attributes["type"], kept.is_duplicate);
        watch.lap("store");
        let headers = vec![
            ("X-Event-Number", kept.number.to_string()),
            ("X-Event-Id", crate::events::binding::encode(&event.attributes["id"])),
            ("X-Event-Duplicate", kept.is_duplicate.to_string()),
        ];
        let nothing = Document { content_type: "text/plain", bytes: Bytes::new() };
        Ok(Answer { document: Some(nothing), headers, stages: watch.stages(), ..Answer::default() })
    }

    fn page(&self, path: &str, query: &Query) -> Option<Result<Value, WorkloadError>> {
        if path != PAGE {
            return None;
        }
        let last = match query.get("last").map(str::parse) {
            None => USUAL_LAST,
            Some(Ok(last)) if last <= self.settings.keep => last,
            Some(_) => {
                let most = self.settings.keep;
                let detail = format!("last: expected a whole number from 0 to {most}");
                return Some(Err(WorkloadError::BadParameter(detail)));
            }
        };
        Some(Ok(self.store().page(last)))
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        self.metrics.collectors()
    }
}
