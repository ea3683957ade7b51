//! Plays a plan on the generator's thread: an open one by the clock, a closed one by the answers.
//!
//! Everything here is single-threaded (`Rc`, `Cell`): no locks on the hot path. A worker is a task
//! with a client of its own; an open plan grows their number on demand, a closed plan fixes it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use hyper::{HeaderMap, Method, header::CONTENT_TYPE, header::HeaderValue};
use tokio::sync::Notify;

use super::{
    Judge, Load, Payload, Plan, Share,
    client::{Client, Slot},
    draws::Choice,
    play::Progress,
    target::Target,
    timer::PreciseTimer,
};
use crate::record::{Outcome, Record};

/// Rows that are handed over at once.
const BATCH_ROWS: usize = 1024;

/// Rows are handed over at least this often, so that a crash loses little.
const BATCH_AGE_NS: u64 = 200_000_000;

/// How long answers are awaited after the user interrupted.
const INTERRUPTED_DRAIN: Duration = Duration::from_secs(1);

/// How long the scheduler rests when all connections are taken; workers go on by themselves.
const ALL_BUSY_REST: Duration = Duration::from_millis(1);

/// Connections that are opened before the sockets are looked at again. After a pause of the
/// generator many calls are overdue at once: answers that have arrived meanwhile free connections,
/// which is far cheaper than opening one for each call, and ends the backlog sooner.
const OPEN_AT_ONCE: usize = 8;

/// A closed loop's first pause after a failure to connect; doubles up to the longest.
const FIRST_BACKOFF_NS: u64 = 5_000_000;
const LONGEST_BACKOFF_NS: u64 = 250_000_000;

/// Nanoseconds since the start of the cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The start.
    pub(super) zero: Instant,
}

impl Clock {
    /// Now; 0 before the start.
    pub(super) fn now_ns(self) -> u64 {
        Instant::now().saturating_duration_since(self.zero).as_nanos() as u64
    }

    /// The instant of a time.
    pub(super) fn at(self, ns: u64) -> Instant {
        self.zero + Duration::from_nanos(ns)
    }
}

/// One planned request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) scheduled_ns: u64,
    pub(super) endpoint: usize,
    pub(super) payload: usize,
}

impl Call {
    /// The row of this call as far as it is known when it is sent.
    pub(super) fn record(&self, job: &Job, sent_ns: u64) -> Record {
        Record {
            call_id: self.id,
            scheduled_ns: self.scheduled_ns,
            sent_ns,
            connected_ns: None,
            first_byte_ns: None,
            done_ns: sent_ns,
            status: 0,
            outcome: Outcome::Timeout,
            bytes_sent: u32::try_from(job.payloads[self.payload].body.len()).unwrap_or(u32::MAX),
            bytes_received: 0,
            payload: u16::try_from(self.payload).unwrap_or(u16::MAX),
            endpoint: u16::try_from(self.endpoint).unwrap_or(u16::MAX),
            connection: 0,
            instance: None,
            cold: false,
            server: None,
        }
    }
}

/// What all workers of a cell share.
pub(super) struct Job {
    pub(super) clock: Clock,
    pub(super) targets: Vec<Target>,
    pub(super) method: Method,
    pub(super) payloads: Arc<[Payload]>,
    pub(super) timeout: Duration,
    pub(super) judge: Arc<dyn Judge>,
    /// Request headers by endpoint and payload, made once.
    headers: Vec<HeaderMap>,
    choose_endpoint: Choice,
    choose_payload: Choice,
    share: Share,
    progress: Arc<Progress>,
    slots: RefCell<Vec<Rc<Slot>>>,
    batch: RefCell<Vec<Record>>,
    flushed_ns: Cell<u64>,
    rows: mpsc::Sender<Vec<Record>>,
    connections: Cell<u32>,
    local_fault: RefCell<Option<String>>,
    busy: Cell<usize>,
    sent: Cell<u64>,
    stopped: Cell<bool>,
    settled: Notify,
}

/// What the player counted.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) planned: u64,
    pub(super) sent: u64,
    pub(super) unfinished: u64,
    pub(super) connections_opened: u64,
    pub(super) local_fault: Option<String>,
    pub(super) interrupted: bool,
}

