//! Why a function does not start: watches its pods, gives passing troubles a little time, and asks
//! events and logs for what the pods do not say themselves.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    api::{Api, Selection},
    pods::Pod,
    resources::{EVENTS, PODS},
};

/// How long a failure must last: a registry may stumble once.
/// Tests play a cluster without its pauses.
const SETTLE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 3000 });
/// How long a pod may find no node although none is being vacated.
const NO_NODE: Duration = Duration::from_secs(10);
/// How long a running container may fail its probe before the probe's answers are read.
const NOT_READY: Duration = Duration::from_secs(8);
/// Pause between two questions about the same trouble.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// What is known of a start that is going on. [`Starting::cause`] is called on every change and
/// now and then without one.
#[derive(Debug)]
pub struct Starting {
    api: Api,
    namespace: String,
    /// Container that holds the function.
    container: &'static str,
    /// Since when each pod has had its trouble, by uid.
    since: BTreeMap<String, (Trouble, Instant)>,
    asked: Option<Instant>,
    /// Answers of the probe that a wait cannot mend, in a row.
    hopeless_probes: u32,
}

/// A pod's trouble, without the words that change while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Failure,
    NoNode,
    NotReady,
}

fn trouble(pod: &Pod, container: &str) -> Option<Trouble> {
    if pod.ready || pod.terminating {
        None
    } else if pod.failure().is_some() {
        Some(Trouble::Failure)
    } else if pod.unschedulable.is_some() {
        Some(Trouble::NoNode)
    } else {
        let runs = pod.containers.iter().any(|c| c.name == container && c.running);
        runs.then_some(Trouble::NotReady)
    }
}

impl Starting {
    /// Nothing is known yet.
    pub fn new(api: &Api, namespace: &str, container: &'static str) -> Self {
        Self {
            api: api.clone(),
            namespace: namespace.to_owned(),
            container,
            since: BTreeMap::new(),
            asked: None,
            hopeless_probes: 0,
        }
    }

    /// Why these pods will not become ready, once that is sure.
    pub async fn cause(&mut self, pods: &[Pod]) -> Option<String> {
        let now = Instant::now();
        self.since.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
        for pod in pods {
            let Some(found) = trouble(pod, self.container) else {
                self.since.remove(&pod.uid);
                continue;
            };
            let (known, since) = self.since.entry(pod.uid.clone()).or_insert((found, now));
            if *known != found {
                (*known, *since) = (found, now);
            }
            let lasted = now.duration_since(*since);
            let cause = match found {
                Trouble::Failure if lasted >= SETTLE => self.failure(pod).await,
                Trouble::NoNode if lasted >= NO_NODE => self.no_node(pod).await,
                Trouble::NotReady if lasted >= NOT_READY => self.hopeless_probe(pod).await,
                _ => None,
            };
            if cause.is_some() {
                return cause;
            }
        }
        None
    }

    /// What is known when the time is up.
    pub async fn last_known(&self, pods: &[Pod]) -> Option<String> {
        let waiting: Vec<&Pod> = pods.iter().filter(|pod| !pod.ready && !pod.terminating).collect();
        for pod in &waiting {
            if let Some(cause) = pod.cause() {
                return Some(cause);
            }
        }
        let pod = waiting.first()?;
        match self.probe_words(pod).await {
            Some(words) => Some(format!("the probe of {} does not pass ({words})", pod.name)),
            None => Some(format!("the pod {} is {} and not ready", pod.name, pod.phase)),
        }
    }

    /// The failure in words, with the container's last ones where the pod's status has none.
    async fn failure(&self, pod: &Pod) -> Option<String> {
        let cause = pod.failure()?;
        let speechless = pod.containers.iter().find(|c| {
            c.waiting.as_ref().is_none_or(|(reason, _)| reason == "CrashLoopBackOff")
                && c.ended.as_ref().is_some_and(|(_, reason, said)| said.is_empty() && reason != "OOMKilled")
        });
        let Some(container) = speechless else { return Some(cause) };
        match self.log(pod, &container.name, "previous=true&").await {
            Some(line) => Some(format!("{cause}, last line of its log: {line}")),
            None => Some(format!("{cause}, its log is empty")),
        }
    }

