//! The watches behind a time line: begun before the deploy call, ended after the removal.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use super::{FirstAnswers, Moments, Source, Timeline, Watched};
use crate::{
    collect::clock::{self, ClockOffset, unix_now_ns},
    platforms::{
        PlatformKind,
        cluster::{
            Api, Cluster,
            api::Selection,
            follow::{Change, follow},
            resources::{DEPLOYMENTS, EVENTS, KNATIVE_SERVICES, POD_AUTOSCALERS, PODS, Resource},
        },
    },
};

/// How long the end of the last pod may take to be heard of once the platform said that it is gone.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A function whose life is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The platform.
    pub kind: PlatformKind,
    /// Namespace of its pods.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Label selector of its pods.
    pub pods: String,
}

impl Target {
    /// A function as the platform will name it; none where there are no pods to watch.
    pub fn of(cluster: &Cluster, kind: PlatformKind, name: &str) -> Option<Self> {
        let (namespace, label) = match kind {
            PlatformKind::Knative => (cluster.namespace(), "serving.knative.dev/service"),
            PlatformKind::OpenFaas => (cluster.functions_namespace(), "faas_function"),
            PlatformKind::Deployment => (cluster.namespace(), "testbed/function"),
            PlatformKind::Endpoint => return None,
        };
        let pods = format!("{label}={name}");
        Some(Self { kind, namespace: namespace.to_owned(), name: name.to_owned(), pods })
    }

    /// What is watched of it beside its pods and events.
    fn owners(&self) -> Vec<(Resource, Selection)> {
        match self.kind {
            PlatformKind::Knative => vec![
                (KNATIVE_SERVICES, Selection::named(&self.name)),
                (POD_AUTOSCALERS, Selection::labelled(self.pods.clone())),
            ],
            PlatformKind::OpenFaas | PlatformKind::Deployment => {
                vec![(DEPLOYMENTS, Selection::named(&self.name))]
            }
            PlatformKind::Endpoint => Vec::new(),
        }
    }
}

/// Running watches; they end when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    started_unix_ns: u64,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    clock: JoinHandle<Result<ClockOffset, String>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    moments: Moments,
    gaps: Vec<String>,
}

impl Recorder {
    /// Begins to watch; zero is the moment of return, so call it right before the deploy call.
    /// What cannot be watched becomes a gap of the time line, never an error.
    pub async fn start(api: &Api, target: &Target) -> Self {
        let mut gaps = Vec::new();
        let namespace = Some(target.namespace.as_str());
        let mut before = BTreeSet::new();
        for (resource, selection) in
            [(PODS, Selection::labelled(target.pods.clone())), (EVENTS, Selection::default())]
        {
            // A failure shows again, and is told, when the watch begins.
            let listed = api.list(&resource, namespace, &selection).await.unwrap_or_default();
            before
                .extend(listed.items.iter().filter_map(|o| Some(o["metadata"]["uid"].as_str()?.to_owned())));
        }
        let mut followed = Vec::new();
        let mut watches = vec![
            (Watched::Pods, PODS, Selection::labelled(target.pods.clone())),
            (Watched::Events, EVENTS, Selection::default()),
        ];
        watches.extend(
            target.owners().into_iter().map(|(resource, selection)| (Watched::Owner, resource, selection)),
        );
        for (watched, resource, selection) in watches {
            match follow(api, resource, Some(target.namespace.clone()), selection).await {
                Ok(following) => followed.push((watched, resource, following)),
                Err(error) => gaps.push(format!("{} could not be watched: {error}", resource.plural)),
            }
        }
        let zero = Instant::now();
        let started_unix_ns = unix_now_ns();
        let moments = Moments::new(started_unix_ns, &target.name, before);
        let shared = Arc::new(Shared { state: Mutex::new(State { moments, gaps }), changed: Notify::new() });
        let tasks = followed.into_iter().map(|(watched, resource, mut following)| {
            let shared = shared.clone();
            tokio::spawn(async move {
                while let Some(heard) = following.next().await {
                    shared.take(watched, resource, since(zero, heard.at), &heard.change);
                }
            })
        });
        let tasks = tasks.collect();
        let api = api.clone();
        let clock = tokio::spawn(async move {
            clock::offset(&api, clock::PAUSE).await.map_err(|error| error.to_string())
        });
        Self { started_unix_ns, shared, tasks, clock }
    }