impl Job {
    /// The job of a load, with its clock running from `clock.zero`.
    pub(super) fn new(
        load: &Load,
        targets: Vec<Target>,
        clock: Clock,
        progress: Arc<Progress>,
        rows: mpsc::Sender<Vec<Record>>,
    ) -> Self {
        let mut headers = Vec::with_capacity(targets.len() * load.payloads.len());
        for target in &targets {
            for payload in load.payloads.iter() {
                let mut own = target.headers.clone();
                if let Ok(media_type) = HeaderValue::from_str(&payload.content_type)
                    && !media_type.is_empty()
                    && !own.contains_key(CONTENT_TYPE)
                {
                    own.insert(CONTENT_TYPE, media_type);
                }
                headers.push(own);
            }
        }
        Self {
            clock,
            choose_endpoint: Choice::new(load.seed, b"endpoint", targets.len()),
            choose_payload: Choice::new(load.seed, b"payload", load.payloads.len()),
            targets,
            method: load.method.clone(),
            payloads: Arc::clone(&load.payloads),
            timeout: load.timeout,
            judge: Arc::clone(&load.judge),
            headers,
            share: load.share,
            progress,
            slots: RefCell::default(),
            batch: RefCell::new(Vec::with_capacity(BATCH_ROWS)),
            flushed_ns: Cell::new(0),
            rows,
            connections: Cell::new(0),
            local_fault: RefCell::default(),
            busy: Cell::new(0),
            sent: Cell::new(0),
            stopped: Cell::new(false),
            settled: Notify::new(),
        }
    }

    /// Headers of a call.
    pub(super) fn headers(&self, call: Call) -> &HeaderMap {
        &self.headers[call.endpoint * self.payloads.len() + call.payload]
    }

    /// A place for a client's request under way.
    pub(super) fn new_slot(&self) -> Rc<Slot> {
        let nothing = Call { id: 0, scheduled_ns: 0, endpoint: 0, payload: 0 };
        let record = RefCell::new(nothing.record(self, 0));
        let slot = Rc::new(Slot { busy: Cell::new(false), record });
        self.slots.borrow_mut().push(Rc::clone(&slot));
        slot
    }

    /// Numbers a new connection.
    pub(super) fn count_connection(&self) -> u32 {
        self.connections.replace(self.connections.get().saturating_add(1))
    }

    /// Keeps the first failure that was this machine's own.
    pub(super) fn note_local_fault(&self, fault: Option<String>) {
        let mut first = self.local_fault.borrow_mut();
        if first.is_none() {
            *first = fault;
        }
    }

    /// Call number `own` of this plan.
    fn call(&self, own: u64, scheduled_ns: u64) -> Call {
        let id = self.share.call_id(own);
        Call { id, scheduled_ns, endpoint: self.choose_endpoint.of(id), payload: self.choose_payload.of(id) }
    }

    fn begin(&self) {
        self.busy.set(self.busy.get() + 1);
        self.sent.set(self.sent.get() + 1);
        self.progress.sent.store(self.sent.get(), Relaxed);
    }

    fn end(&self, record: Record) {
        self.busy.set(self.busy.get() - 1);
        if self.busy.get() == 0 {
            self.settled.notify_one();
        }
        self.push(record);
    }

    fn push(&self, record: Record) {
        self.progress.note(record.outcome);
        let age_ns = record.done_ns.saturating_sub(self.flushed_ns.get());
        let mut batch = self.batch.borrow_mut();
        batch.push(record);
        if batch.len() >= BATCH_ROWS || age_ns >= BATCH_AGE_NS {
            drop(batch);
            self.flush();
        }
    }

    /// Hands the rows so far to the writer.
    fn flush(&self) {
        self.flushed_ns.set(self.clock.now_ns());
        let rows = self.batch.replace(Vec::with_capacity(BATCH_ROWS));
        if !rows.is_empty() {
            // The writer lives until this sender is gone; it outlasts every row.
            let _ = self.rows.send(rows);
        }
    }

    /// Waits until nothing is under way, at most `limit`.
    async fn drain(&self, limit: Duration) {
        // A call that was just handed over becomes visible in its slot with its worker's next turn.
        tokio::task::yield_now().await;
        let settled = async {
            while self.busy.get() > 0 {
                self.settled.notified().await;
            }
        };
        let _ = tokio::time::timeout(limit, settled).await;
    }

    /// Turns what is still under way into time-outs; returns how many.
    fn give_up(&self) -> u64 {
        let now_ns = self.clock.now_ns();
        let slots = self.slots.take();
        let mut unfinished = 0;
        for slot in slots.iter().filter(|slot| slot.busy.get()) {
            let mut record = slot.record.borrow().clone();
            record.done_ns = now_ns;
            record.outcome = Outcome::Timeout;
            self.push(record);
            unfinished += 1;
        }
        unfinished
    }
}

