//! An open plan: every call is sent at its time, whatever the answers do.
//!
//! A call finds a connection at rest, or gets a new one. After a stall of the generator itself many
//! calls are overdue at once; they go out on connections as answers free them, which is far cheaper
//! than opening one for each, and ends the backlog sooner.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::{Next, pool::Pool, rows::Rows};
use crate::{
    drive::{calls::Call, client::Client, job::Job},
    record::Record,
};

/// Connections that are opened before the sockets are looked at again; also how many overdue calls
/// are a backlog.
pub(super) const OPEN_AT_ONCE: usize = 8;

/// A backlog that the connections at hand work off within this time gets no new ones.
const PATIENCE_NS: u64 = 20_000_000;

/// Answers that fail to come for so long have stopped flowing, whatever the service time.
const SHORTEST_SILENCE_NS: u64 = 1_000_000;

/// A round of the loop that took longer than this was a stall of the generator.
const STALL_NS: u64 = 1_000_000;

/// Calls that a stall has made late get new connections at this distance at best: they are late in
/// any case, and each connection costs as much as several requests.
const LATE_OPENING_NS: u64 = 500_000;

/// Longest lateness that is told apart from longer ones: an hour.
const MOST_LATENESS_NS: u64 = 3_600_000_000_000;

/// Plays an open plan.
pub(super) struct OpenLoop {
    schedule: Vec<u64>,
    next: usize,
    pools: Vec<Pool>,
    /// Calls that found no connection and no room for one, by endpoint.
    waiting: Vec<VecDeque<Waiting>>,
    waiting_calls: usize,
    /// Connections open now, and how many this machine allows.
    open: usize,
    most_open: usize,
    /// When calls that still wait are not sent any more.
    give_up_ns: u64,
    /// What the service time mostly is.
    service_ns: u64,
    last_done_ns: u64,
    /// The last look at the schedule, and the end of the generator's last stall.
    looked_ns: u64,
    stalled_until_ns: u64,
    /// The last connection opened for a call that a stall had made late.
    opened_late_ns: u64,
    /// Calls that waited because the policy's pool was busy.
    pool_waits: u64,
    /// Lateness that is the generator's own: without waits for the policy's pool.
    own_lateness: Histogram<u64>,
}

/// A call that waits for a connection.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Position in the schedule.
    number: usize,
    /// When the policy's pool was found busy; none where this machine gives no more connections.
    since_ns: Option<u64>,
}

/// Whether a connection is opened for a call that finds none.
enum Room {
    Yes,
    /// Answers that free connections are expected until then.
    Until(u64),
}

impl OpenLoop {
    /// The plan of these send times.
    pub(super) fn new(
        job: &Job,
        schedule: Vec<u64>,
        drain_ns: u64,
        most_open: usize,
        capacity: usize,
    ) -> Self {
        let give_up_ns = schedule.last().copied().unwrap_or(0).saturating_add(drain_ns);
        let pool = |_: &_| Pool::new(job.connections.pool, capacity);
        Self {
            schedule,
            next: 0,
            pools: job.targets.iter().map(pool).collect(),
            waiting: job.targets.iter().map(|_| VecDeque::new()).collect(),
            waiting_calls: 0,
            open: 0,
            most_open,
            give_up_ns,
            service_ns: 0,
            last_done_ns: 0,
            looked_ns: 0,
            stalled_until_ns: 0,
            opened_late_ns: 0,
            pool_waits: 0,
            // Three digits over these bounds are what the constructor allows.
            own_lateness: Histogram::new_with_max(MOST_LATENESS_NS, 3).expect("bounds that fit"),
        }
    }

    /// Sends what is due, on connections at rest and on so many new ones. Called by the clock, and
    /// after each answer, so that a busy generator is late by one request's work.
    pub(super) fn pump(&mut self, client: &mut Client, rows: &mut Rows, may_open: usize) -> Next {
        if self.waiting_calls > 0 {
            self.serve_waiting(client, rows);
        }
        let mut now_ns = client.now_ns();
        let mut opened = 0;
        // The loop wakes up for every call: one that lies so far back was not looked for in time.
        let head_ns = self.schedule.get(self.next).map_or(now_ns, |&at_ns| at_ns.max(self.looked_ns));
        if now_ns.saturating_sub(head_ns) > STALL_NS {
            self.stalled_until_ns = now_ns;
        }
        self.looked_ns = now_ns;
        while let Some(&at_ns) = self.schedule.get(self.next) {
            if at_ns > now_ns {
                now_ns = client.now_ns();
                if at_ns > now_ns {
                    return Next::At(at_ns);
                }
            }
            let call = client.call(self.next as u64, at_ns);
            let pool = &mut self.pools[call.endpoint];
            let queue = &mut self.waiting[call.endpoint];
            if queue.is_empty()
                && let Some(line) = pool.take()
            {
                self.send(client, rows, call, Some(line), None);
            } else if !queue.is_empty() || !pool.may_open() || self.open >= self.most_open {
                let by_policy = !pool.may_open();
                self.pool_waits += u64::from(by_policy);
                queue.push_back(Waiting { number: self.next, since_ns: by_policy.then_some(now_ns) });
                self.waiting_calls += 1;
            } else {
                if opened >= may_open {
                    return Next::Now;
                }
                match self.room(client, now_ns) {
                    Room::Yes => self.send(client, rows, call, None, None),
                    Room::Until(until_ns) => return Next::At(until_ns),
                }
                opened += 1;
            }
            self.next += 1;
        }
        if self.waiting_calls > 0 { Next::At(self.give_up_ns) } else { Next::Never }
    }

