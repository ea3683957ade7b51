//! A plain Deployment against a server that plays an API server.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    platforms::{
        cluster::testing::{cluster, list, refusal, spec, watch},
        setting,
    },
    replay::{Exchange, Replay},
};

const DEPLOYMENTS_PATH: &str = "/apis/apps/v1/namespaces/bench/deployments";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/bench/deployments/classify";
const SERVICE: &str = "/api/v1/namespaces/bench/services/classify";
const PODS_PATH: &str = "/api/v1/namespaces/bench/pods";

fn deployment(available: u32) -> Value {
    json!({
        "metadata": { "name": "classify", "uid": "d1", "generation": 1, "resourceVersion": available.to_string() },
        "status": { "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": available },
    })
}

fn pods() -> Value {
    let made = manifests(&spec(2, 2), "bench", &cluster_labels()).unwrap();
    let template = &made[0]["spec"]["template"];
    let pod = |name: &str| {
        let mut pod = template.clone();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["uid"] = name.into();
        pod["spec"]["nodeName"] = "n1".into();
        pod["status"] = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        pod
    };
    json!([pod("p1"), pod("p2")])
}

fn cluster_labels() -> BTreeMap<String, String> {
    crate::platforms::cluster::RunLabel::new("r1").labels()
}

fn absent(path: &str) -> Exchange {
    refusal("GET", path, 404, "not found")
}

/// A server that deploys; the function answers on its own port.
fn script(function: &Replay) -> Vec<Exchange> {
    let port: u16 = function.url().rsplit(':').next().unwrap().parse().unwrap();
    let service = json!({ "spec": { "ports": [{ "port": 80, "nodePort": port }] } });
    let available = json!([{ "type": "MODIFIED", "object": deployment(2) }]);
    vec![
        Exchange::new("GET", "/api/v1/namespaces/bench", 200, json!({ "metadata": { "name": "bench" } })),
        absent(DEPLOYMENT),
        absent(SERVICE),
        list(PODS_PATH, &json!([])),
        Exchange::new("PATCH", DEPLOYMENT, 201, deployment(0)),
        list(DEPLOYMENTS_PATH, &json!([deployment(0)])),
        watch(DEPLOYMENTS_PATH, available),
        list(PODS_PATH, &pods()),
        watch(PODS_PATH, json!([])),
        Exchange::new("GET", SERVICE, 200, service),
        list("/api/v1/nodes", &json!([])),
    ]
}

async fn function() -> Replay {
    let healthy = Exchange {
        headers: vec![("x-boot-id".into(), "b1".into())],
        ..Exchange::new("GET", "/health", 200, Value::Null)
    };
    Replay::start([healthy]).await
}

#[tokio::test]
async fn a_function_is_deployed_once_all_replicas_are_available_and_it_answers() {
    let function = function().await;
    let mut script = script(&function);
    script.push(Exchange::new("PATCH", SERVICE, 201, json!({})));
    let server = Replay::start(script).await;
    let mut platform = PlainDeployment::new(Arc::new(cluster(&server, "bench")));
    let deployed = platform.deploy(&spec(2, 2)).await.unwrap();
    assert_eq!(deployed.endpoints[0].url, format!("{}/predict?top=5", function.url()));
    let mut keys: Vec<_> = deployed.settings.keys().map(String::as_str).collect();
    let mut wanted = setting::ON_CLUSTER;
    wanted.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!(deployed.settings[setting::CPU], "0.5");
    assert_eq!(deployed.settings[setting::NODES], "n1 (2)");
    let patched = server.asked().into_iter().find(|a| a.method == "PATCH" && a.path.contains("/services/"));
    assert_eq!(patched.unwrap().body["spec"]["type"], "NodePort");
}

#[tokio::test]
async fn where_node_ports_are_forbidden_the_service_gets_an_address_inside() {
    let function = function().await;
    let mut script = script(&function);
    script.push(refusal("PATCH", SERVICE, 403, "exceeded quota: q, requested: services.nodeports=1"));
    script.push(Exchange::new("PATCH", SERVICE, 201, json!({})));
    let server = Replay::start(script).await;
    PlainDeployment::new(Arc::new(cluster(&server, "bench"))).deploy(&spec(2, 2)).await.unwrap();
    let last = server.asked().into_iter().rfind(|a| a.method == "PATCH").unwrap();
    assert_eq!(last.body["spec"]["type"], "ClusterIP");
}

#[tokio::test]
async fn a_quota_that_refuses_its_pods_is_the_cause_at_once() {
    let function = function().await;
    let mut script = script(&function);
    script.retain(|exchange| exchange.path != DEPLOYMENTS_PATH);
    let mut refused = deployment(0);
    let message = "pods \"classify-1\" is forbidden: exceeded quota: q, requested: cpu=1";
    refused["status"]["conditions"] =
        json!([{ "type": "ReplicaFailure", "status": "True", "message": message }]);
    script.push(list(DEPLOYMENTS_PATH, &json!([refused])));
    script.push(watch(DEPLOYMENTS_PATH, json!([])));
    script.push(Exchange::new("PATCH", SERVICE, 201, json!({})));
    let server = Replay::start(script).await;
    let error =
        PlainDeployment::new(Arc::new(cluster(&server, "bench"))).deploy(&spec(2, 2)).await.unwrap_err();
    assert!(matches!(error, PlatformError::NotReady { .. }));
    assert!(
        error.to_string().contains("its pods are refused (pods \"classify-1\" is forbidden: exceeded quota"),
        "{error}"
    );
}

#[tokio::test]
async fn removal_takes_both_objects_and_waits_for_the_pods() {
    let deleted = |path: &str| Exchange::new("DELETE", path, 200, json!({}));
    let gone = json!([
        { "type": "DELETED", "object": pods()[0].clone() },
        { "type": "DELETED", "object": pods()[1].clone() },
    ]);
    let server = Replay::start([
        deleted(DEPLOYMENT),
        deleted(SERVICE),
        list(PODS_PATH, &pods()),
        watch(PODS_PATH, gone),
    ])
    .await;
    let mut platform = PlainDeployment::new(Arc::new(cluster(&server, "bench")));
    platform.remove().await.unwrap();
    assert_eq!(server.calls(), Vec::<String>::new(), "nothing was deployed");
    platform.applied = Some("classify".to_owned());
    platform.remove().await.unwrap();
    platform.remove().await.unwrap();
    assert_eq!(server.calls()[..2], [format!("DELETE {SERVICE}"), format!("DELETE {DEPLOYMENT}")]);
    assert_eq!(server.calls().len(), 4);
}