/// Plays a plan: sends until it ends or `stop` resolves, drains, and accounts for every request.
pub(super) async fn run(
    job: &Rc<Job>,
    plan: Plan,
    drain: Duration,
    most_workers: usize,
    stop: impl Future<Output = ()>,
) -> std::io::Result<Played> {
    let mut timer = PreciseTimer::new()?;
    let flusher = tokio::task::spawn_local(flush_now_and_then(Rc::clone(job)));
    timer.sleep(job.clock.zero.saturating_duration_since(Instant::now())).await?;
    let schedule = match &plan {
        Plan::Open { send_times_ns, .. } => send_times_ns.as_slice().into(),
        Plan::Closed { .. } => Rc::from([].as_slice()),
    };
    let dispatcher = Rc::new(Dispatcher::new(Rc::clone(job), Rc::clone(&schedule), most_workers));
    let sending = async {
        match plan {
            Plan::Open { .. } => dispatcher.send_all(&mut timer, drain).await,
            Plan::Closed { connections, think_time_ns, duration_ns, requests } => {
                let rules = ClosedRules { think_time_ns, duration_ns, requests };
                send_closed(job, connections, rules).await
            }
        }
    };
    let interrupted = tokio::select! {
        sent = sending => { sent?; false }
        () = stop => true,
    };
    job.stopped.set(true);
    let reached_ns = job.clock.now_ns();
    job.drain(if interrupted { drain.min(INTERRUPTED_DRAIN) } else { drain }).await;
    let unfinished = job.give_up();
    flusher.abort();
    job.flush();
    let planned = match (schedule.is_empty(), interrupted) {
        (true, _) => job.sent.get(),
        (false, false) => schedule.len() as u64,
        (false, true) => schedule.partition_point(|&at_ns| at_ns <= reached_ns) as u64,
    };
    Ok(Played {
        planned,
        sent: job.sent.get(),
        unfinished,
        connections_opened: u64::from(job.connections.get()),
        local_fault: job.local_fault.take(),
        interrupted,
    })
}

/// Hands rows over even while no request ends.
async fn flush_now_and_then(job: Rc<Job>) {
    let age = Duration::from_nanos(BATCH_AGE_NS);
    loop {
        tokio::time::sleep(age / 2).await;
        if job.clock.now_ns().saturating_sub(job.flushed_ns.get()) >= BATCH_AGE_NS / 2 {
            job.flush();
        }
    }
}

/// Hands the calls of an open plan to workers when they are due.
struct Dispatcher {
    job: Rc<Job>,
    schedule: Rc<[u64]>,
    next: Cell<usize>,
    /// Workers at rest, by the endpoint they last served; the latest first, since its connection
    /// is the least likely to have been closed for idleness.
    idle: RefCell<Vec<Vec<Rc<Mailbox>>>>,
    workers: Cell<usize>,
    most_workers: usize,
}

/// How a look at the schedule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Everything that was due is sent.
    Sent,
    /// What is left needs connections beyond those that may be opened now.
    MoreToOpen,
    /// What is left finds neither a connection nor room for one.
    AllBusy,
}

