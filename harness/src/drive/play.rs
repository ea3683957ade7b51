//! Playing a load: the threads around the player, and what they say of themselves afterwards.

use std::{
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::sys::resource::UsageWho;
use tokio::sync::oneshot;

use super::{
    DriveError, GeneratorAudit, Load, Plan, audit, calls,
    job::{Clock, Job},
    player,
    target::{self, Resolved},
};
use crate::{
    interrupt::Interrupt,
    record::{Outcome, Record},
};

/// Between the start of the generator's thread and monotonic zero: the thread is then ready.
const LEAD: Duration = Duration::from_millis(10);

/// Choices that concern the generator, not the load.
#[derive(Debug, Clone, Default)]
pub struct PlayOptions {
    /// Bind the generator's thread to this core.
    pub core: Option<usize>,
    /// Monotonic zero; none: as soon as the thread is ready.
    pub start: Option<Instant>,
    /// Filled while the load plays.
    pub progress: Arc<Progress>,
}

/// How far a load has come; readable from any thread while it plays.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests sent so far.
    pub sent: AtomicU64,
    /// Requests that ended so far, however they did.
    pub ended: AtomicU64,
    /// Of them failed.
    pub failed: AtomicU64,
    zero: OnceLock<Instant>,
}

impl Progress {
    /// Nanoseconds since the cell's start, the time base of the records; none before it. What
    /// samples something beside the load (replicas, say) takes its times from here.
    pub fn elapsed_ns(&self) -> Option<u64> {
        let elapsed = Instant::now().checked_duration_since(*self.zero.get()?)?;
        Some(elapsed.as_nanos() as u64)
    }

    /// Sets the cell's start.
    pub(super) fn begin(&self, zero: Instant) {
        _ = self.zero.set(zero);
    }

    /// Counts a request that ended.
    pub(super) fn note(&self, outcome: Outcome) {
        self.ended.fetch_add(1, Relaxed);
        if outcome != Outcome::Ok {
            self.failed.fetch_add(1, Relaxed);
        }
    }
}

/// Why a sink could not keep rows.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Plays a load to its end, or until the interrupt, and hands each batch of rows to `sink` (on a
/// thread of its own, at least every 200 ms while requests end).
///
/// When the sink fails, the load plays on, and the audit says how much was lost and why.
/// Dropping the returned future stops the load.
///
/// # Errors
/// When the load makes no sense, an endpoint cannot be resolved, the core is not to be had, or the
/// machine gives no threads or files. Requests that fail are records, not errors.
pub async fn play<S>(
    load: Load,
    options: PlayOptions,
    sink: S,
    interrupt: Interrupt,
) -> Result<GeneratorAudit, DriveError>
where
    S: FnMut(&[Record]) -> Result<(), SinkError> + Send + 'static,
{
    check(&load)?;
    let mut targets = Vec::with_capacity(load.endpoints.len());
    for endpoint in &load.endpoints {
        targets.push(target::resolve(endpoint, load.connections.protocol).await?);
    }
    let (rows, received) = player::channel(Arc::clone(&options.progress));
    let (written, write_error) = oneshot::channel();
    std::thread::Builder::new().name("records".into()).spawn(move || {
        // Nobody listens any more if the caller gave up; the rows are safe all the same.
        let _ = written.send(write_all(received, sink));
    })?;
    let (finished, report) = oneshot::channel();
    std::thread::Builder::new().name("generator".into()).spawn(move || {
        generate(load, targets, &options, rows, interrupt, finished);
    })?;
    let mut audit = report.await.map_err(|_| DriveError::Lost)??;
    audit.write_error = write_error.await.map_err(|_| DriveError::Lost)?;
    Ok(audit)
}

