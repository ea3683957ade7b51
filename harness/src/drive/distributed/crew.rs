//! Several workers as one generator.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    time::Duration,
};

use futures_util::future::{join_all, try_join_all};
use tokio::{sync::oneshot, task::JoinSet};

use super::{
    CrewError, Share, Workers,
    clock::{ClockReading, SteadyClock},
    member::{Ended, Member, News},
    merge::{self, Part},
};
use crate::{
    drive::{DriveError, GeneratorAudit, Load, Plan, PlayOptions, Progress, SinkError, play},
    interrupt::Interrupt,
    record::Record,
};

/// From the word to start to the start: the word must reach every worker before, and each looks
/// its endpoints up and starts its threads meanwhile.
const LEAD: Duration = Duration::from_millis(500);

/// Several workers that play loads together.
pub struct Crew {
    count: u32,
    workers: Box<dyn Workers>,
}

/// A worker that has its part, and its clock.
struct Prepared {
    member: Member,
    planned: Option<u64>,
    clock: ClockReading,
}

impl Crew {
    /// A crew of so many workers (at least one).
    pub fn new(count: u32, workers: Box<dyn Workers>) -> Self {
        Self { count: count.max(1), workers }
    }

    /// Workers.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Plays a load as [`play`] does, each worker its share of it, and hands all records to one
    /// sink while they come. A worker that is lost meanwhile is named in the audit, and what the
    /// others measured is kept.
    ///
    /// # Errors
    /// When the load makes no sense, a worker cannot be had, or none of them could play.
    pub async fn play<S>(
        &self,
        mut load: Load,
        options: PlayOptions,
        sink: S,
        interrupt: Interrupt,
    ) -> Result<GeneratorAudit, DriveError>
    where
        S: FnMut(&[Record]) -> Result<(), SinkError> + Send + 'static,
    {
        self.check(&load)?;
        // Copies of the load are made below; of its plan, which may be large, only parts.
        let plan = std::mem::replace(&mut load.plan, Plan::open(Vec::new()));
        let own = SteadyClock::read();
        let prepared = Share::all(self.count).map(|share| {
            let part = Load { plan: share.part_of(&plan), share, ..load.clone() };
            self.prepare(part, options.core, own)
        });
        let mut prepared = try_join_all(prepared).await?;

        let start_ns = own.now_ns() + LEAD.as_nanos() as u64;
        let starts = prepared.iter_mut().map(|one| {
            let at_ns = one.clock.there(start_ns);
            one.member.start(at_ns)
        });
        // Who does not hear it is lost; whoever hears it out notices.
        join_all(starts).await;
        options.progress.begin(own.instant_of(start_ns));

        let (rows, received) = mpsc::channel();
        let (written, write_error) = oneshot::channel();
        std::thread::Builder::new().name("records".into()).spawn(move || {
            _ = written.send(keep_all(&received, sink));
        })?;
        // Dropping the set ends the lines, and with them the load.
        let mut playing = JoinSet::new();
        for one in prepared {
            let (rows, interrupt) = (rows.clone(), interrupt.clone());
            playing.spawn(one.play(own, rows, Arc::clone(&options.progress), interrupt));
        }
        drop(rows);
        let mut parts = Vec::new();
        while let Some(part) = playing.join_next().await {
            parts.push(part.map_err(|_| DriveError::Lost)?);
        }
        parts.sort_by_key(|part| part.share.index);
        let elapsed_ns = own.now_ns().saturating_sub(start_ns);
        let write_error = write_error.await.map_err(|_| DriveError::Lost)?;
        if let Some(cause) = none_played(&parts) {
            return Err(CrewError::Play { cause }.into());
        }
        Ok(merge::merged(&parts, start_ns, elapsed_ns, write_error))
    }

    /// Refuses a load that cannot be played.
    fn check(&self, load: &Load) -> Result<(), DriveError> {
        if load.judge.spec().is_none() {
            let cause = "its answers are judged by what cannot be written down; drive it from here";
            return Err(CrewError::Load(cause.to_owned()).into());
        }
        let Plan::Closed { connections, .. } = load.plan else { return play::check(load) };
        let mut of_one = load.clone();
        if let Plan::Closed { connections: own, .. } = &mut of_one.plan {
            // What a process may open is a limit of each worker.
            *own = connections.div_ceil(self.count);
        }
        play::check(&of_one)
    }

    /// Opens a line, gives the worker its part, and reads its clock.
    async fn prepare(
        &self,
        part: Load,
        core: Option<usize>,
        own: SteadyClock,
    ) -> Result<Prepared, CrewError> {
        let share = part.share;
        let planned = match &part.plan {
            Plan::Open { send_times_ns, .. } => Some(send_times_ns.len() as u64),
            Plan::Closed { .. } => None,
        };
        let line = self.workers.open(share).await;
        let line = line.map_err(|cause| CrewError::Open { worker: share.name(), cause })?;
        let place = line.place.clone();
        let give = async {
            let mut member = Member::greet(share, line).await?;
            member.give(&part, core).await?;
            let clock = member.clock(own).await?;
            Ok(Prepared { member, planned, clock })
        };
        give.await.map_err(|cause| CrewError::Prepare { worker: share.name(), place, cause })
    }
}

impl Prepared {
    async fn play(
        self,
        own: SteadyClock,
        rows: mpsc::Sender<Vec<Record>>,
        progress: Arc<Progress>,
        interrupt: Interrupt,
    ) -> Part {
        let Self { mut member, planned, clock: before } = self;
        let (mut records, mut sent_before) = (0, 0);
        let tell = |news| match news {
            News::Rows(batch) => {
                records += batch.len() as u64;
                for row in &batch {
                    progress.note(row.outcome);
                }
                // The writer's thread outlasts every row.
                _ = rows.send(batch);
            }
            News::Sent(sent) => {
                progress.sent.fetch_add(sent.saturating_sub(sent_before), Relaxed);
                sent_before = sent;
            }
        };
        let ended = member.hear_out(&interrupt, tell).await;
        if let Ended::Done(audit) = &ended {
            progress.sent.fetch_add(audit.sent.saturating_sub(sent_before), Relaxed);
        }
        let after = match &ended {
            Ended::Done(_) => member.clock(own).await.ok(),
            Ended::Lost(_) => None,
        };
        let Member { share, place, .. } = member;
        Part { share, place, planned, before, after, records, ended }
    }
}

/// Hands rows to the sink until no worker is left. Returns what was not kept, in words.
fn keep_all<S>(received: &mpsc::Receiver<Vec<Record>>, mut sink: S) -> Option<String>
where
    S: FnMut(&[Record]) -> Result<(), SinkError>,
{
    let (mut first_failure, mut lost) = (None, 0);
    for batch in received {
        if let Err(error) = sink(&batch) {
            lost += batch.len();
            first_failure.get_or_insert(error);
        }
    }
    first_failure.map(|error| format!("{lost} records were not kept: {error}"))
}

/// The first cause, if all of them were lost without a single record.
fn none_played(parts: &[Part]) -> Option<String> {
    let cause = |part: &Part| match &part.ended {
        Ended::Lost(cause) if part.records == 0 => Some(format!("{}: {cause}", part.share.name())),
        _ => None,
    };
    let causes: Option<Vec<String>> = parts.iter().map(cause).collect();
    causes?.into_iter().next()
}