/// Where a worker at rest finds its next call.
#[derive(Default)]
struct Mailbox {
    call: Cell<Option<Call>>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    fn put(&self, call: Call) {
        self.call.set(Some(call));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn take(&self) -> Call {
        std::future::poll_fn(|cx| {
            let call = self.call.take();
            if call.is_none() {
                self.waker.replace(Some(cx.waker().clone()));
            }
            call.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Dispatcher {
    fn new(job: Rc<Job>, schedule: Rc<[u64]>, most_workers: usize) -> Self {
        let idle = RefCell::new(job.targets.iter().map(|_| Vec::new()).collect());
        Self { job, schedule, next: Cell::new(0), idle, workers: Cell::new(0), most_workers }
    }

    /// Sends by the clock until the schedule ends. Never waits for an answer, unless this machine
    /// has no connection left, which makes the sends late and is recorded as such.
    async fn send_all(self: &Rc<Self>, timer: &mut PreciseTimer, drain: Duration) -> std::io::Result<()> {
        let give_up_ns = self.schedule.last().copied().unwrap_or(0) + drain.as_nanos() as u64;
        loop {
            if self.dispatch_due(OPEN_AT_ONCE) == Due::MoreToOpen {
                tokio::task::yield_now().await;
                continue;
            }
            let Some(&at_ns) = self.schedule.get(self.next.get()) else { return Ok(()) };
            let now_ns = self.job.clock.now_ns();
            if now_ns > give_up_ns {
                return Ok(());
            }
            let wait = if at_ns > now_ns { Duration::from_nanos(at_ns - now_ns) } else { ALL_BUSY_REST };
            timer.sleep(wait).await?;
        }
    }

    /// Sends what is due on connections at rest, and on so many new ones. Called by the clock, and
    /// by every worker that ends a request, so that a busy generator is late by one request's work.
    fn dispatch_due(self: &Rc<Self>, mut may_open: usize) -> Due {
        let now_ns = self.job.clock.now_ns();
        while let Some(&at_ns) = self.schedule.get(self.next.get())
            && at_ns <= now_ns
            && !self.job.stopped.get()
        {
            let call = self.job.call(self.next.get() as u64, at_ns);
            if let Some(mailbox) = self.resting(call.endpoint) {
                mailbox.put(call);
            } else if self.workers.get() == self.most_workers {
                return Due::AllBusy;
            } else if may_open == 0 {
                return Due::MoreToOpen;
            } else {
                may_open -= 1;
                self.workers.set(self.workers.get() + 1);
                tokio::task::spawn_local(Rc::clone(self).work(call));
            }
            self.next.set(self.next.get() + 1);
            self.job.begin();
        }
        Due::Sent
    }

    /// A worker at rest, best one with a connection to this endpoint; another one only when no
    /// more may be made.
    fn resting(&self, endpoint: usize) -> Option<Rc<Mailbox>> {
        let mut idle = self.idle.borrow_mut();
        if let Some(mailbox) = idle[endpoint].pop() {
            return Some(mailbox);
        }
        if self.workers.get() < self.most_workers {
            return None;
        }
        idle.iter_mut().find_map(Vec::pop)
    }

    async fn work(self: Rc<Self>, first: Call) {
        let mut client = Client::new(Rc::clone(&self.job));
        let mailbox = Rc::new(Mailbox::default());
        let mut call = first;
        loop {
            let record = client.perform(call).await;
            self.job.end(record);
            self.idle.borrow_mut()[call.endpoint].push(Rc::clone(&mailbox));
            self.dispatch_due(0);
            call = mailbox.take().await;
        }
    }
}

/// When a closed loop goes on and when it ends.
#[derive(Debug, Clone, Copy)]
struct ClosedRules {
    think_time_ns: u64,
    duration_ns: Option<u64>,
    requests: Option<u64>,
}

/// Runs a closed loop on so many connections until its rules end it.
async fn send_closed(job: &Rc<Job>, connections: u32, rules: ClosedRules) -> std::io::Result<()> {
    let workers: Vec<_> =
        (0..connections).map(|_| tokio::task::spawn_local(work_closed(Rc::clone(job), rules))).collect();
    // Dropping a handle leaves its task alone: requests under way are left to the drain.
    let ended = async {
        for worker in workers {
            worker.await.map_err(std::io::Error::other)??;
        }
        Ok(())
    };
    let Some(duration_ns) = rules.duration_ns else { return ended.await };
    tokio::time::timeout_at(job.clock.at(duration_ns).into(), ended).await.unwrap_or(Ok(()))
}

async fn work_closed(job: Rc<Job>, rules: ClosedRules) -> std::io::Result<()> {
    let mut client = Client::new(Rc::clone(&job));
    let mut timer = None;
    let mut free_ns = 0u64;
    let mut backoff_ns = FIRST_BACKOFF_NS;
    loop {
        let wait_ns = free_ns.saturating_sub(job.clock.now_ns());
        if wait_ns > 0 {
            let timer = match &mut timer {
                Some(timer) => timer,
                none => none.insert(PreciseTimer::new()?),
            };
            timer.sleep(Duration::from_nanos(wait_ns)).await?;
        }
        let id = job.sent.get();
        let over = rules.duration_ns.is_some_and(|end_ns| free_ns >= end_ns);
        if over || job.stopped.get() || rules.requests.is_some_and(|most| id >= most) {
            return Ok(());
        }
        job.begin();
        let record = client.perform(job.call(id, free_ns)).await;
        free_ns = record.done_ns + rules.think_time_ns;
        if record.outcome == Outcome::Connect && record.status == 0 {
            // A closed loop against a dead port would otherwise spin, and measure that.
            free_ns += backoff_ns;
            backoff_ns = (backoff_ns * 2).min(LONGEST_BACKOFF_NS);
        } else {
            backoff_ns = FIRST_BACKOFF_NS;
        }
        job.end(record);
    }
}
