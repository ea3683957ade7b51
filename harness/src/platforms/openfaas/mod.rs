//! OpenFaaS Community Edition on a cluster, through its gateway.
//!
//! Map: `gateway` is the REST API; `login` finds the gateway and its login; `plan` makes what is
//! sent and names the edition's limits; `settings` says what is in force; `wanted` follows the
//! number of replicas asked for; `asynchronous` measures calls that are answered by a call-back.

pub mod asynchronous;
pub mod gateway;
pub mod login;
mod plan;
mod settings;
#[cfg(test)]
pub(super) mod tests;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::plan::{MAX_FUNCTIONS, stack_yml};
use self::{
    gateway::{FunctionStatus, Gateway, GatewayError, Info},
    login::{Entry, EntryError, Purpose, enter},
    wanted::Wanted,
};
use super::{
    Deployed, FunctionSpec, Platform, PlatformError, PlatformKind, PodsOf, ReplicaSample, ZeroProof,
    cluster::{
        Cluster,
        api::{ApiError, Selection},
        pods::{self, Pod},
        replicas::Replicas,
        resources::{DEPLOYMENTS, PODS},
    },
    limits::accept,
};
use crate::drive::Endpoint;

/// How long a deployment may take until the first answer. Pulling an image takes most of it.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// How long a removal may take until the pods are gone.
const REMOVAL_LIMIT: Duration = Duration::from_mins(2);
/// Pause between two questions while waiting.
const POLL: Duration = Duration::from_millis(100);
/// How long a pod may find no node: one that ends still holds its CPU.
const NO_NODE_LIMIT: Duration = Duration::from_secs(10);
/// How long a new function may show fewer replicas than its label asks for, before it is scaled.
const LABEL_LIMIT: Duration = Duration::from_secs(2);

/// OpenFaaS Community Edition on a cluster, through its gateway.
#[derive(Debug)]
pub struct OpenFaas {
    cluster: Arc<Cluster>,
    live: Option<Live>,
}

/// A function that was sent to the gateway.
#[derive(Debug)]
struct Live {
    name: String,
    /// Keeps a port-forward alive that load goes through.
    entry: Entry,
    pods: PodsOf,
    /// Pods of an earlier life, by uid.
    before: BTreeSet<String>,
    /// None where pods may not be watched.
    replicas: Option<Replicas>,
    /// None where Deployments may not be watched.
    wanted: Option<Wanted>,
}

impl OpenFaas {
    /// Nothing is deployed yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, live: None }
    }

    /// Versions of gateway and provider.
    ///
    /// # Errors
    /// If the gateway cannot be reached or does not say.
    pub async fn versions(&self) -> Result<Info, EntryError> {
        match &self.live {
            Some(live) => Ok(live.entry.gateway.info().await?),
            None => Ok(enter(&self.cluster, Purpose::Control).await?.gateway.info().await?),
        }
    }

    /// The gateway of the deployed function, for calls of another kind.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.live.as_ref().map(|live| &live.entry.gateway)
    }

    /// Everything that can be known before something is touched.
    async fn prepare(&self, spec: &FunctionSpec) -> Result<Live, PlatformError> {
        let entry = enter(&self.cluster, Purpose::Load).await?;
        let namespace = self.cluster.functions_namespace();
        match entry.gateway.namespaces().await {
            Ok(allowed) => plan::namespace(&allowed, namespace)?,
            // Gateways without this question have one namespace, and refuse another themselves.
            Err(GatewayError::Answer { .. } | GatewayError::Refused { .. }) => {}
            Err(error) => return Err(control(&error)),
        }
        plan::room(&entry.gateway.functions().await.map_err(|error| control(&error))?, &spec.name)?;
        self.watch(entry, &spec.name).await
    }

    /// Begins to watch a function, which need not be there yet.
    async fn watch(&self, entry: Entry, name: &str) -> Result<Live, PlatformError> {
        let namespace = self.cluster.functions_namespace().to_owned();
        let pods = PodsOf {
            selector: format!("faas_function={name}"),
            container: name.to_owned(),
            function: format!("{name}.{namespace}"),
            namespace,
            revision: None,
        };
        let api = &self.cluster.api;
        let before = allowed(pods::list(api, &pods.namespace, &pods.selector).await)?.unwrap_or_default();
        let before = before.into_iter().map(|pod| pod.uid).collect();
        let replicas = allowed(Replicas::watch(api, &pods).await)?;
        let wanted = allowed(Wanted::watch(api, &pods.namespace, name).await)?;
        Ok(Live { name: name.to_owned(), entry, pods, before, replicas, wanted })
    }

    /// Settings in force, from what may be read.
    async fn settings(
        &self,
        live: &Live,
        spec: &FunctionSpec,
    ) -> Result<BTreeMap<String, String>, PlatformError> {
        let accepted = accept(PlatformKind::OpenFaas, spec)?;
        let api = &self.cluster.api;
        let namespace = Some(live.pods.namespace.as_str());
        let selection = Selection::labelled(live.pods.selector.clone());
        let pods = allowed(api.list(&PODS, namespace, &selection).await)?.unwrap_or_default().items;
        let pods: Vec<_> = pods.into_iter().filter(|pod| !Pod::read(pod).terminating).collect();
        let deployment = allowed(api.get(&DEPLOYMENTS, namespace, &live.name).await)?.flatten();
        let gateway_namespace = Some(self.cluster.gateway_namespace());
        let gateway = allowed(api.get(&DEPLOYMENTS, gateway_namespace, "gateway").await)?.flatten();
        Ok(settings::effective(&settings::Known {
            spec,
            accepted: &accepted,
            context: &self.cluster.context,
            gateway: &live.entry.route.url,
            how: &live.entry.route.how,
            is_forwarded: live.entry.route.is_forwarded,
            deployment: deployment.as_ref(),
            pods: &pods,
            gateway_deployment: gateway.as_ref(),
        }))
    }
}

