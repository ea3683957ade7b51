//! Sends requests and reads answers, on connections of its own. Two carriers behind one seam:
//! plain HTTP/1.1 is ours down to the socket (`lean`), TLS and HTTP/2 are hyper's (`shared`).
//!
//! A carrier never waits. It begins a request, takes what the sockets bring, and leaves a
//! [`Notice`] for the player when a request has ended or a connection is gone.

mod chunks;
mod exchange;
mod lean;
mod parser;
mod request;
mod shared;
mod socket;
mod tasks;

use std::{collections::VecDeque, rc::Rc};

use mio::{Registry, Token, event::Event};
use slab::Slab;

pub(super) use request::Template;

use super::{Judgement, Protocol, audit, calls::Call, job::Job};
use crate::record::{Outcome, Record};

/// What one look at a socket reads at most.
const READ_BYTES: usize = 64 << 10;

/// Requests of one HTTP/2 connection at once: what RFC 9113 (section 6.5.2) asks servers to allow.
const STREAMS: usize = 100;

/// Who a connection belongs to: a closed loop's connections have owners, an open loop's have none.
pub(super) type Owner = u32;

/// A request that is under way.
pub(super) struct Flight {
    /// What is known of it so far.
    pub(super) record: Record,
    /// Who sent it.
    pub(super) owner: Owner,
    /// The connection that carries it.
    pub(super) line: usize,
}

/// How a request ended.
pub(super) enum Ended {
    /// With an answer.
    Answered(Judgement),
    /// Without a complete one.
    NoAnswer,
    /// It was given up.
    GivenUp,
}

/// What the player has to know.
pub(super) enum Notice {
    /// This request ended.
    Done {
        /// Its key.
        flight: usize,
        /// How.
        ended: Ended,
        /// Whether its connection may carry another one.
        kept: bool,
    },
    /// A connection is gone.
    Gone {
        /// The endpoint that it led to.
        endpoint: usize,
        /// Its key.
        line: usize,
        /// Whose it was.
        owner: Owner,
    },
}

/// What both carriers work with.
pub(super) struct Desk {
    pub(super) job: Rc<Job>,
    registry: Registry,
    pub(super) flights: Slab<Flight>,
    notices: VecDeque<Notice>,
    scratch: Box<[u8]>,
    /// Connections opened so far.
    connections: u32,
    /// The first failure to connect that was this machine's own.
    local_fault: Option<String>,
    /// The first failure to connect, in words.
    first_failure: Option<String>,
}

impl Desk {
    /// Numbers a new connection.
    fn count_connection(&mut self) -> u32 {
        self.connections = self.connections.saturating_add(1);
        self.connections - 1
    }

    /// Keeps the first failure to connect, and the first that was this machine's own.
    fn note_failure(&mut self, endpoint: usize, error: &std::io::Error) {
        if self.first_failure.is_none() {
            self.first_failure = Some(format!("{}: {error}", self.job.targets[endpoint].name));
        }
        if self.local_fault.is_none() {
            self.local_fault = audit::local_fault(error);
        }
    }

    fn gone(&mut self, endpoint: usize, line: usize, owner: Owner) {
        self.notices.push_back(Notice::Gone { endpoint, line, owner });
    }

    fn done(&mut self, flight: usize, ended: Ended, kept: bool) {
        self.notices.push_back(Notice::Done { flight, ended, kept });
    }
}

/// Both carriers.
pub(super) struct Client {
    desk: Desk,
    lean: lean::Lean,
    shared: shared::Shared,
    /// By endpoint: whether the lean carrier serves it.
    is_lean: Vec<bool>,
}

impl Client {
    /// A client without connections.
    pub(super) fn new(job: Rc<Job>, registry: &Registry) -> std::io::Result<Self> {
        let http1 = job.connections.protocol == Protocol::Http1;
        let is_lean = job.targets.iter().map(|target| http1 && target.tls.is_none()).collect();
        let shared = shared::Shared::new(Rc::clone(&job), registry.try_clone()?);
        let desk = Desk {
            job,
            registry: registry.try_clone()?,
            flights: Slab::new(),
            notices: VecDeque::new(),
            scratch: vec![0; READ_BYTES].into(),
            connections: 0,
            local_fault: None,
            first_failure: None,
        };
        Ok(Self { desk, lean: lean::Lean::default(), shared, is_lean })
    }

