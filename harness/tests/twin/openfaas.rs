//! Rules of the OpenFaaS plane.

use super::*;
use harness::platforms::PlatformError;

#[tokio::test(flavor = "multi_thread")]
async fn answers_look_like_the_recorded_ones() {
    let mut twin = twin(PlatformKind::OpenFaas);
    let deployed = twin.deploy(&spec(1, 1)).await.unwrap();
    assert!(deployed.ready_after >= Duration::from_secs(2), "the probe's initial delay");
    let endpoint = &deployed.endpoints[0];
    let ok = call(endpoint, "/a/b?ms=1").await;
    assert_eq!(ok.status, 200);
    assert!(
        ok.body.starts_with("POST /a/b for 127.0.0.1:"),
        "the sub-path and the replica's address: {ok:?}"
    );
    assert_eq!((ok.header("x-call-id").len(), ok.header("x-served-by")), (36, "openfaas-community/"));
    assert!(ok.header("x-start-time").parse::<u128>().unwrap() > 1_600_000_000_000_000_000);

    let (base, _) = endpoint.url.split_once("/function/").unwrap();
    let unknown = post(&format!("{base}/function/nosuch"), None).await.unwrap();
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.body,
        "error finding function nosuch.openfaas-fn: server returned non-200 status code (404) for function, \
         nosuch, body: "
    );
    assert_eq!(unknown.header("x-call-id"), "");
    let path = post(&format!("{base}/system/nosuch"), None).await.unwrap();
    assert_eq!((path.status, path.body.as_str()), (404, "404 page not found\n"));
    let with_namespace = post(&format!("{base}/function/fake.openfaas-fn"), None).await.unwrap();
    assert_eq!(with_namespace.status, 200);
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_slow_a_function_is_answered_with_an_empty_502() {
    let mut twin = twin(PlatformKind::OpenFaas);
    let limited =
        FunctionSpec { platform_settings: settings(&[("upstream-timeout", "300ms")]), ..spec(1, 1) };
    let deployed = twin.deploy(&limited).await.unwrap();
    let late = call(&deployed.endpoints[0], "/predict?ms=2000").await;
    assert_eq!((late.status, late.body.as_str()), (502, ""));
    assert_eq!(late.header("x-call-id").len(), 36);
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spread_at_random_without_queue_or_limit() {
    let mut twin = twin(PlatformKind::OpenFaas);
    // The limit is Knative's; OpenFaaS has none and works on all at once.
    let deployed = twin.deploy(&FunctionSpec { container_concurrency: 1, ..spec(2, 2) }).await.unwrap();
    let started = Instant::now();
    let answers = burst(&deployed.endpoints[0], "/predict?ms=300", 40).await;
    assert!(started.elapsed() < Duration::from_secs(3), "took {:?}", started.elapsed());
    assert!(answers.iter().all(|answer| answer.status == 200));
    let seen: std::collections::BTreeSet<_> = answers.iter().map(Answer::boot_id).collect();
    assert_eq!(seen.len(), 2);
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ready_replica_the_error_is_marked_as_the_platforms_or_the_call_is_held() {
    let mut twin = twin(PlatformKind::OpenFaas);
    let deployed = twin.deploy(&spec(1, 1)).await.unwrap();
    call(&deployed.endpoints[0], "/exit").await;
    // Within 250 ms the gateway still believes in the replica; later it holds the call.
    let next = call(&deployed.endpoints[0], "/predict").await;
    match next.status {
        503 | 500 => {
            assert_eq!(next.header("x-openfaas-internal"), "proxy");
            assert!(next.body.contains("fake.openfaas-fn"), "{next:?}");
        }
        502 => assert_eq!(next.body, ""),
        status => assert_eq!(status, 200, "{next:?}"),
    }
    let held = {
        until(&twin, 5, |state| state.restarts == 1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        call(&deployed.endpoints[0], "/predict").await
    };
    assert_eq!(held.status, 200, "held until the replica is back: {held:?}");
    remove(twin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_community_edition_are_checked_before_anything_starts() {
    for (min, max) in [(0, 1), (1, 6)] {
        let mut twin = twin(PlatformKind::OpenFaas);
        let error = twin.deploy(&spec(min, max)).await.unwrap_err();
        assert!(matches!(error, PlatformError::Limit { .. }), "{error}");
        assert!(twin.pids().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_adds_a_replica_under_load() {
    let mut twin = twin(PlatformKind::OpenFaas);
    let quick = [
        ("scrape-interval", "500ms"),
        ("evaluation-interval", "500ms"),
        ("group-wait", "100ms"),
        ("group-interval", "500ms"),
    ];
    let deployed =
        twin.deploy(&FunctionSpec { platform_settings: settings(&quick), ..spec(1, 2) }).await.unwrap();
    let load = load(&deployed.endpoints[0], "/predict?ms=20", 4);
    let state = until(&twin, 40, |state| state.ready == 2).await;
    assert!(state.panic && state.desired == 2, "{state:?}");
    drop(load);
    remove(twin).await;
}
