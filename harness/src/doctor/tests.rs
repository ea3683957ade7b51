//! The doctor on a healthy cluster, and on one that lacks a thing at a time. Answers are recorded
//! where a recording exists (`tests/fixtures/doctor`), else shortened by hand.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{Finding, Patient, Verdict, Wishes, examine_patient, http::Http};
use crate::{
    bucket::KeyPair,
    experiment::{ObjectStore, events::BrokerClass},
    platforms::{
        PlatformKind,
        cluster::{Cluster, ClusterChoice, Login, RunLabel, Secret},
        twin::s3::{Credentials, Server, Store},
    },
    replay::{Exchange, Replay},
};

const SERVING: &str = "/apis/apps/v1/namespaces/knative-serving/deployments";
const CONFIG: &str = "/api/v1/namespaces/knative-serving/configmaps";
const EVENTING: &str = "/apis/apps/v1/namespaces/knative-eventing/deployments";
const EVENTING_CONFIG: &str = "/api/v1/namespaces/knative-eventing/configmaps";
const BROKERS: &str = "/apis/eventing.knative.dev/v1/namespaces/testbed/brokers";
const NODES: &str = "/api/v1/nodes";
const SUMMARY: &str = "/api/v1/nodes/bench-node/proxy/stats/summary";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

fn get(path: &str, body: Value) -> Exchange {
    Exchange::new("GET", path, 200, body)
}

fn refused(path: &str, code: u16, reason: &str) -> Exchange {
    let message = format!("{reason} here");
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code });
    Exchange::new("GET", path, code, status)
}

fn deployment(name: &str, available: u64) -> Value {
    json!({ "metadata": { "name": name }, "status": { "availableReplicas": available } })
}

fn recorded(name: &str) -> Exchange {
    Exchange::recorded(&format!("doctor/{name}"))
}

fn reviews(allowed: bool) -> Exchange {
    Exchange::new("POST", REVIEWS, 201, json!({ "status": { "allowed": allowed } }))
}

/// The defaults of Brokers, whose `clusterDefault` holds these lines.
fn br_defaults(lines: &str) -> Exchange {
    let text = format!("clusterDefault:\n  {lines}\n");
    get(&format!("{EVENTING_CONFIG}/config-br-defaults"), json!({ "data": { "default-br-config": text } }))
}

/// What a healthy cluster answers.
fn healthy() -> Vec<Exchange> {
    let mut version = recorded("version");
    let now = SystemTime::now();
    version.headers.push(("date".to_owned(), crate::collect::clock::http_date(now)));
    let controllers: Vec<Value> =
        ["activator", "autoscaler", "controller", "webhook"].map(|n| deployment(n, 1)).into();
    let brokers_parts: Vec<Value> = [
        "eventing-controller",
        "eventing-webhook",
        "mt-broker-controller",
        "mt-broker-ingress",
        "mt-broker-filter",
    ]
    .map(|name| deployment(name, 1))
    .into();
    let mut unknown_host = Exchange::new("GET", "/", 404, Value::String(String::new()));
    unknown_host.headers.push(("server".to_owned(), "envoy".to_owned()));
    vec![
        version,
        reviews(true),
        get("/api/v1/namespaces/testbed", json!({ "metadata": { "name": "testbed" } })),
        recorded("nodes"),
        get("/api/v1/pods", json!({ "items": [] })),
        get("/apis/metrics.k8s.io/v1beta1", json!({})),
        get(
            "/apis/serving.knative.dev",
            json!({ "versions": [{ "version": "v1" }, { "version": "v1beta1" }] }),
        ),
        get(SERVING, json!({ "items": controllers })),
        recorded("configmap-config-observability"),
        unknown_host,
        recorded("healthz"),
        recorded("functions-list-one"),
        recorded("system-info"),
        get("/api/v1/namespaces/openfaas-fn", json!({ "metadata": { "name": "openfaas-fn", "labels": {} } })),
        get(
            "/apis/apps/v1/namespaces/openfaas/deployments/gateway",
            json!({ "spec": { "template": { "spec": {
            "containers": [{ "name": "gateway", "env": [{ "name": "upstream_timeout", "value": "60s" }] }] } } } }),
        ),
        recorded("buildinfo"),
        recorded("targets"),
        get("/apis/eventing.knative.dev", json!({ "versions": [{ "version": "v1" }] })),
        get(EVENTING, json!({ "items": brokers_parts })),
        br_defaults(
            "brokerClass: MTChannelBasedBroker\n  name: config-br-default-channel\n  namespace: knative-eventing",
        ),
        get(&format!("{EVENTING_CONFIG}/config-br-default-channel"), json!({ "data": {} })),
        get(
            &format!("{EVENTING_CONFIG}/config-features"),
            json!({ "data": { "transport-encryption": "Disabled" } }),
        ),
        get("/api/v1/namespaces/knative-eventing/services/broker-ingress", json!({})),
        get(BROKERS, json!({ "items": [] })),
    ]
}