impl Platform for OpenFaas {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let marks = self.cluster.run.labels();
        let function = plan::deployment(spec, self.cluster.functions_namespace(), &marks)?;
        self.remove().await?;
        let live = self.prepare(spec).await?;
        let live = self.live.insert(live);
        let sent = live.entry.gateway.put_in_place(&function).await;
        let outcome = match sent {
            Ok(accepted_at) => live.first_answer(spec, accepted_at).await,
            Err(error) => Err(plan::meaning(&error)),
        };
        let ready_after = match outcome {
            Ok(ready_after) => ready_after,
            Err(error) => {
                // Nothing is left behind; the error itself tells more than a failed removal would.
                _ = self.remove().await;
                return Err(error);
            }
        };
        let Some(live) = &self.live else {
            return Err(PlatformError::Control { platform: "openfaas", cause: "nothing is deployed".into() });
        };
        let settings = self.settings(live, spec).await?;
        let url = format!("{}{}", live.entry.gateway.function_url(&spec.name), spec.path);
        Ok(Deployed {
            endpoints: vec![Endpoint { url, headers: Vec::new() }],
            ready_after,
            settings,
            pods: Some(live.pods.clone()),
        })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        let Some(live) = &self.live else {
            return Err(PlatformError::Control { platform: "openfaas", cause: "nothing is deployed".into() });
        };
        let mut desired = live.wanted.as_ref().and_then(Wanted::now);
        if let (Some(replicas), Some(_)) = (&live.replicas, desired)
            && let Ok(sample) = replicas.sample(desired)
        {
            return Ok(sample);
        }
        let status = live.status().await.map_err(|error| control(&error))?.unwrap_or_default();
        desired = desired.or(Some(status.replicas));
        let watched = live.replicas.as_ref().and_then(|replicas| replicas.sample(desired).ok());
        Ok(watched.unwrap_or(ReplicaSample {
            ready: status.available_replicas,
            desired: status.replicas,
            ..ReplicaSample::default()
        }))
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        let Some(live) = &self.live else { return Ok(()) };
        let started = Instant::now();
        let left = |what: String| PlatformError::Control {
            platform: "openfaas",
            cause: format!(
                "{what} after {} s; see kubectl -n {} get pods -l {}",
                REMOVAL_LIMIT.as_secs(),
                live.pods.namespace,
                live.pods.selector
            ),
        };
        let gateway = &live.entry.gateway;
        gateway.delete(&live.name, &live.pods.namespace).await.map_err(|error| control(&error))?;
        while live.status().await.map_err(|error| control(&error))?.is_some() {
            if started.elapsed() > REMOVAL_LIMIT {
                return Err(left(format!("the gateway still knows function {}", live.name)));
            }
            tokio::time::sleep(POLL).await;
        }
        let limit = REMOVAL_LIMIT.saturating_sub(started.elapsed());
        let gone =
            pods::wait_until_gone(&self.cluster.api, &live.pods.namespace, &live.pods.selector, limit).await;
        match allowed(gone)? {
            Some(pods) if !pods.is_empty() => Err(left(format!("pods {} are still there", pods.join(", ")))),
            _ => {
                self.live = None;
                Ok(())
            }
        }
    }

    async fn find(&mut self, name: &str) -> Result<Option<Deployed>, PlatformError> {
        let entry = enter(&self.cluster, Purpose::Load).await?;
        if entry.gateway.function(name).await.map_err(|error| control(&error))?.is_none() {
            return Ok(None);
        }
        let live = self.live.insert(self.watch(entry, name).await?);
        Ok(Some(Deployed {
            endpoints: vec![Endpoint { url: live.entry.gateway.function_url(name), headers: Vec::new() }],
            ready_after: Duration::ZERO,
            settings: BTreeMap::new(),
            pods: Some(live.pods.clone()),
        }))
    }

    async fn wait_for_zero(&self, _limit: Duration) -> Result<ZeroProof, PlatformError> {
        Err(PlatformError::Limit {
            platform: "openfaas",
            limit: "the Community Edition does not scale to zero".to_owned(),
            remedy: "measure cold starts on knative".to_owned(),
        })
    }
}