    /// Now, in the records' time.
    pub(super) fn now_ns(&self) -> u64 {
        self.desk.job.clock.now_ns()
    }

    /// The call with this number.
    pub(super) fn call(&self, id: u64, scheduled_ns: u64) -> Call {
        self.desk.job.calls.of(id, scheduled_ns)
    }

    /// Sends a call on a connection that is there, or on a new one; returns its connection, and
    /// when sending began.
    pub(super) fn begin(&mut self, call: Call, owner: Owner, kept: Option<usize>) -> (usize, u64) {
        let sent_ns = self.now_ns();
        let record = self.desk.job.record(call, sent_ns);
        let flight = self.desk.flights.insert(Flight { record, owner, line: kept.unwrap_or(usize::MAX) });
        let line = if self.is_lean[call.endpoint] {
            self.lean.begin(&mut self.desk, flight, kept)
        } else {
            self.shared.begin(&mut self.desk, flight, kept)
        };
        self.desk.flights[flight].line = line;
        (line, sent_ns)
    }

    /// Takes what a socket has to say.
    pub(super) fn take(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token.is_multiple_of(2) {
            self.lean.take(&mut self.desk, token / 2, event);
        } else {
            self.shared.take(&mut self.desk, token / 2);
        }
    }

    /// Goes on with whatever is ready to go on without a socket's word.
    pub(super) fn go_on(&mut self) {
        self.shared.go_on(&mut self.desk);
    }

    /// Gives a request up, and with HTTP/1.1 its connection: it cannot be used again.
    pub(super) fn give_up(&mut self, flight: usize) {
        let Some(known) = self.desk.flights.get(flight) else { return };
        if self.is_lean[usize::from(known.record.endpoint)] {
            self.lean.give_up(&mut self.desk, flight);
        } else {
            self.shared.give_up(&mut self.desk, flight);
        }
    }

    /// The oldest notice that has not been taken.
    pub(super) fn notice(&mut self) -> Option<Notice> {
        self.desk.notices.pop_front()
    }

    /// The complete record of a request that ended; the request is forgotten.
    pub(super) fn close(&mut self, flight: usize, ended: Ended) -> Option<(Record, Owner, usize)> {
        let Flight { mut record, owner, line } = self.desk.flights.try_remove(flight)?;
        match ended {
            Ended::Answered(Judgement { outcome, instance, cold, server }) => {
                record.outcome = outcome;
                record.instance = instance;
                record.cold = cold;
                record.server = server;
            }
            Ended::NoAnswer => {
                record.done_ns = self.desk.job.clock.now_ns();
                record.outcome = Outcome::Connect;
            }
            Ended::GivenUp => {
                record.done_ns = self.desk.job.clock.now_ns();
                record.outcome = Outcome::Timeout;
            }
        }
        Some((record, owner, line))
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.desk.flights.len()
    }

    /// The requests under way that were sent before this time, and when the oldest other one was.
    pub(super) fn sent_before(&self, time_ns: u64) -> (Vec<usize>, Option<u64>) {
        let mut found = Vec::new();
        let mut oldest: Option<u64> = None;
        for (key, flight) in &self.desk.flights {
            let sent_ns = flight.record.sent_ns;
            if sent_ns < time_ns {
                found.push(key);
            } else {
                oldest = Some(oldest.map_or(sent_ns, |oldest| oldest.min(sent_ns)));
            }
        }
        (found, oldest)
    }

    /// Requests that a connection to this endpoint carries at once.
    pub(super) fn capacity(&self) -> usize {
        if self.desk.job.is_multiplexed() { STREAMS } else { 1 }
    }

    /// Connections opened; the first failure to connect of all, and of this machine.
    pub(super) fn account(&mut self) -> (u64, Option<String>, Option<String>) {
        (u64::from(self.desk.connections), self.desk.first_failure.take(), self.desk.local_fault.take())
    }
}
