//! A worker: takes a job from the line, plays it when its clock shows the start, and sends the
//! records while it plays. It knows no more of a load than [`crate::drive`] does.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use super::{
    clock::SteadyClock,
    messages::{FromWorker, Job, PROTOCOL, Pace, ToWorker},
    plan_bytes, share,
    wire::{self, Frame},
};
use crate::{
    drive::{self, DriveError, GeneratorAudit, Judge, Load, PlayOptions},
    interrupt::Interrupt,
    record::Record,
    secret::Secret,
    store::batch,
};

/// How long a new connection may take to say who it is.
const GREETING_LIMIT: Duration = Duration::from_secs(5);
/// How often the worker says how far it is, which is also its sign of life.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Batches of rows that may wait for the line.
const WAITING_BATCHES: usize = 64;

/// Makes a judge again of what its `spec` says; in words, why not.
pub type MakeJudge = fn(&Value) -> Result<Arc<dyn Judge>, String>;

/// How a line to a coordinator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// A coordinator was served until it hung up.
    Coordinator,
    /// Somebody else called, and was sent away.
    Stranger,
}

/// A worker, for one coordinator after the other.
pub struct Worker {
    clock: SteadyClock,
    make_judge: MakeJudge,
    /// Who does not know it is not served.
    token: Secret,
    /// Payloads of earlier jobs by their SHA-256: cells of a run send the same ones.
    known: Mutex<HashMap<String, Bytes>>,
}

/// A frame, and when it was there by the worker's clock.
type Taken = (Frame, u64);

impl Worker {
    /// A worker that makes its judges so. A coordinator must know the token; over a pipe, which is
    /// nobody else's, it is empty.
    pub fn new(clock: SteadyClock, make_judge: MakeJudge, token: Secret) -> Self {
        Self { clock, make_judge, token, known: Mutex::default() }
    }

    /// Serves whoever is at the other end until it hangs up.
    ///
    /// # Errors
    /// If the line breaks, or carries nonsense.
    pub async fn serve<R, W>(&self, mut input: R, mut output: W) -> io::Result<Served>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin,
    {
        let first = tokio::time::timeout(GREETING_LIMIT, wire::read(&mut input, wire::MOST_GREETING_BYTES));
        let Ok(Ok(Some(first))) = first.await else { return Ok(Served::Stranger) };
        if let Err(cause) = self.admit(&first) {
            _ = wire::say(&mut output, &FromWorker::Failed { cause }).await;
            return Ok(Served::Stranger);
        }
        wire::say(&mut output, &FromWorker::Welcome).await?;
        // A frame must be read to its end, whatever else happens: a task does just that.
        let (frames, taken) = mpsc::channel(16);
        let clock = self.clock;
        let reader = tokio::spawn(async move {
            while let Ok(Some(frame)) = wire::read(&mut input, wire::MOST_BYTES).await {
                if frames.send((frame, clock.now_ns())).await.is_err() {
                    break;
                }
            }
        });
        let served = Session { worker: self, taken, output }.run().await;
        reader.abort();
        served.map(|()| Served::Coordinator)
    }

    fn admit(&self, first: &Frame) -> Result<(), String> {
        let Ok(ToWorker::Hello { protocol, version, token }) = first.message() else {
            return Err("this is a worker of the serverless testbed; nothing here for others".to_owned());
        };
        if !same(token.as_bytes(), self.token.reveal().as_bytes()) {
            return Err("the token is not this worker's".to_owned());
        }
        let own = env!("CARGO_PKG_VERSION");
        if protocol != PROTOCOL {
            return Err(format!(
                "the worker is harness {own} and the coordinator {version}, which speak differently; build the \
                 worker's image anew (`harness image push REGISTRY/harness:TAG --of harness`)"
            ));
        }
        Ok(())
    }
}

/// Compares without telling by the time taken where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// One coordinator's line.
struct Session<'a, W> {
    worker: &'a Worker,
    taken: mpsc::Receiver<Taken>,
    output: W,
}

