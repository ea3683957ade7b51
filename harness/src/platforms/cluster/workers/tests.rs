//! What is said to the API server when workers are made, fail to start, and go.

use serde_json::{Value, json};

use super::*;
use crate::{
    platforms::cluster::testing::{cluster, list, refusal, watch},
    replay::{Exchange, Replay},
};

const JOBS_PATH: &str = "/apis/batch/v1/namespaces/bench/jobs/*";
const SECRETS_PATH: &str = "/api/v1/namespaces/bench/secrets/*";
const PODS_PATH: &str = "/api/v1/namespaces/bench/pods";

fn choice(count: u32) -> WorkerPodsChoice {
    WorkerPodsChoice {
        count,
        image: "registry.example.com/harness:1".into(),
        node_selector: BTreeMap::new(),
        cpu_cores: 1.0,
        memory_mib: 256,
    }
}

fn pod(index: u32, status: &Value) -> Value {
    json!({
        "metadata": {
            "name": format!("load-workers-1-{index}-abcde"), "uid": format!("u{index}"), "resourceVersion": "5",
            "annotations": { INDEX_ANNOTATION: index.to_string() },
        },
        "spec": { "nodeName": "node-1" },
        "status": status,
    })
}

fn running() -> Value {
    json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "True" }],
        "containerStatuses": [{ "name": "worker", "ready": true, "restartCount": 0, "state": { "running": {} } }],
    })
}

/// A cluster that takes Job and Secret, and has these pods until the Job is deleted.
async fn server(pods: Value) -> Replay {
    Replay::start([
        Exchange::new("GET", "/api/v1/namespaces/bench", 200, json!({ "metadata": { "name": "bench" } })),
        Exchange::new("PATCH", JOBS_PATH, 201, json!({ "metadata": { "uid": "job-uid" } })),
        Exchange::new("PATCH", SECRETS_PATH, 201, json!({})),
        Exchange::new("DELETE", JOBS_PATH, 200, json!({})),
        list(PODS_PATH, &pods),
        watch(PODS_PATH, json!([])),
    ])
    .await
}

#[tokio::test]
async fn a_job_is_made_suspended_gets_its_secret_and_is_let_go() {
    let server = server(json!([pod(0, &running()), pod(1, &running())])).await;
    let workers = WorkerPods::start(&cluster(&server, "bench"), &choice(2)).await.unwrap();
    let asked = server.asked();
    let changes: Vec<_> = asked.iter().filter(|asked| asked.method == "PATCH").collect();
    let kinds: Vec<_> = changes.iter().map(|asked| asked.path.split('/').nth_back(1).unwrap()).collect();
    assert_eq!(kinds, ["jobs", "secrets", "jobs"]);
    let (job, secret, go) = (&changes[0].body, &changes[1].body, &changes[2].body);
    assert_eq!(job["spec"]["suspend"], true);
    assert_eq!(job["metadata"]["labels"]["testbed/run"], "r1");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "job-uid");
    assert_eq!(secret["stringData"]["token"].as_str().unwrap().len(), 64);
    assert_eq!(go, &json!({ "spec": { "suspend": false } }));
    assert_eq!(workers.ready_pod(Share { index: 1, of: 2 }).await.unwrap().name, "load-workers-1-1-abcde");
    assert!(!format!("{workers:?}").contains(secret["stringData"]["token"].as_str().unwrap()));
}

#[tokio::test]
async fn removing_takes_the_job_with_all_that_belongs_to_it_and_waits_for_its_pods() {
    let server = server(json!([pod(0, &running())])).await;
    let workers = WorkerPods::start(&cluster(&server, "bench"), &choice(1)).await.unwrap();
    // Of two lists the first is used up with this question: then there are no pods any more.
    server.then(list(PODS_PATH, &json!([])));
    server.api().list(&PODS, Some("bench"), &Selection::default()).await.unwrap();
    workers.remove().await.unwrap();
    let asked = server.asked();
    let deleted = asked.iter().find(|asked| asked.method == "DELETE").unwrap();
    assert!(deleted.path.contains("/jobs/load-workers-"), "{}", deleted.path);
    assert!(
        deleted.path.ends_with("?propagationPolicy=Background"),
        "else its pods would stay: {}",
        deleted.path
    );
}

#[tokio::test]
async fn a_pod_that_does_not_start_is_told_with_its_cause_and_the_job_goes() {
    let status = json!({
        "phase": "Pending", "conditions": [{ "type": "Ready", "status": "False" }],
        "containerStatuses": [{ "name": "worker", "restartCount": 0, "state": { "waiting": {
            "reason": "ErrImagePull", "message": "not found" } } }],
    });
    let server = server(json!([pod(0, &status)])).await;
    // After the first look the pod is gone, as it is once the Job was deleted.
    server.then(list(PODS_PATH, &json!([])));
    let error = WorkerPods::start(&cluster(&server, "bench"), &choice(1)).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"the workers do not start: the image cannot be pulled (ErrImagePull: not found)");
    assert!(server.calls().iter().any(|call| call.starts_with("DELETE")), "{:?}", server.calls());
}

#[tokio::test]
async fn a_pod_that_has_ended_is_told_with_its_last_words() {
    let status = json!({ "phase": "Failed", "containerStatuses": [{ "name": "worker", "restartCount": 0,
        "state": { "terminated": { "exitCode": 2, "reason": "Error", "message": "error: unrecognized subcommand 'worker'" } } }] });
    let server = server(json!([pod(0, &status)])).await;
    let workers = WorkerPods {
        api: server.api(),
        namespace: "bench".into(),
        job: "load-workers-1".into(),
        token: Secret::new("t"),
    };
    let cause = workers.ready_pod(Share { index: 0, of: 1 }).await.unwrap_err();
    insta::assert_snapshot!(cause, @"the pod load-workers-1-0-abcde has ended (Error, exit code 2: error: unrecognized subcommand 'worker')");
    assert_eq!(workers.open(Share { index: 0, of: 1 }).await.err().as_ref(), Some(&cause));
}

#[tokio::test]
async fn a_refusal_names_the_right_that_is_missing() {
    let server = Replay::start([
        Exchange::new("GET", "/api/v1/namespaces/bench", 200, json!({ "metadata": { "name": "bench" } })),
        refusal("PATCH", JOBS_PATH, 403, "jobs.batch is forbidden: cannot patch resource \"jobs\""),
        Exchange::new("DELETE", JOBS_PATH, 200, json!({})),
        list(PODS_PATH, &json!([])),
    ])
    .await;
    let error = WorkerPods::start(&cluster(&server, "bench"), &choice(1)).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"workers cannot be made in namespace bench: not allowed: jobs.batch is forbidden: cannot patch resource "jobs"; apply cluster-setup/rbac/testbed.yaml or ask the cluster's owner for these rights"#);
}
