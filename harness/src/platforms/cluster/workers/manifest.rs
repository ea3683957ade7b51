//! Workers as an Indexed Job, and the Secret with their token. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::WorkerPodsChoice;
use crate::{
    platforms::cluster::{effective::cpu_quantity, labels},
    secret::Secret,
};

/// Container that holds a worker.
pub const CONTAINER: &str = "worker";
/// Port that a worker listens on, on the loopback of its pod: only a port-forward reaches it.
pub const PORT: u16 = 7077;
/// Environment variable with the token.
pub const TOKEN_VARIABLE: &str = "HARNESS_WORKER_TOKEN";
/// Label of what belongs to the workers, with the Job's name.
pub const WORKERS_LABEL: &str = "testbed/workers";
/// Annotation that the Job controller gives each pod.
pub const INDEX_ANNOTATION: &str = "batch.kubernetes.io/job-completion-index";

/// Key of the token in the Secret.
const TOKEN_KEY: &str = "token";
/// From SIGTERM to SIGKILL, seconds; a worker ends at once.
const GRACE_S: u64 = 5;
/// After a crash of the harness workers end by themselves; the Job goes so much later, seconds.
const KEPT_AFTER_END_S: u64 = 600;
/// No Job lives longer, seconds.
const LONGEST_S: u64 = 24 * 3600;
/// Restarts of containers that the Job bears, for each worker.
const RESTARTS: u32 = 3;

/// Selects the pods of a Job.
pub fn selector(job: &str) -> String {
    format!("{WORKERS_LABEL}={job}")
}

/// The Job. It is made suspended, so that its Secret can be made its property before a pod needs it.
pub fn job(
    name: &str,
    namespace: &str,
    of_run: &BTreeMap<String, String>,
    choice: &WorkerPodsChoice,
) -> Value {
    let mut all_labels = of_run.clone();
    all_labels.insert(WORKERS_LABEL.to_owned(), name.to_owned());
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": namespace, "labels": all_labels },
        "spec": {
            "suspend": true,
            "completionMode": "Indexed",
            "completions": choice.count,
            "parallelism": choice.count,
            "backoffLimit": RESTARTS * choice.count,
            "activeDeadlineSeconds": LONGEST_S,
            "ttlSecondsAfterFinished": KEPT_AFTER_END_S,
            "template": { "metadata": { "labels": all_labels }, "spec": pod(name, choice) },
        },
    })
}

fn pod(name: &str, choice: &WorkerPodsChoice) -> Value {
    let memory = format!("{}Mi", choice.memory_mib);
    let mut pod = json!({
        // A worker whose container ends is started again in its place, with its index.
        "restartPolicy": "OnFailure",
        "enableServiceLinks": false,
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
            // Load generators must not take the CPU of functions, nor each other's. A preference,
            // since the scheduler would else also keep functions off the nodes of workers, and a
            // cluster of one node could run nothing.
            apart(100, &json!({ "key": WORKERS_LABEL, "operator": "DoesNotExist" })),
            apart(50, &json!({ "key": WORKERS_LABEL, "operator": "In", "values": [name] })),
        ] } },
        "containers": [{
            "name": CONTAINER,
            "image": choice.image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["worker", "--listen", format!("127.0.0.1:{PORT}")],
            "env": [{
                "name": TOKEN_VARIABLE,
                "valueFrom": { "secretKeyRef": { "name": name, "key": TOKEN_KEY } },
            }],
            // One core for the thread that sends, and as much again for those around it: a quota of
            // just one would stop the sender for the rest of a period of 100 ms.
            "resources": {
                "requests": { "cpu": cpu_quantity(choice.cpu_cores), "memory": memory },
                "limits": { "cpu": cpu_quantity(2.0 * choice.cpu_cores), "memory": memory },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }],
    });
    if !choice.node_selector.is_empty() {
        pod["nodeSelector"] = json!(choice.node_selector);
    }
    pod
}

/// A preference to be on other nodes than those pods of the testbed, in any namespace.
fn apart(weight: u32, which: &Value) -> Value {
    let (key, value) = labels::MANAGED_BY;
    json!({ "weight": weight, "podAffinityTerm": {
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {},
        "labelSelector": { "matchLabels": { key: value }, "matchExpressions": [which] },
    } })
}

/// The Secret with the token. It belongs to the Job, and goes with it.
pub fn token_secret(
    name: &str,
    namespace: &str,
    of_run: &BTreeMap<String, String>,
    job_uid: &str,
    token: &Secret,
) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name, "namespace": namespace, "labels": of_run,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid, "controller": true,
            }],
        },
        "type": "Opaque",
        "stringData": { TOKEN_KEY: token.reveal() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{platforms::cluster::RunLabel, schema_check::faults};

    fn choice() -> WorkerPodsChoice {
        WorkerPodsChoice {
            count: 3,
            image: format!("registry.example.com/harness@sha256:{}", "0a".repeat(32)),
            node_selector: BTreeMap::from([("role".into(), "load".into())]),
            cpu_cores: 0.5,
            memory_mib: 256,
        }
    }

    #[test]
    fn workers_become_an_indexed_job_that_keeps_to_the_schema() {
        let made = job("load-workers-1", "bench", &RunLabel::new("r1").labels(), &choice());
        assert_eq!(faults(&made), Vec::<String>::new(), "{made:#}");
        insta::assert_snapshot!(serde_json::to_string_pretty(&made).unwrap());
    }

    #[test]
    fn the_token_is_in_a_secret_that_goes_with_the_job_and_nowhere_else() {
        let token = Secret::new("not-to-be-seen");
        let labels = RunLabel::new("r1").labels();
        let secret = token_secret("load-workers-1", "bench", &labels, "u-1", &token);
        assert_eq!(faults(&secret), Vec::<String>::new(), "{secret:#}");
        assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "u-1");
        assert_eq!(secret["stringData"]["token"], "not-to-be-seen");
        assert!(!job("load-workers-1", "bench", &labels, &choice()).to_string().contains("not-to-be-seen"));
    }
}