impl<W: AsyncWrite + Unpin> Session<'_, W> {
    async fn run(mut self) -> io::Result<()> {
        let mut ready = None;
        while let Some((frame, taken_ns)) = self.taken.recv().await {
            match frame.message()? {
                ToWorker::Ping => self.pong(taken_ns).await?,
                ToWorker::Job(job) => {
                    ready = None;
                    let core = job.core;
                    match self.take(*job).await? {
                        Ok(load) => {
                            ready = Some((load, core));
                            self.say(&FromWorker::Ready).await?;
                        }
                        Err(cause) => self.say(&FromWorker::Failed { cause }).await?,
                    }
                }
                ToWorker::Start { at_ns } => match ready.take() {
                    Some((load, core)) => self.play(load, core, at_ns).await?,
                    None => self.say(&FromWorker::Failed { cause: "it has no job to start".into() }).await?,
                },
                // It came when the load had just ended.
                ToWorker::Stop => {}
                ToWorker::Hello { .. } => return Err(io::Error::other("the line greets twice")),
            }
        }
        Ok(())
    }

    async fn say(&mut self, message: &FromWorker) -> io::Result<()> {
        wire::say(&mut self.output, message).await
    }

    async fn pong(&mut self, taken_ns: u64) -> io::Result<()> {
        let answered_ns = self.worker.clock.now_ns();
        self.say(&FromWorker::Pong { taken_ns, answered_ns }).await
    }

    async fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let (frame, _) = self.taken.recv().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        frame.bytes()
    }

    /// Takes all of a job. The outer error is the line's, the inner one the job's.
    async fn take(&mut self, job: Job) -> io::Result<Result<Load, String>> {
        let (mut times_ns, mut assigned) = (Vec::new(), Vec::new());
        if let Pace::Open { frames, has_assigned } = job.pace {
            for _ in 0..frames {
                let bytes = self.bytes().await?;
                if let Err(cause) = plan_bytes::decode(&bytes, has_assigned, &mut times_ns, &mut assigned) {
                    return Ok(Err(cause));
                }
            }
        }
        let mut wanted: Vec<String> = Vec::new();
        for payload in &job.payloads {
            if !self.known().contains_key(&payload.sha256) && !wanted.contains(&payload.sha256) {
                wanted.push(payload.sha256.clone());
            }
        }
        self.say(&FromWorker::Want { payloads: wanted.clone() }).await?;
        for sha256 in wanted {
            let bytes = self.bytes().await?;
            if models::sha256_hex(&bytes) != sha256 {
                return Ok(Err("a payload that came is not the one that was announced".to_owned()));
            }
            self.known().insert(sha256, bytes.into());
        }
        let bodies: Option<Vec<Bytes>> = {
            let known = self.known();
            job.payloads.iter().map(|payload| known.get(&payload.sha256).cloned()).collect()
        };
        let Some(bodies) = bodies else { return Ok(Err("a payload is missing".to_owned())) };
        let judge = match (self.worker.make_judge)(&job.judge) {
            Ok(judge) => judge,
            Err(cause) => return Ok(Err(cause)),
        };
        Ok(job.load((times_ns, assigned), &bodies, judge))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Bytes>> {
        self.worker.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays a load from an instant on, and says how it went.
    async fn play(&mut self, load: Load, core: Option<usize>, at_ns: u64) -> io::Result<()> {
        let start = self.worker.clock.instant_of(at_ns);
        if share::is_empty(&load.plan) {
            let audit = GeneratorAudit { started_unix_ns: at_ns, ..GeneratorAudit::default() };
            return self.say(&FromWorker::Done { audit: Box::new(audit) }).await;
        }
        let options = PlayOptions { core, start: Some(start), ..PlayOptions::default() };
        let progress = Arc::clone(&options.progress);
        let (raise, interrupt) = Interrupt::new();
        let (batches, mut rows) = mpsc::channel::<Vec<u8>>(WAITING_BATCHES);
        // Called on a thread of the generator's own; it may wait for the line there.
        let sink = move |rows: &[Record]| {
            let bytes = batch::to_bytes(rows)?;
            batches.blocking_send(bytes).map_err(|_| "the coordinator hung up".into())
        };
        let mut playing = std::pin::pin!(played(drive::play(load, options, sink, interrupt)));
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        let mut played = None;
        let mut rows_end = false;
        while played.is_none() || !rows_end {
            tokio::select! {
                taken = self.taken.recv() => match taken {
                    // Nobody listens any more: dropping the load stops it.
                    None => return Ok(()),
                    Some((frame, taken_ns)) => match frame.message()? {
                        ToWorker::Ping => self.pong(taken_ns).await?,
                        ToWorker::Stop => raise.raise(),
                        _ => return Err(io::Error::other("the line asks for two loads at once")),
                    },
                },
                batch = rows.recv(), if !rows_end => match batch {
                    Some(bytes) => wire::send(&mut self.output, &bytes).await?,
                    None => rows_end = true,
                },
                ended = &mut playing, if played.is_none() => played = Some(ended),
                _ = ticks.tick() => {
                    let sent = progress.sent.load(Relaxed);
                    self.say(&FromWorker::Progress { sent }).await?;
                }
            }
        }
        self.say(&match played {
            Some(Ok(audit)) => FromWorker::Done { audit },
            Some(Err(error)) => FromWorker::Failed { cause: error.to_string() },
            None => FromWorker::Failed { cause: "it ended without a word".to_owned() },
        })
        .await
    }
}

async fn played(
    playing: impl Future<Output = Result<GeneratorAudit, DriveError>>,
) -> Result<Box<GeneratorAudit>, DriveError> {
    playing.await.map(Box::new)
}
