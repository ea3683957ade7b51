//! Workers that drive load, as pods of a cluster: an Indexed Job that runs the harness's own image.
//!
//! A worker listens on the loopback of its pod alone. The coordinator comes through the API server's
//! port-forward: nobody else reaches it, all that is said is encrypted up to the node, and it works
//! from wherever the API server answers. A token in a Secret keeps others out who may forward ports too.

pub mod manifest;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::api::Portforwarder;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::Instant,
};

use super::{
    Api, ApiError, Cluster,
    api::Selection,
    applying,
    follow::keep,
    namespace,
    pods::{self, Pod},
    resources::{JOBS, PODS, SECRETS},
    starting::Starting,
};
use crate::{
    drive::distributed::{Fate, Line, Share, Workers},
    secret::Secret,
    words::innermost,
};
use manifest::{CONTAINER, INDEX_ANNOTATION, PORT, selector};

/// Longest time until a worker's pod runs: its image may have to be pulled.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// How often is looked without a change.
const LOOK: Duration = Duration::from_secs(1);
/// How long a pod that runs may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(15);
/// A worker never speaks first: a line that stays open and silent for so long leads to one.
const SILENCE: Duration = Duration::from_millis(250);
/// How long workers may take to go.
const GONE_LIMIT: Duration = Duration::from_mins(1);
/// How often a pod is asked how its container ended, and the pause before each time: the kubelet
/// reports a little later than the line breaks.
const FATE_QUESTIONS: u32 = 4;
const FATE_PAUSE: Duration = Duration::from_millis(600);

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerPodsChoice {
    /// Pods.
    pub count: u32,
    /// Image of the harness.
    pub image: String,
    /// Labels of the nodes that they may run on; empty: any.
    pub node_selector: BTreeMap<String, String>,
    /// CPU that a pod asks for, cores; it may use twice as much.
    pub cpu_cores: f64,
    /// Memory of a pod, MiB.
    pub memory_mib: u32,
}

/// Why there are no workers.
#[derive(Debug, thiserror::Error)]
pub enum WorkerPodsError {
    /// The API server refuses.
    #[error("workers cannot be made in namespace {namespace}: {cause}")]
    Api {
        /// Where.
        namespace: String,
        /// What it says.
        cause: ApiError,
    },
    /// They do not start.
    #[error("the workers do not start: {0}")]
    NotReady(String),
    /// They do not go.
    #[error(
        "the Job {namespace}/{job} is deleted, but its pods are still there ({left}); call `harness clean`"
    )]
    NotGone {
        /// Where.
        namespace: String,
        /// Its name.
        job: String,
        /// Pods.
        left: String,
    },
}

/// Workers on a cluster.
#[derive(Debug, Clone)]
pub struct WorkerPods {
    api: Api,
    namespace: String,
    job: String,
    token: Secret,
}

impl WorkerPods {
    /// Makes them and waits until all of them run. Whatever goes wrong, what was made is taken away.
    ///
    /// # Errors
    /// If the API server refuses, or a pod does not start.
    pub async fn start(cluster: &Cluster, choice: &WorkerPodsChoice) -> Result<Self, WorkerPodsError> {
        let id: u32 = rand::random();
        let token: [u128; 2] = rand::random();
        let workers = Self {
            api: cluster.api.clone(),
            namespace: cluster.namespace().to_owned(),
            job: format!("load-workers-{id:08x}"),
            token: Secret::new(format!("{:032x}{:032x}", token[0], token[1])),
        };
        let started = async {
            workers.make(cluster, choice).await.map_err(|cause| workers.refused(cause))?;
            for share in Share::all(choice.count) {
                workers.ready_pod(share).await.map_err(WorkerPodsError::NotReady)?;
            }
            Ok(())
        };
        if let Err(error) = started.await {
            _ = workers.remove().await;
            return Err(error);
        }
        Ok(workers)
    }

    async fn make(&self, cluster: &Cluster, choice: &WorkerPodsChoice) -> Result<(), ApiError> {
        let (api, namespace, labels) = (&self.api, self.namespace.as_str(), cluster.run.labels());
        namespace::ensure(api, namespace, &cluster.run).await?;
        let job = manifest::job(&self.job, namespace, &labels, choice);
        let made = applying::apply(api, &JOBS, namespace, &job).await?;
        let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
        let secret = manifest::token_secret(&self.job, namespace, &labels, uid, &self.token);
        applying::apply(api, &SECRETS, namespace, &secret).await?;
        api.merge(&JOBS, Some(namespace), &self.job, &json!({ "spec": { "suspend": false } })).await?;
        Ok(())
    }

    /// Takes them away and waits until they are gone.
    ///
    /// # Errors
    /// If the API server refuses, or pods stay.
    pub async fn remove(&self) -> Result<(), WorkerPodsError> {
        let deleted = self.api.delete(&JOBS, Some(&self.namespace), &self.job).await;
        deleted.map_err(|cause| self.refused(cause))?;
        let left = pods::wait_until_gone(&self.api, &self.namespace, &selector(&self.job), GONE_LIMIT).await;
        match left.map_err(|cause| self.refused(cause))?.as_slice() {
            [] => Ok(()),
            left => Err(WorkerPodsError::NotGone {
                namespace: self.namespace.clone(),
                job: self.job.clone(),
                left: left.join(", "),
            }),
        }
    }

    fn refused(&self, cause: ApiError) -> WorkerPodsError {
        WorkerPodsError::Api { namespace: self.namespace.clone(), cause }
    }