/// Refuses a load that cannot be played.
pub(super) fn check(load: &Load) -> Result<(), DriveError> {
    let refuse = |cause: &str| Err(DriveError::Load(cause.into()));
    if load.endpoints.is_empty() || load.payloads.is_empty() {
        return refuse("it has no endpoint or no payload; give at least one of each (an empty body is one)");
    }
    // Records hold both as 16-bit indices.
    if load.endpoints.len() > usize::from(u16::MAX) || load.payloads.len() > usize::from(u16::MAX) {
        return refuse("it has more than 65,535 endpoints or payloads; use fewer");
    }
    if load.connections.pool == Some(0) {
        return refuse("its pool has no connections; choose at least one, or no limit");
    }
    if load.timeout.is_zero() {
        return refuse("its time-out is zero; give requests time to be answered");
    }
    match &load.plan {
        Plan::Open { send_times_ns, .. } if send_times_ns.is_empty() => {
            refuse("its schedule is empty; choose a rate above zero and a longer time")
        }
        Plan::Open { send_times_ns, .. } if !send_times_ns.is_sorted() => {
            refuse("its send times do not ascend; sort them")
        }
        Plan::Closed { connections: 0, .. } => refuse("it has no connections; choose at least one"),
        Plan::Closed { connections, .. } if *connections as usize > audit::most_connections() => {
            refuse(&format!(
                "{connections} connections are more than the {} that this process may open; raise ulimit -n or use fewer",
                audit::most_connections()
            ))
        }
        Plan::Closed { duration_ns: None, requests: None, .. } => {
            refuse("it would never end; give a duration or a number of requests")
        }
        _ => calls::problem(load).map_or(Ok(()), |problem| refuse(&problem)),
    }
}

/// The writer's thread: hands rows to the sink until the generator is gone.
/// Returns what was not kept, in words.
fn write_all<S>(received: player::Written, mut sink: S) -> Option<String>
where
    S: FnMut(&[Record]) -> Result<(), SinkError>,
{
    let mut first_failure = None;
    let mut lost = 0;
    for mut batch in received.rows {
        if let Err(error) = sink(&batch) {
            lost += batch.len();
            first_failure.get_or_insert(error);
        }
        batch.clear();
        // The generator may be gone already.
        let _ = received.emptied.send(batch);
    }
    first_failure.map(|error| format!("{lost} records were not kept: {error}"))
}

/// The generator's thread.
#[expect(clippy::needless_pass_by_value, reason = "the thread owns all of it")]
fn generate(
    mut load: Load,
    targets: Vec<Resolved>,
    options: &PlayOptions,
    rows: player::Rows,
    interrupt: Interrupt,
    finished: oneshot::Sender<Result<GeneratorAudit, DriveError>>,
) {
    let result = (|| {
        // Before the thread is bound to its core, so that the one that watches is not.
        let watch = audit::Watch::start(options.core);
        if let Some(core) = options.core {
            audit::pin(core)?;
        }
        let zero = options.start.unwrap_or_else(|| Instant::now() + LEAD);
        let until = zero.saturating_duration_since(Instant::now());
        let started_unix_ns =
            (SystemTime::now() + until).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        options.progress.begin(zero);
        let targets = targets.into_iter().map(Into::into).collect();
        let job = Rc::new(Job::new(&mut load, targets, Clock { zero }));
        // Closed: the caller has dropped the future.
        let stop = || interrupt.is_raised() || finished.is_closed();
        let (thread_before, process_before) =
            (audit::cpu_seconds(UsageWho::RUSAGE_THREAD), audit::cpu_seconds(UsageWho::RUSAGE_SELF));
        let played = player::run(&job, load.plan, load.drain, audit::most_connections(), rows, stop)?;
        let elapsed_ns = job.clock.now_ns();
        let busy = audit::cpu_seconds(UsageWho::RUSAGE_THREAD) - thread_before;
        Ok(GeneratorAudit {
            started_unix_ns,
            elapsed_ns,
            planned: played.planned,
            sent: played.sent,
            cpu_seconds: audit::cpu_seconds(UsageWho::RUSAGE_SELF) - process_before,
            threads: 1,
            cpu_share: busy / (elapsed_ns.max(1) as f64 / 1e9),
            connections_opened: played.connections_opened,
            unfinished: played.unfinished,
            write_error: None,
            local_error: played.local_fault,
            first_failure: played.first_failure,
            pool_waits: played.pool_waits,
            own_lateness_p99_ns: played.own_lateness_p99_ns,
            own_lateness_max_ns: played.own_lateness_max_ns,
            interrupted: played.interrupted,
            loop_lag: Some(played.loop_lag),
            machine: Some(watch.finish()),
            workers: Vec::new(),
        })
    })();
    // Nobody listens any more if the caller gave up.
    let _ = finished.send(result);
}
