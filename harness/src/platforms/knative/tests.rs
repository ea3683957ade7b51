//! Recorded conversations with a real API server and Knative 1.23, played again.

use std::sync::Arc;

use serde_json::json;

use super::{
    ready::{State, state},
    *,
};
use crate::{
    platforms::{
        cluster::{
            labels::MANAGED_BY,
            reach::Route,
            testing::{cluster, list, refusal, spec, watch},
        },
        setting,
    },
    replay::{Exchange, Replay},
};

const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";
const SERVICE: &str = "/apis/serving.knative.dev/v1/namespaces/default/services/rec-hello";
const PODS_PATH: &str = "/api/v1/namespaces/default/pods";
const AUTOSCALERS: &str = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/default/podautoscalers";
const POD: &str = "rec-hello-00001-deployment-5f9566986-wd8tf";

fn recorded(name: &str) -> Exchange {
    Exchange::recorded(&format!("kubernetes/{name}"))
}

/// Objects of a recorded watch, in order.
fn told(name: &str) -> Vec<Value> {
    let events = recorded(name).body;
    events.as_array().unwrap().iter().map(|event| event["object"].clone()).collect()
}

fn hello(min: u32, max: u32) -> FunctionSpec {
    let mut spec = spec(min, max);
    spec.name = "rec-hello".into();
    spec
}

/// Everything that a deployment from nothing to the first answer is told, but the apply call.
fn around() -> Vec<Exchange> {
    let pods = recorded("pods-of-revision").at(PODS_PATH);
    let healthy = Exchange {
        headers: vec![("x-boot-id".into(), "b1".into()), ("x-instance-id".into(), POD.into())],
        ..Exchange::new("GET", "/health", 200, Value::Null)
    };
    let not_yet = Exchange {
        headers: vec![("server".into(), "envoy".into())],
        ..Exchange::new("GET", "/health", 404, Value::Null)
    };
    vec![
        Exchange::new("GET", "/apis/serving.knative.dev/v1", 200, json!({ "kind": "APIResourceList" })),
        recorded("configmap-config-network"),
        Exchange::new("GET", "/api/v1/namespaces/default", 200, json!({ "metadata": { "name": "default" } })),
        recorded("err-404-ksvc").at(SERVICE),
        list(PODS_PATH, &json!([])),
        list(SERVICES, &json!([])),
        recorded("ksvc-watch-create-to-ready"),
        pods,
        watch(PODS_PATH, json!([])),
        not_yet,
        healthy,
        recorded("revision-get"),
        recorded("configmap-config-autoscaler"),
        list(AUTOSCALERS, &json!([recorded("podautoscaler-active").body])),
        watch(AUTOSCALERS, json!([])),
    ]
}

#[tokio::test]
async fn a_function_is_deployed_once_it_answers_through_the_ingress() {
    let mut script = around();
    script.push(recorded("ksvc-apply-create"));
    let server = Replay::start(script).await;
    let mut knative = Knative::new(Arc::new(cluster(&server, "default")));
    let deployed = knative.deploy(&hello(1, 1)).await.unwrap();
    let endpoint = &deployed.endpoints[0];
    assert_eq!(endpoint.url, format!("{}/predict?top=5", server.url()));
    assert_eq!(endpoint.headers, [("Host".to_owned(), "rec-hello.default.example.com".to_owned())]);
    assert!(deployed.ready_after > Duration::ZERO);
    let pods = deployed.pods.unwrap();
    assert_eq!(pods.selector, "serving.knative.dev/service=rec-hello");
    assert_eq!(pods.revision.as_deref(), Some("rec-hello-00001"));
    assert_eq!(
        server.calls().iter().filter(|call| *call == "GET /health").count(),
        2,
        "404 is not the answer"
    );

    let mut keys: Vec<_> = deployed.settings.keys().map(String::as_str).collect();
    let mut wanted = setting::ON_CLUSTER;
    wanted.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!(deployed.settings[setting::NODES], "bench-node (1)");

    // The watch tells the pods a moment after it began.
    let sample = loop {
        match knative.observe().await.unwrap() {
            sample if sample.ready == 0 => tokio::task::yield_now().await,
            sample => break sample,
        }
    };
    assert_eq!((sample.ready, sample.desired), (1, 1), "desiredScale -1 means: not known yet");
    assert_eq!(knative.revision_of(POD).as_deref(), Some("rec-hello-00001"));
    assert_eq!(knative.revision_of("another"), None);
}

