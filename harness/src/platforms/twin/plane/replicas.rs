//! The replicas of one function: as many as wanted, probed, restarted when they die, and all gone
//! in the end. What the kubelet and the endpoint lists do on a cluster.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::{AbortHandle, JoinSet},
};

use super::{http::Upstream, probe::Probe, process::Process, queue_proxy::QueueProxy, usage};
use crate::{
    collect::clock::unix_now_ns,
    platforms::twin::protocol::{Event, FunctionProcess, PlaneState, ReplicaNews, Step},
};

/// A replica that can answer.
#[derive(Debug)]
pub struct Backend {
    /// Its instance id.
    pub id: String,
    /// Where the platform sends its requests: the queue-proxy or the function.
    pub upstream: Arc<Upstream>,
    /// The queue-proxy's listener, if there is one.
    listener: Option<AbortHandle>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// Replicas that can answer, in the order of their creation.
pub type Ready = Arc<Vec<Arc<Backend>>>;

/// Restarts are delayed like the kubelet's: none, then 10 s, doubling up to 5 min.
fn restart_delay(restarts_in_a_row: u32) -> Duration {
    match restarts_in_a_row {
        0 => Duration::ZERO,
        n => Duration::from_secs(10 << (n - 1).min(5)).min(Duration::from_mins(5)),
    }
}

/// Grace between SIGTERM and SIGKILL when a replica is scaled away, as Kubernetes' default.
const SCALE_DOWN_GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    created: u64,
    pids: BTreeSet<u32>,
    restarts: u32,
    last_error: Option<String>,
    /// CPU seconds reported last, so that the sum never falls.
    cpu_seconds: f64,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    id: String,
    /// Says with which grace to stop.
    stop: oneshot::Sender<Duration>,
    ready: bool,
}

/// The replicas of one function. Clones share them.
#[derive(Debug, Clone)]
pub struct Replicas {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    function: FunctionProcess,
    probe: Probe,
    /// How to make the queue-proxy in front of each replica, if the platform has one.
    queue_proxy: Option<QueueProxy>,
    report: fn(&Event),
    state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
    ready: watch::Sender<Ready>,
}

