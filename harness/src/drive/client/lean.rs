//! Plain HTTP/1.1, one request at a time on each connection: bytes made before, one write, one
//! read, and no task, timer or allocation in between.
//!
//! Sockets are edge-triggered: a short read has emptied one, and what comes later is a new event.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use mio::{Token, event::Event, net::TcpStream};
use slab::Slab;

use super::{
    Desk, Ended, Owner,
    parser::{Answer, Fed},
    request::Outgoing,
    socket,
};
use crate::drive::Reuse;

/// Connections whose last answer is in and whose peer is yet to close. Waiting for it leaves the
/// peer, not us, with the port in `TIME_WAIT`; more than these are closed at once.
const MOST_ENDING: usize = 64;

/// All plain connections.
#[derive(Debug, Default)]
pub(super) struct Lean {
    lines: Slab<Line>,
    /// Keys and numbers of the connections that wait for the peer to close.
    ending: VecDeque<(usize, u32)>,
}

/// One connection.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    stage: Stage,
    endpoint: usize,
    owner: Owner,
    number: u32,
    /// Addresses of the target that were tried in vain.
    tried: usize,
    /// Whether it has carried a request before the present one.
    used: bool,
    outgoing: Outgoing,
    answer: Answer,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being opened, for this request.
    Connecting(usize),
    /// Carrying this request.
    Busy(usize),
    /// Waiting for a request.
    Idle,
    /// Waiting for the peer to close.
    Ending,
}

/// What came of a step with a request.
enum Step {
    /// It goes on with a later event.
    Wait,
    /// The answer is complete; whether the connection may be used again.
    Answered { reusable: bool },
    /// The connection failed, or spoke nonsense.
    Broken,
}

impl Lean {
    /// Sends a request on a connection at rest, or on a new one; returns its key.
    pub(super) fn begin(&mut self, desk: &mut Desk, flight: usize, kept: Option<usize>) -> usize {
        let record = &mut desk.flights[flight].record;
        let (endpoint, payload) = (usize::from(record.endpoint), usize::from(record.payload));
        if let Some(key) = kept
            && let Some(line) = self.lines.get_mut(key)
        {
            record.connected_ns = Some(record.sent_ns);
            record.connection = line.number;
            line.outgoing.begin(desk.job.template(endpoint, payload), record.call_id);
            line.answer.begin(&desk.job.method);
            line.stage = Stage::Busy(flight);
            line.used = true;
            let step = line.write();
            self.settle(desk, key, flight, &step);
            return key;
        }
        let owner = desk.flights[flight].owner;
        let mut outgoing = Outgoing::default();
        outgoing.begin(desk.job.template(endpoint, payload), desk.flights[flight].record.call_id);
        let entry = self.lines.vacant_entry();
        let key = entry.key();
        match connect(desk, key, endpoint, 0, nothing_tried()) {
            Ok((stream, tried)) => {
                let mut answer = Answer::default();
                answer.begin(&desk.job.method);
                let stage = Stage::Connecting(flight);
                entry.insert(Line {
                    stream,
                    stage,
                    endpoint,
                    owner,
                    number: 0,
                    tried,
                    used: false,
                    outgoing,
                    answer,
                });
            }
            Err(error) => {
                desk.note_failure(endpoint, &error);
                desk.gone(endpoint, key, owner);
                desk.done(flight, Ended::NoAnswer, false);
            }
        }
        key
    }