#[tokio::test]
async fn an_api_server_that_is_gone_for_a_while_and_a_conflict_are_got_over() {
    let mut script = around();
    script.push(Exchange::hang_up("PATCH", SERVICE));
    script.push(recorded("err-409-apply-conflict"));
    script.push(recorded("ksvc-apply-create"));
    script.insert(0, Exchange::hang_up("GET", SERVICES));
    script.insert(0, Exchange::hang_up("GET", "/api/v1/namespaces/default"));
    let server = Replay::start(script).await;
    let mut knative = Knative::new(Arc::new(cluster(&server, "default")));
    knative.deploy(&hello(1, 1)).await.unwrap();
    assert_eq!(server.calls().iter().filter(|call| call.starts_with("PATCH")).count(), 3);
}

#[tokio::test]
async fn somebody_elses_service_is_not_touched_and_a_left_over_one_is_removed_first() {
    let mut service = recorded("ksvc-get-ready");
    let mut script = around();
    script.retain(|exchange| exchange.path != SERVICE);
    script.push(service.clone());
    let server = Replay::start(script.clone()).await;
    let mut knative = Knative::new(Arc::new(cluster(&server, "default")));
    let error = knative.deploy(&hello(1, 1)).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"knative cannot do this: a Service rec-hello that the testbed did not make is in namespace default; choose another name or namespace, or remove it yourself");
    knative.remove().await.unwrap();
    assert!(server.calls().iter().all(|call| call.starts_with("GET")), "{:?}", server.calls());

    service.body["metadata"]["labels"][MANAGED_BY.0] = MANAGED_BY.1.into();
    script.pop();
    script.extend([service, recorded("ksvc-delete").at(SERVICE), recorded("ksvc-apply-create")]);
    let server = Replay::start(script).await;
    Knative::new(Arc::new(cluster(&server, "default"))).deploy(&hello(1, 1)).await.unwrap();
    assert!(server.calls().contains(&format!("DELETE {SERVICE}")));
}

