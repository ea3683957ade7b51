//! Removes what an inventory found, waits until its pods are gone, and says what is left. Safe to
//! repeat: what is gone already counts as gone.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::inventory::{Kind, Thing, is_owned};
use crate::platforms::{
    cluster::{
        Cluster,
        api::{ApiError, Patience, Selection},
        pods,
        resources::{DEPLOYMENTS, JOBS, KNATIVE_SERVICES, NAMESPACES, PODS, SERVICES},
    },
    openfaas::login::{self, Purpose},
};

/// How long the gateway may take to answer, before it is done without.
const GATEWAY_LIMIT: Duration = Duration::from_secs(10);

/// How a removal ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What is gone.
    pub gone: Vec<String>,
    /// What is still there, and why.
    pub left: Vec<String>,
}

/// Removes things: functions first, then, once their pods are gone, the namespaces that hold
/// nothing else. What fails is in the outcome, and the rest goes on. `limit` bounds all waiting.
pub async fn remove(cluster: &Cluster, things: &[Thing], limit: Duration, say: &dyn Fn(&str)) -> Outcome {
    let started = Instant::now();
    let mut outcome = Outcome::default();
    let mut deleted = Vec::new();
    let (spaces, others): (Vec<_>, Vec<_>) = things.iter().partition(|thing| thing.kind == Kind::Namespace);
    for thing in others {
        match delete(cluster, thing).await {
            Ok(()) => deleted.push(thing),
            Err(error) => outcome.left.push(format!("{}: {error}", thing.describe())),
        }
    }
    for thing in deleted {
        let remaining = limit.saturating_sub(started.elapsed());
        match wait_for_pods(cluster, thing, remaining, say).await {
            Ok(()) => outcome.gone.push(thing.describe()),
            Err(cause) => outcome.left.push(format!("{}: {cause}", thing.describe())),
        }
    }
    for thing in spaces {
        let remaining = limit.saturating_sub(started.elapsed());
        match remove_namespace(cluster, thing, remaining, say).await {
            Ok(()) => outcome.gone.push(thing.describe()),
            Err(cause) => outcome.left.push(format!("{}: {cause}", thing.describe())),
        }
    }
    outcome
}

async fn delete(cluster: &Cluster, thing: &Thing) -> Result<(), ApiError> {
    let api = &cluster.api;
    let (namespace, name) = (thing.namespace.as_deref(), thing.name.as_str());
    match thing.kind {
        Kind::LoadWorkers => api.delete(&JOBS, namespace, name).await?,
        Kind::KnativeService => api.delete(&KNATIVE_SERVICES, namespace, name).await?,
        Kind::Deployment => api.delete(&DEPLOYMENTS, namespace, name).await?,
        Kind::Service => api.delete(&SERVICES, namespace, name).await?,
        Kind::Namespace => api.delete(&NAMESPACES, None, name).await?,
        Kind::OpenfaasFunction if by_gateway(cluster, thing).await => true,
        // What the gateway's DELETE does (faas-netes, `handlers/delete.go`); it also works where
        // neither the gateway nor its password is at hand.
        Kind::OpenfaasFunction => {
            api.delete(&DEPLOYMENTS, namespace, name).await?;
            api.delete(&SERVICES, namespace, name).await?
        }
    };
    Ok(())
}

/// Asks the gateway once. False: it is not there, or does not do it.
async fn by_gateway(cluster: &Cluster, thing: &Thing) -> bool {
    let Ok(entry) = login::enter(cluster, Purpose::Control).await else { return false };
    let gateway = entry.gateway.with_patience(Patience::ONCE.within(GATEWAY_LIMIT));
    gateway.delete(&thing.name, cluster.functions_namespace()).await.is_ok()
}

async fn wait_for_pods(
    cluster: &Cluster,
    thing: &Thing,
    limit: Duration,
    say: &dyn Fn(&str),
) -> Result<(), String> {
    let (Some(namespace), Some(selector)) = (&thing.namespace, &thing.pods) else { return Ok(()) };
    say(&format!("waiting for the pods of {namespace}/{}", thing.name));
    let left = pods::wait_until_gone(&cluster.api, namespace, selector, limit)
        .await
        .map_err(|error| format!("it is deleted, but its pods cannot be watched: {error}"))?;
    if left.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it is deleted, but its pods are still there ({}); they end with their grace period: call `harness clean` again",
        left.join(", ")
    ))
}

async fn remove_namespace(
    cluster: &Cluster,
    thing: &Thing,
    limit: Duration,
    say: &dyn Fn(&str),
) -> Result<(), String> {
    let holds = contents(cluster, &thing.name).await.map_err(|error| error.to_string())?;
    if !holds.is_empty() {
        return Err(format!(
            "kept, because it holds {}; remove that, or delete the namespace yourself",
            holds.join(", ")
        ));
    }
    delete(cluster, thing).await.map_err(|error| error.to_string())?;
    say(&format!("waiting for namespace {}", thing.name));
    let started = Instant::now();
    let mut pause = Duration::from_millis(200);
    while cluster.api.get(&NAMESPACES, None, &thing.name).await.map_err(|error| error.to_string())?.is_some()
    {
        if started.elapsed() >= limit {
            return Err("it is being deleted, but is still there; call `harness clean` again".to_owned());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    Ok(())
}

/// What a namespace holds, a few names: other people's things must not go with it.
async fn contents(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    for resource in [&KNATIVE_SERVICES, &DEPLOYMENTS, &SERVICES, &JOBS, &PODS] {
        let listed = match cluster.api.list(resource, Some(namespace), &Selection::default()).await {
            Err(error) if error.code() == Some(404) => continue,
            listed => listed?,
        };
        // Whatever is going away already is not in the way, nor is what goes with its owner. Pods
        // count always: their owners may be of kinds that are not asked for.
        let staying = listed.items.iter().filter(|item| {
            item["metadata"]["deletionTimestamp"].is_null() && (resource == &PODS || !is_owned(item))
        });
        found.extend(staying.take(3).map(|item| {
            format!("{} {}", resource.kind, item["metadata"]["name"].as_str().unwrap_or_default())
        }));
    }
    Ok(found)
}