    /// Takes what a socket has to say.
    pub(super) fn take(&mut self, desk: &mut Desk, key: usize, event: &Event) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match line.stage {
            Stage::Connecting(flight) => self.connecting(desk, key, flight),
            Stage::Busy(flight) => {
                let mut step = Step::Wait;
                if event.is_writable() && !line.outgoing.is_written() {
                    step = line.write();
                }
                let unwritable = matches!(step, Step::Broken);
                // An answer may be there although the request could not be written to its end.
                if event.is_readable() || event.is_read_closed() || event.is_error() || unwritable {
                    step = line.read(desk, flight, event.is_read_closed());
                }
                if unwritable && matches!(step, Step::Wait) {
                    step = Step::Broken;
                }
                self.settle(desk, key, flight, &step);
            }
            // Nothing is expected: whatever there is (an end, mostly) makes it useless.
            Stage::Idle => {
                let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
                if !line.stream.read(&mut desk.scratch).is_err_and(would_block) {
                    self.remove(desk, key);
                }
            }
            Stage::Ending => loop {
                match line.stream.read(&mut desk.scratch) {
                    Ok(1..) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    _ => break drop(self.lines.remove(key)),
                }
            },
        }
    }

    /// Gives a request up, and its connection with it.
    pub(super) fn give_up(&mut self, desk: &mut Desk, flight: usize) {
        let key = desk.flights[flight].line;
        if self.lines.get(key).is_some_and(|line| line.flight() == Some(flight)) {
            self.lines[key].note_answer(desk, flight);
            self.remove(desk, key);
        }
        desk.done(flight, Ended::GivenUp, false);
    }

    /// Goes on when a connection is established, and with the next address when it is not.
    fn connecting(&mut self, desk: &mut Desk, key: usize, flight: usize) {
        let line = &mut self.lines[key];
        let refusal = match line.stream.take_error() {
            Ok(None) => match line.stream.peer_addr() {
                Ok(_) => None,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
                Err(error) => Some(error),
            },
            Ok(Some(error)) | Err(error) => Some(error),
        };
        if let Some(error) = refusal {
            match connect(desk, key, line.endpoint, line.tried + 1, error) {
                Ok((stream, tried)) => {
                    line.stream = stream;
                    line.tried = tried;
                }
                Err(last) => {
                    desk.note_failure(line.endpoint, &last);
                    self.settle(desk, key, flight, &Step::Broken);
                }
            }
            return;
        }
        desk.job.targets[line.endpoint].prefer(line.tried);
        line.number = desk.count_connection();
        line.stage = Stage::Busy(flight);
        let record = &mut desk.flights[flight].record;
        record.connected_ns = Some(desk.job.clock.now_ns());
        record.connection = line.number;
        let step = line.write();
        self.settle(desk, key, flight, &step);
    }

    /// Draws the conclusion from a step.
    fn settle(&mut self, desk: &mut Desk, key: usize, flight: usize, step: &Step) {
        match step {
            Step::Wait => {}
            &Step::Answered { reusable } => {
                let line = &mut self.lines[key];
                let payload = usize::from(desk.flights[flight].record.payload);
                let (status, headers, body) =
                    (line.answer.status(), line.answer.headers(), line.answer.body());
                let judgement = desk.job.judge.judge(payload, status, headers, body);
                let kept = reusable && desk.job.connections.reuse == Reuse::KeepAlive;
                if kept {
                    line.stage = Stage::Idle;
                } else {
                    self.end(desk, key);
                }
                desk.done(flight, Ended::Answered(judgement), kept);
            }
            Step::Broken => {
                if self.try_again(desk, key, flight) {
                    return;
                }
                self.lines[key].note_answer(desk, flight);
                self.remove(desk, key);
                desk.done(flight, Ended::NoAnswer, false);
            }
        }
    }

    /// On a kept connection that the server has closed, tries once more on a new one: if the
    /// request was not written, or if nothing came back and its method is idempotent (RFC 9110,
    /// section 9.2.2). A `POST` that vanished stays a failure: it may have been worked on.
    fn try_again(&mut self, desk: &mut Desk, key: usize, flight: usize) -> bool {
        let line = &mut self.lines[key];
        let harmless =
            line.outgoing.is_unwritten() || (line.answer.is_untouched() && desk.job.method.is_idempotent());
        if !line.used || !harmless {
            return false;
        }
        desk.flights[flight].record.connected_ns = None;
        desk.flights[flight].record.connection = 0;
        line.outgoing.rewind();
        line.answer = Answer::default();
        line.answer.begin(&desk.job.method);
        line.used = false;
        match connect(desk, key, line.endpoint, 0, nothing_tried()) {
            Ok((stream, tried)) => {
                line.stream = stream;
                line.tried = tried;
                line.stage = Stage::Connecting(flight);
                true
            }
            Err(error) => {
                desk.note_failure(line.endpoint, &error);
                false
            }
        }
    }

    /// A connection that carries nothing any more; the peer may close it first.
    fn end(&mut self, desk: &mut Desk, key: usize) {
        let line = &mut self.lines[key];
        desk.gone(line.endpoint, key, line.owner);
        // Nothing but the end may still come; if it is there already, no event will tell.
        if !matches!(line.stream.read(&mut desk.scratch), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        {
            self.lines.remove(key);
            return;
        }
        line.stage = Stage::Ending;
        self.ending.push_back((key, line.number));
        if self.ending.len() > MOST_ENDING
            && let Some((oldest, number)) = self.ending.pop_front()
            && self.lines.get(oldest).is_some_and(|line| line.number == number && line.stage == Stage::Ending)
        {
            self.lines.remove(oldest);
        }
    }

    fn remove(&mut self, desk: &mut Desk, key: usize) {
        let line = self.lines.remove(key);
        desk.gone(line.endpoint, key, line.owner);
    }
}

