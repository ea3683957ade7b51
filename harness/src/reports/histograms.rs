//! Response times for HdrHistogram's tools: a percentile distribution for its plotter, and a log of
//! intervals for its log analysers.
//!
//! Times count from the intended send, so no correction for coordinated omission must be applied to
//! them afterwards (Tene, wrk2). Requests that were given up enter at the time at which they were:
//! lower bounds, as the files say. Records are taken one by one and in any order, so that a cell
//! need not be held in memory. Values are microseconds with three significant digits.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

use hdrhistogram::{
    Histogram,
    serialization::{V2DeflateSerializer, interval_log::IntervalLogWriterBuilder},
};

use crate::{
    analyse::window::Window,
    record::{Outcome, Record},
    store::CellMeta,
};

/// Name of the percentile distribution in a cell's folder.
pub const DISTRIBUTION: &str = "response.hgrm";
/// Name of the interval log in a cell's folder.
pub const INTERVALS: &str = "response.hlog";

/// Steps each time the distance to 100 % halves, as HdrHistogram's own tools write them.
const STEPS_PER_HALF: u32 = 5;
/// Intervals of a log at most, about: each is a histogram in memory.
const MOST_INTERVALS: u64 = 200;
const SECOND_NS: u64 = 1_000_000_000;

/// The response times of one interval of load, in the making.
#[derive(Debug, Clone)]
pub struct Histograms {
    window: Window,
    interval_ns: u64,
    whole: Histogram<u64>,
    parts: BTreeMap<u64, Histogram<u64>>,
    timeouts: u64,
}

impl Histograms {
    /// Nothing yet, of what belongs to this interval.
    pub fn new(window: Window) -> Self {
        let seconds = window.end_ns.saturating_sub(window.start_ns).div_ceil(SECOND_NS);
        let interval_ns = seconds.div_ceil(MOST_INTERVALS).max(1) * SECOND_NS;
        Self { window, interval_ns, whole: empty(), parts: BTreeMap::new(), timeouts: 0 }
    }

    /// Takes a record; one that does not belong to the interval, or failed other than by time-out,
    /// changes nothing.
    pub fn take(&mut self, record: &Record) {
        if !self.window.holds(record) || !matches!(record.outcome, Outcome::Ok | Outcome::Timeout) {
            return;
        }
        let us = (record.response_ns() / 1000).max(1);
        let part = (self.window.sent_ns(record) - self.window.start_ns) / self.interval_ns;
        self.whole.saturating_record(us);
        self.parts.entry(part).or_insert_with(empty).saturating_record(us);
        self.timeouts += u64::from(record.outcome == Outcome::Timeout);
    }

    /// What must be known to read either file.
    fn notes(&self, cell: &str) -> Vec<String> {
        let mut notes = vec![
            format!("response times of {cell}, from the intended send to the end of the answer"),
            "no correction for coordinated omission is needed or allowed: it is in the measurement"
                .to_owned(),
        ];
        if self.timeouts > 0 {
            notes.push(format!(
                "{} requests were given up at their deadline and stand at that time: lower bounds",
                self.timeouts
            ));
        }
        notes
    }

    /// The percentile distribution as HdrHistogram's plotter reads it, in milliseconds.
    pub fn distribution(&self, cell: &str) -> String {
        let mut out = String::new();
        for note in self.notes(cell) {
            let _ = writeln!(out, "#[{note}]");
        }
        let _ = writeln!(
            out,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        );
        let ms = |us: u64| us as f64 / 1000.0;
        let mut count = 0;
        for step in self.whole.iter_quantiles(STEPS_PER_HALF) {
            count += step.count_since_last_iteration();
            let (value, share) = (ms(step.value_iterated_to()), step.quantile_iterated_to());
            let _ = if share < 1.0 {
                writeln!(out, "{value:12.3} {share:14.12} {count:10} {:14.2}", 1.0 / (1.0 - share))
            } else {
                writeln!(out, "{value:12.3} {share:14.12} {count:10}")
            };
        }
        let _ = writeln!(
            out,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]\n\
             #[Buckets = {:12}, SubBuckets     = {:12}]",
            self.whole.mean() / 1000.0,
            self.whole.stdev() / 1000.0,
            ms(self.whole.max()),
            self.whole.len(),
            self.whole.buckets(),
            2048
        );
        out
    }

    /// The interval log, version 2 with compressed histograms of microseconds; `started_unix_ns` is
    /// the cell's start.
    ///
    /// # Errors
    /// If a histogram cannot be encoded; with bounds such as these it can.
    pub fn intervals(&self, cell: &str, started_unix_ns: u64) -> Result<String, String> {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let begin = UNIX_EPOCH + Duration::from_nanos(started_unix_ns + self.window.start_ns);
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment("[Histogram log format version 1.3]");
        for note in self.notes(cell) {
            builder.add_comment(&format!("[{note}; microseconds]"));
        }
        let failed = |error: &dyn std::fmt::Display| format!("an interval log could not be made: {error}");
        let mut log = builder
            .with_start_time(begin)
            .with_base_time(begin)
            .with_max_value_divisor(1000.0)
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(|error| failed(&error))?;
        let end_ns = self.window.end_ns - self.window.start_ns;
        for (part, histogram) in &self.parts {
            let start_ns = part * self.interval_ns;
            let length_ns = self.interval_ns.min(end_ns.saturating_sub(start_ns));
            let (start, length) = (Duration::from_nanos(start_ns), Duration::from_nanos(length_ns));
            log.write_histogram(histogram, start, length, None).map_err(|error| failed(&error))?;
        }
        String::from_utf8(bytes).map_err(|error| failed(&error))
    }
}

