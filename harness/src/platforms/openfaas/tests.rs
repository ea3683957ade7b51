//! The gateway's client and the platform against recorded conversations.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub use super::plan::tests::spec;
use super::{
    OpenFaas,
    gateway::{FunctionDeployment, Gateway},
    login::GatewayLogin,
};
use crate::{
    platforms::{
        Platform, PlatformError, ReplicaBounds,
        cluster::{
            Cluster, ClusterChoice, Login, RunLabel, Secret,
            api::Patience,
            testing::{list, watch},
        },
        setting,
    },
    replay::{Exchange, Replay},
};

const PASSWORD: &str = "correct horse";
const PODS: &str = "/api/v1/namespaces/openfaas-fn/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/openfaas-fn/deployments";
const FUNCTIONS: &str = "/system/functions";
const STATUS: &str = "/system/function/rec-fn";
const HEALTH: &str = "/function/rec-fn/health";

fn recorded(name: &str) -> Exchange {
    Exchange::recorded(&format!("openfaas/{name}"))
}

fn login() -> Login {
    Login { user: "admin".into(), password: Secret::new(PASSWORD) }
}

fn gateway_at(url: &str) -> Gateway {
    let patience = Patience {
        total: Duration::from_millis(400),
        attempt: Duration::from_secs(2),
        pause: Duration::from_millis(5),
    };
    Gateway::new(url, GatewayLogin::given(login()), patience).unwrap()
}

async fn gateway(script: impl IntoIterator<Item = Exchange>) -> (Gateway, Replay) {
    let server = Replay::start(script).await;
    (gateway_at(&server.url()), server)
}

fn function(name: &str) -> FunctionDeployment {
    FunctionDeployment { service: name.into(), image: "r/f:v1".into(), ..FunctionDeployment::default() }
}