impl Replicas {
    /// None yet; `report` gets the news about processes.
    pub fn new(
        function: FunctionProcess,
        probe: Probe,
        queue_proxy: Option<QueueProxy>,
        report: fn(&Event),
    ) -> Self {
        let (ready, _) = watch::channel(Ready::default());
        let shared = Shared {
            function,
            probe,
            queue_proxy,
            report,
            state: Mutex::default(),
            tasks: Mutex::default(),
            ready,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The replicas that can answer, now and later.
    pub fn ready(&self) -> watch::Receiver<Ready> {
        self.shared.ready.subscribe()
    }

    /// How many can answer now.
    pub fn ready_count(&self) -> u32 {
        self.shared.ready.borrow().len() as u32
    }

    /// Starts or stops replicas until there are this many. The ones that are not ready go first,
    /// then the youngest, as with a Kubernetes ReplicaSet.
    pub fn scale_to(&self, wanted: u32) {
        while self.shared.tasks().try_join_next().is_some() {}
        let mut state = self.shared.state();
        while state.slots.len() > wanted as usize {
            let victim = state.slots.iter().rposition(|slot| !slot.ready).unwrap_or(state.slots.len() - 1);
            let slot = state.slots.remove(victim);
            self.shared.withdraw(&slot.id);
            self.shared.tell(&slot.id, Step::Terminating);
            let _ = slot.stop.send(SCALE_DOWN_GRACE);
        }
        while state.slots.len() < wanted as usize && !state.closed {
            state.created += 1;
            let id = format!("{}-{}", self.shared.function.name, state.created);
            let (stop, stopped) = oneshot::channel();
            state.slots.push(Slot { id: id.clone(), stop, ready: false });
            self.shared.tell(&id, Step::Requested);
            let shared = Arc::clone(&self.shared);
            self.shared.tasks().spawn(async move { shared.keep_alive(id, stopped).await });
        }
    }

    /// Ends all replicas and waits until they are gone. No new ones come after that.
    pub async fn stop(&self, grace: Duration) {
        let slots = {
            let mut state = self.shared.state();
            state.closed = true;
            std::mem::take(&mut state.slots)
        };
        for slot in slots {
            self.shared.withdraw(&slot.id);
            self.shared.tell(&slot.id, Step::Terminating);
            let _ = slot.stop.send(grace);
        }
        let mut tasks = std::mem::take(&mut *self.shared.tasks());
        // Those that were scaled away earlier may have a longer grace; they do not get it now.
        // A dropped task drops its process, which kills it.
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace + Duration::from_millis(500), all).await;
        tasks.shutdown().await;
    }

    /// How things stand, as far as replicas go.
    pub fn state(&self) -> PlaneState {
        let ended_cpu_seconds = usage::of_ended_children();
        let mut state = self.shared.state();
        let living: Vec<_> = state.pids.iter().filter_map(|&pid| usage::of_process(pid)).collect();
        let cpu_seconds = ended_cpu_seconds + living.iter().map(|u| u.cpu_seconds).sum::<f64>();
        state.cpu_seconds = state.cpu_seconds.max(cpu_seconds);
        PlaneState {
            ready: self.ready_count(),
            desired: state.slots.len() as u32,
            pids: state.pids.iter().copied().collect(),
            restarts: state.restarts,
            cpu_seconds: state.cpu_seconds,
            memory_bytes: living.iter().map(|u| u.memory_bytes).sum(),
            plane_cpu_seconds: usage::of_this_process(),
            last_error: state.last_error.clone(),
            ..PlaneState::default()
        }
    }
}

/// How one life of a replica's process ended.
enum End {
    Told(Duration),
    ByItself(String),
    Unhealthy,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one replica's process alive until told to stop.
    async fn keep_alive(&self, id: String, mut stop: oneshot::Receiver<Duration>) {
        let mut failures_in_a_row = 0;
        let mut lost_ports = 0;
        loop {
            match Process::start(&self.function, &id) {
                Err(error) => {
                    let binary = self.function.command.display();
                    self.failed(format!("{binary} cannot be started: {error}"));
                }
                Ok(mut process) => {
                    let pid = process.pid();
                    self.state().pids.insert(pid);
                    (self.report)(&Event::Started { pid });
                    self.tell(&id, Step::Started);
                    let born = tokio::time::Instant::now();
                    let end = self.live(&id, &mut process, &mut stop).await;
                    self.withdraw(&id);
                    let told = matches!(end, End::Told(_));
                    match end {
                        End::Told(grace) => process.end(grace).await,
                        End::Unhealthy => {
                            process.end(Duration::from_secs(2)).await;
                            self.failed(format!("{} did not answer its probes", self.function.name));
                        }
                        End::ByItself(_) if process.lost_its_port() && lost_ports < 5 => {
                            lost_ports += 1;
                            self.gone(pid);
                            continue;
                        }
                        End::ByItself(cause) => self.failed(cause),
                    }
                    self.gone(pid);
                    self.tell(&id, if told { Step::Gone } else { Step::Restarted });
                    if told {
                        return;
                    }
                    if born.elapsed() > Duration::from_mins(10) {
                        failures_in_a_row = 0;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(restart_delay(failures_in_a_row)) => failures_in_a_row += 1,
                _ = &mut stop => return,
            }
        }
    }

    async fn live(&self, id: &str, process: &mut Process, stop: &mut oneshot::Receiver<Duration>) -> End {
        let address = process.address();
        let end = tokio::select! {
            // A dropped sender means that everything is being torn down.
            grace = stop => return End::Told(grace.unwrap_or_default()),
            status = process.ended() => status,
            () = self.probe(id, address) => return End::Unhealthy,
        };
        let how = end.map_or_else(|error| error.to_string(), |status| status.to_string());
        // The last line may still be in the pipe when the process is already gone.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let last_line = process.last_line();
        let words = if last_line.is_empty() { "it said nothing".to_owned() } else { last_line };
        End::ByItself(format!("the function ended by itself ({how}): {words}"))
    }

    /// Probes for as long as the process lives; returns only when it is to be restarted.
    async fn probe(&self, id: &str, address: SocketAddr) {
        let probe = self.probe;
        tokio::time::sleep(probe.initial_delay).await;
        let mut beat = tokio::time::interval(probe.period);
        let (mut ready, mut failures) = (false, 0);
        loop {
            beat.tick().await;
            if probe.succeeds(address).await {
                failures = 0;
                if !ready {
                    ready = self.publish(id, address).await;
                }
            } else {
                failures += 1;
                if failures >= probe.failures {
                    self.withdraw(id);
                    ready = false;
                    if probe.restarts {
                        return;
                    }
                }
            }
        }
    }

    /// Puts a replica into the routing, behind its queue-proxy if the platform has one.
    async fn publish(&self, id: &str, function: SocketAddr) -> bool {
        let (address, listener) = match &self.queue_proxy {
            None => (function, None),
            Some(queue_proxy) => match queue_proxy.open(function).await {
                Ok((address, listener)) => (address, Some(listener)),
                Err(error) => {
                    self.state().last_error = Some(format!("no port for a queue-proxy: {error}"));
                    return false;
                }
            },
        };
        let backend = Backend { id: id.to_owned(), upstream: Upstream::new(address), listener };
        let mut state = self.state();
        // It may have been scaled away while it was being probed.
        let Some(slot) = state.slots.iter_mut().find(|slot| slot.id == id) else { return false };
        slot.ready = true;
        self.ready.send_modify(|ready| {
            let mut list = Vec::clone(ready);
            list.push(Arc::new(backend));
            *ready = Arc::new(list);
        });
        self.tell(id, Step::Ready);
        true
    }

    /// Takes a replica out of the routing.
    fn withdraw(&self, id: &str) {
        self.ready.send_if_modified(|ready| {
            let list: Vec<_> = ready.iter().filter(|backend| backend.id != id).cloned().collect();
            let changed = list.len() != ready.len();
            if changed {
                *ready = Arc::new(list);
            }
            changed
        });
    }

    fn tell(&self, replica: &str, step: Step) {
        let news = ReplicaNews { replica: replica.to_owned(), step, at_unix_ns: unix_now_ns() };
        (self.report)(&Event::Replica(news));
    }

    fn gone(&self, pid: u32) {
        self.state().pids.remove(&pid);
        (self.report)(&Event::Ended { pid });
    }

    fn failed(&self, cause: String) {
        let mut state = self.state();
        state.restarts += 1;
        state.last_error = Some(cause);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Backends that nobody listens behind, for tests of balancing.
    pub fn backends(count: u16) -> Ready {
        let backend = |n: u16| Backend {
            id: format!("test-{n}"),
            upstream: Upstream::new(SocketAddr::from(([127, 0, 0, 1], n))),
            listener: None,
        };
        Arc::new((1..=count).map(|n| Arc::new(backend(n))).collect())
    }

    #[test]
    fn restarts_come_at_once_then_slower_and_slower() {
        let seconds: Vec<u64> = (0..8).map(|n| restart_delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300]);
    }
}
