//! Plays a plan on the generator's thread: an open one by the clock, a closed one by the answers.
//!
//! One loop, no tasks, no locks: send what is due, look at the sockets, take what they bring.

mod closed;
mod open;
mod pool;
mod rows;

use std::{io, rc::Rc, time::Duration};

pub(super) use rows::{Rows, Written, channel};

use self::{
    closed::{ClosedLoop, Rules},
    open::{OPEN_AT_ONCE, OpenLoop},
};
use super::{
    LoopLag, Plan,
    audit::Beat,
    client::{Client, Ended, Notice},
    job::Job,
    reactor::Reactor,
};

/// How long answers are awaited after the user interrupted.
const INTERRUPTED_DRAIN: Duration = Duration::from_secs(1);

/// Deadlines that lie nearer to each other than this are looked at together.
const DEADLINES_APART_NS: u64 = 1_000_000;

/// What the player counted.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) planned: u64,
    pub(super) sent: u64,
    pub(super) unfinished: u64,
    pub(super) connections_opened: u64,
    pub(super) first_failure: Option<String>,
    pub(super) local_fault: Option<String>,
    pub(super) pool_waits: u64,
    pub(super) own_lateness_p99_ns: u64,
    pub(super) own_lateness_max_ns: u64,
    pub(super) loop_lag: LoopLag,
    pub(super) interrupted: bool,
}

/// When a plan has something to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// As soon as the sockets were looked at.
    Now,
    /// At this time.
    At(u64),
    /// Not before an answer comes.
    Never,
}

/// A plan being played.
enum Sending {
    Open(OpenLoop),
    Closed(ClosedLoop),
}

impl Sending {
    fn pump(&mut self, client: &mut Client, rows: &mut Rows) -> Next {
        match self {
            Self::Open(open) => open.pump(client, rows, OPEN_AT_ONCE),
            Self::Closed(closed) => closed.pump(client, rows),
        }
    }

    fn is_over(&self, now_ns: u64) -> bool {
        match self {
            Self::Open(open) => open.is_over(now_ns),
            Self::Closed(closed) => closed.is_over(now_ns),
        }
    }
}

/// What the loop works with.
struct Player {
    client: Client,
    sending: Sending,
    rows: Rows,
    timeout_ns: u64,
    /// No request's deadline lies before this time.
    deadlines_from_ns: u64,
    /// Whether requests are still begun.
    is_sending: bool,
}

/// Plays a plan: sends until it ends or `stop` says so, drains, and accounts for every request.
pub(super) fn run(
    job: &Rc<Job>,
    plan: Plan,
    drain: Duration,
    most_open: usize,
    rows: Rows,
    stop: impl Fn() -> bool,
) -> io::Result<Played> {
    let mut reactor = Reactor::new()?;
    let client = Client::new(Rc::clone(job), reactor.registry())?;
    let drain_ns = drain.as_nanos() as u64;
    let sending = match plan {
        Plan::Open { send_times_ns, .. } => {
            Sending::Open(OpenLoop::new(job, send_times_ns, drain_ns, most_open, client.capacity()))
        }
        Plan::Closed { connections, think_time_ns, duration_ns, requests } => {
            let lockstep = job.lockstep;
            let rules = Rules { connections, think_time_ns, duration_ns, requests, lockstep };
            Sending::Closed(ClosedLoop::new(rules, job.targets.len()))
        }
    };
    let timeout_ns = job.timeout.as_nanos() as u64;
    let mut player =
        Player { client, sending, rows, timeout_ns, deadlines_from_ns: timeout_ns, is_sending: true };
    std::thread::sleep(job.clock.at(0).saturating_duration_since(std::time::Instant::now()));
    let mut interrupted_ns = None;
    let mut drained_ns = u64::MAX;
    let mut beat = Beat::new();
    loop {
        let next = player.go_on();
        let now_ns = job.clock.now_ns();
        if player.is_sending && interrupted_ns.is_none() && stop() {
            interrupted_ns = Some(now_ns);
        }
        if player.is_sending && (interrupted_ns.is_some() || player.sending.is_over(now_ns)) {
            player.is_sending = false;
            let limit = if interrupted_ns.is_some() { drain.min(INTERRUPTED_DRAIN) } else { drain };
            drained_ns = now_ns.saturating_add(limit.as_nanos() as u64);
        }
        if !player.is_sending && (player.client.under_way() == 0 || now_ns >= drained_ns) {
            break;
        }
        let wake_ns = match next {
            Next::Now => now_ns,
            Next::At(at_ns) if player.is_sending => at_ns,
            Next::At(_) | Next::Never => u64::MAX,
        };
        let flush_ns = player.rows.flush_old(now_ns);
        let wake_ns = wake_ns.min(flush_ns).min(drained_ns).min(player.deadlines_from_ns).min(beat.due_ns());
        reactor.wait(Some(job.clock.at(wake_ns)))?;
        beat.note(job.clock.now_ns());
        for event in reactor.ready() {
            player.client.take(event);
            player.settle();
        }
        player.expire();
    }
    Ok(Played { loop_lag: beat.lag(), ..player.account(interrupted_ns) })
}