fn wishes() -> Wishes {
    Wishes {
        platforms: vec![PlatformKind::Knative, PlatformKind::OpenFaas],
        cpu_cores: 0.5,
        replicas: 2,
        image: None,
        events: None,
        storage: false,
    }
}

/// Examines the cluster with some answers instead of the healthy ones.
async fn examined(instead: Vec<Exchange>, wishes: &Wishes) -> Vec<Finding> {
    with_storage(instead, wishes, None, Err("no key".to_owned())).await
}

/// The same with an object storage.
async fn with_storage(
    instead: Vec<Exchange>,
    wishes: &Wishes,
    object_store: Option<ObjectStore>,
    keys: Result<KeyPair, String>,
) -> Vec<Finding> {
    let replaced =
        |healthy: &Exchange| instead.iter().any(|e| e.path == healthy.path && e.method == healthy.method);
    let script: Vec<Exchange> =
        healthy().into_iter().filter(|e| !replaced(e)).chain(instead.clone()).collect();
    let server = Replay::start(script).await;
    let choice = ClusterChoice {
        ingress: Some(server.url()),
        gateway: Some(server.url()),
        prometheus: Some(server.url()),
        object_store,
        ..ClusterChoice::default()
    };
    let login = Login { user: "admin".to_owned(), password: Secret::new("not to be printed") };
    let cluster = Cluster {
        api: server.api(),
        context: "test".to_owned(),
        server: "https://server".to_owned(),
        choice,
        login: Some(login),
        run: RunLabel::new("doctor"),
    };
    let clock_pause = Duration::ZERO;
    let patient = Patient { cluster: &cluster, wishes, http: Http::new(), keys, clock_pause };
    examine_patient(&patient, |_| ()).await
}

/// The one finding that is neither OK nor skipped, as `VERDICT check: says -> remedy`.
async fn complaint(instead: Vec<Exchange>) -> String {
    complaints(&examined(instead, &wishes()).await)
}

fn complaints(findings: &[Finding]) -> String {
    let bad: Vec<String> = findings
        .iter()
        .filter(|f| matches!(f.verdict, Verdict::Warn | Verdict::Fail))
        .map(|f| {
            format!("{} {}: {} -> {}", f.verdict.word(), f.check, f.says, f.remedy.as_deref().unwrap_or(""))
        })
        .collect();
    bad.join("\n")
}

