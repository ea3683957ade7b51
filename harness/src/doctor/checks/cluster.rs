//! The cluster itself: API, rights, namespace, clock, usage figures, leftovers.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    collect::clock as clocks,
    doctor::{Patient, Said, fail, ok, skipped, warn},
    platforms::{
        PlatformKind,
        cluster::{
            ApiError,
            api::Selection,
            labels,
            resources::{DEPLOYMENTS, KNATIVE_SERVICES, NAMESPACES, NODES, Resource},
        },
    },
};

/// A difference of the clocks above this is said, ms.
const SKEW_MS: f64 = 1000.0;

/// A right that the testbed uses, and where.
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    place: Place,
    /// The platform that needs it; none: all of them.
    platform: Option<PlatformKind>,
    /// Whether a comparison works without.
    is_optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Cluster,
    Functions,
    Gateway,
    Serving,
}

const fn right(verb: &'static str, group: &'static str, resource: &'static str, place: Place) -> Right {
    Right { verb, group, resource, subresource: "", place, platform: None, is_optional: false }
}

impl Right {
    const fn of(self, platform: PlatformKind) -> Self {
        Self { platform: Some(platform), ..self }
    }

    const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    fn words(&self, namespace: Option<&str>) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let sub = if self.subresource.is_empty() { String::new() } else { format!("/{}", self.subresource) };
        let place = namespace.map(|n| format!(" in {n}")).unwrap_or_default();
        format!("{} {}{group}{sub}{place}", self.verb, self.resource)
    }
}

const KNATIVE: PlatformKind = PlatformKind::Knative;
const OPENFAAS: PlatformKind = PlatformKind::OpenFaas;
const DEPLOYMENT: PlatformKind = PlatformKind::Deployment;

/// Every right that a run uses.
const RIGHTS: [Right; 21] = [
    right("list", "", "pods", Place::Functions),
    right("watch", "", "pods", Place::Functions),
    right("list", "", "events", Place::Functions).optional(),
    right("watch", "", "events", Place::Functions).optional(),
    right("list", "", "nodes", Place::Cluster).optional(),
    right("get", "", "namespaces", Place::Cluster).optional(),
    right("create", "serving.knative.dev", "services", Place::Functions).of(KNATIVE),
    right("patch", "serving.knative.dev", "services", Place::Functions).of(KNATIVE),
    right("watch", "serving.knative.dev", "services", Place::Functions).of(KNATIVE),
    right("delete", "serving.knative.dev", "services", Place::Functions).of(KNATIVE),
    right("list", "serving.knative.dev", "revisions", Place::Functions).of(KNATIVE),
    right("watch", "autoscaling.internal.knative.dev", "podautoscalers", Place::Functions).of(KNATIVE),
    right("get", "", "configmaps", Place::Serving).of(KNATIVE),
    right("list", "apps", "deployments", Place::Serving).of(KNATIVE).optional(),
    right("get", "", "secrets", Place::Gateway).of(OPENFAAS).optional(),
    right("get", "", "services", Place::Gateway).of(OPENFAAS),
    right("get", "apps", "deployments", Place::Gateway).of(OPENFAAS).optional(),
    right("list", "apps", "deployments", Place::Functions).of(OPENFAAS),
    right("create", "apps", "deployments", Place::Functions).of(DEPLOYMENT),
    right("delete", "apps", "deployments", Place::Functions).of(DEPLOYMENT),
    right("create", "", "services", Place::Functions).of(DEPLOYMENT),
];

pub(super) async fn server(p: &Patient<'_>) -> Said {
    match p.cluster.api.get_path("/version").await {
        Ok(version) => ok(format!(
            "Kubernetes {}, context {} at {}",
            version["gitVersion"].as_str().unwrap_or("of unknown version"),
            p.cluster.context,
            p.cluster.server
        )),
        Err(error) => fail(error.to_string(), "choose a context that works with --context NAME"),
    }
}

pub(super) async fn rights(p: &Patient<'_>) -> Said {
    let mut asked: Vec<(&Right, Option<String>)> = Vec::new();
    for right in &RIGHTS {
        if right.platform.is_some_and(|platform| !p.wishes.platforms.contains(&platform)) {
            continue;
        }
        for namespace in places(p, right) {
            if !asked.iter().any(|(r, n)| r.words(n.as_deref()) == right.words(namespace.as_deref())) {
                asked.push((right, namespace));
            }
        }
    }
    let answers =
        join_all(asked.iter().map(|(right, namespace)| allowed(p, right, namespace.as_deref()))).await;
    let mut missing: Vec<String> = Vec::new();
    let mut less: Vec<String> = Vec::new();
    for ((right, namespace), answer) in asked.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) if right.is_optional => less.push(right.words(namespace.as_deref())),
            Ok(false) => missing.push(right.words(namespace.as_deref())),
            Err(error) => return warn(format!("rights could not be asked for: {error}"), REMEDY),
        }
    }
    if !missing.is_empty() {
        missing.extend(less);
        return fail(format!("not allowed: {}", missing.join("; ")), REMEDY);
    }
    if !less.is_empty() {
        return warn(format!("not allowed, and done without: {}", less.join("; ")), REMEDY);
    }
    ok(format!("all {} that a run uses", asked.len()))
}

