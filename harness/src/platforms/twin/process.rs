//! The harness's end of a data plane process: start it, hear it, ask it, end it for certain.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex as StdMutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command as Process},
    sync::{Mutex, watch},
};

use super::protocol::{Command, Event, PlaneConfig, PlaneState, ReplicaNews};

/// How long an answer to a command may take. Generous: the machine may be busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What is known of a plane.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Its entry, once open.
    pub address: Option<SocketAddr>,
    /// The last state and the number of the question that it answers.
    pub state: Option<(u64, PlaneState)>,
    /// The process has ended, or closed its output.
    pub ended: bool,
}

/// A data plane process and the replicas below it. Dropping it kills them all.
#[derive(Debug)]
pub struct PlaneProcess {
    child: Child,
    group: Option<Pid>,
    input: Mutex<Option<ChildStdin>>,
    questions: AtomicU64,
    news: watch::Receiver<News>,
    pids: Arc<StdMutex<BTreeSet<u32>>>,
}

/// What happened to the replicas so far; outlives the process.
pub type Lives = Arc<StdMutex<Vec<ReplicaNews>>>;

impl PlaneProcess {
    /// Starts `command twin-plane` and hands it its configuration; `lives` gets the news of replicas.
    ///
    /// # Errors
    /// In words, when it cannot be started.
    pub async fn start(command: &Path, config: &PlaneConfig, lives: Lives) -> Result<Self, String> {
        let mut line = serde_json::to_string(config).map_err(|e| e.to_string())?;
        line.push('\n');
        let mut child = Process::new(command)
            .args(["twin-plane", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", command.display()))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its standard input or output is missing".to_owned());
        };
        input
            .write_all(line.as_bytes())
            .await
            .map_err(|e| format!("it did not take its configuration: {e}"))?;
        let (tell, news) = watch::channel(News::default());
        let pids = Arc::<StdMutex<BTreeSet<u32>>>::default();
        tokio::spawn(listen(output, tell, Arc::clone(&pids), lives));
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let (input, questions) = (Mutex::new(Some(input)), AtomicU64::new(0));
        Ok(Self { child, group, input, questions, news, pids })
    }

    /// Waits until something is known, or the plane has ended.
    pub async fn wait_for(&self, known: impl FnMut(&News) -> bool) -> News {
        let mut known = known;
        let mut news = self.news.clone();
        let waited = news.wait_for(|news| news.ended || known(news)).await;
        waited.map_or_else(|_| News { ended: true, ..News::default() }, |news| news.clone())
    }

    /// Asks how things stand now.
    ///
    /// # Errors
    /// In words, when the plane has ended or does not answer.
    pub async fn state(&self) -> Result<PlaneState, String> {
        let id = self.questions.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::State { id }).await?;
        let answered = |news: &News| news.state.as_ref().is_some_and(|(answered, _)| *answered >= id);
        let news = tokio::time::timeout(ANSWER_LIMIT, self.wait_for(answered))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER_LIMIT.as_secs()))?;
        match news.state {
            Some((_, state)) if !news.ended => Ok(state),
            _ => Err("the data plane process has ended; remove the function and deploy it again".to_owned()),
        }
    }

    async fn command(&self, command: Command) -> Result<(), String> {
        let mut line = serde_json::to_string(&command).map_err(|e| e.to_string())?;
        line.push('\n');
        let mut input = self.input.lock().await;
        let input = input.as_mut().ok_or("the data plane is being stopped")?;
        input
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("the data plane process does not listen any more: {error}"))
    }

    /// Process ids of the replicas that live as far as is known, and of the plane.
    pub fn pids(&self) -> Vec<u32> {
        let replicas = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        replicas.iter().copied().chain(self.child.id()).collect()
    }

    /// Ends the replicas and the plane, gently if possible, and waits until all are gone.
    ///
    /// # Errors
    /// In words, when a process would not go.
    pub async fn stop(mut self, limit: Duration) -> Result<(), String> {
        let known = self.pids();
        let _ = self.command(Command::Stop).await;
        let _ = tokio::time::timeout(limit, self.child.wait()).await;
        self.kill();
        let _ = self.child.wait().await;
        // Its last words may still be on their way.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.wait_for(|_| false)).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while let Some(pid) = known.iter().find(|&&pid| is_running(pid)) {
            if tokio::time::Instant::now() > deadline {
                return Err(format!("process {pid} does not end; end it by hand"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Kills the plane and its replicas, which share its process group.
    fn kill(&mut self) {
        // The group keeps its number for as long as any member lives, so this cannot hit strangers
        // while a replica lives; and it is not repeated later.
        if let Some(group) = self.group.take() {
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.child.start_kill();
    }
}

impl Drop for PlaneProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn listen(
    output: ChildStdout,
    tell: watch::Sender<News>,
    pids: Arc<StdMutex<BTreeSet<u32>>>,
    told: Lives,
) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Event::Listening { address }) => tell.send_modify(|news| news.address = Some(address)),
            Ok(Event::State { id, state }) => tell.send_modify(|news| news.state = Some((id, state))),
            Ok(Event::Started { pid }) => {
                pids.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
            }
            Ok(Event::Ended { pid }) => {
                pids.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
            }
            Ok(Event::Replica(news)) => told.lock().unwrap_or_else(PoisonError::into_inner).push(news),
            Ok(Event::Stopped) | Err(_) => {}
        }
    }
    tell.send_modify(|news| news.ended = true);
}

/// Whether a process still runs; one that has ended and only waits to be collected does not.
pub fn is_running(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rfind(')').and_then(|end| stat[end + 1..].trim_start().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