    /// A request ended; its connection may carry another one if it was kept.
    pub(super) fn ended(&mut self, record: &Record, line: usize, kept: bool) {
        self.service_ns = mostly(self.service_ns, record.service_ns());
        self.last_done_ns = record.done_ns;
        if kept {
            self.pools[usize::from(record.endpoint)].free(line);
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, endpoint: usize, line: usize) {
        self.open -= 1;
        self.pools[endpoint].gone(line);
    }

    /// Whether every call is sent, or will not be any more.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        (self.next == self.schedule.len() && self.waiting_calls == 0) || now_ns > self.give_up_ns
    }

    /// Calls in the plan up to a time; all of them without one.
    pub(super) fn planned(&self, until_ns: Option<u64>) -> u64 {
        until_ns.map_or(self.schedule.len(), |until_ns| self.schedule.partition_point(|&at| at <= until_ns))
            as u64
    }

    /// Calls that waited for the policy's pool, and the rest of the lateness: its 99th percentile
    /// and maximum in nanoseconds.
    pub(super) fn account(&self) -> (u64, u64, u64) {
        (self.pool_waits, self.own_lateness.value_at_quantile(0.99), self.own_lateness.max())
    }

    /// Sends calls that waited, in their order, where there is a connection now.
    fn serve_waiting(&mut self, client: &mut Client, rows: &mut Rows) {
        for endpoint in 0..self.waiting.len() {
            while let Some(&Waiting { number, since_ns }) = self.waiting[endpoint].front() {
                let line = self.pools[endpoint].take();
                let may_open = self.pools[endpoint].may_open() && self.open < self.most_open;
                if line.is_none() && !may_open {
                    break;
                }
                self.waiting[endpoint].pop_front();
                self.waiting_calls -= 1;
                let call = client.call(number as u64, self.schedule[number]);
                self.send(client, rows, call, line, since_ns);
            }
        }
    }

    fn send(
        &mut self,
        client: &mut Client,
        rows: &mut Rows,
        call: Call,
        kept: Option<usize>,
        waiting_since_ns: Option<u64>,
    ) {
        let (line, sent_ns) = client.begin(call, 0, kept);
        if kept.is_none() {
            self.open += 1;
            self.pools[call.endpoint].opened(line);
        }
        rows.sent();
        let noticed_ns = waiting_since_ns.unwrap_or(sent_ns);
        self.own_lateness.saturating_record(noticed_ns.saturating_sub(call.scheduled_ns));
    }

    /// Whether the next call, which is due and finds no connection, gets a new one now.
    fn room(&mut self, client: &Client, now_ns: u64) -> Room {
        let due = &self.schedule[self.next..];
        let overdue = due.partition_point(|&at_ns| at_ns <= now_ns) as u64;
        let under_way = client.under_way() as u64;
        if overdue <= OPEN_AT_ONCE as u64 || under_way == 0 {
            return Room::Yes;
        }
        // While answers come, as many of them a second as there are requests under way for each
        // service time (Little's law) free connections for the backlog.
        let flows_until_ns = self.last_done_ns + SHORTEST_SILENCE_NS.max(4 * self.service_ns);
        let over_in_ns = overdue.saturating_mul(self.service_ns) / under_way;
        if self.service_ns > 0 && now_ns < flows_until_ns && over_in_ns <= PATIENCE_NS {
            return Room::Until(flows_until_ns);
        }
        if due[0] < self.stalled_until_ns {
            let next_ns = self.opened_late_ns + LATE_OPENING_NS;
            if now_ns < next_ns {
                return Room::Until(next_ns);
            }
            self.opened_late_ns = now_ns;
        }
        Room::Yes
    }
}

/// A running idea of the service time. It falls quickly and rises slowly: what was under way
/// during a stall of the generator seems to have taken as long as the stall.
fn mostly(so_far_ns: u64, service_ns: u64) -> u64 {
    if so_far_ns == 0 { service_ns } else { service_ns.min(so_far_ns + so_far_ns / 8 + 1) }
}
