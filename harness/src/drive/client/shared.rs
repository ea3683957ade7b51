//! HTTP/2 and TLS, by hyper: connections that several requests share, or that are encrypted.
//!
//! Requests and connections are tasks of the generator's own loop (`tasks`, `socket`); whatever
//! ends comes back as an [`Event`] and becomes a notice to the player.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc};

use futures_util::future::{AbortHandle, abortable};
use mio::Registry;
use slab::Slab;

use super::{
    Desk, Ended, Owner,
    exchange::{self, Failure, Notes, Sender},
    socket::Sockets,
    tasks::Tasks,
};
use crate::drive::{Judgement, Reuse, job::Job};

/// Everything that runs on connections of hyper's.
pub(super) struct Shared {
    tasks: Tasks<Event>,
    links: Rc<exchange::Links>,
    lines: Slab<Line>,
    /// Requests that were handed to a connection.
    running: HashMap<usize, Running>,
    /// Openings so far.
    serials: u64,
}

/// One connection.
struct Line {
    endpoint: usize,
    owner: Owner,
    /// Which opening of it is the present one.
    serial: u64,
    /// Its number in the records.
    number: u32,
    state: State,
    /// Requests that it carries or that wait for it.
    streams: usize,
    /// Whether it has carried a request already.
    used: bool,
}

enum State {
    /// Being opened; these requests wait for it.
    Opening(Vec<usize>),
    /// Ready.
    Open(Sender),
    /// HTTP/1.1: the request under way has it.
    Lent,
    /// It takes no more requests, and goes with the last one. The player knows.
    Leaving,
}

/// A request that was handed to a connection.
struct Running {
    notes: Rc<RefCell<Notes>>,
    abort: AbortHandle,
    /// Whether it may be sent once more if its connection was stale.
    may_repeat: bool,
}

/// What tasks end with.
pub(super) enum Event {
    /// A connection is ready, or could not be had.
    Opened { line: usize, serial: u64, result: io::Result<Sender> },
    /// A connection's own task ended.
    Closed { line: usize, serial: u64 },
    /// A request's task ended.
    Exchanged(Exchanged),
    /// A request was given up, or a task of hyper's ended.
    Nothing,
}

/// The end of a request's task.
pub(super) struct Exchanged {
    flight: usize,
    line: usize,
    serial: u64,
    result: Result<Judgement, Failure>,
    /// Its connection, if that is HTTP/1.1's.
    lent: Option<Sender>,
}

impl Shared {
    /// No connections.
    pub(super) fn new(job: Rc<Job>, registry: Registry) -> Self {
        let tasks = Tasks::new();
        let (sockets, spawner) = (Rc::new(Sockets::default()), tasks.spawner());
        let links = Rc::new(exchange::Links { job, registry, sockets, spawner });
        Self { tasks, links, lines: Slab::new(), running: HashMap::new(), serials: 0 }
    }

    /// Sends a request on a connection that is there, or on a new one; returns its key.
    pub(super) fn begin(&mut self, desk: &mut Desk, flight: usize, kept: Option<usize>) -> usize {
        if let Some(line) = kept.filter(|&line| self.lines.contains(line)) {
            self.send(desk, flight, line);
            return line;
        }
        let endpoint = usize::from(desk.flights[flight].record.endpoint);
        let owner = desk.flights[flight].owner;
        let state = State::Opening(Vec::new());
        let line = Line { endpoint, owner, serial: 0, number: 0, state, streams: 1, used: false };
        let key = self.lines.insert(line);
        self.open(key, flight);
        key
    }

    /// Takes a socket's readiness.
    pub(super) fn take(&mut self, desk: &mut Desk, socket: usize) {
        self.links.sockets.wake(socket);
        self.go_on(desk);
    }

    /// Runs the tasks that can go on.
    pub(super) fn go_on(&mut self, desk: &mut Desk) {
        while let Some(event) = self.tasks.next() {
            match event {
                Event::Opened { line, serial, result } => self.opened(desk, line, serial, result),
                Event::Closed { line, serial } => {
                    let idle = self.lines.get(line).is_some_and(|it| {
                        it.serial == serial && matches!(it.state, State::Open(_)) && it.streams == 0
                    });
                    if idle {
                        self.remove(desk, line);
                    }
                }
                Event::Exchanged(exchanged) => self.exchanged(desk, exchanged),
                Event::Nothing => {}
            }
        }
    }

    /// Gives a request up: an HTTP/2 stream is reset, an HTTP/1.1 connection closed.
    pub(super) fn give_up(&mut self, desk: &mut Desk, flight: usize) {
        let key = desk.flights[flight].line;
        self.note(desk, flight);
        if let Some(running) = self.running.remove(&flight) {
            running.abort.abort();
        }
        let mut kept = false;
        if let Some(line) = self.lines.get_mut(key) {
            line.streams = line.streams.saturating_sub(1);
            kept = match &mut line.state {
                State::Opening(waiting) => {
                    waiting.retain(|&other| other != flight);
                    line.streams > 0
                }
                State::Open(_) => true,
                State::Lent => false,
                State::Leaving => line.streams > 0,
            };
            if !kept {
                self.remove(desk, key);
            }
        }
        desk.done(flight, Ended::GivenUp, kept);
    }

    /// Opens a connection for a request, also in the place of one that was stale.
    fn open(&mut self, key: usize, flight: usize) {
        self.serials += 1;
        let serial = self.serials;
        let line = &mut self.lines[key];
        line.serial = serial;
        line.state = State::Opening(vec![flight]);
        let (links, endpoint) = (Rc::clone(&self.links), line.endpoint);
        self.links.spawner.spawn(async move {
            let result = links.open(endpoint, key, serial).await;
            Event::Opened { line: key, serial, result }
        });
    }