#[tokio::test]
async fn a_healthy_cluster_reads_like_this() {
    let findings = examined(Vec::new(), &wishes()).await;
    let lines: Vec<String> = findings
        .iter()
        // The clock differs from run to run, and the number of rights with the table.
        .filter(|f| f.check != "clock" && f.check != "rights")
        .map(|f| format!("{} {}: {}", f.verdict.word(), f.check, f.says))
        .collect();
    let text = lines.join("\n");
    let text = without_ports(&text);
    assert!(!text.contains("not to be printed"));
    insta::assert_snapshot!(text, @r"
    OK API server: Kubernetes v1.36.2, context test at https://server
    OK namespace: testbed is there
    OK nodes: 1 of 1 ready, none under pressure
    OK room: 2.00 cores are not requested (2.00 on the freest node); 2 replicas of 0.5 cores and a sidecar need 1.05
    OK usage figures: the metrics API is there
    OK leftovers: nothing of earlier runs
    skipped image: no --image was given
    OK Knative Serving: serving.knative.dev/v1 is served
    OK Knative controllers: activator, autoscaler, controller, webhook are ready
    OK Knative ingress: the ingress at http://SERVER (given by the user)
    OK Knative routing: an unknown host is answered with 404 by envoy, as it should be
    OK Knative metrics: queue-proxy and control plane export to Prometheus
    OK OpenFaaS gateway: healthy at http://SERVER (given by the user)
    OK OpenFaaS login: admin from flag or environment is accepted
    OK OpenFaaS edition: gateway dev, provider faas-netes-ce dev: Community Edition (at most 5 replicas a function, no scale to zero, 15 functions, one namespace, public images only)
    OK OpenFaaS functions: 1 in openfaas-fn, of 15 that the Community Edition allows (rec-fn)
    OK OpenFaaS time limits: upstream_timeout 60s
    OK OpenFaaS sidecars: openfaas-fn asks for none
    OK Prometheus: Prometheus 2.42.0+ds at http://SERVER (given by the user)
    OK Prometheus targets: 11 targets, among them all that the report shows
    ");
}

/// Ports of this test's server are drawn anew each time.
fn without_ports(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("127.0.0.1:") {
        let after = &rest[at + 10..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        out.push_str(&rest[..at]);
        out.push_str("SERVER");
        rest = &after[digits..];
    }
    out + rest
}

#[tokio::test]
async fn each_thing_that_is_missing_is_named_with_what_mends_it() {
    let pressed = json!({ "items": [{ "metadata": { "name": "bench-node" }, "status": {
        "allocatable": { "cpu": "2" },
        "conditions": [{ "type": "DiskPressure", "status": "True", "message": "disk full" }, { "type": "Ready", "status": "True" }] } }] });
    let busy = json!({ "items": [{ "spec": { "nodeName": "bench-node", "containers": [
        { "resources": { "requests": { "cpu": "1400m" } } }] }, "status": { "phase": "Running" } }] });
    let ours =
        json!({ "items": [{ "metadata": { "name": "classify", "labels": { "testbed/run": "r7" } } }] });
    let many: Vec<Value> = (0..15).map(|i| json!({ "name": format!("f{i}") })).collect();
    let istio = json!({ "metadata": { "labels": { "istio-injection": "enabled" } } });
    let short = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "gateway", "env": [{ "name": "upstream_timeout", "value": "5s" }] }] } } } });
    let cases: Vec<(&str, Vec<Exchange>)> = vec![
        ("pressure", vec![get(NODES, pressed)]),
        ("room", vec![get("/api/v1/pods", busy)]),
        (
            "usage",
            vec![
                refused("/apis/metrics.k8s.io/v1beta1", 404, "NotFound"),
                refused(SUMMARY, 403, "Forbidden"),
            ],
        ),
        ("leftovers", vec![get("/apis/apps/v1/namespaces/testbed/deployments", ours)]),
        ("no knative", vec![refused("/apis/serving.knative.dev", 404, "NotFound")]),
        (
            "no webhook",
            vec![get(
                SERVING,
                json!({ "items": [deployment("activator", 1), deployment("autoscaler", 0), deployment("controller", 1)] }),
            )],
        ),
        (
            "metrics off",
            vec![get(
                &format!("{CONFIG}/config-observability"),
                json!({ "data": { "metrics-protocol": "prometheus" } }),
            )],
        ),
        ("not an ingress", vec![Exchange::new("GET", "/", 200, json!("welcome"))]),
        ("gateway sick", vec![Exchange::new("GET", "/healthz", 502, Value::Null)]),
        ("wrong password", vec![Exchange { method: "GET".to_owned(), ..recorded("err-401-badauth") }]),
        ("15 functions", vec![get("/system/functions", Value::Array(many))]),
        ("short limit", vec![get("/apis/apps/v1/namespaces/openfaas/deployments/gateway", short)]),
        (
            "sidecar",
            vec![
                get("/api/v1/namespaces/openfaas-fn", istio),
                get("/api/v1/namespaces/istio-system", json!({})),
            ],
        ),
        ("no prometheus", vec![Exchange::hang_up("GET", "/api/v1/status/buildinfo")]),
        ("no targets", vec![get("/api/v1/targets", json!({ "data": { "activeTargets": [] } }))]),
    ];
    let mut text = String::new();
    for (name, instead) in cases {
        _ = writeln!(text, "[{name}]\n{}", complaint(instead).await);
    }
    insta::assert_snapshot!(without_ports(&text));
}

#[tokio::test]
async fn what_hangs_on_a_part_that_is_missing_is_skipped_and_other_parts_are_examined() {
    let findings = examined(vec![refused("/apis/serving.knative.dev", 404, "NotFound")], &wishes()).await;
    let of = |name: &str| findings.iter().find(|f| f.check == name).map(|f| (f.verdict, f.says.as_str()));
    assert_eq!(of("Knative ingress"), Some((Verdict::Skipped, "see Knative Serving")));
    assert_eq!(of("OpenFaaS login").map(|f| f.0), Some(Verdict::Ok));
}

