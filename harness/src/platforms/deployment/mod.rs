//! A plain Kubernetes Deployment and Service: the baseline that shows what a platform adds.

pub mod manifest;
mod settings;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Deployed, FunctionSpec, Platform, PlatformError, PlatformKind, PodsOf, ReplicaSample,
    cluster::{
        ApiError, Cluster,
        answer::{self, Wanted},
        api::Selection,
        applying,
        follow::keep,
        namespace,
        pods::Pod,
        reach::{self, ReachError, Route, ServicePort},
        replicas::Replicas,
        resources::{DEPLOYMENTS, PODS, SERVICES},
        starting::Starting,
    },
};
use crate::drive::Endpoint;
pub use manifest::manifests;
use manifest::{CONTAINER, PORT, selector};

const KIND: PlatformKind = PlatformKind::Deployment;
/// Longest time from the apply call to the first answer.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// From ready pods to an address that accepts, and to the first answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks for an address: kube-proxy needs a moment.
const REACH_AGAIN: Duration = Duration::from_millis(200);
/// How often is looked without a change.
const LOOK: Duration = Duration::from_secs(1);

/// A plain Kubernetes Deployment and Service.
#[derive(Debug)]
pub struct PlainDeployment {
    cluster: Arc<Cluster>,
    ready_limit: Duration,
    /// Name of what was applied, also if it never became ready.
    applied: Option<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    replicas: Replicas,
    wanted: u32,
    /// Held, because a port-forward ends with it.
    _route: Route,
}

impl PlainDeployment {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, ready_limit: READY_LIMIT, applied: None, running: None }
    }

    /// Applies Deployment and Service. Where node ports are forbidden, the Service gets only an
    /// address inside the cluster.
    async fn apply(&self, spec: &FunctionSpec, manifests: &[Value]) -> Result<Value, PlatformError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        let failed = |error: ApiError| applying::explained(KIND, error);
        let deployment =
            applying::apply(api, &DEPLOYMENTS, namespace, &manifests[0]).await.map_err(failed)?;
        match applying::apply(api, &SERVICES, namespace, &manifests[1]).await {
            Ok(_) => {}
            Err(ApiError::Forbidden { .. } | ApiError::Refused { code: 422, .. }) => {
                let inner = manifest::service(spec, namespace, &self.cluster.run.labels(), "ClusterIP");
                applying::apply(api, &SERVICES, namespace, &inner).await.map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(deployment)
    }

    /// Waits until all replicas are available, watching the Deployment and its pods.
    async fn wait(
        &self,
        spec: &FunctionSpec,
        generation: i64,
        started: Instant,
    ) -> Result<(), PlatformError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        let failed = |error: ApiError| applying::explained(KIND, error);
        let own = || Some(namespace.to_owned());
        let named = Selection::named(&spec.name);
        let mut deployment = keep(api, DEPLOYMENTS, own(), named).await.map_err(failed)?;
        let of_function = Selection::labelled(selector(&spec.name));
        let mut pods = keep(api, PODS, own(), of_function).await.map_err(failed)?;
        let mut starting = Starting::new(api, namespace, CONTAINER);
        let deadline = started + self.ready_limit;
        let mut was_there = false;
        loop {
            let now: Vec<Pod> = pods.objects().values().map(Pod::read).collect();
            if was_there && deployment.objects().is_empty() {
                return Err(not_ready(spec, started, "somebody deleted the Deployment meanwhile".to_owned()));
            }
            was_there |= !deployment.objects().is_empty();
            if let Some(object) = deployment.objects().values().next() {
                if is_available(object, generation, spec.replicas.max) {
                    return Ok(());
                }
                if let Some(cause) = refused_pods(object) {
                    return Err(not_ready(spec, started, cause));
                }
            }
            if let Some(cause) = starting.cause(&now).await {
                return Err(not_ready(spec, started, cause));
            }
            let goes_on = tokio::select! {
                change = deployment.changed() => change.is_some(),
                change = pods.changed() => change.is_some(),
                () = tokio::time::sleep(LOOK) => true,
                () = tokio::time::sleep_until(deadline) => {
                    let cause = starting.last_known(&now).await;
                    return Err(not_ready(spec, started, cause.unwrap_or_else(|| "no pod was made".to_owned())));
                }
            };
            if !goes_on {
                let lost = [deployment.lost(), pods.lost()].join("; ");
                return Err(control(format!("{} cannot be watched any longer: {lost}", spec.name)));
            }
        }
    }

    /// An address of the Service for load.
    async fn reach(&self, name: &str) -> Result<Route, PlatformError> {
        let to = ServicePort { namespace: self.cluster.namespace(), name, port: PORT };
        let started = Instant::now();
        loop {
            match reach::direct(&self.cluster, to).await {
                Ok(route) => return Ok(route),
                Err(ReachError::Unreachable { .. }) if started.elapsed() < Duration::from_secs(5) => {
                    tokio::time::sleep(REACH_AGAIN).await;
                }
                Err(ReachError::Unreachable { .. }) if self.cluster.choice.load_through_port_forward => {
                    return reach::forward(&self.cluster, to).await.map_err(|e| unreachable(&e));
                }
                Err(error) => return Err(unreachable(&error)),
            }
        }
    }
}