impl Line {
    /// The request that it carries.
    fn flight(&self) -> Option<usize> {
        match self.stage {
            Stage::Connecting(flight) | Stage::Busy(flight) => Some(flight),
            Stage::Idle | Stage::Ending => None,
        }
    }

    fn write(&mut self) -> Step {
        match self.outgoing.write_to(&mut self.stream) {
            Ok(()) => Step::Wait,
            Err(_) => Step::Broken,
        }
    }

    /// Reads until the answer is complete or the socket empty.
    fn read(&mut self, desk: &mut Desk, flight: usize, peer_closed: bool) -> Step {
        loop {
            let read = match self.stream.read(&mut desk.scratch) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Step::Broken,
            };
            let now_ns = desk.job.clock.now_ns();
            let had_head = self.answer.is_head_complete();
            let fed = if read == 0 {
                self.answer.end().map(|()| Fed::Complete { beyond: 0 })
            } else {
                self.answer.feed(&desk.scratch[..read])
            };
            if !had_head && self.answer.is_head_complete() {
                desk.flights[flight].record.first_byte_ns = Some(now_ns);
            }
            match fed {
                Err(_) => return Step::Broken,
                Ok(Fed::Complete { beyond }) => {
                    desk.flights[flight].record.done_ns = now_ns;
                    self.note_answer(desk, flight);
                    let clean = beyond == 0 && read > 0 && !peer_closed && self.outgoing.is_written();
                    return Step::Answered { reusable: clean && self.answer.is_reusable() };
                }
                // A short read has emptied the socket, but an end that came with it makes no event.
                Ok(Fed::More) if read < desk.scratch.len() && !peer_closed => return Step::Wait,
                Ok(Fed::More) => {}
            }
        }
    }

    /// Notes what there is of the answer.
    fn note_answer(&self, desk: &mut Desk, flight: usize) {
        let record = &mut desk.flights[flight].record;
        record.status = self.answer.status();
        record.bytes_received = u32::try_from(self.answer.received()).unwrap_or(u32::MAX);
    }
}

/// The failure of a target without addresses.
fn nothing_tried() -> io::Error {
    io::ErrorKind::AddrNotAvailable.into()
}

/// Begins to connect to the first address, after those that were tried in vain (`last` is what
/// came of them), that does not refuse at once. Returns how many were tried in vain.
fn connect(
    desk: &Desk,
    key: usize,
    endpoint: usize,
    mut tried: usize,
    mut last: io::Error,
) -> io::Result<(TcpStream, usize)> {
    let target = &desk.job.targets[endpoint];
    while tried < target.addresses.len() {
        match socket::connect(&desk.registry, Token(key * 2), target.address(tried)) {
            Ok(stream) => return Ok((stream, tried)),
            Err(error) => last = error,
        }
        tried += 1;
    }
    Err(last)
}
