//! Records as the analysis sees them: handed over in batches, as often as it asks, wherever they lie.
//!
//! A cell may hold tens of millions of records. Nothing here keeps them: what is summed up is of
//! bounded size, so that a report needs no more memory for a long run than for a short one.

use crate::record::Record;

/// Where a cell's records come from.
pub trait Rows {
    /// Hands all records over in batches. Returns what was found damaged and left out, in words.
    fn scan(&self, take: &mut dyn FnMut(&[Record])) -> Vec<String>;
}

impl Rows for Vec<Record> {
    fn scan(&self, take: &mut dyn FnMut(&[Record])) -> Vec<String> {
        take(self);
        Vec::new()
    }
}
