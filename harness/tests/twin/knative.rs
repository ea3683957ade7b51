//! Rules of the Knative plane.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn answers_look_like_the_recorded_ones() {
    let mut twin = twin(PlatformKind::Knative);
    let deployed = twin.deploy(&spec(1, 1)).await.unwrap();
    let endpoint = &deployed.endpoints[0];
    assert_eq!(endpoint.headers, [("Host".to_owned(), "fake.default.127.0.0.1.sslip.io".to_owned())]);
    let ok = call(endpoint, "/predict").await;
    assert_eq!((ok.status, ok.header("server")), (200, "envoy"));
    assert!(ok.header("x-envoy-upstream-service-time").parse::<u64>().is_ok(), "{ok:?}");
    assert!(ok.body.ends_with("for fake.default.127.0.0.1.sslip.io\n"), "the function sees the Host");

    let url = endpoint.url.clone();
    let unknown = post(&url, Some("nosuch.default.127.0.0.1.sslip.io".into())).await.unwrap();
    assert_eq!((unknown.status, unknown.body.as_str()), (404, ""));
    assert_eq!((unknown.header("server"), unknown.header("connection")), ("envoy", "close"));
    assert_eq!(unknown.header("x-envoy-upstream-service-time"), "");
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_slow_a_function_is_answered_with_504() {
    let mut twin = twin(PlatformKind::Knative);
    let limited = FunctionSpec { platform_settings: settings(&[("timeout-seconds", "1")]), ..spec(1, 1) };
    let deployed = twin.deploy(&limited).await.unwrap();
    let late = call(&deployed.endpoints[0], "/predict?ms=3000").await;
    assert_eq!(late.status, 504);
    // Activator and queue-proxy have the same limit; on a busy machine the inner one may be first.
    assert!(["activator request timeout", "request timeout"].contains(&late.body.as_str()), "{}", late.body);
    assert!(late.header("x-envoy-upstream-service-time").parse::<u64>().unwrap() >= 1000);
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_proxy_lets_one_in_queues_ten_and_refuses_the_rest() {
    let mut twin = twin(PlatformKind::Knative);
    let limited = FunctionSpec {
        container_concurrency: 1,
        platform_settings: settings(&[("target-burst-capacity", "0")]),
        ..spec(1, 1)
    };
    let deployed = twin.deploy(&limited).await.unwrap();
    let state = twin.state().await.unwrap();
    assert_eq!(state.activator_in_path, Some(false), "0 takes the activator out of the path");
    let answers = burst(&deployed.endpoints[0], "/predict?ms=150", 14).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((served.len(), refused.len()), (11, 3), "{refused:?}");
    for answer in refused {
        assert_eq!((answer.status, answer.body.as_str()), (503, "pending request queue full\n"));
    }
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_activator_in_the_path_the_same_burst_waits_and_is_served() {
    let mut twin = twin(PlatformKind::Knative);
    let limited = FunctionSpec { container_concurrency: 1, ..spec(1, 1) };
    let deployed = twin.deploy(&limited).await.unwrap();
    assert_eq!(twin.state().await.unwrap().activator_in_path, Some(true), "211 is the default");
    let started = Instant::now();
    let answers = burst(&deployed.endpoints[0], "/predict?ms=50", 14).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(started.elapsed() >= Duration::from_millis(14 * 50), "one at a time");
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_calls_are_spread_and_at_a_limit_of_one_the_first_free_replica_is_used() {
    for (container_concurrency, instances) in [(0, 2), (1, 1)] {
        let mut twin = twin(PlatformKind::Knative);
        let deployed = twin.deploy(&FunctionSpec { container_concurrency, ..spec(2, 2) }).await.unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            seen.insert(call(&deployed.endpoints[0], "/predict").await.boot_id().to_owned());
        }
        assert_eq!(seen.len(), instances, "containerConcurrency {container_concurrency}");
        remove(twin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_zero_a_request_is_held_until_a_new_replica_answers() {
    let mut twin = twin(PlatformKind::Knative);
    let idle = FunctionSpec {
        platform_settings: settings(&[("window", "6s"), ("scale-to-zero-grace-period", "1s")]),
        ..spec(0, 1)
    };
    let deployed = twin.deploy(&idle).await.unwrap();
    let warm = call(&deployed.endpoints[0], "/predict").await;
    assert_eq!(warm.status, 200);
    let proof = twin.wait_for_zero(Duration::from_secs(30)).await.unwrap();
    assert_eq!(proof.gone, [warm.header("x-instance-id")]);
    let zero = twin.state().await.unwrap();
    assert_eq!((zero.ready, zero.restarts, zero.activator_in_path), (0, 0, Some(true)));
    assert!(zero.pids.is_empty(), "{zero:?}");
    let cold = call(&deployed.endpoints[0], "/predict").await;
    assert_eq!((cold.status, cold.header("x-cold-start")), (200, "true"), "{cold:?}");
    assert_ne!(cold.boot_id(), warm.boot_id());
    let steps = |replica: &str| -> Vec<Step> {
        let news = twin.lives().1.into_iter();
        news.filter(|one| one.replica == replica).map(|one| one.step).collect()
    };
    assert_eq!(
        steps(warm.header("x-instance-id")),
        [Step::Requested, Step::Started, Step::Ready, Step::Terminating, Step::Gone]
    );
    assert_eq!(steps(cold.header("x-instance-id")), [Step::Requested, Step::Started, Step::Ready]);
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_replica_says_so_instead_of_waiting_for_zero() {
    for (kind, why) in
        [(PlatformKind::Knative, "it keeps 1 replicas"), (PlatformKind::OpenFaas, "does not scale to zero")]
    {
        let mut twin = twin(kind);
        twin.deploy(&spec(1, 1)).await.unwrap();
        let refused = twin.wait_for_zero(Duration::from_mins(1)).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        remove(twin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_share_the_traffic_by_weight_and_each_answer_names_its_own() {
    let mut twin = twin(PlatformKind::Knative);
    let revision = |name: &str, percent| RevisionShare { name: name.into(), percent, env: BTreeMap::new() };
    let split =
        FunctionSpec { revisions: vec![revision("stable", 70), revision("canary", 30)], ..spec(1, 1) };
    let deployed = twin.deploy(&split).await.unwrap();
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..200 {
        let answer = call(&deployed.endpoints[0], "/predict").await;
        let revision = twin.revisions().get(answer.header("x-instance-id")).cloned();
        *answers.entry(revision.expect("every replica belongs to a revision")).or_default() += 1;
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["fake-canary", "fake-stable"]);
    // 60 of 200 are meant; fewer than 31 or more than 89 come about once in a hundred thousand runs.
    assert!((31..90).contains(&answers["fake-canary"]), "{answers:?}");
    let state = twin.state().await.unwrap();
    assert_eq!((state.ready, state.desired, state.pids.len()), (2, 2, 2));
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_panic_brings_replicas_within_seconds() {
    let mut twin = twin(PlatformKind::Knative);
    let scaling = FunctionSpec { platform_settings: settings(&[("target", "1")]), ..spec(1, 3) };
    let deployed = twin.deploy(&scaling).await.unwrap();
    let load = load(&deployed.endpoints[0], "/predict?ms=100", 6);
    let state = until(&twin, 20, |state| state.ready == 3).await;
    assert!(state.panic && state.desired == 3, "{state:?}");
    drop(load);
    remove(twin).await;
}