impl Player {
    /// Begins what is due, and goes on with everything that waits for no socket.
    fn go_on(&mut self) -> Next {
        let next =
            if self.is_sending { self.sending.pump(&mut self.client, &mut self.rows) } else { Next::Never };
        loop {
            self.client.go_on();
            if !self.settle() {
                return next;
            }
        }
    }

    /// Takes the client's notices; whether there were any.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while let Some(notice) = self.client.notice() {
            any = true;
            match notice {
                Notice::Gone { endpoint, line, owner } => match &mut self.sending {
                    Sending::Open(open) => open.gone(endpoint, line),
                    Sending::Closed(closed) => closed.gone(endpoint, line, owner),
                },
                Notice::Done { flight, ended, kept } => self.done(flight, ended, kept),
            }
        }
        any
    }

    fn done(&mut self, flight: usize, ended: Ended, kept: bool) {
        let Some((record, owner, line)) = self.client.close(flight, ended) else { return };
        match &mut self.sending {
            Sending::Open(open) => {
                open.ended(&record, line, kept);
                if self.is_sending {
                    open.pump(&mut self.client, &mut self.rows, 0);
                }
            }
            Sending::Closed(closed) if self.is_sending => {
                closed.ended(&mut self.client, &mut self.rows, &record, (owner, line, kept));
            }
            Sending::Closed(_) => {}
        }
        self.rows.push(record);
    }

    /// Gives up the requests whose deadline has come.
    fn expire(&mut self) {
        let now_ns = self.client.now_ns();
        if now_ns < self.deadlines_from_ns {
            return;
        }
        let (expired, oldest_ns) = self.client.sent_before((now_ns + 1).saturating_sub(self.timeout_ns));
        for flight in expired {
            self.client.give_up(flight);
        }
        // What is sent from now on has a later deadline than what is under way.
        let next_ns = oldest_ns.unwrap_or(now_ns) + self.timeout_ns;
        self.deadlines_from_ns = next_ns.max(now_ns + DEADLINES_APART_NS);
        self.settle();
    }

    /// Turns what is still under way into time-outs, and counts.
    fn account(mut self, interrupted_ns: Option<u64>) -> Played {
        let (under_way, _) = self.client.sent_before(u64::MAX);
        let unfinished = under_way.len() as u64;
        for flight in under_way {
            self.client.give_up(flight);
        }
        self.settle();
        self.rows.flush(self.client.now_ns());
        let (connections_opened, first_failure, local_fault) = self.client.account();
        let sent = self.rows.sent_so_far();
        let (planned, (pool_waits, own_lateness_p99_ns, own_lateness_max_ns)) = match &self.sending {
            Sending::Open(open) => (open.planned(interrupted_ns), open.account()),
            Sending::Closed(_) => (sent, (0, 0, 0)),
        };
        Played {
            planned,
            sent,
            unfinished,
            connections_opened,
            first_failure,
            local_fault,
            pool_waits,
            own_lateness_p99_ns,
            own_lateness_max_ns,
            loop_lag: LoopLag::default(),
            interrupted: interrupted_ns.is_some(),
        }
    }
}