    /// Zero of the time line: when the deploy call was about to be made, Unix nanoseconds of this
    /// machine's clock.
    pub fn started_unix_ns(&self) -> u64 {
        self.started_unix_ns
    }

    /// Waits until a pod was heard of and all pods are gone.
    #[cfg(test)]
    pub(super) async fn heard_of_the_end(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.gone() {
                return;
            }
            changed.await;
        }
    }

    /// Ends the watches, once the last pod's end was heard of or a little time has passed.
    pub async fn finish(mut self, answers: &FirstAnswers) -> Timeline {
        let all_gone = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.shared.living().is_empty() {
                    return;
                }
                changed.await;
            }
        };
        _ = tokio::time::timeout(LAST_WORDS, all_gone).await;
        for task in self.tasks.drain(..) {
            task.abort();
        }
        let offset = (&mut self.clock).await.unwrap_or_else(|error| Err(error.to_string()));
        let state = self.shared.state.lock().map(|mut state| {
            let empty = Moments::new(self.started_unix_ns, "", BTreeSet::new());
            State {
                moments: std::mem::replace(&mut state.moments, empty),
                gaps: std::mem::take(&mut state.gaps),
            }
        });
        let Ok(State { moments, gaps }) = state else {
            return Timeline { gaps: vec!["a thread panicked".to_owned()], ..Timeline::default() };
        };
        assemble(self.started_unix_ns, moments, gaps, offset, answers)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.clock.abort();
    }
}

impl Shared {
    fn take(&self, watched: Watched, resource: Resource, at_ns: i64, change: &Change) {
        if let Ok(mut state) = self.state.lock() {
            if let Change::Lost(cause) = change {
                let seconds = at_ns as f64 / 1e9;
                state.gaps.push(format!(
                    "the watch on {} was lost {seconds:.1} s after the deploy call ({cause}); what it heard next may be late",
                    resource.plural
                ));
            }
            state.moments.take(watched, at_ns, change);
        }
        self.changed.notify_waiters();
    }

    #[cfg(test)]
    fn gone(&self) -> bool {
        self.state
            .lock()
            .is_ok_and(|state| state.moments.any_pods() && state.moments.living().next().is_none())
    }

    fn living(&self) -> Vec<String> {
        self.state.lock().map(|state| state.moments.living().map(str::to_owned).collect()).unwrap_or_default()
    }
}

/// Puts everything on one clock and in order.
fn assemble(
    started_unix_ns: u64,
    moments: Moments,
    mut gaps: Vec<String>,
    offset: Result<ClockOffset, String>,
    answers: &FirstAnswers,
) -> Timeline {
    let clock = match offset {
        Ok(offset) => Some(offset),
        Err(cause) => {
            gaps.push(format!(
                "the cluster's clock could not be compared with this machine's ({cause}); its times are uncorrected"
            ));
            None
        }
    };
    let living: Vec<&str> = moments.living().collect();
    if !living.is_empty() {
        gaps.push(format!("the end of {} was not heard of", living.join(", ")));
    }
    if !moments.left_over.is_empty() {
        let names: Vec<&str> = moments.left_over.iter().map(String::as_str).collect();
        gaps.push(format!("left out, since there before the deploy call: {}", names.join(", ")));
    }
    let ahead_ns = clock.map_or(0, |offset| (offset.middle_ms() * 1e6) as i64);
    let mut moments = moments.into_moments();
    for moment in &mut moments {
        if matches!(moment.source, Source::Status | Source::Event | Source::FineEvent) {
            moment.at_ns -= ahead_ns;
        }
    }
    let mut timeline = Timeline { started_unix_ns, clock, moments, gaps };
    timeline.add(answers);
    timeline
}

/// Nanoseconds from one instant to another, which may be earlier.
fn since(zero: Instant, at: Instant) -> i64 {
    match at.checked_duration_since(zero) {
        Some(later) => later.as_nanos() as i64,
        None => -(zero.duration_since(at).as_nanos() as i64),
    }
}
