//! What a user reads when there is no cluster, the wrong one, or one that refuses.

use std::time::{Duration, Instant};

use super::{
    api_server::{ApiServer, labels, recorded},
    harness, kubeconfig, on,
};

#[test]
fn where_nothing_points_at_a_cluster_the_twin_is_named() {
    let home = tempfile::tempdir().unwrap();
    for arguments in ["status", "clean --all --yes", "deploy knative --image r.example/f:1", "invoke knative"]
    {
        let ran = harness(&home, None, arguments);
        assert_eq!(ran.code, 2, "{arguments}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(
            ran.err.starts_with("error: no cluster found") && ran.err.contains("--on twin"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_context_that_is_not_there_is_named_before_anything_is_asked() {
    let server = ApiServer::start();
    let ran = on(&server, "status --context nosuch");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("nosuch") && ran.err.contains("--context"), "{}", ran.err);
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_login_that_is_not_accepted_is_said_with_the_remedy() {
    let server = ApiServer::start().refusing("GET /", 401, recorded("unauthorized"));
    let ran = on(&server, "status");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("does not accept the login (401); log in again"), "{}", ran.err);
    assert!(!ran.err.contains("not-a-secret"));
}

#[test]
fn without_any_rights_the_manifest_of_rights_is_named() {
    let server = ApiServer::start().refusing("GET /api", 403, recorded("forbidden"));
    let ran = on(&server, "clean --all --yes");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("cluster-setup/rbac/testbed.yaml"), "{}", ran.err);
}

#[test]
fn with_rights_in_the_own_namespace_alone_that_is_looked_through_and_said() {
    let service =
        serde_json::json!({ "metadata": { "name": "f", "namespace": "mine", "labels": labels("r1") } });
    let server = ApiServer::start()
        .with("/apis/serving.knative.dev/v1/namespaces/mine/services", service)
        .refusing("GET /apis/serving.knative.dev/v1/services", 403, recorded("forbidden"))
        .refusing("GET /apis/apps/v1/namespaces/openfaas-fn", 403, recorded("forbidden"));
    let ran = on(&server, "status --namespace mine");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("mine/f"), "{}", ran.out);
    assert!(
        ran.out.contains("note: services may not be listed everywhere: only mine and openfaas-fn"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("OpenFaaS functions were not looked for"), "{}", ran.out);
}

#[test]
fn an_api_server_that_is_gone_is_said_at_once() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig(&format!("http://{closed}"))).unwrap();
    let started = Instant::now();
    let ran = harness(&home, path.to_str(), "status");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("context fake") && ran.err.contains("does not answer"), "{}", ran.err);
}

#[test]
fn a_plan_that_a_platform_cannot_carry_out_is_refused_before_the_cluster_is_asked() {
    let server = ApiServer::start();
    for (arguments, why) in [
        ("deploy knative", "harness image push"),
        ("deploy openfaas --image r.example/f:1 --replicas 6", "5 or fewer"),
        ("deploy deployment --image r.example/f:1 --max-replicas 3", "no autoscaler"),
        ("deploy knative --image r.example/f:1 --set knative.window=1s", "6s to 1h"),
        ("deploy knative --image r.example/f:1 --set openfaas.x=1", "is not among the platforms"),
        ("deploy knative --image no//image", "no image"),
        ("deploy endpoint --image r.example/f:1", "harness invoke URL"),
        ("deploy knative --image r.example/f:1 --gateway http://u:p@h/", "user name or password"),
        ("invoke http://127.0.0.1:1/ --cold", "--cold needs a platform"),
        ("invoke knative --workload poem", "there is no workload 'poem'"),
        ("doctor --events Rabbit", "MTChannelBasedBroker, Kafka"),
        ("annotate no/such/run --grafana grafana:3000", "write for example http://10.0.0.1:3000"),
    ] {
        let ran = on(&server, arguments);
        assert_eq!(ran.code, 2, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(why), "{arguments}: {}", ran.err);
    }
    assert_eq!(server.asked(), 0);
}