    /// A pod without a node is waited for as long as others are being deleted: they hold their
    /// CPU requests until they are gone.
    async fn no_node(&mut self, pod: &Pod) -> Option<String> {
        if !self.may_ask() {
            return None;
        }
        let all = Selection::default();
        let listed = match self.api.list(&PODS, None, &all).await {
            Ok(listed) => Ok(listed),
            // Without the right to see every namespace, this one has to do.
            Err(_) => self.api.list(&PODS, Some(&self.namespace), &all).await,
        };
        let leaving = |object: &&Value| !object["metadata"]["deletionTimestamp"].is_null();
        if listed.is_ok_and(|listed| listed.items.iter().any(|object| leaving(&object))) {
            self.since.remove(&pod.uid);
            return None;
        }
        pod.cause()
    }

    /// A probe that is answered with a client error will never pass; one that meets a closed port
    /// or 503 may.
    async fn hopeless_probe(&mut self, pod: &Pod) -> Option<String> {
        if !self.may_ask() {
            return None;
        }
        let words = self.probe_words(pod).await?;
        if !is_client_error(&words) {
            self.hopeless_probes = 0;
            return None;
        }
        self.hopeless_probes += 1;
        (self.hopeless_probes >= 2)
            .then(|| format!("the probe does not pass ({words}); check the health path"))
    }

    fn may_ask(&mut self) -> bool {
        let now = Instant::now();
        let may = self.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN);
        if may {
            self.asked = Some(now);
        }
        may
    }

    /// What is said about the pod's probe: by Knative's queue-proxy, which does the probing, in its
    /// log; else by the kubelet in an event.
    async fn probe_words(&self, pod: &Pod) -> Option<String> {
        if pod.containers.iter().any(|c| c.name == "queue-proxy")
            && let Some(line) = self.log(pod, "queue-proxy", "").await
            && line.contains("probe")
        {
            return Some(line);
        }
        let of_pod = Selection { labels: String::new(), fields: format!("involvedObject.name={}", pod.name) };
        let events = self.api.list(&EVENTS, Some(&self.namespace), &of_pod).await.ok()?;
        let said = events.items.iter().filter(|event| event["reason"] == "Unhealthy");
        said.filter_map(|event| event["message"].as_str()).next_back().map(str::to_owned)
    }

    /// The last line of a container's log. Structured lines are reduced to their message.
    async fn log(&self, pod: &Pod, container: &str, more: &str) -> Option<String> {
        self.api.note("get", "", "pods/log");
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/log?{more}container={container}&tailLines=5",
            self.namespace, pod.name
        );
        let text = self.api.get_text(&path).await.ok()?;
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        let message = serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|json| json["message"].as_str().or(json["msg"].as_str()).map(str::to_owned));
        Some(message.unwrap_or_else(|| line.to_owned()))
    }
}