    /// Waits until the pod of an index runs.
    async fn ready_pod(&self, share: Share) -> Result<Pod, String> {
        let (api, selection) = (&self.api, Selection::labelled(selector(&self.job)));
        let words = |error: ApiError| error.to_string();
        let mut kept = keep(api, PODS, Some(self.namespace.clone()), selection).await.map_err(words)?;
        let mut starting = Starting::new(api, &self.namespace, CONTAINER);
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let own = kept.objects().values().filter(|object| has_index(object, share.index));
            let own: Vec<Pod> = own.map(Pod::read).collect();
            if let Some(pod) = own.iter().find(|pod| pod.ready && !pod.terminating) {
                return Ok(pod.clone());
            }
            if let Some(cause) = starting.cause(&own).await {
                return Err(cause);
            }
            if let Some(pod) = own.iter().find(|pod| matches!(pod.phase.as_str(), "Succeeded" | "Failed")) {
                return Err(format!("the pod {} has ended{}", pod.name, end_of(pod).unwrap_or_default()));
            }
            tokio::select! {
                change = kept.changed() => if change.is_none() {
                    return Err(format!("its pods cannot be watched any longer: {}", kept.lost()));
                },
                () = tokio::time::sleep(LOOK) => {}
                () = tokio::time::sleep_until(deadline) => {
                    let known = starting.last_known(&own).await;
                    let known = known.unwrap_or_else(|| "the Job made no pod for it".to_owned());
                    return Err(format!("{known} (waited {} s)", READY_LIMIT.as_secs()));
                }
            }
        }
    }

    async fn line(&self, share: Share) -> Result<Line, String> {
        let pod = self.ready_pod(share).await?;
        let deadline = Instant::now() + LISTEN_LIMIT;
        loop {
            match self.forward(&pod.name).await {
                Ok((stream, forwarder)) => {
                    let (input, output) = tokio::io::split(stream);
                    let node = pod.node.as_deref().map_or(String::new(), |node| format!(" on node {node}"));
                    let fate = PodFate {
                        workers: self.clone(),
                        restarts: pod.restarts(),
                        pod: pod.name.clone(),
                        forwarder,
                    };
                    return Ok(Line {
                        input: Box::new(input),
                        output: Box::new(output),
                        place: format!("pod {}{node}", pod.name),
                        token: self.token.clone(),
                        fate: Box::new(fate),
                    });
                }
                Err(cause) if Instant::now() >= deadline => {
                    return Err(format!(
                        "the pod {} is not reached through a port-forward: {cause}",
                        pod.name
                    ));
                }
                Err(_) => tokio::time::sleep(SILENCE).await,
            }
        }
    }

    /// A line to a pod's worker, which is there: the line stays open without a word.
    async fn forward(
        &self,
        pod: &str,
    ) -> Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<>, Forwarder), String> {
        // A port-forward is a GET with an upgrade; RBAC knows both verbs.
        self.api.note("create", "", "pods/portforward");
        self.api.note("get", "", "pods/portforward");
        let pods: kube::Api<KubePod> = kube::Api::namespaced(self.api.client().clone(), &self.namespace);
        let forwarder = pods.portforward(pod, &[PORT]).await.map_err(|error| innermost(&error))?;
        let mut forwarder = Forwarder(forwarder);
        let mut stream = forwarder.0.take_stream(PORT).ok_or("it has no such port")?;
        match tokio::time::timeout(SILENCE, stream.read_u8()).await {
            Err(_) => Ok((stream, forwarder)),
            Ok(Ok(_)) => Err("something else than a worker answers".to_owned()),
            Ok(Err(error)) => Err(format!("nothing listens ({error})")),
        }
    }
}

impl Workers for WorkerPods {
    fn open(&self, share: Share) -> BoxFuture<'_, Result<Line, String>> {
        self.line(share).boxed()
    }
}

/// A port-forward; dropping it ends it.
struct Forwarder(Portforwarder);

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks the API server how a worker's container ended.
struct PodFate {
    workers: WorkerPods,
    pod: String,
    /// When the line was opened.
    restarts: u32,
    /// Held, because the line ends with it.
    #[expect(dead_code, reason = "it is dropped with the line")]
    forwarder: Forwarder,
}

impl Fate for PodFate {
    fn learn(&mut self) -> BoxFuture<'_, Option<String>> {
        async {
            let WorkerPods { api, namespace, .. } = &self.workers;
            for _ in 0..FATE_QUESTIONS {
                tokio::time::sleep(FATE_PAUSE).await;
                let listed = api.list(&PODS, Some(namespace), &Selection::named(&self.pod)).await.ok()?;
                let Some(pod) = listed.items.first().map(Pod::read) else {
                    return Some("its pod was deleted".to_owned());
                };
                if pod.terminating {
                    return Some("its pod is being deleted".to_owned());
                }
                let has_ended = pod.restarts() > self.restarts || !pod.containers.iter().any(|c| c.running);
                if let (true, Some(end)) = (has_ended, end_of(&pod)) {
                    return Some(format!("its container ended{end}"));
                }
            }
            None
        }
        .boxed()
    }
}

fn has_index(pod: &Value, index: u32) -> bool {
    pod["metadata"]["annotations"][INDEX_ANNOTATION] == index.to_string().as_str()
}

/// How a pod's container ended last: ` (OOMKilled, exit code 137)`.
fn end_of(pod: &Pod) -> Option<String> {
    let (code, reason, message) = pod.containers.iter().find_map(|container| container.ended.clone())?;
    let message = if message.is_empty() { message } else { format!(": {message}") };
    Some(format!(" ({reason}, exit code {code}{message})"))
}