impl Platform for PlainDeployment {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let cluster = self.cluster.clone();
        let (api, namespace) = (&cluster.api, cluster.namespace());
        let manifests = manifests(spec, namespace, &cluster.run.labels())?;
        let image = spec.image_for(KIND)?;
        self.remove().await?;
        let failed = |error: ApiError| applying::explained(KIND, error);
        namespace::ensure(api, namespace, &cluster.run).await.map_err(failed)?;
        for resource in [DEPLOYMENTS, SERVICES] {
            applying::make_room(api, KIND, &resource, namespace, &spec.name).await?;
        }
        applying::wait_until_gone(api, KIND, namespace, &selector(&spec.name)).await?;

        self.applied = Some(spec.name.clone());
        let started = Instant::now();
        let applied = self.apply(spec, &manifests).await?;
        self.wait(spec, applied["metadata"]["generation"].as_i64().unwrap_or(1), started).await?;
        let route = self.reach(&spec.name).await?;
        let url = format!("{}{}", route.url, image.health_path);
        let wanted = Wanted { url: &url, headers: &[], is_ours: image.is_ours };
        answer::first(wanted, ANSWER_LIMIT).await.map_err(|cause| not_ready(spec, started, cause))?;
        let ready_after = started.elapsed();

        let pods = PodsOf {
            namespace: namespace.to_owned(),
            selector: selector(&spec.name),
            container: CONTAINER.to_owned(),
            function: spec.name.clone(),
            revision: None,
        };
        let live = applying::live_pods(api, namespace, &pods.selector).await.map_err(failed)?;
        let settings = settings::effective(&cluster.context, spec, &live, &route);
        let replicas = Replicas::watch(api, &pods).await.map_err(failed)?;
        let endpoint = Endpoint { url: format!("{}{}", route.url, spec.path), headers: Vec::new() };
        self.running = Some(Running { replicas, wanted: spec.replicas.max, _route: route });
        Ok(Deployed { endpoints: vec![endpoint], ready_after, settings, pods: Some(pods) })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        let running = self.running.as_ref().ok_or_else(|| control("nothing is deployed".to_owned()))?;
        running.replicas.sample(Some(running.wanted)).map_err(control)
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        self.running = None;
        let Some(name) = self.applied.clone() else { return Ok(()) };
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        for resource in [SERVICES, DEPLOYMENTS] {
            api.delete(&resource, Some(namespace), &name).await.map_err(|e| applying::explained(KIND, e))?;
        }
        applying::wait_until_gone(api, KIND, namespace, &selector(&name)).await?;
        self.applied = None;
        Ok(())
    }

    async fn find(&mut self, name: &str) -> Result<Option<Deployed>, PlatformError> {
        let cluster = self.cluster.clone();
        let (api, namespace) = (&cluster.api, cluster.namespace());
        let failed = |error: ApiError| applying::explained(KIND, error);
        let Some(object) = api.get(&DEPLOYMENTS, Some(namespace), name).await.map_err(failed)? else {
            return Ok(None);
        };
        let route = self.reach(name).await?;
        let pods = PodsOf {
            namespace: namespace.to_owned(),
            selector: selector(name),
            container: CONTAINER.to_owned(),
            function: name.to_owned(),
            revision: None,
        };
        let replicas = Replicas::watch(api, &pods).await.map_err(failed)?;
        let endpoint = Endpoint { url: route.url.clone(), headers: Vec::new() };
        let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1) as u32;
        self.applied = Some(name.to_owned());
        self.running = Some(Running { replicas, wanted, _route: route });
        Ok(Some(Deployed {
            endpoints: vec![endpoint],
            ready_after: Duration::ZERO,
            settings: BTreeMap::new(),
            pods: Some(pods),
        }))
    }
}

/// Whether a Deployment has brought what was applied to this many replicas.
fn is_available(deployment: &Value, generation: i64, replicas: u32) -> bool {
    let status = &deployment["status"];
    let count = |key: &str| status[key].as_u64() == Some(u64::from(replicas));
    status["observedGeneration"].as_i64() >= Some(generation)
        && count("replicas")
        && count("updatedReplicas")
        && count("availableReplicas")
}

/// Why its pods are not even made: a quota, a policy.
fn refused_pods(deployment: &Value) -> Option<String> {
    let conditions = deployment["status"]["conditions"].as_array().into_iter().flatten();
    let mut failures = conditions.filter(|c| c["type"] == "ReplicaFailure" && c["status"] == "True");
    let said = failures.find_map(|c| c["message"].as_str())?;
    Some(format!("its pods are refused ({said})"))
}

fn unreachable(error: &ReachError) -> PlatformError {
    PlatformError::Limit {
        platform: KIND.name(),
        limit: error.to_string(),
        remedy: "run the harness where a node's port or the cluster's network is reachable".to_owned(),
    }
}

fn not_ready(spec: &FunctionSpec, started: Instant, cause: String) -> PlatformError {
    let waited_s = started.elapsed().as_secs_f64();
    PlatformError::NotReady { platform: KIND.name(), name: spec.name.clone(), waited_s, cause }
}

fn control(cause: String) -> PlatformError {
    PlatformError::Control { platform: KIND.name(), cause }
}
