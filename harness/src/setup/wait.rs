//! Waits for a condition of an object by watching it, and says which pod hangs on what when the
//! time is up.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{SetupError, Site, components::Wait, objects::Reference};
use crate::platforms::cluster::{
    api::Selection,
    follow::{Kept, keep},
    kinds::Served,
    pods::{self, Pod},
    starting::Starting,
};

/// How often one looks at the pods while nothing changes.
const LOOK: Duration = Duration::from_secs(10);

impl Wait {
    /// Which object.
    pub fn of(&self) -> Reference {
        Reference {
            // `plan` puts it in.
            api: self.api.clone().unwrap_or_default(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// What has to hold, in words.
    pub fn what(&self) -> String {
        self.condition.clone().unwrap_or_else(|| "all replicas ready".to_owned())
    }
}

/// Why the condition does not hold; none: it does. Pure.
pub fn unmet(object: &Value, wait: &Wait) -> Option<String> {
    let (meta, status) = (&object["metadata"], &object["status"]);
    let seen = status["observedGeneration"].as_i64();
    if seen.zip(meta["generation"].as_i64()).is_some_and(|(seen, now)| seen < now) {
        return Some("its controller has not seen the last change yet".to_owned());
    }
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let Some(condition) = &wait.condition else {
        let (ready, all) = if object["kind"] == "DaemonSet" {
            (count(&status["numberReady"]), count(&status["desiredNumberScheduled"]))
        } else {
            (count(&status["readyReplicas"]), wanted)
        };
        return (ready < all).then(|| format!("{ready} of {all} replicas are ready"));
    };
    let find = |name: &str| status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == name);
    let words = |found: &Value| {
        let words = [&found["reason"], &found["message"]].map(|word| word.as_str().unwrap_or_default());
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ")
    };
    match find(condition) {
        Some(found) if found["status"] == "True" => {
            // Replicas of before an update keep a Deployment available.
            let updated = count(&status["updatedReplicas"]);
            (object["kind"] == "Deployment" && updated < wanted)
                .then(|| format!("{updated} of {wanted} replicas are up to date"))
        }
        found => {
            // Says what the condition itself does not: a quota, a policy.
            let failure = find("ReplicaFailure").filter(|failure| failure["status"] == "True");
            Some(match failure.or(found) {
                Some(found) => {
                    let words = words(found);
                    let why = if words.is_empty() { String::new() } else { format!(" ({words})") };
                    format!("{condition} is not True{why}")
                }
                None => format!("it has no condition {condition} yet"),
            })
        }
    }
}

/// Waits until the condition holds.
///
/// # Errors
/// When the time is up, with what it hangs on.
pub async fn until(site: &Site, wait: &Wait) -> Result<(), SetupError> {
    let of = wait.of();
    let failed = || SetupError::api(format!("waiting for {of}"));
    let deadline = Instant::now() + Duration::from_secs(wait.seconds);
    let served = site.kinds.need(&of.api, &of.kind).await.map_err(failed())?;
    let namespace = served.within(of.namespace.as_deref());
    site.progress.now(&format!("waiting for {of}: {}", wait.what()));
    let mut kept = watched(site, &served, namespace, &of.name).await.map_err(failed())?;
    let mut told = String::new();
    loop {
        let object = kept.objects().values().next().cloned();
        let reason = match &object {
            None => "it is not there".to_owned(),
            Some(object) => match unmet(object, wait) {
                None => return Ok(()),
                Some(reason) => reason,
            },
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let cause = hanging(site, object.as_ref(), namespace).await.unwrap_or(reason);
            let what = format!("{of} is not as wanted ({})", wait.what());
            return Err(SetupError::Waiting { what, seconds: wait.seconds, cause });
        }
        tokio::select! {
            () = site.interrupt.raised() => return Err(SetupError::Interrupted),
            changed = tokio::time::timeout(left.min(LOOK), kept.changed()) => match changed {
                Ok(Some(_)) => {}
                // The watch ended for good.
                Ok(None) => kept = watched(site, &served, namespace, &of.name).await.map_err(failed())?,
                Err(_) => {
                    let cause = hanging(site, object.as_ref(), namespace).await.unwrap_or(reason);
                    if cause != told {
                        site.progress.now(&format!("waiting for {of}: {cause}"));
                        told = cause;
                    }
                }
            },
        }
    }
}

async fn watched(
    site: &Site,
    served: &Served,
    namespace: Option<&str>,
    name: &str,
) -> Result<Kept, crate::platforms::cluster::ApiError> {
    keep(&site.api, served.resource, namespace.map(str::to_owned), Selection::named(name)).await
}

/// Which of an object's pods hangs on what; none: no pod says. Objects that name no pods of their own
/// may hang on any of their namespace.
pub async fn hanging(site: &Site, object: Option<&Value>, namespace: Option<&str>) -> Option<String> {
    let namespace = namespace?;
    let labels = object.map(|object| &object["spec"]["selector"]["matchLabels"]);
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let selector: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    let pods = pods::list(&site.api, namespace, &selector.join(",")).await.ok()?;
    let done = |pod: &Pod| pod.ready || pod.terminating || pod.phase == "Succeeded";
    let waiting: Vec<Pod> = pods.into_iter().filter(|pod| !done(pod)).collect();
    for pod in &waiting {
        if let Some(cause) = pod.cause() {
            return Some(format!("pod {}: {cause}", pod.name));
        }
    }
    Starting::new(&site.api, namespace, "").last_known(&waiting).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wait(condition: Option<&str>) -> Wait {
        Wait {
            api: Some("apps/v1".into()),
            kind: "Deployment".into(),
            namespace: Some("n".into()),
            name: "x".into(),
            condition: condition.map(str::to_owned),
            ready: condition.is_none(),
            seconds: 1,
        }
    }

    fn deployment(status: &Value) -> Value {
        json!({ "kind": "Deployment", "metadata": { "generation": 2 }, "spec": { "replicas": 2 }, "status": status })
    }

    #[test]
    fn a_deployment_counts_once_its_new_replicas_are_there() {
        let available = json!([{ "type": "Available", "status": "True" }]);
        let of = |seen: u32, updated: u32| {
            let status =
                json!({ "observedGeneration": seen, "updatedReplicas": updated, "conditions": available });
            unmet(&deployment(&status), &wait(Some("Available")))
        };
        assert_eq!(of(2, 2), None);
        assert_eq!(of(1, 2).unwrap(), "its controller has not seen the last change yet");
        assert_eq!(of(2, 1).unwrap(), "1 of 2 replicas are up to date");
    }

    #[test]
    fn the_reason_is_that_of_the_replicas_where_there_is_one() {
        let mut conditions = vec![json!({ "type": "Available", "status": "False", "reason": "Minimum" })];
        let of = |conditions: &[Value]| {
            unmet(&deployment(&json!({ "conditions": conditions })), &wait(Some("Available"))).unwrap()
        };
        assert_eq!(of(&conditions), "Available is not True (Minimum)");
        conditions
            .push(json!({ "type": "ReplicaFailure", "status": "True", "message": "exceeded quota: q" }));
        assert_eq!(of(&conditions), "Available is not True (exceeded quota: q)");
        assert_eq!(of(&[]), "it has no condition Available yet");
    }

    #[test]
    fn kinds_without_conditions_are_ready_with_all_their_replicas() {
        let ready = |n: u32| unmet(&deployment(&json!({ "readyReplicas": n })), &wait(None));
        assert_eq!((ready(1).unwrap().as_str(), ready(2)), ("1 of 2 replicas are ready", None));
        let daemons =
            json!({ "kind": "DaemonSet", "status": { "numberReady": 2, "desiredNumberScheduled": 3 } });
        assert_eq!(unmet(&daemons, &wait(None)).unwrap(), "2 of 3 replicas are ready");
    }
}
