//! Figures of kubelets and of the metrics API, sorted into cells. The bodies are made by hand after
//! the published types: the recordings hold none of either.

use serde_json::json;

use super::*;
use crate::replay::{Exchange, Replay};

fn function() -> PodsOf {
    PodsOf {
        namespace: "default".into(),
        selector: "app=f".into(),
        container: "user-container".into(),
        function: "f".into(),
        revision: Some("f-00001".into()),
    }
}

fn summary(second: u64, cpu_ns: u64) -> Value {
    let container = |name: &str| {
        json!({
            "name": name,
            "cpu": { "time": format!("2026-11-21T00:00:{second:02}Z"), "usageCoreNanoSeconds": cpu_ns },
            "memory": { "time": format!("2026-11-21T00:00:{second:02}Z"), "workingSetBytes": 1000 },
        })
    };
    json!({ "pods": [
        { "podRef": { "name": "f-00001-deployment-1-a", "namespace": "default" },
          "containers": [container("user-container"), container("queue-proxy"), container("istio-proxy")] },
        { "podRef": { "name": "activator-1-b", "namespace": "knative-serving" }, "containers": [container("activator")] },
        { "podRef": { "name": "other-1-b", "namespace": "default" }, "containers": [container("user-container")] },
    ] })
}

const START_NS: u64 = 1_795_219_200_000_000_000; // 2026-11-21T00:00:00Z

fn heard(source: Source, figures: Vec<Figure>) -> Seen {
    let function = function();
    let mut seen = Seen::default();
    seen.take(Ok((source, figures)), &parts(PlatformKind::Knative, &function, "openfaas"), &function);
    seen
}

#[test]
fn a_summary_becomes_series_by_component_on_the_cells_axis() {
    let cell =
        heard(Source::Kubelet, of_summary(&summary(12, 3_500_000_000))).cell(START_NS + 10_000_000_000, 5);
    let cpu: Vec<_> = cell.series.iter().filter(|s| s.name == name::CPU).collect();
    let components: Vec<&str> = cpu.iter().map(|s| s.labels["component"].as_str()).collect();
    assert_eq!(
        components,
        ["activator", "function", "queue-proxy", "sidecar"],
        "and nothing of other functions"
    );
    assert_eq!(
        (cpu[0].points.as_slice(), cpu[0].kind),
        ([(2_000_000_000, 3.5)].as_slice(), SeriesKind::Counter)
    );
    assert!(cell.missing.is_empty());
}

#[test]
fn a_figure_that_was_not_renewed_is_kept_once() {
    let function = function();
    let parts = parts(PlatformKind::Knative, &function, "openfaas");
    let mut seen = Seen::default();
    for second in [10, 10, 21] {
        seen.take(Ok((Source::Kubelet, of_summary(&summary(second, 1)))), &parts, &function);
    }
    assert!(seen.cell(START_NS, 30).series.iter().all(|series| series.points.len() == 2));
}

#[test]
fn figures_of_the_metrics_api_are_use_and_not_totals() {
    let pod = json!({
        "metadata": { "name": "f-00001-deployment-1-a", "namespace": "default" },
        "timestamp": "2026-11-21T00:00:20Z", "window": "15.1s",
        "containers": [{ "name": "user-container", "usage": { "cpu": "250m", "memory": "64Mi" } }],
    });
    let cell = heard(Source::MetricsApi, of_pod_metrics(&pod)).cell(START_NS, 30);
    let of = |name: &str| cell.series.iter().find(|s| s.name == name).unwrap();
    assert_eq!(of(name::CPU_CORES).points, [(20_000_000_000, 0.25)]);
    assert_eq!(of(name::CPU_CORES).kind, SeriesKind::Gauge);
    assert_eq!(of(name::MEMORY).points, [(20_000_000_000, 67_108_864.0)]);
    assert!(cell.remarks[0].contains("averages"));
    assert!((quantity("123456789n").unwrap() - 0.123_456_789).abs() < 1e-12);
    assert_eq!(quantity("1Zi"), None);
}

#[tokio::test]
async fn where_kubelets_are_forbidden_the_metrics_api_is_asked_and_nothing_at_all_says_what_to_allow() {
    let forbidden = json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": "no" });
    let pods = json!({ "items": [] });
    let replay = Replay::start([
        Exchange::new("GET", "/api/v1/nodes", 403, forbidden.clone()),
        Exchange::new("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/*", 200, pods),
    ])
    .await;
    let parts = parts(PlatformKind::Deployment, &function(), "openfaas");
    let (source, figures) = hear(&replay.api(), None, &parts).await.unwrap();
    assert_eq!((source, figures.len()), (Source::MetricsApi, 0));

    let replay = Replay::start([Exchange::new("GET", "/api/v1/nodes", 403, forbidden)]).await;
    let mut seen = Seen::default();
    seen.take(hear(&replay.api(), None, &parts).await, &parts, &function());
    let cell = seen.cell(START_NS, 30);
    assert_eq!(cell.missing.len(), 2);
    assert!(cell.missing[0].remedy.contains("nodes/proxy"));
    assert!(cell.remarks[0].contains("could not be asked for 1 times"), "{:?}", cell.remarks);
}
