//! May this account do what a run does? Asks the API server about each right of the table.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    doctor::{Patient, Said, fail, ok, warn},
    platforms::{
        PlatformKind,
        cluster::{
            ApiError,
            rights::{self, Right, Scope},
        },
    },
};

const REMEDY: &str =
    "kubectl apply -f cluster-setup/rbac/testbed.yaml, as somebody who may, and use its account";

/// Groups that only Knative has.
const KNATIVE: [&str; 2] = ["serving.knative.dev", "autoscaling.internal.knative.dev"];

/// What a run does without where it must: time lines, figures of use, last words, port-forwards,
/// load workers, and what lies in other people's namespaces.
const OPTIONAL: [&str; 9] = [
    "events",
    "jobs",
    "nodes",
    "nodes/proxy",
    "namespaces",
    "pods/log",
    "pods/portforward",
    "secrets",
    "podautoscalers",
];

/// What is used in the testbed's namespace on every platform.
const WHATEVER_IS_DEPLOYED: [&str; 4] = ["pods/log", "jobs", "secrets", "pods/portforward"];

pub(super) async fn rights(p: &Patient<'_>) -> Said {
    let asked: Vec<Right> = rights::rights().filter(|right| is_used(p, right)).collect();
    let answers = join_all(asked.iter().map(|right| allowed(p, right))).await;
    let (mut missing, mut less): (Vec<&Right>, Vec<&Right>) = (Vec::new(), Vec::new());
    for (right, answer) in asked.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) if is_optional(right) => less.push(right),
            Ok(false) => missing.push(right),
            Err(error) => return warn(format!("rights could not be asked for: {error}"), REMEDY),
        }
    }
    if !missing.is_empty() {
        return fail(format!("not allowed: {}", words(p, &missing)), REMEDY);
    }
    if !less.is_empty() {
        return warn(format!("not allowed, and done without: {}", words(p, &less)), REMEDY);
    }
    ok(format!("all {} that a run uses", asked.len()))
}

/// Whether the platforms that are asked for use it.
fn is_used(p: &Patient<'_>, right: &Right) -> bool {
    let asked = |kind: PlatformKind| p.wishes.platforms.contains(&kind);
    if KNATIVE.contains(&right.group) {
        return asked(PlatformKind::Knative);
    }
    if right.group == "eventing.knative.dev" {
        return p.wishes.events.is_some();
    }
    match right.scope {
        Scope::Cluster | Scope::Monitoring => true,
        Scope::KnativeServing => asked(PlatformKind::Knative),
        Scope::KnativeEventing => p.wishes.events.is_some(),
        Scope::Functions | Scope::Gateway => asked(PlatformKind::OpenFaas),
        Scope::Testbed if WHATEVER_IS_DEPLOYED.contains(&right.resource) => true,
        // The logger of events is a plain Deployment.
        Scope::Testbed => asked(PlatformKind::Deployment) || p.wishes.events.is_some(),
    }
}

fn is_optional(right: &Right) -> bool {
    OPTIONAL.contains(&right.resource)
        || right.group == "metrics.k8s.io"
        || matches!(right.scope, Scope::Functions | Scope::Monitoring | Scope::KnativeEventing)
}

/// The namespace that a scope stands for here; none: the whole cluster.
fn namespace<'a>(p: &'a Patient<'_>, scope: Scope) -> Option<&'a str> {
    match scope {
        Scope::Testbed => Some(p.cluster.namespace()),
        Scope::Functions => Some(p.cluster.functions_namespace()),
        Scope::Gateway => Some(p.cluster.gateway_namespace()),
        Scope::Cluster | Scope::KnativeServing | Scope::KnativeEventing | Scope::Monitoring => {
            scope.default_namespace()
        }
    }
}

/// What is missing, and what it is for; verbs on one kind of object together.
fn words(p: &Patient<'_>, rights: &[&Right]) -> String {
    let same = |a: &&Right, b: &&Right| {
        (a.group, a.resource, a.scope, a.why) == (b.group, b.resource, b.scope, b.why)
    };
    let groups = rights.chunk_by(same).filter_map(|group| {
        let right = group.first()?;
        let verbs: Vec<&str> = group.iter().map(|right| right.verb).collect();
        let dot = if right.group.is_empty() { "" } else { "." };
        let place = namespace(p, right.scope).map_or("everywhere".to_owned(), |name| format!("in {name}"));
        Some(format!("{} {}{dot}{} {place} ({})", verbs.join(", "), right.resource, right.group, right.why))
    });
    groups.collect::<Vec<_>>().join("; ")
}

async fn allowed(p: &Patient<'_>, right: &Right) -> Result<bool, ApiError> {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource,
            "name": right.name.unwrap_or_default(), "namespace": namespace(p, right.scope).unwrap_or_default(),
        }},
    });
    let answer =
        p.cluster.api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
    Ok(answer["status"]["allowed"] == true)
}
