//! Knative Serving on a cluster: deploys a function as a Service, waits until it answers through
//! the ingress, observes its replicas, proves that it has gone to zero, and removes it.

pub mod eventing;
mod found;
mod ingress;
pub mod manifest;
mod ready;
mod settings;
#[cfg(test)]
mod tests;
mod wish;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Deployed, FunctionSpec, Platform, PlatformError, PlatformKind, PodsOf, ReplicaSample, ZeroProof,
    cluster::{
        Api, ApiError, Cluster,
        answer::{self, Wanted},
        api::Selection,
        applying,
        follow::{Change, keep},
        namespace,
        pods::Pod,
        replicas::Replicas,
        resources::{CONFIG_MAPS, KNATIVE_SERVICES, PODS, REVISIONS},
    },
    exposure::{self, Exposure},
};
use crate::drive::Endpoint;
use ingress::{Ingress, SERVING_NAMESPACE};
use manifest::{CONTAINER, REVISION_LABEL, SERVICE_LABEL};
use ready::{NotServing, Serving, Wait};
use wish::Wish;

const KIND: PlatformKind = PlatformKind::Knative;
/// Longest time from the apply call to the first answer.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// From Ready to the first answer: Ready comes after the route is programmed.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Knative Serving on a cluster.
#[derive(Debug)]
pub struct Knative {
    cluster: Arc<Cluster>,
    ready_limit: Duration,
    /// Name of the Service that was applied, also if it never became ready.
    applied: Option<String>,
    running: Option<Running>,
}

/// What watches a deployed Service.
#[derive(Debug)]
struct Running {
    replicas: Replicas,
    /// None where PodAutoscalers may not be read.
    wish: Option<Wish>,
    min_replicas: u32,
    /// Held, because a port-forward ends with it.
    _ingress: Ingress,
}

impl Knative {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, ready_limit: READY_LIMIT, applied: None, running: None }
    }

    /// The same with another limit for becoming ready.
    #[must_use]
    pub fn within(self, ready_limit: Duration) -> Self {
        Self { ready_limit, ..self }
    }

    /// The revision that an instance belongs to, by the instance's name (`X-Instance-Id`, which is
    /// the pod's name). Pods that are gone are remembered. None: no such pod was seen.
    pub fn revision_of(&self, instance: &str) -> Option<String> {
        self.running.as_ref()?.replicas.label_of(instance, REVISION_LABEL)
    }

    /// Applies the manifests one after the other and waits for each to serve.
    async fn apply_all(
        &self,
        spec: &FunctionSpec,
        manifests: &[Value],
        started: Instant,
    ) -> Result<Serving, PlatformError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        let mut serving = None;
        for manifest in manifests {
            let applied = applying::apply(api, &KNATIVE_SERVICES, namespace, manifest)
                .await
                .map_err(|e| applying::explained(KIND, e))?;
            let wait = Wait {
                api,
                namespace,
                name: &spec.name,
                revisions: &with_traffic(spec, manifest),
                generation: applied["metadata"]["generation"].as_i64().unwrap_or(1),
                pods: spec.replicas.min.max(1),
                deadline: started + self.ready_limit,
            };
            serving = Some(wait.run().await.map_err(|failure| match failure {
                NotServing::Cause(cause) => not_ready(spec, started, cause),
                NotServing::Api(error) => control(error.to_string()),
            })?);
        }
        serving.ok_or_else(|| control("there is nothing to apply".to_owned()))
    }

    /// The endpoint of a Service that serves, once it has answered.
    async fn first_answer(
        &self,
        spec: &FunctionSpec,
        ingress: &Ingress,
        host: &str,
        started: Instant,
    ) -> Result<Endpoint, PlatformError> {
        let image = spec.image_for(KIND)?;
        let headers = vec![("Host".to_owned(), host.to_owned())];
        let url = format!("{}{}", ingress.route.url, image.health_path);
        let wanted = Wanted { url: &url, headers: &headers, is_ours: image.is_ours };
        answer::first(wanted, ANSWER_LIMIT).await.map_err(|cause| {
            let mut cause = format!("the Service is ready, but {cause} with Host {host}");
            if spec.exposure() == Exposure::InsideAlone {
                let (from_inside, allow) = (exposure::FROM_INSIDE, exposure::ALLOW);
                cause = format!("{cause}; it answers inside the cluster alone: {from_inside}, or {allow}");
            }
            not_ready(spec, started, cause)
        })?;
        Ok(Endpoint { url: format!("{}{}", ingress.route.url, spec.path), headers })
    }

    /// The settings in force.
    async fn settings(
        &self,
        spec: &FunctionSpec,
        serving: &Serving,
        ingress: &Ingress,
        host: &str,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        let revision = api.get(&REVISIONS, Some(namespace), &serving.revision).await?.unwrap_or_default();
        let pods = applying::live_pods(api, namespace, &selector(&spec.name)).await?;
        // Without the right to read it, the table says so.
        let config = api.get(&CONFIG_MAPS, Some(SERVING_NAMESPACE), "config-autoscaler").await;
        let autoscaler = config.ok().flatten().map(|mut config| config["data"].take()).unwrap_or_default();
        let observed = settings::Observed {
            context: &self.cluster.context,
            spec,
            revision: &revision,
            pods: &pods,
            autoscaler: &autoscaler,
            ingress,
            host,
        };
        Ok(observed.settings())
    }
}

