//! Rows on their way from the generator to the writer: in batches, a few times a second at least.

use std::sync::{Arc, atomic::Ordering::Relaxed, mpsc};

use crate::{drive::play::Progress, record::Record};

/// Rows that are handed over at once.
const BATCH_ROWS: usize = 1024;

/// Rows are handed over at least this often, so that a crash loses little.
pub(in crate::drive) const BATCH_AGE_NS: u64 = 200_000_000;

/// The generator's end: collects rows and hands them over.
pub(in crate::drive) struct Rows {
    batch: Vec<Record>,
    flushed_ns: u64,
    sender: mpsc::Sender<Vec<Record>>,
    /// Batches that the writer has emptied: used again, so that a long cell allocates nothing.
    emptied: mpsc::Receiver<Vec<Record>>,
    progress: Arc<Progress>,
    sent: u64,
}

/// The writer's end.
pub(in crate::drive) struct Written {
    /// Rows to keep; ends when the generator is gone.
    pub(in crate::drive) rows: mpsc::Receiver<Vec<Record>>,
    /// Takes batches back.
    pub(in crate::drive) emptied: mpsc::Sender<Vec<Record>>,
}

/// Both ends.
pub(in crate::drive) fn channel(progress: Arc<Progress>) -> (Rows, Written) {
    let (sender, rows) = mpsc::channel();
    let (give_back, emptied) = mpsc::channel();
    let batch = Vec::with_capacity(BATCH_ROWS);
    (Rows { batch, flushed_ns: 0, sender, emptied, progress, sent: 0 }, Written { rows, emptied: give_back })
}

impl Rows {
    /// Counts a request that was sent; returns how many were sent before it.
    pub(super) fn sent(&mut self) -> u64 {
        self.sent += 1;
        self.progress.sent.store(self.sent, Relaxed);
        self.sent - 1
    }

    /// Requests sent so far.
    pub(super) fn sent_so_far(&self) -> u64 {
        self.sent
    }

    /// Takes a row; hands over what there is when it is much or old.
    pub(super) fn push(&mut self, record: Record) {
        self.progress.note(record.outcome);
        let now_ns = record.done_ns;
        self.batch.push(record);
        if self.batch.len() >= BATCH_ROWS || now_ns.saturating_sub(self.flushed_ns) >= BATCH_AGE_NS {
            self.flush(now_ns);
        }
    }

    /// Hands over what is old, also while no request ends. Returns when to ask again.
    pub(super) fn flush_old(&mut self, now_ns: u64) -> u64 {
        if now_ns.saturating_sub(self.flushed_ns) >= BATCH_AGE_NS / 2 {
            self.flush(now_ns);
        }
        self.flushed_ns + BATCH_AGE_NS / 2
    }

    /// Hands the rows so far to the writer.
    pub(super) fn flush(&mut self, now_ns: u64) {
        self.flushed_ns = now_ns;
        if self.batch.is_empty() {
            return;
        }
        let empty = self.emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_ROWS));
        // The writer lives until this sender is gone; it outlasts every row.
        let _ = self.sender.send(std::mem::replace(&mut self.batch, empty));
    }
}