#[tokio::test]
async fn every_recorded_refusal_is_one_line_that_says_what_to_do() {
    let mut said = Vec::new();
    for name in [
        "err-401-badauth",
        "err-400-bad-json",
        "err-400-bad-name",
        "err-400-namespace",
        "err-400-no-image",
        "err-400-no-service",
        "err-400-resources",
        "err-400-secret",
        "err-scale-zero-label",
        "err-deploy-exists",
        "err-recreate-while-deleting",
    ] {
        let (gateway, _server) = gateway([recorded(name)]).await;
        said.push(gateway.deploy(&function("rec-fn")).await.unwrap_err().to_string());
    }
    let (without, _server) = gateway([recorded("err-401-noauth")]).await;
    said.push(without.functions().await.unwrap_err().to_string());
    let (absent, _server) = gateway([recorded("err-404-update"), recorded("err-404-scale")]).await;
    said.push(absent.update(&function("nosuch")).await.unwrap_err().to_string());
    said.push(absent.scale("nosuch", 2).await.unwrap_err().to_string());
    let (bad, _server) = gateway([recorded("err-scale-bad-json")]).await;
    said.push(bad.scale("rec-fn", 2).await.unwrap_err().to_string());
    let (other, server) = gateway([recorded("err-404-path").at("/system/info")]).await;
    said.push(other.info().await.unwrap_err().to_string().replace(&server.url(), "URL"));
    let (other, _server) = gateway([Exchange { method: "PUT".into(), ..recorded("err-405") }]).await;
    said.push(other.update(&function("rec-fn")).await.unwrap_err().to_string());
    let (html, _server) = gateway([Exchange::new("GET", FUNCTIONS, 200, json!("<html>"))]).await;
    said.push(html.functions().await.unwrap_err().to_string());
    for line in &said {
        assert!(!line.contains('\n') && !line.contains(PASSWORD), "{line}");
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
        the gateway does not accept the login (401; it came from flags or environment); give the right one with --gateway-password-file FILE or OPENFAAS_PASSWORD
        the gateway refuses to deploy rec-fn (400): failed to unmarshal request: unexpected end of JSON input
        the gateway refuses to deploy rec-fn (400): validation failed: service: (Bad_Name) is invalid, must be a valid DNS entry
        the gateway refuses to deploy rec-fn (400): namespace must be: openfaas-fn
        the gateway refuses to deploy rec-fn (400): validation failed: image: is required
        the gateway refuses to deploy rec-fn (400): validation failed: service: is required
        the gateway refuses to deploy rec-fn (400): failed create Deployment spec: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
        the gateway refuses to deploy rec-fn (400): unable to fetch secrets: secrets "nosuch" not found
        the gateway refuses to deploy rec-fn (400): validation failed: com.openfaas.scale.zero not available for Community Edition
        a function rec-fn is there already; remove it, or deploy it with an update
        function rec-fn is still being deleted; wait until its pods are gone, and deploy again
        the gateway does not accept the login (401; it came from flags or environment); give the right one with --gateway-password-file FILE or OPENFAAS_PASSWORD
        there is no function nosuch (unable update Deployment: nosuch.openfaas-fn, error: deployments.apps "nosuch" not found); deploy it first
        there is no function nosuch (Unable to lookup function deployment nosuch); deploy it first
        the gateway refuses to scale rec-fn (400): Error unmarshalling request body
        the gateway's answer to say its version cannot be read (URL has no /system/info); is it an OpenFaaS gateway?
        the gateway cannot update rec-fn (405): it says nothing more
        the gateway's answer to list functions cannot be read (expected value at line 1 column 1); is it an OpenFaaS gateway?
        "#);
}

#[tokio::test]
async fn a_login_that_is_refused_is_never_shown_and_was_sent() {
    let (gateway, server) = gateway([recorded("err-401-badauth")]).await;
    let error = gateway.deploy(&function("rec-x")).await.unwrap_err();
    assert!(server.asked()[0].authorization.as_deref().unwrap().starts_with("Basic "));
    for text in [format!("{error}"), format!("{error:?}"), format!("{gateway:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    // Not asked again: a second wrong password helps nobody.
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn an_update_that_is_answered_200_with_nothing_is_a_failure() {
    let (gateway, _server) = gateway([Exchange::new("PUT", FUNCTIONS, 200, Value::Null)]).await;
    let error = gateway.update(&function("rec-fn")).await.unwrap_err();
    insta::assert_snapshot!(error, @"the gateway answered the update of rec-fn with 200 in place of 202, which means that nothing was updated (a rejected image, or a conflict); remove rec-fn, deploy it anew, and read the provider's log");
}

#[tokio::test]
async fn a_gateway_that_goes_away_for_a_while_is_asked_again_and_then_given_up() {
    let gone = || Exchange::hang_up("GET", FUNCTIONS);
    let busy = Exchange::new("GET", FUNCTIONS, 503, json!("upstream connect error"));
    let (gateway, server) = gateway([gone(), gone(), busy, recorded("functions-list")]).await;
    let functions = gateway.functions().await.unwrap();
    assert_eq!(server.calls().len(), 4);
    let counts: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.invocation_count as u64)).collect();
    assert_eq!(counts, [("bench-of", 121_126), ("rec-fn2", 0)]);

    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = gateway_at(&dead).functions().await.unwrap_err().to_string().replace(&dead, "URL");
    insta::assert_snapshot!(error, @"the gateway at URL does not answer (Connection refused (os error 111)); check that it runs, or give its address as --gateway http://HOST:PORT");
}

#[tokio::test]
async fn counts_that_are_left_out_are_zero_and_absence_is_no_error() {
    let (gateway, _server) = gateway([
        recorded("function-status-starting"),
        recorded("function-status-starting-150ms").at(STATUS),
        recorded("scale-status-3"),
    ])
    .await;
    assert_eq!(gateway.function("rec-fn").await.unwrap(), None);
    let starting = gateway.function("rec-fn").await.unwrap().unwrap();
    assert_eq!((starting.replicas, starting.available_replicas), (1, 0));
    let scaled = gateway.function("rec-fn").await.unwrap().unwrap();
    assert_eq!((scaled.replicas, scaled.available_replicas), (4, 3));
}

#[tokio::test]
async fn versions_health_namespaces_scaling_and_deletion_are_read_as_recorded() {
    let (gateway, server) = gateway([
        recorded("system-info"),
        recorded("healthz"),
        recorded("system-namespaces"),
        recorded("scale-to-3"),
        recorded("function-delete"),
        recorded("err-404-delete"),
    ])
    .await;
    let info = gateway.info().await.unwrap();
    assert_eq!(
        (info.provider.provider.as_str(), info.version.to_string().as_str()),
        ("faas-netes-ce", "dev")
    );
    gateway.health().await.unwrap();
    assert_eq!(gateway.namespaces().await.unwrap(), ["openfaas-fn"]);
    gateway.scale("rec-fn", 3).await.unwrap();
    assert_eq!(server.asked()[3].body, json!({ "serviceName": "rec-fn", "replicas": 3 }));
    assert!(gateway.delete("rec-fn", "openfaas-fn").await.unwrap());
    assert!(!gateway.delete("rec-fn", "openfaas-fn").await.unwrap());
}

#[tokio::test]
async fn a_function_that_is_there_is_updated() {
    let (gateway, server) = gateway([recorded("err-deploy-exists"), recorded("function-update")]).await;
    gateway.put_in_place(&function("rec-fn")).await.unwrap();
    assert_eq!(server.calls(), ["POST /system/functions", "PUT /system/functions"]);
}

#[tokio::test]
async fn a_name_that_is_being_deleted_is_tried_again_until_it_is_free() {
    let dying = || recorded("err-recreate-while-deleting");
    let (gateway, server) = gateway([
        dying(),
        dying(),
        // Its pods end between the two questions.
        recorded("err-deploy-exists"),
        recorded("err-404-update"),
        recorded("function-deploy"),
    ])
    .await;
    let began = Instant::now();
    let accepted = gateway.put_in_place(&function("rec-fn")).await.unwrap();
    assert!(accepted > began + Duration::from_millis(15), "the wait is no part of the start");
    let posts = server.calls().iter().filter(|call| call.starts_with("POST")).count();
    assert_eq!(posts, 4);
}

// The platform.

fn cluster(server: &Replay) -> Arc<Cluster> {
    Arc::new(Cluster {
        api: server.api(),
        context: "lab".into(),
        server: server.url(),
        choice: ClusterChoice { gateway: Some(server.url()), ..ClusterChoice::default() },
        login: Some(login()),
        run: RunLabel::new("r1"),
    })
}

fn pod(uid: &str, is_ready: bool) -> Value {
    json!({
        "metadata": { "name": format!("rec-fn-{uid}"), "uid": uid, "labels": { "faas_function": "rec-fn" } },
        "spec": { "nodeName": "n1", "containers": [{ "name": "rec-fn", "imagePullPolicy": "Always" }] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": if is_ready { "True" } else { "False" } }],
            "containerStatuses": [{ "name": "rec-fn", "imageID": "r/f@sha256:d284", "restartCount": 0 }],
        },
    })
}

fn deployment(replicas: u32) -> Value {
    json!({ "metadata": { "name": "rec-fn", "uid": "d" }, "spec": { "replicas": replicas } })
}

fn healthy() -> Exchange {
    let mut answer = Exchange::new("GET", HEALTH, 200, json!("ok"));
    answer.headers = vec![("X-Boot-Id".into(), "b1".into())];
    answer
}

/// What every deployment asks first, and what the watches tell of it.
fn before(pods: &Value, events: Value) -> Vec<Exchange> {
    vec![
        recorded("system-namespaces"),
        recorded("functions-list"),
        list(PODS, pods),
        watch(PODS, events),
        list(DEPLOYMENTS, &json!([])),
        watch(DEPLOYMENTS, json!([{ "type": "ADDED", "object": deployment(1) }])),
    ]
}

fn ready_pod() -> Value {
    json!([{ "type": "ADDED", "object": pod("a", true) }])
}

async fn play(script: Vec<Exchange>) -> (OpenFaas, Replay) {
    let server = Replay::start(script).await;
    (OpenFaas::new(cluster(&server)), server)
}

#[tokio::test]
async fn a_deployment_is_ready_when_its_function_has_answered_itself() {
    let mut script = before(&json!([]), ready_pod());
    script.extend([
        recorded("function-deploy"),
        // The provider's cache, then a replica without its first probe, then a ready one.
        recorded("function-status-starting"),
        recorded("function-status-starting-150ms").at(STATUS),
        recorded("function-status-ready"),
        // The gateway answers in the function's place first.
        Exchange { method: "GET".into(), ..recorded("err-404-invoke").at(HEALTH) },
        healthy(),
    ]);
    let (mut platform, server) = play(script).await;
    let deployed = platform.deploy(&spec()).await.unwrap();
    assert_eq!(deployed.endpoints[0].url, format!("{}/function/rec-fn/predict?top=5", server.url()));
    let pods = deployed.pods.unwrap();
    assert_eq!((pods.container.as_str(), pods.function.as_str()), ("rec-fn", "rec-fn.openfaas-fn"));
    assert!(setting::ON_CLUSTER.iter().all(|key| deployed.settings.contains_key(*key)));
    let post = server.asked().into_iter().find(|asked| asked.method == "POST").unwrap();
    assert_eq!(post.body["labels"]["testbed/run"], "r1");
    assert_eq!(post.body["labels"]["com.openfaas.scale.min"], post.body["labels"]["com.openfaas.scale.max"]);
    assert_eq!(server.calls().iter().filter(|call| call.ends_with(HEALTH)).count(), 2);
    // From the watches, without a question.
    let asked = server.calls().len();
    let sample = platform.observe().await.unwrap();
    assert_eq!((sample.ready, sample.desired), (1, 1));
    assert_eq!(server.calls().len(), asked);
    assert!(platform.wait_for_zero(Duration::ZERO).await.unwrap_err().to_string().contains("does not scale"));
}

#[tokio::test]
async fn an_old_replica_that_still_answers_does_not_pass_for_the_new_one() {
    let updated = |events: Value| {
        let mut script = before(&json!([pod("old", true)]), events);
        let updated = [recorded("err-deploy-exists"), recorded("function-update"), healthy()];
        script.extend(updated);
        script.push(recorded("function-status-updated"));
        script
    };
    let (mut platform, server) = play(updated(json!([]))).await;
    let spec = spec();
    let waiting = tokio::time::timeout(Duration::from_millis(400), platform.deploy(&spec)).await;
    assert!(waiting.is_err(), "the old replica passed for the new one");
    assert!(!server.calls().iter().any(|call| call.ends_with(HEALTH)));

    let replaced = json!([
        { "type": "ADDED", "object": pod("new", true) },
        { "type": "DELETED", "object": pod("old", true) },
    ]);
    let (mut platform, _server) = play(updated(replaced)).await;
    platform.deploy(&spec).await.unwrap();
}

#[tokio::test]
async fn what_keeps_a_function_from_starting_is_said_within_seconds_and_nothing_is_left() {
    let mut said = Vec::new();
    for (name, pods, status) in
        [("rec-bad", "pods-badimage", "status-badimage"), ("rec-crash", "pods-crash", "status-crash")]
    {
        let mut events = recorded(pods).body["items"].clone();
        for event in events.as_array_mut().unwrap() {
            *event = json!({ "type": "ADDED", "object": event.take() });
        }
        let mut script = before(&json!([]), events);
        script.extend([
            recorded("deploy-badimage"),
            recorded(status),
            recorded("function-delete"),
            recorded("status-after-delete").at(&format!("/system/function/{name}")),
        ]);
        let (mut platform, server) = play(script).await;
        let mut spec = spec();
        spec.name = name.into();
        let began = Instant::now();
        let error = platform.deploy(&spec).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let PlatformError::NotReady { cause, .. } = error else { panic!("{error}") };
        said.push(cause);
        assert!(server.calls().contains(&"DELETE /system/functions".to_owned()), "something is left behind");
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
        the image cannot be pulled (ErrImagePull: failed to pull and unpack image "dev.local/nosuch:v1": failed to resolve image: failed to do request: Head "https://dev.local/v2/nosuch/manifests/v1": dial tcp: lookup dev.local on 10.255.255.53:53: no such host)
        the container rec-crash ends again and again (exit code 3: crash asked for)
        "#);
}

#[tokio::test]
async fn a_removal_waits_for_the_gateway_and_for_the_pods_and_may_be_repeated() {
    let mut script = before(&json!([]), ready_pod());
    script.extend([
        recorded("function-deploy"),
        recorded("function-status-ready"),
        healthy(),
        // The settings are read; then the pod is still there, and its end is heard of.
        list(PODS, &json!([])),
        list(PODS, &json!([pod("a", true)])),
        list(PODS, &json!([pod("a", true)])),
        watch(PODS, json!([{ "type": "DELETED", "object": pod("a", true) }])),
        recorded("function-delete"),
        recorded("function-status-ready"),
        recorded("function-status-ready"),
        recorded("status-after-delete"),
    ]);
    let (mut platform, server) = play(script).await;
    platform.deploy(&spec()).await.unwrap();
    platform.remove().await.unwrap();
    let delete = server.asked().into_iter().find(|asked| asked.method == "DELETE").unwrap();
    assert_eq!(delete.body, json!({ "functionName": "rec-fn", "namespace": "openfaas-fn" }));
    let calls = server.calls();
    let at = calls.iter().position(|call| call.starts_with("DELETE")).unwrap();
    let statuses = calls[at..].iter().filter(|call| call.ends_with(STATUS)).count();
    let pods = calls[at..].iter().filter(|call| call.ends_with(PODS)).count();
    assert!(statuses >= 2 && pods >= 2, "{calls:?}");
    platform.remove().await.unwrap();
    assert_eq!(server.calls().len(), calls.len());
    assert!(platform.observe().await.is_err());
}

#[tokio::test]
async fn a_function_that_another_process_deployed_is_taken_over() {
    let mut script = before(&json!([pod("a", true)]), json!([]));
    script.extend([recorded("status-after-delete"), recorded("function-status-ready")]);
    let (mut platform, server) = play(script).await;
    assert!(platform.find("rec-fn").await.unwrap().is_none());
    let found = platform.find("rec-fn").await.unwrap().unwrap();
    assert_eq!(found.endpoints[0].url, format!("{}/function/rec-fn", server.url()));
    assert_eq!(platform.observe().await.unwrap().ready, 1);
}

#[tokio::test]
async fn limits_that_the_cluster_tells_are_named_before_anything_is_touched() {
    let full: Vec<Value> = (0..15).map(|i| json!({ "name": format!("f{i}") })).collect();
    let full = vec![recorded("system-namespaces"), Exchange::new("GET", FUNCTIONS, 200, json!(full))];
    let elsewhere = vec![Exchange::new("GET", "/system/namespaces", 200, json!(["faas"]))];
    for (script, word) in [(full, "allows 15"), (elsewhere, "this gateway has faas")] {
        let (mut platform, server) = play(script).await;
        let error = platform.deploy(&spec()).await.unwrap_err();
        assert!(matches!(error, PlatformError::Limit { .. }) && error.to_string().contains(word), "{error}");
        assert!(server.calls().iter().all(|call| call.starts_with("GET")));
        platform.remove().await.unwrap();
    }
    let (mut platform, server) = play(vec![]).await;
    let mut six = spec();
    six.replicas = ReplicaBounds { min: 6, max: 6 };
    assert!(matches!(platform.deploy(&six).await.unwrap_err(), PlatformError::Limit { .. }));
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn without_rights_on_pods_the_gateway_alone_is_enough() {
    let forbidden = |path: &str| {
        Exchange::new(
            "GET",
            path,
            403,
            json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": "no" }),
        )
    };
    let (mut platform, _server) = play(vec![
        recorded("system-namespaces"),
        recorded("functions-list"),
        forbidden(PODS),
        forbidden("/apis/apps/v1/*"),
        recorded("function-deploy"),
        recorded("function-status-ready"),
        healthy(),
        recorded("scale-status-3"),
    ])
    .await;
    let deployed = platform.deploy(&spec()).await.unwrap();
    assert!(deployed.settings[setting::NODES].contains("not read back"));
    let sample = platform.observe().await.unwrap();
    assert_eq!((sample.ready, sample.desired), (3, 4));
}

#[tokio::test]
async fn a_stranger_under_the_functions_name_is_not_our_function() {
    let mut script = before(&json!([]), ready_pod());
    script.extend([
        recorded("function-deploy"),
        recorded("function-status-ready"),
        Exchange { method: "GET".into(), ..recorded("invoke-ok").at(HEALTH) },
        recorded("function-delete"),
        recorded("status-after-delete"),
    ]);
    let (mut platform, _server) = play(script.clone()).await;
    let error = platform.deploy(&spec()).await.unwrap_err().to_string();
    assert!(error.contains("no X-Boot-Id: not our function"), "{error}");
    // An image of the user's own need not have one.
    let (mut platform, _server) = play(script).await;
    let mut own = spec();
    own.image.as_mut().unwrap().is_ours = false;
    platform.deploy(&own).await.unwrap();
}

#[tokio::test]
async fn the_login_comes_from_the_clusters_secret_when_none_is_given() {
    // admin, and "secret" with a newline at its end.
    let secret = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "basic-auth" },
        "data": { "basic-auth-user": "YWRtaW4=", "basic-auth-password": "c2VjcmV0Cg==" } });
    let path = "/api/v1/namespaces/openfaas/secrets/basic-auth";
    let versions = async |answer: Exchange| {
        let server = Replay::start([answer, recorded("system-info")]).await;
        let mut cluster = Arc::into_inner(cluster(&server)).unwrap();
        cluster.login = None;
        let outcome = OpenFaas::new(Arc::new(cluster)).versions().await;
        let sent = server.asked().last().and_then(|asked| asked.authorization.clone());
        (outcome.map_err(|error| error.to_string()), sent)
    };
    let (info, sent) = versions(Exchange::new("GET", path, 200, secret)).await;
    assert_eq!(info.unwrap().provider.orchestration, "kubernetes");
    // base64 of admin:secret
    assert_eq!(sent.as_deref(), Some("Basic YWRtaW46c2VjcmV0"));
    let broken = json!({ "data": { "basic-auth-user": "YWRtaW4=" } });
    let (error, _) = versions(Exchange::new("GET", path, 200, broken)).await;
    insta::assert_snapshot!(error.unwrap_err(), @"the gateway's login cannot be read from Secret openfaas/basic-auth (it has no key basic-auth-password); give it with --gateway-password-file FILE or OPENFAAS_PASSWORD");
    let status =
        json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": "secrets is forbidden" });
    let (error, _) = versions(Exchange::new("GET", path, 403, status)).await;
    insta::assert_snapshot!(error.unwrap_err(), @"the gateway's login cannot be read from Secret openfaas/basic-auth (secrets is forbidden); give it with --gateway-password-file FILE or OPENFAAS_PASSWORD");
    // A gateway without login is asked without.
    let status = json!({ "kind": "Status", "code": 404, "reason": "NotFound", "message": "not found" });
    let (info, sent) = versions(Exchange::new("GET", path, 404, status)).await;
    assert!(info.is_ok() && sent.is_none());
}

#[tokio::test]
async fn a_gateway_without_an_address_says_how_to_give_one() {
    let server = Replay::start([]).await;
    let mut cluster = Arc::into_inner(cluster(&server)).unwrap();
    cluster.choice.gateway = None;
    let error = OpenFaas::new(Arc::new(cluster)).deploy(&spec()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the control interface of openfaas failed: there is no Service gateway in namespace openfaas; give the gateway's address as --gateway http://HOST:PORT, or open it as a NodePort or LoadBalancer");
}