impl Platform for Knative {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let cluster = self.cluster.clone();
        let (api, namespace) = (&cluster.api, cluster.namespace());
        let manifests = manifest::manifests(spec, namespace, &cluster.run.labels())?;
        check_installed(api).await?;
        self.remove().await?;
        let ingress = Ingress::find(&cluster, spec.exposure()).await?;
        namespace::ensure(api, namespace, &cluster.run).await.map_err(|e| applying::explained(KIND, e))?;
        applying::make_room(api, KIND, &KNATIVE_SERVICES, namespace, &spec.name).await?;
        applying::wait_until_gone(api, KIND, namespace, &selector(&spec.name)).await?;

        self.applied = Some(spec.name.clone());
        let started = Instant::now();
        let serving = self.apply_all(spec, &manifests, started).await?;
        let host = host(&serving.url, spec.exposure())?;
        let endpoint = self.first_answer(spec, &ingress, &host, started).await?;
        let ready_after = started.elapsed();

        let pods = PodsOf {
            namespace: namespace.to_owned(),
            selector: selector(&spec.name),
            container: CONTAINER.to_owned(),
            function: spec.name.clone(),
            revision: Some(serving.revision.clone()),
        };
        let failed = |error: ApiError| applying::explained(KIND, error);
        let settings = self.settings(spec, &serving, &ingress, &host).await.map_err(failed)?;
        let replicas = Replicas::watch(api, &pods).await.map_err(failed)?;
        let wish = Wish::watch(api, namespace, &spec.name).await.ok();
        let min_replicas = spec.replicas.min;
        self.running = Some(Running { replicas, wish, min_replicas, _ingress: ingress });
        Ok(Deployed { endpoints: vec![endpoint], ready_after, settings, pods: Some(pods) })
    }

    fn revisions(&self) -> BTreeMap<String, String> {
        self.running.as_ref().map(|running| running.replicas.labels(REVISION_LABEL)).unwrap_or_default()
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        let running = self.running.as_ref().ok_or_else(|| control("nothing is deployed".to_owned()))?;
        let desired = running.wish.as_ref().and_then(Wish::now);
        running.replicas.sample(desired).map_err(control)
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        self.running = None;
        let Some(name) = self.applied.clone() else { return Ok(()) };
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        api.delete(&KNATIVE_SERVICES, Some(namespace), &name)
            .await
            .map_err(|e| applying::explained(KIND, e))?;
        applying::wait_until_gone(api, KIND, namespace, &selector(&name)).await?;
        self.applied = None;
        Ok(())
    }

    async fn find(&mut self, name: &str) -> Result<Option<Deployed>, PlatformError> {
        found::find(self, name).await
    }

    async fn wait_for_zero(&self, limit: Duration) -> Result<ZeroProof, PlatformError> {
        let running = self.running.as_ref().ok_or_else(|| control("nothing is deployed".to_owned()))?;
        let name = self.applied.as_deref().unwrap_or_default();
        if running.min_replicas > 0 {
            return Err(PlatformError::Limit {
                platform: KIND.name(),
                limit: format!("it keeps {} replicas, so it never scales to zero", running.min_replicas),
                remedy: "set replicas.min to 0".to_owned(),
            });
        }
        zero(&self.cluster.api, self.cluster.namespace(), name, limit).await
    }
}

