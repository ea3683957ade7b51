//! The coordinator's end of one worker's line: give it its part, read its clock, hear it out.

use std::{future::Future, io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Fate, Line, Share,
    clock::{ClockReading, SteadyClock},
    messages::{FromWorker, Job, PROTOCOL, ToWorker},
    plan_bytes,
    wire::{self, Frame, MOST_BYTES},
};
use crate::{
    drive::{GeneratorAudit, Load, Plan},
    interrupt::Interrupt,
    record::Record,
    store::batch,
};

/// Round trips of one look at a clock. The shortest counts; with this many, one of them most
/// likely met neither a busy core nor a full line.
const ROUND_TRIPS: u32 = 16;
/// How long an answer may take; taking in a large plan is work.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long a worker that plays may say nothing: it speaks four times a second.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// One worker, ready or playing.
pub(super) struct Member {
    pub(super) share: Share,
    pub(super) place: String,
    input: Box<dyn AsyncRead + Send + Unpin>,
    output: Box<dyn AsyncWrite + Send + Unpin>,
    fate: Box<dyn Fate>,
}

/// How a worker's part ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was played.
    Done(Box<GeneratorAudit>),
    /// It was not, or not to its end; why.
    Lost(String),
}

/// What a worker that plays tells meanwhile.
pub(super) enum News {
    /// Records.
    Rows(Vec<Record>),
    /// Requests that it has sent so far.
    Sent(u64),
}

impl Member {
    /// Greets a worker.
    ///
    /// # Errors
    /// In words, if it is not one, or another version.
    pub(super) async fn greet(share: Share, line: Line) -> Result<Self, String> {
        let Line { input, output, place, token, fate } = line;
        let mut member = Self { share, place, input, output, fate };
        let hello = ToWorker::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            token: token.reveal().to_owned(),
        };
        match member.ask(&hello).await? {
            FromWorker::Welcome => Ok(member),
            other => Err(unexpected(other)),
        }
    }

    /// Gives it its part of a load; the load's plan is that part already.
    ///
    /// # Errors
    /// In words, what the worker or the line says.
    pub(super) async fn give(&mut self, load: &Load, core: Option<usize>) -> Result<(), String> {
        let frames = match &load.plan {
            Plan::Open { send_times_ns, .. } => send_times_ns.len().div_ceil(plan_bytes::CALLS_A_FRAME),
            Plan::Closed { .. } => 0,
        };
        let job = Job::new(load, core, frames)?;
        let names: Vec<String> = job.payloads.iter().map(|payload| payload.sha256.clone()).collect();
        self.say(&ToWorker::Job(Box::new(job))).await?;
        if let Plan::Open { send_times_ns, assigned } = &load.plan {
            let mut before_ns = 0;
            for (number, times_ns) in send_times_ns.chunks(plan_bytes::CALLS_A_FRAME).enumerate() {
                let from = number * plan_bytes::CALLS_A_FRAME;
                let own = assigned.get(from..from + times_ns.len()).unwrap_or_default();
                self.send(&plan_bytes::encode(before_ns, times_ns, own)).await?;
                before_ns = times_ns.last().copied().unwrap_or(before_ns);
            }
        }
        let wanted = match self.hear().await? {
            FromWorker::Want { payloads } => payloads,
            other => return Err(unexpected(other)),
        };
        for sha256 in wanted {
            let index =
                names.iter().position(|name| *name == sha256).ok_or("it asks for what it was not told of")?;
            self.send(&load.payloads[index].body).await?;
        }
        match self.hear().await? {
            FromWorker::Ready => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Reads its clock.
    ///
    /// # Errors
    /// In words, if it does not answer.
    pub(super) async fn clock(&mut self, own: SteadyClock) -> Result<ClockReading, String> {
        let mut best: Option<ClockReading> = None;
        for _ in 0..ROUND_TRIPS {
            let sent_ns = own.now_ns();
            let FromWorker::Pong { taken_ns, answered_ns } = self.ask(&ToWorker::Ping).await? else {
                return Err("it does not say what time it is".to_owned());
            };
            let reading = ClockReading::of(sent_ns, taken_ns, answered_ns, own.now_ns());
            best = Some(best.map_or(reading, |best| best.or(reading)));
        }
        best.ok_or_else(|| "its clock was not asked".to_owned())
    }

    /// Has it start when its clock shows this.
    ///
    /// # Errors
    /// In words, if the line is broken.
    pub(super) async fn start(&mut self, at_ns: u64) -> Result<(), String> {
        self.say(&ToWorker::Start { at_ns }).await
    }

    /// Hears it until its part has ended, however it does.
    pub(super) async fn hear_out(&mut self, interrupt: &Interrupt, mut tell: impl FnMut(News)) -> Ended {
        let Self { share, input, output, .. } = self;
        let share = *share;
        let hear = async {
            loop {
                let frame = within(SILENCE_LIMIT, wire::read(input, MOST_BYTES)).await?;
                let frame = match frame {
                    None => return Err("the line to it was closed".to_owned()),
                    Some(Frame::Bytes(bytes)) => {
                        let mut rows = batch::from_bytes(&bytes)?;
                        for row in &mut rows {
                            if !share.owns(row.call_id) {
                                return Err(format!("it sent call {}, which is another one's", row.call_id));
                            }
                            row.connection = share.connection(row.connection);
                        }
                        tell(News::Rows(rows));
                        continue;
                    }
                    Some(message) => message,
                };
                match frame.message().map_err(words)? {
                    FromWorker::Progress { sent } => tell(News::Sent(sent)),
                    FromWorker::Done { audit } => return Ok(audit),
                    other => return Err(unexpected(other)),
                }
            }
        };
        let stop = async {
            interrupt.raised().await;
            // If the line is broken, whoever hears notices.
            _ = wire::say(output, &ToWorker::Stop).await;
            std::future::pending::<()>().await;
        };
        let heard = tokio::select! {
            heard = hear => heard,
            () = stop => Err("it was stopped".to_owned()),
        };
        match heard {
            Ok(audit) => Ended::Done(audit),
            Err(cause) => Ended::Lost(match self.fate.learn().await {
                Some(fate) => format!("{cause}; {fate}"),
                None => cause,
            }),
        }
    }

    async fn ask(&mut self, question: &ToWorker) -> Result<FromWorker, String> {
        self.say(question).await?;
        self.hear().await
    }

    async fn say(&mut self, message: &ToWorker) -> Result<(), String> {
        within(ANSWER_LIMIT, wire::say(&mut self.output, message)).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        within(ANSWER_LIMIT, wire::send(&mut self.output, bytes)).await
    }

    async fn hear(&mut self) -> Result<FromWorker, String> {
        match within(ANSWER_LIMIT, wire::read(&mut self.input, MOST_BYTES)).await? {
            Some(frame) => frame.message().map_err(words),
            None => Err(match self.fate.learn().await {
                Some(fate) => format!("it hung up; {fate}"),
                None => "it hung up".to_owned(),
            }),
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(words),
        Err(_) => Err(format!("nothing was heard of it for {} s", limit.as_secs())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn words(error: io::Error) -> String {
    error.to_string()
}

fn unexpected(message: FromWorker) -> String {
    match message {
        FromWorker::Failed { cause } => cause,
        other => {
            format!("it said {other:?} at the wrong time; use the same version of the harness everywhere")
        }
    }
}
