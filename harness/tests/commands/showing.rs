//! `status`.

use serde_json::{Value, json};

use super::{
    api_server::{ApiServer, labels, recorded},
    on,
};

pub const KNATIVE: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";
pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces";
pub const CORE: &str = "/api/v1/namespaces";

/// A Knative Service of the run `r1`, as recorded, and what the controller made for it.
pub fn with_knative(server: ApiServer) -> ApiServer {
    let mut service = recorded("knative-service");
    service["metadata"]["labels"] = labels("r1");
    server
        .with(KNATIVE, service)
        .with(&format!("{DEPLOYMENTS}/default/deployments"), recorded("deployment-of-revision"))
}

/// An OpenFaaS function of the run `r2`: the provider labels its pods, not its Deployment.
pub fn with_openfaas(server: ApiServer) -> ApiServer {
    let mut of_pods = labels("r2");
    of_pods["faas_function"] = "classify".into();
    let deployment = json!({
        "metadata": { "name": "classify", "namespace": "openfaas-fn", "labels": { "faas_function": "classify" },
            "creationTimestamp": "2026-11-20T23:55:43Z" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "faas_function": "classify" } },
            "template": { "metadata": { "labels": of_pods }, "spec": { "containers": [{ "image": "r.example/f:1" }] } } },
        "status": { "readyReplicas": 1, "conditions": [{ "type": "Available", "status": "True" }] },
    });
    let service = json!({ "metadata": { "name": "classify", "namespace": "openfaas-fn" }, "spec": {} });
    server
        .with(&format!("{DEPLOYMENTS}/openfaas-fn/deployments"), deployment)
        .with(&format!("{CORE}/openfaas-fn/services"), service)
}

#[test]
fn status_shows_each_function_with_its_run_replicas_image_and_address() {
    let server = with_openfaas(with_knative(ApiServer::start()));
    let ran = on(&server, "status --gateway http://gw.example:8080/");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.starts_with("cluster: context fake at http://127.0.0.1:"), "{}", ran.err);
    let row = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let words = |name: &str| row(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(&words("knative")[..4], ["knative", "default/rec-hello", "r1", "1/1"], "{}", ran.out);
    assert_eq!(&words("openfaas")[..4], ["openfaas", "openfaas-fn/classify", "r2", "1/2"], "{}", ran.out);
    assert!(ran.out.contains("url   http://rec-hello.default"), "{}", ran.out);
    assert!(ran.out.contains("url   http://gw.example:8080/function/classify"), "{}", ran.out);
    assert!(ran.out.contains("image r.example/f:1"), "{}", ran.out);
    assert!(server.changes().is_empty());
}

#[test]
fn status_as_json_is_for_scripts_and_may_be_limited_to_a_run() {
    let server = with_openfaas(with_knative(ApiServer::start()));
    let ran = on(&server, "status --run r2 --output json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["things"].as_array().unwrap().len(), 1, "{}", ran.out);
    let thing = &found["things"][0];
    assert_eq!((&thing["kind"], &thing["run"]), (&"openfaas-function".into(), &"r2".into()));
    assert_eq!((&thing["ready"], &thing["desired"]), (&1.into(), &2.into()));
}

#[test]
fn without_knative_there_is_nothing_of_it_and_no_error() {
    let server = ApiServer::start().refusing("GET /apis/serving.knative.dev", 404, recorded("no-group"));
    let ran = on(&server, "status");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "nothing of the testbed is on this cluster\n"),
        "{}",
        ran.err
    );
}
