//! Waiting until a Knative Service serves what was last applied, or until it is clear that it
//! never will.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::manifest::{CONTAINER, REVISION_LABEL, SERVICE_LABEL};
use crate::platforms::cluster::{
    Api, ApiError,
    api::Selection,
    follow::{Kept, keep},
    pods::Pod,
    resources::{KNATIVE_SERVICES, PODS},
    starting::Starting,
};

/// How long a condition may be false while its pods say nothing of the kind.
/// Tests play a cluster without its pauses.
const SETTLE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 10_000 });
/// How often is looked without a change.
const LOOK: Duration = Duration::from_secs(1);

/// What a Service says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It works towards what was applied; the last word about it.
    Starting(String),
    /// It serves it.
    Ready(Serving),
    /// It says that it cannot.
    Failed(String),
}

/// A Service that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Its address, as Knative gives it.
    pub url: String,
    /// Its newest revision.
    pub revision: String,
}

/// Why a wait ended without a serving Service.
#[derive(Debug)]
pub enum NotServing {
    /// It will not serve, or did not in time.
    Cause(String),
    /// The API server cannot be asked.
    Api(ApiError),
}

/// Reads a Service of which this generation was applied. Right after an update it still says
/// Ready for the old one: all three conditions count only at the observed generation, and only
/// with the newest revision the ready one.
pub fn state(service: &Value, generation: i64) -> State {
    let status = &service["status"];
    let of_now = service["metadata"]["generation"].as_i64().unwrap_or(0);
    if of_now < generation || status["observedGeneration"].as_i64() != Some(of_now) {
        return State::Starting("not seen by Knative's controller yet".to_owned());
    }
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let is = |condition: &Value, value: &str| condition["status"] == value;
    if let Some(failed) = conditions().find(|c| c["type"] != "Ready" && is(c, "False")) {
        return State::Failed(words(failed));
    }
    let needed = ["Ready", "ConfigurationsReady", "RoutesReady"];
    if let Some(missing) =
        needed.iter().find(|name| !conditions().any(|c| c["type"] == **name && is(c, "True")))
    {
        let said = conditions().find(|c| c["type"] == **missing).map(words).unwrap_or_default();
        return State::Starting(format!(
            "{missing} is not true yet{}{said}",
            if said.is_empty() { "" } else { ": " }
        ));
    }
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let (ready, created) = (text("latestReadyRevisionName"), text("latestCreatedRevisionName"));
    let url = text("url");
    if ready != created || url.is_empty() {
        return State::Starting(format!("revision {created} is not the ready one yet"));
    }
    State::Ready(Serving { url, revision: ready })
}

/// A condition's words, in one line and without what Knative wraps around them.
fn words(condition: &Value) -> String {
    let message = condition["message"].as_str().unwrap_or_default();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let inner = message.split_once("failed with message: ").map_or(message.as_str(), |(_, rest)| rest);
    let inner = inner.trim_end_matches('.').trim_end();
    if inner.is_empty() {
        condition["reason"].as_str().unwrap_or_default().to_owned()
    } else {
        inner.to_owned()
    }
}

/// A wait for one Service.
#[derive(Debug)]
pub struct Wait<'a> {
    /// The API server.
    pub api: &'a Api,
    /// Namespace.
    pub namespace: &'a str,
    /// Name of the Service.
    pub name: &'a str,
    /// Generation that was applied.
    pub generation: i64,
    /// Revisions whose pods must be ready.
    pub revisions: &'a [String],
    /// How many of each; where no revision is named, of the newest one.
    pub pods: u32,
    /// When it is given up.
    pub deadline: Instant,
}

impl Wait<'_> {
    /// Waits, watching Service and pods.
    ///
    /// # Errors
    /// The cause in one line, as soon as it is sure.
    pub async fn run(&self) -> Result<Serving, NotServing> {
        let namespace = || Some(self.namespace.to_owned());
        let of_service = Selection::labelled(format!("{SERVICE_LABEL}={}", self.name));
        let mut service = keep(self.api, KNATIVE_SERVICES, namespace(), Selection::named(self.name))
            .await
            .map_err(NotServing::Api)?;
        let mut pods = keep(self.api, PODS, namespace(), of_service).await.map_err(NotServing::Api)?;
        let mut starting = Starting::new(self.api, self.namespace, CONTAINER);
        let mut failed_since = None;
        let mut was_there = false;
        loop {
            let now = read(&pods);
            was_there |= !service.objects().is_empty();
            let said = match service.objects().values().next() {
                Some(object) => state(object, self.generation),
                None if was_there => {
                    return Err(NotServing::Cause("somebody deleted the Service meanwhile".to_owned()));
                }
                None => State::Starting("the Service is not there yet".to_owned()),
            };
            match &said {
                State::Ready(serving) if self.enough(&now, serving) => return Ok(serving.clone()),
                // A pod without a node makes the condition false, also for a while after it has
                // got one; whether it gets one is judged by the pods.
                State::Failed(cause) if cause.contains("nodes are available") && !now.is_empty() => {}
                State::Failed(cause) => {
                    let since = *failed_since.get_or_insert_with(Instant::now);
                    let failing = now.iter().any(|pod| pod.failure().is_some());
                    if now.is_empty() || (!failing && since.elapsed() >= SETTLE) {
                        return Err(NotServing::Cause(cause.clone()));
                    }
                }
                _ => failed_since = None,
            }
            if let Some(cause) = starting.cause(&now).await {
                return Err(NotServing::Cause(cause));
            }
            let goes_on = tokio::select! {
                change = service.changed() => change.is_some(),
                change = pods.changed() => change.is_some(),
                () = tokio::time::sleep(LOOK) => true,
                () = tokio::time::sleep_until(self.deadline) => {
                    return Err(NotServing::Cause(self.late(&starting, &now, said).await));
                }
            };
            if !goes_on {
                let lost = [service.lost(), pods.lost()].join("; ");
                return Err(NotServing::Cause(format!("the Service cannot be watched any longer: {lost}")));
            }
        }
    }

    fn enough(&self, pods: &[Pod], serving: &Serving) -> bool {
        let newest = std::slice::from_ref(&serving.revision);
        let wanted = if self.revisions.is_empty() { newest } else { self.revisions };
        wanted.iter().all(|revision| {
            let ready = pods.iter().filter(|pod| {
                pod.ready && !pod.terminating && pod.labels.get(REVISION_LABEL) == Some(revision)
            });
            ready.count() >= self.pods as usize
        })
    }

    async fn late(&self, starting: &Starting, pods: &[Pod], said: State) -> String {
        match (starting.last_known(pods).await, said) {
            (Some(cause), _) => cause,
            (None, State::Starting(said) | State::Failed(said)) => said,
            (None, State::Ready(_)) => format!("fewer than {} pods of a revision are ready", self.pods),
        }
    }
}

fn read(pods: &Kept) -> Vec<Pod> {
    pods.objects().values().map(Pod::read).collect()
}
