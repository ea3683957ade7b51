//! What pods say of themselves, and from it the cause when they do not start. Reading is pure.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    api::{Api, ApiError, Selection},
    resources::PODS,
};

/// A pod as far as the testbed cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name; what a function names as its instance.
    pub name: String,
    /// Tells lives of one name apart.
    pub uid: String,
    /// Where it runs, once scheduled.
    pub node: Option<String>,
    /// `Pending`, `Running`, ...
    pub phase: String,
    /// Whether its Ready condition is true.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Names and values.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Message of a false `PodScheduled` condition.
    pub unschedulable: Option<String>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Image as the runtime resolved it, with its digest.
    pub image_id: String,
    /// Whether its probe passes.
    pub ready: bool,
    /// How often it was started anew.
    pub restarts: u32,
    /// Why it waits, and what is said about it.
    pub waiting: Option<(String, String)>,
    /// How it ended last: exit code, reason, message.
    pub ended: Option<(i64, String, String)>,
}

impl Pod {
    /// Reads a pod.
    pub fn read(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (meta, status) = (&object["metadata"], &object["status"]);
        let condition = |name: &str| {
            status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == name).cloned()
        };
        let labels = meta["labels"].as_object().into_iter().flatten();
        Self {
            name: text(&meta["name"]),
            uid: text(&meta["uid"]),
            node: object["spec"]["nodeName"].as_str().map(str::to_owned),
            phase: text(&status["phase"]),
            ready: condition("Ready").is_some_and(|c| c["status"] == "True"),
            terminating: !meta["deletionTimestamp"].is_null(),
            labels: labels.map(|(key, value)| (key.clone(), text(value))).collect(),
            containers: status["containerStatuses"].as_array().into_iter().flatten().map(container).collect(),
            unschedulable: condition("PodScheduled")
                .filter(|c| c["status"] == "False")
                .map(|c| text(&c["message"])),
        }
    }

    /// Why it does not become ready, in one line, if that can be told for sure.
    pub fn cause(&self) -> Option<String> {
        for container in &self.containers {
            if let Some((reason, message)) = &container.waiting {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                match reason.as_str() {
                    "ErrImagePull"
                    | "ImagePullBackOff"
                    | "InvalidImageName"
                    | "ErrImageNeverPull"
                    | "RegistryUnavailable" => {
                        return Some(format!("the image cannot be pulled ({reason}{said})"));
                    }
                    "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                        return Some(format!("the container cannot be started ({reason}{said})"));
                    }
                    "CrashLoopBackOff" => {}
                    _ => continue,
                }
            }
            if let Some((code, reason, message)) = &container.ended
                && (container.restarts > 0 || container.waiting.is_some())
            {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                return Some(match reason.as_str() {
                    "OOMKilled" => format!(
                        "the container {} is killed for want of memory (OOMKilled); raise memory-mib",
                        container.name
                    ),
                    _ => format!(
                        "the container {} ends again and again (exit code {code}, {reason}{said})",
                        container.name
                    ),
                });
            }
        }
        self.unschedulable.as_ref().map(|message| format!("the pod finds no node ({message})"))
    }

    /// Restarts of all its containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|c| c.restarts).sum()
    }
}

fn container(status: &Value) -> Container {
    let text =
        |value: &Value| value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let waiting = &status["state"]["waiting"];
    // A container that has just ended is not in `lastState` yet.
    let ended = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
    Container {
        name: text(&status["name"]),
        image_id: text(&status["imageID"]),
        ready: status["ready"] == true,
        restarts: status["restartCount"].as_u64().unwrap_or(0) as u32,
        waiting: (!waiting.is_null()).then(|| (text(&waiting["reason"]), text(&waiting["message"]))),
        ended: ended
            .into_iter()
            .find(|e| !e.is_null())
            .map(|e| (e["exitCode"].as_i64().unwrap_or(-1), text(&e["reason"]), text(&e["message"]))),
    }
}

/// The pods that a selector matches, terminating ones included.
///
/// # Errors
/// Whatever the server answers.
pub async fn list(api: &Api, namespace: &str, labels: &str) -> Result<Vec<Pod>, ApiError> {
    let listed = api.list(&PODS, Some(namespace), &Selection::labelled(labels)).await?;
    Ok(listed.items.iter().map(Pod::read).collect())
}

/// Waits until no pod matches: terminating pods hold their CPU requests until they are gone.
/// Returns the names of those that are still there when the time is up.
///
/// # Errors
/// Whatever the server answers.
pub async fn wait_until_gone(
    api: &Api,
    namespace: &str,
    labels: &str,
    limit: Duration,
) -> Result<Vec<String>, ApiError> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(200);
    loop {
        let left = list(api, namespace, labels).await?;
        if left.is_empty() || started.elapsed() >= limit {
            return Ok(left.into_iter().map(|pod| pod.name).collect());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