    fn opened(&mut self, desk: &mut Desk, key: usize, serial: u64, result: io::Result<Sender>) {
        // Whoever wanted it may have given up meanwhile.
        let Some(line) = self.lines.get_mut(key).filter(|line| line.serial == serial) else { return };
        let State::Opening(waiting) = &mut line.state else { return };
        let waiting = std::mem::take(waiting);
        match result {
            Ok(sender) => {
                line.number = desk.count_connection();
                line.state = State::Open(sender);
                line.used = false;
                let now_ns = desk.job.clock.now_ns();
                for flight in waiting {
                    desk.flights[flight].record.connected_ns = Some(now_ns);
                    self.hand_over(desk, flight, key, false);
                }
            }
            Err(error) => {
                desk.note_failure(line.endpoint, &error);
                line.streams -= waiting.len();
                if line.streams == 0 {
                    self.remove(desk, key);
                } else {
                    self.leave(desk, key);
                }
                for flight in waiting {
                    desk.done(flight, Ended::NoAnswer, false);
                }
            }
        }
    }

    /// Sends on a connection that is there, opening it again if it has been closed meanwhile.
    fn send(&mut self, desk: &mut Desk, flight: usize, key: usize) {
        let line = &mut self.lines[key];
        line.streams += 1;
        match &mut line.state {
            State::Opening(waiting) => waiting.push(flight),
            State::Open(sender) if !sender.is_closed() => {
                let record = &mut desk.flights[flight].record;
                record.connected_ns = Some(record.sent_ns);
                let used = line.used;
                self.hand_over(desk, flight, key, used);
            }
            State::Open(_) | State::Lent | State::Leaving => self.open(key, flight),
        }
    }

    /// Makes a task of a request on an open connection.
    fn hand_over(&mut self, desk: &mut Desk, flight: usize, key: usize, may_repeat: bool) {
        let line = &mut self.lines[key];
        let sender = match std::mem::replace(&mut line.state, State::Lent) {
            State::Open(sender) => match sender.clone_shared() {
                Some(clone) => {
                    line.state = State::Open(sender);
                    clone
                }
                None => sender,
            },
            other => return line.state = other,
        };
        line.used = true;
        let serial = line.serial;
        let record = &mut desk.flights[flight].record;
        record.connection = line.number;
        let (endpoint, payload) = (usize::from(record.endpoint), usize::from(record.payload));
        let request = exchange::request(&desk.job, endpoint, payload, record.call_id);
        let notes = Rc::new(RefCell::new(Notes::default()));
        let (job, found) = (Rc::clone(&desk.job), Rc::clone(&notes));
        let mut sender = sender;
        let (task, abort) = abortable(async move {
            let result = exchange::exchange(&job, &mut sender, request, payload, &found).await;
            (result, sender)
        });
        self.links.spawner.spawn(async move {
            let Ok((result, sender)) = task.await else { return Event::Nothing };
            let lent = matches!(sender, Sender::Http1(_)).then_some(sender);
            Event::Exchanged(Exchanged { flight, line: key, serial, result, lent })
        });
        self.running.insert(flight, Running { notes, abort, may_repeat });
    }

    /// Draws the conclusion from an exchange.
    fn exchanged(&mut self, desk: &mut Desk, end: Exchanged) {
        let Exchanged { flight, line: key, serial, result, lent } = end;
        self.note(desk, flight);
        let Some(running) = self.running.remove(&flight) else { return };
        let line = &mut self.lines[key];
        if let Err(Failure::Stale { unwritten }) = result
            && running.may_repeat
            && (unwritten || desk.job.method.is_idempotent())
        {
            let record = &mut desk.flights[flight].record;
            record.connected_ns = None;
            record.connection = 0;
            match &mut line.state {
                // Another request has found it stale before.
                State::Opening(waiting) => waiting.push(flight),
                State::Open(_) if line.serial != serial => self.hand_over(desk, flight, key, false),
                _ => self.open(key, flight),
            }
            return;
        }
        line.streams -= 1;
        if let Some(sender) = lent {
            line.state = State::Open(sender);
        }
        let alone = desk.job.connections.reuse == Reuse::PerRequest;
        let kept = match &line.state {
            State::Open(_) if line.serial != serial => true,
            State::Open(Sender::Http1(sender)) => result.is_ok() && !alone && !sender.is_closed(),
            State::Open(sender) => !alone && !sender.is_closed(),
            State::Opening(_) => true,
            State::Lent | State::Leaving => false,
        };
        if !kept {
            if line.streams == 0 {
                self.remove(desk, key);
            } else {
                self.leave(desk, key);
            }
        }
        desk.done(flight, result.map_or(Ended::NoAnswer, Ended::Answered), kept);
    }

    /// Copies what a task has noted into the request's record.
    fn note(&self, desk: &mut Desk, flight: usize) {
        let Some(running) = self.running.get(&flight) else { return };
        let notes = running.notes.borrow();
        let record = &mut desk.flights[flight].record;
        record.first_byte_ns = notes.first_byte_ns;
        record.status = notes.status;
        record.bytes_received = notes.bytes_received;
        if let Some(done_ns) = notes.done_ns {
            record.done_ns = done_ns;
        }
    }

    /// Keeps a connection for the requests that it carries, but for no others.
    fn leave(&mut self, desk: &mut Desk, key: usize) {
        let line = &mut self.lines[key];
        if !matches!(line.state, State::Leaving) {
            line.state = State::Leaving;
            desk.gone(line.endpoint, key, line.owner);
        }
    }

    fn remove(&mut self, desk: &mut Desk, key: usize) {
        let line = self.lines.remove(key);
        if !matches!(line.state, State::Leaving) {
            desk.gone(line.endpoint, key, line.owner);
        }
    }
}