#[test]
fn ready_counts_only_for_what_was_applied() {
    let created = told("ksvc-watch-create-to-ready");
    for service in &created[..created.len() - 1] {
        assert!(matches!(state(service, 1), State::Starting(_)), "{:?}", state(service, 1));
    }
    let updated = told("ksvc-watch-update-to-ready");
    assert!(
        updated[0].to_string().contains(r#""status":"True","type":"Ready""#),
        "the trap: still Ready for the old one"
    );
    for service in &updated[..updated.len() - 1] {
        assert!(matches!(state(service, 2), State::Starting(_)), "{:?}", state(service, 2));
    }
    let serving = |revision: &str| {
        State::Ready(Serving {
            url: "http://rec-hello.default.example.com".to_owned(),
            revision: revision.to_owned(),
        })
    };
    assert_eq!(state(created.last().unwrap(), 1), serving("rec-hello-00001"));
    assert_eq!(state(updated.last().unwrap(), 2), serving("rec-hello-00002"));
    // At zero replicas it serves: the activator holds the requests.
    assert_eq!(state(&recorded("ksvc-get-at-zero").body, 2), serving("rec-hello-00002"));
    // What was applied is newer than what is told.
    assert!(matches!(state(created.last().unwrap(), 2), State::Starting(_)));
}

/// How the wait for a Service that cannot start ends.
async fn failure(name: &str, pods: bool) -> String {
    let path = PODS_PATH;
    let found = recorded(&format!("rec-{name}-pods"));
    let found = if pods { found.at(path) } else { list(path, &json!([])) };
    let log = Exchange::new("GET", &format!("{path}/*"), 200, json!(""));
    let server = Replay::start([
        list(SERVICES, &json!([])),
        recorded(&format!("rec-{name}-watch")),
        found,
        watch(path, json!([])),
        log,
    ])
    .await;
    let wait = Wait {
        api: &server.api(),
        namespace: "default",
        name: &format!("rec-{name}"),
        generation: 1,
        revisions: &[],
        pods: 1,
        deadline: Instant::now() + Duration::from_secs(20),
    };
    match wait.run().await.unwrap_err() {
        NotServing::Cause(cause) => cause,
        NotServing::Api(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_revision_that_cannot_start_is_reported_with_its_cause_in_one_line() {
    let started = Instant::now();
    let (image, crash, tag, digest) = tokio::join!(
        failure("badimage", true),
        failure("crash", true),
        failure("notag", false),
        failure("baddigest", false)
    );
    insta::assert_snapshot!(image, @r#"the image cannot be pulled (ErrImagePull: failed to pull and unpack image "dev.local/nosuch:v1": failed to resolve image: failed to do request: Head "https://dev.local/v2/nosuch/manifests/v1": dial tcp: lookup dev.local on 10.255.255.53:53: no such host)"#);
    insta::assert_snapshot!(crash, @"the container user-container ends again and again (exit code 3: crash asked for)");
    insta::assert_snapshot!(tag, @r#"Unable to fetch image "10.200.0.1:5000/benchfn:nosuchtag": failed to resolve image to digest: HEAD http://10.200.0.1:5000/v2/benchfn/manifests/nosuchtag: unexpected status code 404 Not Found (HEAD responses have no body, use GET for details)"#);
    insta::assert_snapshot!(digest, @r#"Unable to fetch image "10.200.0.1:5999/nosuch:v1": failed to resolve image to digest: Get "https://10.200.0.1:5999/v2/": dial tcp 10.200.0.1:5999: connect: connection refused; Get "http://10.200.0.1:5999/v2/": dial tcp 10.200.0.1:5999: connect: connection refused"#);
    assert!(started.elapsed() < Duration::from_secs(10), "found out early, not by the time limit");
}

#[tokio::test]
async fn a_service_that_is_late_says_what_it_waits_for() {
    let mut events = recorded("ksvc-watch-create-to-ready");
    events.body.as_array_mut().unwrap().truncate(3);
    let server = Replay::start([
        list(SERVICES, &json!([])),
        events,
        list(PODS_PATH, &json!([])),
        watch(PODS_PATH, json!([])),
    ])
    .await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let wait = Wait {
        api: &server.api(),
        namespace: "default",
        name: "rec-hello",
        generation: 1,
        revisions: &[],
        pods: 1,
        deadline,
    };
    let NotServing::Cause(cause) = wait.run().await.unwrap_err() else { panic!() };
    insta::assert_snapshot!(cause, @r#"Ready is not true yet: Configuration "rec-hello" is waiting for a Revision to become ready"#);
}

#[tokio::test]
async fn a_service_that_somebody_deletes_meanwhile_is_not_waited_for() {
    let mut events = recorded("ksvc-watch-create-to-ready");
    let events_told = events.body.as_array_mut().unwrap();
    events_told.truncate(2);
    let mut last = events_told[1].clone();
    last["type"] = "DELETED".into();
    events_told.push(last);
    let pods = [list(PODS_PATH, &json!([])), watch(PODS_PATH, json!([]))];
    let server = Replay::start([list(SERVICES, &json!([])), events].into_iter().chain(pods)).await;
    let wait = Wait {
        api: &server.api(),
        namespace: "default",
        name: "rec-hello",
        generation: 1,
        revisions: &[],
        pods: 1,
        deadline: Instant::now() + Duration::from_secs(10),
    };
    let NotServing::Cause(cause) = wait.run().await.unwrap_err() else { panic!() };
    assert_eq!(cause, "somebody deleted the Service meanwhile");
}

/// Seen on a real cluster: the condition stays false until the pod is ready, seconds after it was
/// scheduled at last.
#[tokio::test]
async fn a_pod_that_got_its_node_late_is_not_given_up_for_the_condition_that_remembers_it() {
    let mut events = recorded("ksvc-watch-create-to-ready");
    let told = events.body.as_array_mut().unwrap();
    told.truncate(3);
    let words =
        "Revision \"rec-hello-00001\" failed with message: 0/1 nodes are available: 1 Insufficient cpu..";
    told[2]["object"]["status"]["conditions"] = json!([{ "type": "ConfigurationsReady", "status": "False", "reason": "RevisionFailed", "message": words }]);
    let mut pods = recorded("pods-of-revision").at(PODS_PATH);
    pods.body["items"][0]["status"]["conditions"] = json!([]);
    let server = Replay::start([list(SERVICES, &json!([])), events, pods, watch(PODS_PATH, json!([]))]).await;
    let limit = Duration::from_millis(700);
    let wait = Wait {
        api: &server.api(),
        namespace: "default",
        name: "rec-hello",
        generation: 1,
        revisions: &[],
        pods: 1,
        deadline: Instant::now() + limit,
    };
    let started = Instant::now();
    wait.run().await.unwrap_err();
    assert!(started.elapsed() >= limit, "it waited as long as it may");
}

#[tokio::test]
async fn every_refusal_is_one_line_that_names_the_remedy() {
    let mut lines = Vec::new();
    for name in [
        "webhook-annotation",
        "webhook-concurrency",
        "webhook-forbidden-field",
        "webhook-image",
        "webhook-no-container",
        "webhook-port",
        "400-bad-json",
        "400-no-fieldmanager",
        "403-serviceaccount",
        "415",
        "422-bad-name",
        "unknown-field",
    ] {
        let server = Replay::start([recorded(&format!("err-{name}")).at(SERVICE)]).await;
        let manifest = json!({ "metadata": { "name": "rec-hello" } });
        let error =
            applying::apply(&server.api(), &KNATIVE_SERVICES, "default", &manifest).await.unwrap_err();
        lines.push(format!("{name}: {}", applying::explained(KIND, error)));
    }
    for name in ["401-bad-token", "403-anonymous", "404-group"] {
        let server = Replay::start([recorded(&format!("err-{name}")).at(SERVICES)]).await;
        let error =
            server.api().list(&KNATIVE_SERVICES, Some("default"), &Selection::default()).await.unwrap_err();
        lines.push(format!("{name}: {}", applying::explained(KIND, error)));
    }
    for name in ["409-exists", "409-stale"] {
        let server = Replay::start([Exchange {
            method: "PATCH".into(),
            ..recorded(&format!("err-{name}")).at(SERVICE)
        }])
        .await;
        let error = server
            .api()
            .merge(&KNATIVE_SERVICES, Some("default"), "rec-hello", &json!({}))
            .await
            .unwrap_err();
        lines.push(format!("{name}: {}", applying::explained(KIND, error)));
    }
    assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:#?}");
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_cluster_without_knative_says_so_before_anything_is_touched() {
    let server = Replay::start([recorded("err-404-group").at("/apis/serving.knative.dev/v1")]).await;
    let mut knative = Knative::new(Arc::new(cluster(&server, "default")));
    let error = knative.deploy(&hello(1, 1)).await.unwrap_err();
    insta::assert_snapshot!(error, @"knative cannot do this: Knative Serving is not installed on this cluster; install it, or leave knative out of --platforms");
    assert_eq!(server.calls(), ["GET /apis/serving.knative.dev/v1"]);
}

#[tokio::test]
async fn a_quota_is_a_limit_and_a_login_that_ends_half_way_ends_the_wait() {
    let manifest = json!({ "metadata": { "name": "rec-hello" } });
    let quota = "services.serving.knative.dev \"x\" is forbidden: exceeded quota: q, requested: cpu=1";
    let server = Replay::start([refusal("PATCH", SERVICE, 403, quota)]).await;
    let error = applying::apply(&server.api(), &KNATIVE_SERVICES, "default", &manifest).await.unwrap_err();
    insta::assert_snapshot!(applying::explained(KIND, error), @r#"knative cannot do this: services.serving.knative.dev "x" is forbidden: exceeded quota: q, requested: cpu=1; raise the namespace's quota, or lower replicas, cpu-cores or memory-mib"#);

    let unauthorised = recorded("err-401-bad-token").at(SERVICES);
    let ended = Exchange { watch: true, ..unauthorised.clone() };
    let server = Replay::start([
        list(SERVICES, &json!([])),
        ended,
        unauthorised,
        list(PODS_PATH, &json!([])),
        watch(PODS_PATH, json!([])),
    ])
    .await;
    let (api, deadline) = (server.api(), Instant::now() + Duration::from_secs(10));
    let wait = Wait {
        api: &api,
        namespace: "default",
        name: "rec-hello",
        generation: 1,
        revisions: &[],
        pods: 1,
        deadline,
    };
    let NotServing::Cause(cause) = wait.run().await.unwrap_err() else { panic!() };
    assert!(cause.contains("does not accept the login (401)"), "{cause}");
}

#[tokio::test]
async fn what_is_not_there_is_none_whatever_is_missing() {
    for name in ["err-404-ksvc", "err-404-namespace", "err-404-group"] {
        let server = Replay::start([recorded(name).at(SERVICE)]).await;
        let found = server.api().get(&KNATIVE_SERVICES, Some("default"), "rec-hello").await.unwrap();
        assert_eq!(found, None, "{name}");
    }
}

#[test]
fn only_revisions_with_traffic_must_have_pods() {
    let share = |name: &str, percent| crate::platforms::RevisionShare {
        name: name.to_owned(),
        percent,
        env: BTreeMap::new(),
    };
    let spec = FunctionSpec { revisions: vec![share("a", 40), share("b", 60), share("c", 0)], ..hello(1, 1) };
    let made = manifest::manifests(&spec, "default", &BTreeMap::new()).unwrap();
    let wanted: Vec<_> = made.iter().map(|m| with_traffic(&spec, m)).collect();
    assert_eq!(wanted, [vec![], vec!["rec-hello-a"], vec!["rec-hello-a", "rec-hello-b"]]);
}

fn applied(server: &Replay) -> Knative {
    let mut knative = Knative::new(Arc::new(cluster(server, "default")));
    knative.applied = Some("rec-hello".to_owned());
    knative
}

/// The pods of `pods-watch-delete` as they are before it begins.
fn leaving() -> Value {
    let mut pod = told("pods-watch-delete")[0].clone();
    pod["metadata"]["resourceVersion"] = "1".into();
    json!([pod])
}

#[tokio::test]
async fn removal_waits_until_the_terminating_pods_are_gone_and_is_safe_to_repeat() {
    let server = Replay::start([
        recorded("ksvc-delete").at(SERVICE),
        recorded("err-404-delete").at(SERVICE),
        list(PODS_PATH, &leaving()),
        recorded("pods-watch-delete"),
    ])
    .await;
    let mut knative = applied(&server);
    knative.remove().await.unwrap();
    knative.remove().await.unwrap();
    // Another process has removed it meanwhile.
    let server = Replay::start([recorded("err-404-delete").at(SERVICE), list(PODS_PATH, &json!([]))]).await;
    applied(&server).remove().await.unwrap();
}

#[tokio::test]
async fn a_watch_that_is_too_old_lists_anew_and_goes_on() {
    let too_old = recorded("err-watch-410");
    let server = Replay::start([
        recorded("ksvc-delete").at(SERVICE),
        list(PODS_PATH, &leaving()),
        Exchange { watch: true, body: json!([too_old.body]), ..too_old.at(PODS_PATH) },
        Exchange::hang_up("GET", PODS_PATH),
        list(PODS_PATH, &json!([])),
    ])
    .await;
    applied(&server).remove().await.unwrap();
    assert!(server.calls().iter().filter(|call| call.ends_with("/pods")).count() >= 4);
}

#[tokio::test]
async fn zero_is_proved_by_pods_that_are_gone_and_by_the_autoscaler() {
    let mut autoscaler = told("podautoscaler-watch-to-zero")[0].clone();
    autoscaler["metadata"]["resourceVersion"] = "1".into();
    let server = Replay::start([
        list(PODS_PATH, &leaving()),
        recorded("pods-watch-delete"),
        list(AUTOSCALERS, &json!([autoscaler])),
        recorded("podautoscaler-watch-to-zero"),
    ])
    .await;
    let proof = zero(&server.api(), "default", "rec-hello", Duration::from_secs(10)).await.unwrap();
    assert_eq!(proof.gone, ["rec-hello-00002-deployment-548b4bc944-59pnn"]);
    insta::assert_snapshot!(proof.autoscaler, @"rec-hello-00002: actualScale 0, desiredScale 0, NoTraffic");
}

#[tokio::test]
async fn pods_that_stay_are_named_when_the_time_for_zero_is_up() {
    let server = Replay::start([
        list(PODS_PATH, &leaving()),
        watch(PODS_PATH, json!([])),
        list(AUTOSCALERS, &json!([])),
        watch(AUTOSCALERS, json!([])),
    ])
    .await;
    let error = zero(&server.api(), "default", "rec-hello", Duration::from_millis(100)).await.unwrap_err();
    assert!(error.to_string().contains("rec-hello-00002-deployment-548b4bc944-59pnn"), "{error}");
}

#[test]
fn the_autoscalers_wish_is_the_sum_of_the_revisions_and_unknown_while_one_has_no_data() {
    let wants = |scale: i64| json!({ "status": { "desiredScale": scale, "actualScale": scale } });
    assert_eq!(wish::desired([wants(2), wants(1)].iter()), Some(3));
    assert_eq!(wish::desired([wants(2), wants(-1)].iter()), None);
    assert_eq!(wish::desired([].iter()), None);
    assert_eq!(wish::at_zero([wants(1), wants(0)].iter()), None);
}

#[tokio::test]
async fn the_way_in_to_what_is_for_the_cluster_alone_is_the_inner_gateway() {
    let gateway = |name: &str| {
        let path = format!("/api/v1/namespaces/kourier-system/services/{name}");
        Exchange::new("GET", &path, 404, json!({ "kind": "Status", "code": 404, "reason": "NotFound" }))
    };
    let istio = "/api/v1/namespaces/istio-system/services/knative-local-gateway";
    let script = vec![
        recorded("configmap-config-network"),
        gateway("kourier-internal"),
        Exchange::new("GET", istio, 404, json!({ "kind": "Status", "code": 404, "reason": "NotFound" })),
    ];
    let server = Replay::start(script).await;
    let mut cluster = cluster(&server, "default");
    cluster.choice.ingress = None;
    let error = Ingress::find(&cluster, Exposure::InsideAlone).await.unwrap_err().to_string();
    assert!(error.contains("kourier-internal") && error.contains("knative-local-gateway"), "{error}");
    assert!(error.contains("--allow-public-grading") && error.contains("--load-from cluster"), "{error}");
}

#[test]
fn a_cluster_without_a_domain_says_so() {
    assert_eq!(host("http://f.bench.example.com", Exposure::Usual).unwrap(), "f.bench.example.com");
    let inner = "http://f.bench.svc.cluster.local";
    let error = host(inner, Exposure::Usual).unwrap_err().to_string();
    assert!(error.contains("config-domain"), "{error}");
    assert_eq!(host(inner, Exposure::InsideAlone).unwrap(), "f.bench.svc.cluster.local");
}

#[test]
fn the_settings_are_those_that_the_cluster_has_in_force() {
    let mut revision = recorded("revision-get").body;
    revision["metadata"]["annotations"]["autoscaling.knative.dev/window"] = "6s".into();
    let pods = recorded("pods-of-revision").body["items"].as_array().unwrap().clone();
    let ingress = Ingress { layer: "kourier".to_owned(), route: Route::given("http://192.0.2.7:80") };
    let observed = settings::Observed {
        context: "lab",
        spec: &hello(0, 5),
        revision: &revision,
        pods: &pods,
        autoscaler: &json!({ "target-burst-capacity": "0", "scale-to-zero-grace-period": "20s" }),
        ingress: &ingress,
        host: "rec-hello.default.example.com",
    };
    let lines: Vec<_> =
        observed.settings().into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