impl Live {
    fn pods_now(&self) -> Vec<Pod> {
        self.replicas.as_ref().map(Replicas::pods).unwrap_or_default()
    }

    async fn status(&self) -> Result<Option<FunctionStatus>, GatewayError> {
        self.entry.gateway.function(&self.name).await
    }

    /// Waits for enough new replicas and for one real answer of the function. Pods of an earlier
    /// life must be gone. Returns the time from `since` to that answer.
    async fn first_answer(&self, spec: &FunctionSpec, since: Instant) -> Result<Duration, PlatformError> {
        let wanted = spec.replicas.min;
        let not_ready = |cause: String| PlatformError::NotReady {
            platform: "openfaas",
            name: spec.name.clone(),
            waited_s: since.elapsed().as_secs_f64(),
            cause,
        };
        let mut is_scaled = false;
        loop {
            let pods = self.pods_now();
            let fresh = || pods.iter().filter(|pod| !pod.terminating && !self.before.contains(&pod.uid));
            let may_wait = since.elapsed() < NO_NODE_LIMIT;
            let cause = fresh().filter(|pod| !(may_wait && pod.unschedulable.is_some())).find_map(Pod::cause);
            if let Some(cause) = cause {
                return Err(not_ready(cause));
            }
            let status = self.status().await.map_err(|error| control(&error))?;
            let (replicas, available) =
                status.as_ref().map_or((0, 0), |status| (status.replicas, status.available_replicas));
            // An old replica answers until the new one is ready: it must not pass for it.
            let are_fresh = pods.iter().all(|pod| !self.before.contains(&pod.uid));
            let mut waits_for = format!("{available} of {wanted} replicas are available");
            if available >= wanted && are_fresh {
                match self.is_answered(spec).await {
                    Ok(true) => return Ok(since.elapsed()),
                    Ok(false) => {
                        "the gateway answers calls in the function's place".clone_into(&mut waits_for);
                    }
                    Err(cause) => return Err(not_ready(cause)),
                }
            } else if available >= wanted {
                "replicas of the function's last version are still there".clone_into(&mut waits_for);
            } else if status.is_some() && replicas < wanted && !is_scaled && since.elapsed() > LABEL_LIMIT {
                is_scaled = true;
                self.entry.gateway.scale(&spec.name, wanted).await.map_err(|error| control(&error))?;
            }
            if since.elapsed() > READY_LIMIT {
                let runs = fresh().any(|pod| pod.phase == "Running" && !pod.ready);
                let hint = format!("; it does not answer GET {} on port {}", plan::PROBE_PATH, plan::PORT);
                return Err(not_ready(waits_for + if runs { &hint } else { "" }));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether a call through the gateway is answered by the function itself.
    ///
    /// # Errors
    /// When something else answers with success.
    async fn is_answered(&self, spec: &FunctionSpec) -> Result<bool, String> {
        let Some(image) = &spec.image else { return Ok(false) };
        let Ok(answer) = self.entry.gateway.try_function(&spec.name, &image.health_path).await else {
            return Ok(false);
        };
        let is_success = (200..300).contains(&answer.status) && !answer.is_platforms;
        if is_success && image.is_ours && answer.boot_id.is_none() {
            return Err(format!("what answers {} has no X-Boot-Id: not our function", image.health_path));
        }
        Ok(is_success)
    }
}

/// None where the cluster does not allow it: the gateway alone is enough to go on.
fn allowed<T>(answer: Result<T, ApiError>) -> Result<Option<T>, PlatformError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ApiError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(PlatformError::Control { platform: "openfaas", cause: error.to_string() }),
    }
}

fn control(error: &GatewayError) -> PlatformError {
    PlatformError::Control { platform: "openfaas", cause: error.to_string() }
}
