//! What the harness and the process that runs goose say to each other.
//!
//! In: one line of JSON ([`Config`]), the body's bytes, and then silence; the process ends when its
//! standard input does. Out: a line for each request ([`Row`]), one at the end ([`Summary`]), and
//! whatever goose itself prints, which is skipped.

use std::time::Duration;

use hyper::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Latency;
use crate::{
    drive::answer::outcome_of,
    record::{Outcome, Record},
};

/// What goose is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Config {
    /// Where to.
    pub(super) url: String,
    /// HTTP method.
    pub(super) method: String,
    /// Headers of each request.
    pub(super) headers: Vec<(String, String)>,
    /// Bytes of the body, which follow the configuration.
    pub(super) body_bytes: usize,
    /// Users, each with a connection of its own.
    pub(super) users: u32,
    /// How long they run.
    pub(super) duration: Duration,
    /// Deadline of each request.
    pub(super) timeout: Duration,
}

/// How a request ended, as far as goose and its HTTP client tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With an answer; its status decides.
    Answered,
    /// With none in time.
    TimedOut,
    /// With no connection, or one that broke.
    Broken,
}

/// One request in goose's words (`GooseRequestMetric`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// When it was sent, whole milliseconds since goose's start.
    pub(super) elapsed_ms: u64,
    /// To the answer's head, microseconds.
    pub(super) response_us: u64,
    /// HTTP status; 0 without an answer.
    pub(super) status: u16,
    /// Which user sent it.
    pub(super) user: u32,
    /// Bytes of the answer's body.
    pub(super) body_bytes: u32,
    /// How it ended.
    pub(super) end: End,
}

/// What goose sums up by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// Requests that it counted.
    pub(super) requests: u64,
    /// Its percentiles.
    pub(super) latency_ms: Latency,
}

/// What a line of the process's output is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// A request.
    Row(Row),
    /// The end.
    Summary(Summary),
    /// Why there is no end.
    Failed(String),
}

impl Row {
    /// As a line, without its end.
    #[cfg(any(feature = "goose", test))]
    pub(super) fn line(&self) -> String {
        let Self { elapsed_ms, response_us, status, user, body_bytes, end } = self;
        let end = match end {
            End::Answered => 'a',
            End::TimedOut => 't',
            End::Broken => 'b',
        };
        format!("harness-row {elapsed_ms} {response_us} {status} {user} {body_bytes} {end}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut next = || words.next();
        Some(Self {
            elapsed_ms: next()?.parse().ok()?,
            response_us: next()?.parse().ok()?,
            status: next()?.parse().ok()?,
            user: next()?.parse().ok()?,
            body_bytes: next()?.parse().ok()?,
            end: match next()? {
                "a" => End::Answered,
                "t" => End::TimedOut,
                "b" => End::Broken,
                _ => return None,
            },
        })
    }

    /// As one of our records. The send time is goose's, which knows whole milliseconds, so the end
    /// is as coarse; their distance is right to the microsecond, but ends at the answer's head.
    pub(super) fn record(&self, call_id: u64, bytes_sent: u32) -> Record {
        let sent_ns = self.elapsed_ms * 1_000_000;
        let done_ns = sent_ns + self.response_us * 1000;
        Record {
            call_id,
            scheduled_ns: sent_ns,
            sent_ns,
            connected_ns: None,
            first_byte_ns: (self.status != 0).then_some(done_ns),
            done_ns,
            status: self.status,
            outcome: match self.end {
                End::Answered => outcome_of(self.status, &HeaderMap::new(), false),
                End::TimedOut => Outcome::Timeout,
                End::Broken => Outcome::Connect,
            },
            bytes_sent,
            bytes_received: self.body_bytes,
            payload: 0,
            endpoint: 0,
            connection: self.user,
            instance: None,
            cold: false,
            server: None,
        }
    }
}

impl Line {
    /// Reads a line; none for one of goose's own.
    pub(super) fn parse(line: &str) -> Option<Self> {
        if let Some(row) = line.strip_prefix("harness-row ") {
            Row::parse(row).map(Self::Row)
        } else if let Some(summary) = line.strip_prefix("harness-summary ") {
            serde_json::from_str(summary).ok().map(Self::Summary)
        } else {
            line.strip_prefix("harness-failed ").map(|cause| Self::Failed(cause.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row {
        elapsed_ms: 1234,
        response_us: 20_150,
        status: 200,
        user: 3,
        body_bytes: 2,
        end: End::Answered,
    };

    #[test]
    fn rows_survive_their_line_and_gooses_own_lines_are_skipped() {
        for end in [End::Answered, End::TimedOut, End::Broken] {
            let row = Row { end, ..ROW };
            assert_eq!(Line::parse(&row.line()), Some(Line::Row(row)));
        }
        assert_eq!(Line::parse("All 10 users launched."), None);
        assert_eq!(Line::parse("harness-row 1 2 3"), None, "a line that was cut off");
        assert_eq!(Line::parse("harness-failed no host"), Some(Line::Failed("no host".into())));
    }

    #[test]
    fn a_row_becomes_a_record_of_what_goose_knows() {
        let record = ROW.record(7, 10);
        assert_eq!((record.call_id, record.sent_ns, record.done_ns), (7, 1_234_000_000, 1_254_150_000));
        assert_eq!((record.response_ns(), record.service_ns()), (20_150_000, 20_150_000));
        assert_eq!((record.lateness_ns(), record.connected_ns), (0, None), "goose does not know them");
        assert_eq!(record.outcome, Outcome::Ok);
    }

    #[test]
    fn each_way_to_fail_keeps_its_outcome() {
        let outcome = |status, end| Row { status, end, ..ROW }.record(0, 0).outcome;
        assert_eq!(outcome(0, End::TimedOut), Outcome::Timeout);
        assert_eq!(outcome(0, End::Broken), Outcome::Connect);
        assert_eq!(outcome(200, End::Broken), Outcome::Connect, "it broke within the answer");
        assert_eq!(outcome(429, End::Answered), Outcome::Overload);
        assert_eq!(outcome(500, End::Answered), Outcome::Platform);
        assert_eq!(Row { status: 0, end: End::Broken, ..ROW }.record(0, 0).first_byte_ns, None);
    }
}