/// Whether words about a probe name a status from 400 to 499.
fn is_client_error(words: &str) -> bool {
    let lower = words.to_lowercase();
    ["statuscode: 4", "status code: 4", "status code 4"].iter().any(|text| {
        lower.split(text).nth(1).is_some_and(|rest| rest.chars().take(2).all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::{Exchange, Replay};

    fn pod(name: &str, status: &Value) -> Pod {
        Pod::read(&json!({ "metadata": { "name": name, "uid": name }, "status": status }))
    }

    fn no_node(name: &str) -> Pod {
        let message = "0/1 nodes are available: 1 Insufficient cpu.";
        pod(
            name,
            &json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": message }] }),
        )
    }

    fn running(name: &str, container: &str) -> Pod {
        let status = json!({ "name": container, "state": { "running": {} }, "ready": false });
        pod(name, &json!({ "phase": "Running", "containerStatuses": [status] }))
    }

    fn starting(server: &Replay) -> Starting {
        Starting::new(&server.api(), "bench", "user-container")
    }

    /// As if the trouble had begun this much earlier.
    fn backdate(starting: &mut Starting, by: Duration) {
        for (_, since) in starting.since.values_mut() {
            *since -= by;
        }
        starting.asked = None;
    }

    fn pods(items: &Value) -> Exchange {
        Exchange::new("GET", "/api/v1/pods", 200, json!({ "metadata": {}, "items": items }))
    }

    #[tokio::test]
    async fn for_want_of_cpu_it_waits_while_other_pods_are_leaving_and_gives_up_when_none_is() {
        let leaving = json!([{ "metadata": { "name": "old", "deletionTimestamp": "2026-11-21T00:00:00Z" } }]);
        let server = Replay::start([pods(&leaving), pods(&json!([]))]).await;
        let mut starting = starting(&server);
        let pod = [no_node("new")];
        assert_eq!(starting.cause(&pod).await, None, "just seen");
        backdate(&mut starting, NO_NODE);
        assert_eq!(starting.cause(&pod).await, None, "another one is leaving");
        assert_eq!(starting.cause(&pod).await, None, "the time begins anew");
        backdate(&mut starting, NO_NODE);
        let cause = starting.cause(&pod).await.unwrap();
        assert_eq!(cause, "the pod finds no node (0/1 nodes are available: 1 Insufficient cpu.)");
    }

    #[tokio::test]
    async fn a_failure_must_last_and_a_container_without_last_words_has_its_log_read() {
        let log =
            Exchange::new("GET", "/api/v1/namespaces/bench/pods/p/log", 200, json!("starting\nno model\n"))
                .asked_with("previous=true");
        let server = Replay::start([log]).await;
        let mut starting = starting(&server);
        let crashed = pod(
            "p",
            &json!({ "containerStatuses": [{
            "name": "user-container", "restartCount": 2,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } },
            "lastState": { "terminated": { "exitCode": 3, "reason": "Error" } } }] }),
        );
        assert_eq!(starting.cause(std::slice::from_ref(&crashed)).await, None);
        backdate(&mut starting, SETTLE);
        assert_eq!(
            starting.cause(&[crashed]).await.unwrap(),
            "the container user-container ends again and again (exit code 3), last line of its log: no model"
        );
    }

    #[tokio::test]
    async fn a_probe_that_is_answered_404_is_hopeless_and_one_that_meets_503_is_not() {
        let path = "/api/v1/namespaces/bench/events";
        let event = |code: u16| {
            let message = format!("Readiness probe failed: HTTP probe failed with statuscode: {code}");
            let items = json!([{ "reason": "Unhealthy", "message": message }]);
            Exchange::new("GET", path, 200, json!({ "metadata": {}, "items": items }))
        };
        let server = Replay::start([event(503), event(404), event(404)]).await;
        let mut starting = starting(&server);
        let pod = [running("p", "user-container")];
        assert_eq!(starting.cause(&pod).await, None, "just seen");
        let mut causes = Vec::new();
        for _ in 0..3 {
            backdate(&mut starting, NOT_READY);
            causes.push(starting.cause(&pod).await);
        }
        assert_eq!(causes[..2], [None, None]);
        assert!(causes[2].as_ref().unwrap().contains("statuscode: 404"), "{causes:?}");
    }

    #[test]
    fn only_statuses_of_400_to_499_are_client_errors() {
        assert!(is_client_error("HTTP probe failed with statuscode: 404"));
        assert!(is_client_error("HTTP probe did not respond Ready, got status code: 415"));
        assert!(!is_client_error("HTTP probe failed with statuscode: 503"));
        assert!(!is_client_error("dial tcp 127.0.0.1:8080: connect: connection refused"));
    }
}