/// A histogram that grows with what it takes.
fn empty() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(1_000_000, 3)
        .unwrap_or_else(|_| unreachable!("one second with three digits is within the bounds of the format"));
    histogram.auto(true);
    histogram
}

impl Histograms {
    /// Both files, by name; none without response times.
    ///
    /// # Errors
    /// If a histogram cannot be encoded.
    pub fn files(&self, meta: &CellMeta) -> Result<Vec<(&'static str, String)>, String> {
        if self.whole.is_empty() {
            return Ok(Vec::new());
        }
        let id = &meta.cell.id;
        Ok(vec![
            (DISTRIBUTION, self.distribution(id)),
            (INTERVALS, self.intervals(id, meta.started_unix_ns)?),
        ])
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use hdrhistogram::serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    };

    use super::*;
    use crate::analyse::window::Pacing;

    const MS: u64 = 1_000_000;

    fn record(at_ms: u64, took_ms: u64, outcome: Outcome) -> Record {
        Record {
            call_id: 0,
            scheduled_ns: at_ms * MS,
            // Sent late: the wait counts.
            sent_ns: (at_ms + took_ms / 2) * MS,
            connected_ns: None,
            first_byte_ns: None,
            done_ns: (at_ms + took_ms) * MS,
            status: 200,
            outcome,
            bytes_sent: 0,
            bytes_received: 0,
            payload: 0,
            endpoint: 0,
            connection: 0,
            instance: None,
            cold: false,
            server: None,
        }
    }

    /// A second of warm-up, three seconds measured, a request every 10 ms that takes 1 to 100 ms.
    fn three_seconds() -> Histograms {
        let mut histograms =
            Histograms::new(Window { start_ns: 1000 * MS, end_ns: 4000 * MS, pacing: Pacing::Open });
        for i in 0..400 {
            histograms.take(&record(10 * i, 1 + i % 100, Outcome::Ok));
        }
        histograms
    }

    #[test]
    fn the_distribution_is_what_the_plotter_reads() {
        let mut histograms = three_seconds();
        histograms.take(&record(2000, 500, Outcome::Timeout));
        histograms.take(&record(2000, 900, Outcome::Platform));
        let text = histograms.distribution("t01-knative-poisson");
        // As plotFiles.html does it: lines that are no comments and have four words are points.
        let points: Vec<(f64, f64)> = text
            .lines()
            .filter(|line| !line.trim().starts_with('#'))
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words.len() == 4)
            .filter_map(|words| Some((words[0].parse().ok()?, words[3].parse().ok()?)))
            .collect();
        let (median, _) = points.iter().find(|(_, inverse)| *inverse >= 2.0).unwrap();
        assert!((median - 50.5).abs() <= 1.0, "{median}");
        assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
        assert!(text.contains("#[1 requests were given up at their deadline"), "{text}");
        assert!(text.contains("Total count    =          301]"), "{text}");
        assert!(text.contains("#[Max     =      500."), "{text}");
    }

    #[test]
    fn the_interval_log_reads_back_interval_by_interval() {
        let log = three_seconds().intervals("t01-knative-poisson", 1_700_000_000_000_000_000).unwrap();
        assert!(log.starts_with("#[Histogram log format version 1.3]"), "{log}");
        assert!(log.contains("#[BaseTime: 1700000001.000"), "the measured interval's start: {log}");
        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            if let LogEntry::Interval(interval) = entry.unwrap() {
                let bytes = BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
                let histogram: Histogram<u64> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                read.push((interval.start_timestamp().as_secs(), histogram.len(), histogram.max()));
            }
        }
        assert_eq!(read.iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(), [(0, 100), (1, 100), (2, 100)]);
        assert!(read.iter().all(|r| r.2.abs_diff(100_000) < 100), "{read:?}");
    }

    #[test]
    fn long_cells_have_longer_intervals_and_empty_ones_no_files() {
        let hour = Window { start_ns: 0, end_ns: 3600 * 1000 * MS, pacing: Pacing::Open };
        let mut histograms = Histograms::new(hour);
        assert_eq!(histograms.interval_ns, 18 * SECOND_NS);
        for i in 0..7200 {
            histograms.take(&record(500 * i, 5, Outcome::Ok));
        }
        assert_eq!(histograms.parts.len(), 200);
        assert!(Histograms::new(hour).whole.is_empty());
    }
}