const REMEDY: &str =
    "kubectl apply -f cluster-setup/rbac/testbed.yaml, as somebody who may, and use its account";

/// Namespaces in which a right is needed; none: over the cluster.
fn places(p: &Patient<'_>, right: &Right) -> Vec<Option<String>> {
    let own = |n: &str| Some(n.to_owned());
    match right.place {
        Place::Cluster => vec![None],
        Place::Gateway => vec![own(p.cluster.gateway_namespace())],
        Place::Serving => vec![own("knative-serving")],
        Place::Functions => match right.platform {
            Some(PlatformKind::OpenFaas) => vec![own(p.cluster.functions_namespace())],
            Some(_) => vec![own(p.cluster.namespace())],
            None => {
                let mut all = Vec::new();
                if p.wishes
                    .platforms
                    .iter()
                    .any(|k| matches!(k, PlatformKind::Knative | PlatformKind::Deployment))
                {
                    all.push(own(p.cluster.namespace()));
                }
                if p.wishes.platforms.contains(&PlatformKind::OpenFaas) {
                    all.push(own(p.cluster.functions_namespace()));
                }
                all
            }
        },
    }
}

async fn allowed(p: &Patient<'_>, right: &Right, namespace: Option<&str>) -> Result<bool, ApiError> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": right.verb, "group": right.group, "resource": right.resource,
            "subresource": right.subresource, "namespace": namespace.unwrap_or_default(),
        }},
    });
    let answer =
        p.cluster.api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
    Ok(answer["status"]["allowed"] == true)
}

pub(super) async fn namespace(p: &Patient<'_>) -> Said {
    let name = p.cluster.namespace();
    match p.cluster.api.get(&NAMESPACES, None, name).await {
        Ok(Some(found)) if !found["metadata"]["deletionTimestamp"].is_null() => warn(
            format!("{name} is being deleted"),
            "wait until it is gone, or choose another with --namespace",
        ),
        Ok(Some(_)) => ok(format!("{name} is there")),
        Ok(None) => ok(format!("{name} is not there yet; a run makes it, and `harness clean` removes it")),
        Err(error) => skipped(format!("{name}: {error}")),
    }
}

pub(super) async fn clock(p: &Patient<'_>) -> Said {
    match clocks::offset(&p.cluster.api, p.clock_pause).await {
        Ok(offset) if offset.least_ms() > SKEW_MS => warn(
            offset.words(),
            "set both by NTP (timedatectl set-ntp true); figures of a run are by this machine's clock alone, but its \
             time lines mix both",
        ),
        Ok(offset) => ok(offset.words()),
        Err(error) => skipped(error.to_string()),
    }
}

pub(super) async fn usage(p: &Patient<'_>) -> Said {
    let api = &p.cluster.api;
    if api.get_path("/apis/metrics.k8s.io/v1beta1").await.is_ok() {
        return ok("the metrics API is there");
    }
    let listed = api.list(&NODES, None, &Selection::default()).await;
    let nodes = listed.map(|listed| listed.items).unwrap_or_default();
    let Some(node) = nodes.first().and_then(|node| node["metadata"]["name"].as_str()) else {
        return warn("neither the metrics API nor a kubelet can be asked", METRICS);
    };
    match api.get_path(&format!("/api/v1/nodes/{node}/proxy/stats/summary")).await {
        Ok(_) => ok("no metrics API; the kubelets' own figures serve instead"),
        Err(error) => {
            warn(format!("no metrics API, and the kubelet of {node} does not tell: {error}"), METRICS)
        }
    }
}

const METRICS: &str = "install metrics-server, or grant get on nodes/proxy; without both, and without Prometheus, CPU \
                       and memory of replicas are not reported";

pub(super) async fn leftovers(p: &Patient<'_>) -> Said {
    let (own, functions) = (p.cluster.namespace(), p.cluster.functions_namespace());
    let places: [(&Resource, &str); 3] =
        [(&KNATIVE_SERVICES, own), (&DEPLOYMENTS, own), (&DEPLOYMENTS, functions)];
    let mut found = Vec::new();
    for (resource, namespace) in places {
        let selection = Selection::labelled(labels::any_run());
        // A kind that is not there has no leftovers; a missing right is told of above.
        let listed = p.cluster.api.list(resource, Some(namespace), &selection).await.unwrap_or_default();
        found.extend(listed.items.iter().map(|object| {
            let run = object["metadata"]["labels"][labels::RUN].as_str().unwrap_or("unknown");
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{namespace}/{name} of run {run}")
        }));
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return ok("nothing of earlier runs");
    }
    warn(format!("left by earlier runs: {}", found.join(", ")), "harness clean --all (first with --dry-run)")
}
