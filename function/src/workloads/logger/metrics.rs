//! What the logger counts for `/metrics`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts};

use super::event::Mode;

/// Types that have a series of their own; all further ones share `(others)`. A source has none: each
/// instance is one.
const MOST_TYPES: usize = 100;
const OTHERS: &str = "(others)";

pub(super) struct Metrics {
    received: IntCounterVec,
    duplicates: IntCounter,
    refused: IntCounter,
    types: Mutex<HashSet<String>>,
}

impl Metrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            received: IntCounterVec::new(
                Opts::new("logger_events_total", "Events received, by mode and type"),
                &["mode", "type"],
            )?,
            duplicates: IntCounter::new(
                "logger_duplicate_events_total",
                "Events whose id and source came before",
            )?,
            refused: IntCounter::new("logger_refused_events_total", "Requests that were no event")?,
            types: Mutex::default(),
        })
    }

    pub(super) fn received(&self, mode: Mode, kind: &str, is_duplicate: bool) {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let has_place = types.contains(kind) || (types.len() < MOST_TYPES && types.insert(kind.to_owned()));
        drop(types);
        let kind = if has_place { kind } else { OTHERS };
        self.received.with_label_values(&[mode.name(), kind]).inc();
        self.duplicates.inc_by(u64::from(is_duplicate));
    }

    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.received.clone()),
            Box::new(self.duplicates.clone()),
            Box::new(self.refused.clone()),
        ]
    }
}