#[tokio::test]
async fn a_platform_that_is_not_asked_for_is_not_examined() {
    let only = Wishes { platforms: vec![PlatformKind::Knative], ..wishes() };
    let findings = examined(Vec::new(), &only).await;
    assert!(findings.iter().all(|f| !f.check.starts_with("OpenFaaS")));
    assert!(findings.iter().any(|f| f.check == "Knative Serving"));
}

#[tokio::test]
async fn missing_rights_are_named_by_kind_with_what_they_are_for_and_the_file_that_grants_them() {
    let findings = examined(Vec::new(), &wishes()).await;
    let rights = |findings: &[Finding]| findings.iter().find(|f| f.check == "rights").cloned().unwrap();
    assert_eq!(rights(&findings).verdict, Verdict::Ok);
    let missing = rights(&examined(vec![reviews(false)], &wishes()).await);
    assert_eq!(missing.verdict, Verdict::Fail);
    assert!(
        missing.says.contains("create, delete, patch services.serving.knative.dev in testbed ("),
        "{missing:?}"
    );
    assert!(missing.remedy.is_some_and(|remedy| remedy.contains("cluster-setup/rbac/testbed.yaml")));
}

#[tokio::test]
async fn an_image_is_found_in_its_registry_or_said_to_be_missing_there() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let mut head = Exchange::new("HEAD", "/v2/function/manifests/v1", 200, Value::Null);
    head.headers.push(("docker-content-digest".to_owned(), digest.clone()));
    let registry = Replay::start([get("/v2/", json!({})), head]).await;
    let image = async |tag: &str| {
        let reference = format!("{}/function:{tag}", registry.url().trim_start_matches("http://"));
        let wishes = Wishes { image: Some(reference), ..wishes() };
        let findings = examined(Vec::new(), &wishes).await;
        findings.into_iter().find(|finding| finding.check == "image").unwrap()
    };
    let found = image("v1").await;
    assert_eq!(found.verdict, Verdict::Ok, "{found:?}");
    assert!(found.says.contains(&digest) && found.says.contains("only a deployment tells"), "{found:?}");
    let missing = image("v2").await;
    assert_eq!(missing.verdict, Verdict::Fail, "{missing:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_by_minutes_is_said() {
    let mut version = recorded("version");
    version.headers.push(("date".to_owned(), "Fri, 20 Nov 2026 23:56:57 GMT".to_owned()));
    let findings = examined(vec![version], &wishes()).await;
    let clock = findings.iter().find(|f| f.check == "clock").unwrap();
    assert_eq!(clock.verdict, Verdict::Warn, "{clock:?}");
}

