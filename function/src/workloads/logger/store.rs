//! What is kept: the newest events in memory, all of them in a file if one is wanted, and enough of
//! each to know it again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::event::Event;
use super::settings::{FileSync, Settings};

/// Bytes of data that are kept in memory at most.
const MOST_KEPT_BYTES: usize = 16 << 20;
/// Pairs of type and source that are counted apart; all further ones are counted together.
const MOST_PAIRS: usize = 1000;

/// Everything that is known of what came.
pub(super) struct Store {
    keep: usize,
    remember: usize,
    newest: VecDeque<Kept>,
    kept_bytes: usize,
    received: u64,
    duplicates: u64,
    by_pair: BTreeMap<(String, String), u64>,
    others: u64,
    seen: Seen,
    file: Option<(File, FileSync)>,
}

struct Kept {
    number: u64,
    is_duplicate: bool,
    line: Map<String, Value>,
    bytes: usize,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    /// How many came, with this one.
    pub(super) number: u64,
    /// Whether one of the same id and source came before.
    pub(super) is_duplicate: bool,
}

impl Store {
    pub(super) fn open(settings: &Settings) -> io::Result<Self> {
        let open = |path| File::options().append(true).create(true).open(path);
        let file = settings.file.as_ref().map(open).transpose()?;
        Ok(Self {
            keep: settings.keep,
            remember: settings.remember,
            newest: VecDeque::new(),
            kept_bytes: 0,
            received: 0,
            duplicates: 0,
            by_pair: BTreeMap::new(),
            others: 0,
            seen: Seen::default(),
            file: file.map(|file| (file, settings.sync)),
        })
    }

    /// Keeps and counts an event; one that was seen before is kept as well, and marked.
    ///
    /// # Errors
    /// If the file refuses it; the event then counts as not received.
    pub(super) fn keep(&mut self, event: &Event, now: SystemTime) -> io::Result<Receipt> {
        let line = event.line(&humantime::format_rfc3339_nanos(now).to_string());
        if let Some((file, sync)) = &mut self.file {
            let mut text = Value::Object(line.clone()).to_string();
            text.push('\n');
            // One call, so that a crash tears the last line at most.
            file.write_all(text.as_bytes())?;
            if *sync == FileSync::Each {
                file.sync_data()?;
            }
        }
        let [id, source, kind] = ["id", "source", "type"].map(|name| event.attributes[name].as_str());
        let is_duplicate = !self.seen.is_new((source, id), self.remember);
        self.received += 1;
        self.duplicates += u64::from(is_duplicate);
        let pair = (kind.to_owned(), source.to_owned());
        if self.by_pair.len() < MOST_PAIRS || self.by_pair.contains_key(&pair) {
            *self.by_pair.entry(pair).or_default() += 1;
        } else {
            self.others += 1;
        }
        let bytes = event.data.len();
        self.kept_bytes += bytes;
        self.newest.push_back(Kept { number: self.received, is_duplicate, line, bytes });
        while self.newest.len() > self.keep || self.kept_bytes > MOST_KEPT_BYTES {
            let Some(oldest) = self.newest.pop_front() else { break };
            self.kept_bytes -= oldest.bytes;
        }
        Ok(Receipt { number: self.received, is_duplicate })
    }

    /// Counts, and the last events, newest first.
    pub(super) fn page(&self, last: usize) -> Value {
        let event = |kept: &Kept| json!({ "number": kept.number, "duplicate": kept.is_duplicate, "event": kept.line });
        let pair = |((kind, source), count): (&(String, String), &u64)| json!({ "type": kind, "source": source, "count": count });
        json!({
            "received": self.received,
            "duplicates": self.duplicates,
            "kept": self.newest.len(),
            "by_type_and_source": self.by_pair.iter().map(pair).collect::<Vec<_>>(),
            "of_other_types_and_sources": self.others,
            "events": self.newest.iter().rev().take(last).map(event).collect::<Vec<_>>(),
        })
    }
}

/// The events that came last, by a 64-bit hash of source and id under a random key: of 200,000
/// events one is taken for another with a chance of 1 in a billion (n²/2⁶⁵).
#[derive(Default)]
struct Seen {
    key: RandomState,
    known: HashSet<u64>,
    in_order: VecDeque<u64>,
}

impl Seen {
    fn is_new(&mut self, event: (&str, &str), remember: usize) -> bool {
        let hash = self.key.hash_one(event);
        if !self.known.insert(hash) {
            return false;
        }
        self.in_order.push_back(hash);
        while self.in_order.len() > remember {
            if let Some(oldest) = self.in_order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }
}
