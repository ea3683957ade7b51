//! What pods say of themselves, and from it the cause when they do not start. Reading is pure.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    api::{Api, ApiError, Selection},
    follow::keep,
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
    /// Whether its process runs.
    pub running: bool,
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

    /// Why it does not become ready, in one line, as far as it can be told.
    pub fn cause(&self) -> Option<String> {
        self.failure().or_else(|| {
            self.unschedulable.as_ref().map(|message| format!("the pod finds no node ({message})"))
        })
    }

    /// The same, only where the pod itself cannot mend it: its image, its start, its end. A
    /// container that runs again after it ended is given another chance.
    pub fn failure(&self) -> Option<String> {
        self.containers.iter().find_map(Container::failure)
    }

    /// Restarts of all its containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|c| c.restarts).sum()
    }
}

impl Container {
    fn failure(&self) -> Option<String> {
        let (reason, message) = self.waiting.as_ref().map_or(("", ""), |(r, m)| (r.as_str(), m.as_str()));
        let said = |message: &str| if message.is_empty() { String::new() } else { format!(": {message}") };
        match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable" => {
                return Some(format!("the image cannot be pulled ({reason}{})", said(message)));
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                return Some(format!("the container cannot be started ({reason}{})", said(message)));
            }
            _ => {}
        }
        let (code, reason, message) = self.ended.as_ref()?;
        let again = self.restarts > 0 || self.waiting.is_some();
        if self.running || !again {
            return None;
        }
        let name = &self.name;
        Some(match reason.as_str() {
            "OOMKilled" => {
                format!("the container {name} is killed for want of memory (OOMKilled); raise memory-mib")
            }
            _ => format!("the container {name} ends again and again (exit code {code}{})", said(message)),
        })
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
        running: !status["state"]["running"].is_null(),
        restarts: status["restartCount"].as_u64().unwrap_or(0) as u32,
        waiting: (!waiting.is_null()).then(|| (text(&waiting["reason"]), text(&waiting["message"]))),
        ended: ended
            .into_iter()
            .find(|e| !e.is_null())
            .map(|e| (e["exitCode"].as_i64().unwrap_or(-1), text(&e["reason"]), last_line(&e["message"]))),
    }
}

/// The last words of a container that ended: its message is the end of its log where the pod's
/// `terminationMessagePolicy` is `FallbackToLogsOnError`.
fn last_line(message: &Value) -> String {
    let lines = message.as_str().unwrap_or_default().lines();
    lines.map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
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
/// If the pods cannot be listed.
pub async fn wait_until_gone(
    api: &Api,
    namespace: &str,
    labels: &str,
    limit: Duration,
) -> Result<Vec<String>, ApiError> {
    let deadline = Instant::now() + limit;
    let mut kept = keep(api, PODS, Some(namespace.to_owned()), Selection::labelled(labels)).await?;
    while !kept.objects().is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !matches!(tokio::time::timeout(left, kept.changed()).await, Ok(Some(_))) {
            break;
        }
    }
    Ok(kept.objects().values().map(|pod| Pod::read(pod).name).collect())
}