/// What is said of eventing for a class, from a line on.
async fn eventing(class: BrokerClass, instead: Vec<Exchange>) -> String {
    let only = Wishes { platforms: Vec::new(), events: Some(class), ..wishes() };
    let findings = examined(instead, &only).await;
    let first = findings.iter().position(|f| f.check == "Knative Eventing").unwrap();
    let line = |f: &Finding| {
        let remedy = f.remedy.as_ref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
        format!("{} {}: {}{remedy}", f.verdict.word(), f.check, f.says)
    };
    findings[first..].iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn eventing_is_examined_part_by_part_where_events_are_asked_for() {
    let broker = json!({ "metadata": { "name": "event-logger" }, "status": {} });
    let strict = json!({ "data": { "transport-encryption": "Strict" } });
    let kafka: Vec<Value> =
        ["eventing-controller", "eventing-webhook", "kafka-controller", "kafka-webhook-eventing"]
            .map(|name| deployment(name, 1))
            .into();
    let kafka_config =
        json!({ "data": { "default.topic.replication.factor": "3", "bootstrap.servers": "" } });
    let kafka_config = get(&format!("{EVENTING_CONFIG}/kafka-broker-config"), kafka_config);
    let no_ingress = "/api/v1/namespaces/knative-eventing/services/kafka-broker-ingress";
    let channel = BrokerClass::Channel;
    let mut text = String::new();
    for (name, class, instead) in [
        ("healthy", channel, vec![]),
        ("not installed", channel, vec![refused("/apis/eventing.knative.dev", 404, "NotFound")]),
        (
            "core alone",
            channel,
            vec![get(EVENTING, json!({ "items": [deployment("eventing-controller", 1)] }))],
        ),
        ("another default", channel, vec![br_defaults("brokerClass: Kafka")]),
        (
            "no defaults",
            channel,
            vec![refused(&format!("{EVENTING_CONFIG}/config-br-defaults"), 404, "NotFound")],
        ),
        ("https alone", channel, vec![get(&format!("{EVENTING_CONFIG}/config-features"), strict)]),
        ("no address", channel, vec![get(BROKERS, json!({ "items": [broker] }))]),
        (
            "kafka half there",
            BrokerClass::Kafka,
            vec![
                get(EVENTING, json!({ "items": kafka })),
                kafka_config,
                refused(no_ingress, 404, "NotFound"),
            ],
        ),
    ] {
        _ = writeln!(text, "[{name}]\n{}", eventing(class, instead).await);
    }
    insta::assert_snapshot!(text);
}

/// A storage with a bucket, its address and its key.
async fn storage() -> (Server, ObjectStore, KeyPair) {
    let credentials = Credentials::random();
    let keys = KeyPair {
        access_key: Secret::new(&credentials.access_key),
        secret_key: Secret::new(&credentials.secret_key),
    };
    let store = std::sync::Arc::new(Store::new(&["inputs".into()], 1 << 20));
    let server = Server::start(credentials, store).await.unwrap();
    let choice = ObjectStore {
        endpoint: "http://minio.minio.svc:9000".into(),
        endpoint_from_here: Some(format!("http://{}", server.address())),
        bucket: "inputs".into(),
        ..ObjectStore::default()
    };
    (server, choice, keys)
}

#[tokio::test]
async fn a_storage_is_asked_to_take_give_back_and_remove_an_object_and_each_refusal_has_its_remedy() {
    let (_server, choice, keys) = storage().await;
    let wishes = Wishes { platforms: Vec::new(), storage: true, ..wishes() };
    let of = async |choice: Option<ObjectStore>, keys: Result<KeyPair, String>| {
        let findings = with_storage(Vec::new(), &wishes, choice, keys).await;
        let of_storage = findings.into_iter().filter(|f| f.check.contains("storage"));
        of_storage.collect::<Vec<_>>()
    };
    let good = of(Some(choice.clone()), Ok(keys.clone())).await;
    assert!(good.iter().all(|finding| finding.verdict == Verdict::Ok), "{good:?}");
    assert!(good[0].says.contains("minio.minio.svc"), "{good:?}");
    assert!(!format!("{good:?}").contains(keys.secret_key.reveal()));
    let here = choice.from_here();
    let bucket = crate::bucket::Bucket::new(here, choice.region(), "inputs", &keys).unwrap();
    assert_eq!(bucket.keys_below("testbed").await.unwrap(), Vec::<String>::new(), "nothing stays behind");

    let wrong = KeyPair { secret_key: Secret::new("of somebody else"), ..keys.clone() };
    let unknown = KeyPair { access_key: Secret::new("nobody"), ..keys.clone() };
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let gone = ObjectStore { endpoint_from_here: Some(format!("http://{closed}")), ..choice.clone() };
    let other = ObjectStore { bucket: "outputs".into(), ..choice.clone() };
    for (choice, keys, part) in [
        (None, Ok(keys.clone()), "no object storage is named -> give --s3-endpoint"),
        (Some(choice.clone()), Err("no key".to_owned()), "storage key: no key -> export AWS_ACCESS_KEY_ID"),
        (Some(choice.clone()), Ok(wrong), "refuses (SignatureDoesNotMatch)"),
        (Some(choice), Ok(unknown), "refuses (InvalidAccessKeyId)"),
        (Some(gone), Ok(keys.clone()), "does not answer"),
        (Some(other), Ok(keys), "there is no bucket outputs (runs make none"),
    ] {
        let said = complaints(&of(choice, keys).await);
        assert!(said.contains(part), "{said}");
        assert!(said.starts_with("FAIL"), "{said}");
    }
}

#[tokio::test]
async fn what_nobody_asks_for_is_not_examined() {
    let findings = examined(Vec::new(), &wishes()).await;
    let is_more = |f: &&Finding| ["Eventing", "Broker", "storage"].iter().any(|word| f.check.contains(word));
    assert_eq!(findings.iter().find(is_more), None);
}