/// Waits until no pod is left, terminating ones included, and the autoscalers say so too.
async fn zero(api: &Api, namespace: &str, name: &str, limit: Duration) -> Result<ZeroProof, PlatformError> {
    let failed = |error: ApiError| applying::explained(KIND, error);
    let of_service = Selection::labelled(selector(name));
    let mut pods = keep(api, PODS, Some(namespace.to_owned()), of_service).await.map_err(failed)?;
    let mut autoscalers = wish::autoscalers(api, namespace, name).await.map_err(failed)?;
    let started = Instant::now();
    let mut gone = Vec::new();
    loop {
        if pods.objects().is_empty()
            && let Some(autoscaler) = wish::at_zero(autoscalers.objects().values())
        {
            return Ok(ZeroProof { waited: started.elapsed(), gone, autoscaler });
        }
        let goes_on = tokio::select! {
            change = pods.changed() => {
                if let Some(Change::Deleted(pod)) = &change {
                    gone.push(Pod::read(pod).name);
                }
                change.is_some()
            }
            change = autoscalers.changed() => change.is_some(),
            () = tokio::time::sleep_until(started + limit) => {
                let left: Vec<_> = pods.objects().values().map(|pod| Pod::read(pod).name).collect();
                let left = if left.is_empty() { "none, but the autoscaler does not say 0".to_owned() } else { left.join(", ") };
                return Err(control(format!("{name} is not at zero after {} s; pods left: {left}", limit.as_secs())));
            }
        };
        if !goes_on {
            let lost = [pods.lost(), autoscalers.lost()].join("; ");
            return Err(control(format!("{name} cannot be watched any longer: {lost}")));
        }
    }
}

/// The revisions that a manifest sends requests to, if it names them; the others may go to zero.
fn with_traffic(spec: &FunctionSpec, manifest: &Value) -> Vec<String> {
    let shares = spec.revisions.iter();
    let named = shares.map(|share| manifest::revision_name(spec, share));
    let traffic = || manifest["spec"]["traffic"].as_array().into_iter().flatten();
    let receives = |name: &str| {
        traffic().any(|target| target["revisionName"] == name && target["percent"].as_u64() > Some(0))
    };
    named.filter(|name| receives(name)).collect()
}

/// Whether the cluster has Knative Serving at all: said before anything else is looked for.
async fn check_installed(api: &Api) -> Result<(), PlatformError> {
    match api.get_path("/apis/serving.knative.dev/v1").await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(404) => Err(PlatformError::Limit {
            platform: KIND.name(),
            limit: "Knative Serving is not installed on this cluster".to_owned(),
            remedy: "install it, or leave knative out of --platforms".to_owned(),
        }),
        Err(error) => Err(applying::explained(KIND, error)),
    }
}

/// Selects the pods of a Service.
fn selector(service: &str) -> String {
    format!("{SERVICE_LABEL}={service}")
}

/// The host of a Service's URL.
fn host(url: &str, exposure: Exposure) -> Result<String, PlatformError> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default().to_owned();
    if exposure == Exposure::Usual && host.ends_with(".svc.cluster.local") {
        return Err(PlatformError::Limit {
            platform: KIND.name(),
            limit: format!("{host} is not exposed by the ingress: the cluster has no domain for Services"),
            remedy: "set one: kubectl -n knative-serving patch configmap config-domain --type merge -p '{\"data\":{\"example.com\":\"\"}}'".to_owned(),
        });
    }
    Ok(host)
}

fn not_ready(spec: &FunctionSpec, started: Instant, cause: String) -> PlatformError {
    let waited_s = started.elapsed().as_secs_f64();
    PlatformError::NotReady { platform: KIND.name(), name: spec.name.clone(), waited_s, cause }
}

fn control(cause: String) -> PlatformError {
    PlatformError::Control { platform: KIND.name(), cause }
}
