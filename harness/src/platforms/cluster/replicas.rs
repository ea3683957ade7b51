//! The replicas of one deployed function, kept current by a watch, so that asking for them while a
//! cell runs costs the cluster nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::task::JoinHandle;

use super::{
    api::{Api, ApiError, Selection},
    follow::{Change, follow},
    pods::Pod,
    resources::PODS,
};
use crate::platforms::{PodsOf, ReplicaSample};

/// A watch on the pods of one function; ends when dropped.
#[derive(Debug)]
pub struct Replicas {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Pods that are there, by uid.
    pods: BTreeMap<String, Pod>,
    /// Labels of every pod that was ever seen, by name: answers are attributed after it is gone.
    labels: BTreeMap<String, BTreeMap<String, String>>,
    /// Restarts of containers in pods that are gone.
    restarts_of_gone: u32,
    /// Why nothing is heard, while nothing is heard.
    lost: Option<String>,
}

impl Replicas {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the pods cannot be listed.
    pub async fn watch(api: &Api, pods: &PodsOf) -> Result<Self, ApiError> {
        let selection = Selection::labelled(pods.selector.clone());
        let mut changes = follow(api, PODS, Some(pods.namespace.clone()), selection).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = seen.clone();
        let task = tokio::spawn(async move {
            while let Some(heard) = changes.next().await {
                if let Ok(mut seen) = kept.lock() {
                    seen.take(heard.change);
                }
            }
            if let Ok(mut seen) = kept.lock() {
                seen.lost.get_or_insert_with(|| "the watch on pods ended".to_owned());
            }
        });
        Ok(Self { seen, task })
    }

    /// The pods that are there now, terminating ones included.
    pub fn pods(&self) -> Vec<Pod> {
        self.seen.lock().map(|seen| seen.pods.values().cloned().collect()).unwrap_or_default()
    }

    /// A label of a pod of this name, also after it is gone.
    pub fn label_of(&self, pod: &str, label: &str) -> Option<String> {
        self.seen.lock().ok()?.labels.get(pod)?.get(label).cloned()
    }

    /// This label of every pod seen so far, by the pod's name.
    pub fn labels(&self, label: &str) -> BTreeMap<String, String> {
        let Ok(seen) = self.seen.lock() else { return BTreeMap::new() };
        let pods = seen.labels.iter();
        pods.filter_map(|(pod, labels)| Some((pod.clone(), labels.get(label)?.clone()))).collect()
    }

    /// Counts of now. Without a number from the platform itself, wanted are all pods that are not
    /// told to end.
    ///
    /// # Errors
    /// Why nothing is heard of the pods at the moment.
    pub fn sample(&self, desired: Option<u32>) -> Result<ReplicaSample, String> {
        let seen = self.seen.lock().map_err(|_| "a thread panicked".to_owned())?;
        match &seen.lost {
            Some(cause) => Err(cause.clone()),
            None => Ok(seen.sample(desired)),
        }
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn take(&mut self, change: Change) {
        match change {
            Change::Applied(object) => {
                self.lost = None;
                let pod = Pod::read(&object);
                self.labels.insert(pod.name.clone(), pod.labels.clone());
                self.pods.insert(pod.uid.clone(), pod);
            }
            Change::Deleted(object) => {
                self.lost = None;
                let pod = Pod::read(&object);
                self.pods.remove(&pod.uid);
                self.restarts_of_gone += pod.restarts();
            }
            Change::Lost(cause) => self.lost = Some(cause),
        }
    }

    fn sample(&self, desired: Option<u32>) -> ReplicaSample {
        let alive = || self.pods.values().filter(|pod| !pod.terminating);
        ReplicaSample {
            ready: alive().filter(|pod| pod.ready).count() as u32,
            desired: desired.unwrap_or_else(|| alive().count() as u32),
            cpu_seconds: None,
            memory_bytes: None,
            plane_cpu_seconds: None,
            restarts: self.restarts_of_gone + self.pods.values().map(Pod::restarts).sum::<u32>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, ready: bool, terminating: bool, restarts: u32) -> serde_json::Value {
        let mut pod = json!({
            "metadata": { "name": uid, "uid": uid },
            "status": {
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
                "containerStatuses": [{ "name": "user-container", "restartCount": restarts }],
            },
        });
        if terminating {
            pod["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z".into();
        }
        pod
    }

    #[test]
    fn terminating_pods_do_not_count_and_their_restarts_stay_counted() {
        let mut seen = Seen::default();
        seen.take(Change::Applied(pod("a", true, false, 0)));
        seen.take(Change::Applied(pod("b", false, false, 2)));
        seen.take(Change::Applied(pod("c", true, true, 0)));
        let sample = seen.sample(None);
        assert_eq!((sample.ready, sample.desired, sample.restarts), (1, 2, 2));
        seen.take(Change::Deleted(pod("b", false, true, 2)));
        let sample = seen.sample(Some(5));
        assert_eq!((sample.ready, sample.desired, sample.restarts), (1, 5, 2));
    }

    #[test]
    fn the_labels_of_a_pod_that_is_gone_are_remembered() {
        let mut seen = Seen::default();
        let mut labelled = pod("a", true, false, 0);
        labelled["metadata"]["labels"] = json!({ "serving.knative.dev/revision": "r1" });
        seen.take(Change::Applied(labelled.clone()));
        seen.take(Change::Deleted(labelled));
        assert!(seen.pods.is_empty());
        assert_eq!(seen.labels["a"]["serving.knative.dev/revision"], "r1");
    }
}
