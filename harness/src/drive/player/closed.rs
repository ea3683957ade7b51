//! A closed plan: each of its clients sends the next request when the last one was answered.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Next, rows::Rows};
use crate::{
    drive::client::{Client, Owner},
    record::{Outcome, Record},
};

/// A client's first pause after a failure to connect; doubles up to the longest.
const FIRST_BACKOFF_NS: u64 = 5_000_000;
const LONGEST_BACKOFF_NS: u64 = 250_000_000;

/// When a closed loop goes on and when it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) connections: u32,
    pub(super) think_time_ns: u64,
    pub(super) duration_ns: Option<u64>,
    pub(super) requests: Option<u64>,
    /// Whether each waits for all before it goes on.
    pub(super) lockstep: bool,
}

/// Plays a closed plan.
pub(super) struct ClosedLoop {
    rules: Rules,
    endpoints: usize,
    /// The connection of each client to each endpoint.
    lines: Vec<Option<usize>>,
    /// Each client's pause after its next failure to connect.
    backoffs_ns: Vec<u64>,
    /// Clients that pause, and when they are free to send.
    pausing: BinaryHeap<Reverse<(u64, Owner)>>,
    /// Clients that have not come to their end.
    active: u32,
    /// Requests that are under way.
    under_way: u32,
    /// In lockstep: clients that wait for the others, each with its pause.
    held: Vec<(Owner, u64)>,
}

impl ClosedLoop {
    /// A loop of clients that are all free at the start.
    pub(super) fn new(rules: Rules, endpoints: usize) -> Self {
        let clients = rules.connections as usize;
        Self {
            rules,
            endpoints,
            lines: vec![None; clients * endpoints],
            backoffs_ns: vec![FIRST_BACKOFF_NS; clients],
            pausing: (0..rules.connections).map(|client| Reverse((0, client))).collect(),
            active: rules.connections,
            under_way: 0,
            held: Vec::new(),
        }
    }

    /// Lets the clients go on whose pause is over.
    pub(super) fn pump(&mut self, client: &mut Client, rows: &mut Rows) -> Next {
        while let Some(&Reverse((free_ns, owner))) = self.pausing.peek() {
            if free_ns > client.now_ns() {
                return Next::At(free_ns);
            }
            self.pausing.pop();
            self.go_on(client, rows, owner, free_ns);
        }
        self.rules.duration_ns.map_or(Next::Never, Next::At)
    }

    /// A request ended; its client goes on, at once or after its pause.
    pub(super) fn ended(
        &mut self,
        client: &mut Client,
        rows: &mut Rows,
        record: &Record,
        (owner, line, kept): (Owner, usize, bool),
    ) {
        *self.line(owner, usize::from(record.endpoint)) = kept.then_some(line);
        let mut pause_ns = self.rules.think_time_ns;
        let backoff_ns = &mut self.backoffs_ns[owner as usize];
        if record.outcome == Outcome::Connect && record.status == 0 {
            // A closed loop against a dead port would otherwise spin, and measure that.
            pause_ns += *backoff_ns;
            *backoff_ns = (*backoff_ns * 2).min(LONGEST_BACKOFF_NS);
        } else {
            *backoff_ns = FIRST_BACKOFF_NS;
        }
        self.under_way -= 1;
        if !self.rules.lockstep {
            self.release(client, rows, owner, (record.done_ns, pause_ns));
            return;
        }
        self.held.push((owner, pause_ns));
        if self.under_way == 0 {
            for (owner, pause_ns) in std::mem::take(&mut self.held) {
                self.release(client, rows, owner, (record.done_ns, pause_ns));
            }
        }
    }

    /// Lets a client go on, at once or after its pause.
    fn release(
        &mut self,
        client: &mut Client,
        rows: &mut Rows,
        owner: Owner,
        (from_ns, pause_ns): (u64, u64),
    ) {
        let free_ns = from_ns + pause_ns;
        if pause_ns == 0 {
            self.go_on(client, rows, owner, free_ns);
        } else {
            self.pausing.push(Reverse((free_ns, owner)));
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, endpoint: usize, line: usize, owner: Owner) {
        let own = self.line(owner, endpoint);
        if *own == Some(line) {
            *own = None;
        }
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.active == 0 || self.rules.duration_ns.is_some_and(|end_ns| now_ns >= end_ns)
    }

    /// Sends a client's next request, unless it has come to its end.
    fn go_on(&mut self, client: &mut Client, rows: &mut Rows, owner: Owner, free_ns: u64) {
        let rules = &self.rules;
        let over = rules.duration_ns.is_some_and(|end_ns| free_ns >= end_ns);
        if over || rules.requests.is_some_and(|most| rows.sent_so_far() >= most) {
            self.active -= 1;
            return;
        }
        let call = client.call(rows.sent(), free_ns);
        let kept = self.line(owner, call.endpoint).take();
        let (line, _) = client.begin(call, owner, kept);
        self.under_way += 1;
        *self.line(owner, call.endpoint) = Some(line);
    }

    fn line(&mut self, owner: Owner, endpoint: usize) -> &mut Option<usize> {
        &mut self.lines[owner as usize * self.endpoints + endpoint]
    }
}
