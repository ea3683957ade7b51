//! Against a real Prometheus that serves the recorded storage block, and against recorded answers.
//!
//! The block holds, in seconds after 1795221310: 60 s of load on Knative from 60, 60 s on OpenFaaS
//! with one pinned replica from 140, 120 s on OpenFaaS with its autoscaler from 220.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::{
    catalogue::{Value, escaped, selector, told_apart},
    *,
};
use crate::{
    analyse::{
        observed,
        window::{Pacing, Window},
    },
    replay::{Exchange, Replay},
};

const BEGIN_NS: u64 = 1_795_221_310_000_000_000;

const QUICK: Patience = Patience {
    attempt: Duration::from_secs(5),
    total: Duration::from_millis(300),
    pause: Duration::from_millis(20),
};

/// A real Prometheus on a copy of the block; ends when dropped.
pub(super) struct Server {
    process: Child,
    pub(super) url: String,
    _data: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

impl Server {
    /// None, with a word on the screen, where Prometheus is not installed.
    pub(super) async fn start() -> Option<Self> {
        let on_path =
            std::env::var_os("PATH").into_iter().flat_map(|p| std::env::split_paths(&p).collect::<Vec<_>>());
        if !on_path.into_iter().any(|folder| folder.join("prometheus").is_file()) {
            eprintln!("skipped: `prometheus` is not installed (apt-get install prometheus)");
            return None;
        }
        let block = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/prometheus/tsdb.tar.gz");
        let data = tempfile::tempdir().unwrap();
        let file = flate2::read::GzDecoder::new(std::fs::File::open(block).unwrap());
        tar::Archive::new(file).unpack(data.path()).unwrap();
        let config = data.path().join("prometheus.yml");
        std::fs::write(&config, "").unwrap();
        // Another process may take a port that was free a moment ago: then the next one is tried.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let url = format!("http://127.0.0.1:{port}");
            let mut process = Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.path().join("tsdb").display()))
                .arg("--storage.tsdb.retention.time=10y")
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let started = Instant::now();
            while process.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(20) {
                if Prometheus::connect(&url, QUICK).await.is_ok() {
                    return Some(Self { process, url, _data: data });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            _ = process.kill();
            _ = process.wait();
        }
        panic!("Prometheus does not start");
    }
}

fn on_knative() -> PodsOf {
    PodsOf {
        namespace: "default".into(),
        selector: "serving.knative.dev/service=bench-kn".into(),
        container: "user-container".into(),
        function: "bench-kn".into(),
        revision: Some("bench-kn-00001".into()),
    }
}

fn on_openfaas() -> PodsOf {
    PodsOf {
        namespace: "openfaas-fn".into(),
        selector: "faas_function=bench-of".into(),
        container: "bench-of".into(),
        function: "bench-of.openfaas-fn".into(),
        revision: None,
    }
}

fn seconds(from_s: f64, to_s: f64) -> Window {
    Window { start_ns: (from_s * 1e9) as u64, end_ns: (to_s * 1e9) as u64, pacing: Pacing::Closed }
}

fn near(found: f64, wanted: f64, part: f64, what: &str) {
    assert!((found - wanted).abs() <= part * wanted, "{what}: {found} is not near {wanted}");
}

fn cores(series: &CellSeries, window: &Window) -> BTreeMap<String, f64> {
    observed::cpu_seconds(series, window).into_iter().map(|(c, s)| (c, s / window.seconds())).collect()
}

#[tokio::test]
async fn a_cell_on_knative_is_what_the_recorded_block_holds() {
    let Some(server) = Server::start().await else { return };
    let collector = Collector::at(&server.url, "openfaas", Patience::default()).await.unwrap();
    assert_eq!(collector.source(), "Prometheus 2.42.0");
    // From 20 s before the load to 10 s after it.
    let cell =
        collector.cell(&on_knative(), PlatformKind::Knative, BEGIN_NS + 40_000_000_000, 90_000_000_000).await;

    // The queue-proxy and the activator counted the same 113,204 requests, each by itself.
    let whole = seconds(2.0, 90.0);
    for counter in [name::REQUESTS, "activator_requests_total"] {
        let grown = observed::growth(&cell, counter, &whole).unwrap();
        near(grown, 113_204.0, 1e-4, counter);
    }
    let rate = observed::rate(&cell, name::REQUESTS);
    let steady: Vec<f64> = rate.iter().filter(|r| r.0 > 25.0 && r.1 < 80.0).map(|r| r.2).collect();
    near(steady.iter().sum::<f64>() / steady.len() as f64, 1890.0, 0.05, "requests/s under load");

    let ready = observed::level(&cell, name::REPLICAS_READY);
    assert!(ready.iter().all(|held| (held.2 - 1.0).abs() < 0.5 || held.0 < 2.0), "one pod: {ready:?}");
    for name in [
        name::CONCURRENCY_STABLE,
        name::CONCURRENCY_PANIC,
        name::CONCURRENCY_TARGET,
        name::PANIC_MODE,
        "excess_burst_capacity",
        "activator_concurrency",
        "latency_bucket",
    ] {
        assert!(cell.series.iter().any(|s| s.name == name), "{name} is missing: {:?}", cell.missing);
    }
    let buckets: Vec<_> = cell.series.iter().filter(|s| s.name == "latency_bucket").collect();
    assert!(
        buckets.iter().any(|s| s.labels["le"] == "+Inf") && buckets.iter().any(|s| s.labels["le"] == "0.005")
    );

    // By hand from the block: growth over the samples that lie in the load, by their distance.
    let cores = cores(&cell, &seconds(35.0, 70.0));
    for (component, expected) in
        [("function", 0.235), ("queue-proxy", 0.432), ("activator", 0.414), ("ingress", 0.299)]
    {
        near(cores[component], expected, 0.07, component);
    }
    // What was not recorded is named, with what would provide it.
    let missing: BTreeMap<_, _> = cell.missing.iter().map(|m| (m.name.as_str(), m.remedy.as_str())).collect();
    assert_eq!(missing.keys().copied().collect::<Vec<_>>(), ["queue_depth"]);
    assert!(missing["queue_depth"].contains("http-usermetric (9091)"), "{missing:?}");
    assert!(cell.remarks.iter().any(|r| r.ends_with("1.19 and later.")), "{:?}", cell.remarks);
}

#[tokio::test]
async fn cells_on_openfaas_are_what_wrk_counted_and_the_autoscaler_did() {
    let Some(server) = Server::start().await else { return };
    let collector = Collector::at(&server.url, "openfaas", Patience::default()).await.unwrap();
    let pinned = collector
        .cell(&on_openfaas(), PlatformKind::OpenFaas, BEGIN_NS + 130_000_000_000, 80_000_000_000)
        .await;
    // 1335 requests/s by wrk over 60 s (facts of OpenFaaS, "Seen on a real cluster").
    let window = seconds(0.0, 80.0);
    near(observed::growth(&pinned, name::REQUESTS, &window).unwrap(), 1335.0 * 60.0, 0.01, "answered");
    near(
        observed::growth(&pinned, "requests_started_total", &window).unwrap(),
        1335.0 * 60.0,
        0.01,
        "started",
    );
    let cores = cores(&pinned, &seconds(15.0, 65.0));
    for (component, expected) in [("function", 0.183), ("gateway", 0.469), ("provider", 0.448)] {
        near(cores[component], expected, 0.1, component);
    }

    let scaled = collector
        .cell(&on_openfaas(), PlatformKind::OpenFaas, BEGIN_NS + 215_000_000_000, 150_000_000_000)
        .await;
    near(
        observed::growth(&scaled, name::REQUESTS, &seconds(0.0, 150.0)).unwrap(),
        952.0 * 120.0,
        0.01,
        "answered while scaling",
    );
    let mut seen: Vec<u32> =
        observed::level(&scaled, name::REPLICAS_DESIRED).iter().map(|held| held.2 as u32).collect();
    seen.dedup();
    assert_eq!(seen, [1, 2, 3, 4, 1], "one replica more at a time, and back at once");
    let pods: BTreeSet<_> = scaled
        .series
        .iter()
        .filter(|s| s.name == name::CPU && s.labels["component"] == "function")
        .map(|s| &s.labels["pod"])
        .collect();
    assert!(pods.len() >= 4, "{pods:?}");
    let missing: Vec<&str> = scaled.missing.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(missing, [name::REPLICAS_READY], "only kube-state-metrics would tell it");
}

#[tokio::test]
async fn a_real_server_refuses_what_cannot_be_and_widens_what_is_too_fine() {
    let Some(server) = Server::start().await else { return };
    let prometheus = Prometheus::connect(&server.url, QUICK).await.unwrap();
    let span = Span { from_s: 1_795_221_310, to_s: 1_795_221_728 };
    let error = prometheus.samples("rate(", span).await.unwrap_err();
    assert!(matches!(&error, PrometheusError::Query { .. }), "{error}");
    let error = prometheus.range("up", span, 0.0).await.unwrap_err();
    assert!(error.to_string().contains("zero or negative query resolution"), "{error}");
    let fine = prometheus.range("gateway_service_count", span, 0.01).await.unwrap();
    assert!(fine[0].points.len() < 11_000 && fine[0].points.len() > 1000, "{}", fine[0].points.len());
    let nothing = prometheus.samples("no_such_metric", span).await.unwrap();
    assert!(nothing.is_empty());
    let other = PodsOf { function: "other".into(), ..on_knative() };
    let collector = Collector::at(&server.url, "openfaas", QUICK).await.unwrap();
    let cell = collector.cell(&other, PlatformKind::Knative, BEGIN_NS + 60_000_000_000, 1).await;
    let missing = cell.missing.iter().find(|m| m.name == name::REQUESTS).unwrap();
    assert!(
        missing
            .remedy
            .starts_with("kn_serving_invocation_duration_seconds_count is collected, but nothing of")
    );
    assert!(!cell.series.iter().any(|s| s.name == name::REQUESTS));
}

#[tokio::test]
async fn recorded_answers_are_read_and_recorded_errors_name_their_remedies() {
    let replay = Replay::start([
        Exchange::recorded("prometheus/buildinfo"),
        Exchange::recorded("prometheus/query-range-kn-latency-buckets").asked_with("kn_serving"),
        Exchange::recorded("prometheus/query-range-no-data").asked_with("nothing"),
        Exchange::recorded("prometheus/query-range-too-many-points").asked_with("query=up"),
        Exchange::recorded("prometheus/query-range-bad-step").asked_with("step=-1"),
        Exchange::recorded("prometheus/query-bad"),
    ])
    .await;
    let prometheus = Prometheus::connect(&replay.url(), QUICK).await.unwrap();
    let span = Span { from_s: 1_795_218_662, to_s: 1_795_218_818 };
    let buckets = prometheus.range("kn_serving", span, 5.0).await.unwrap();
    assert!(buckets.iter().any(|b| b.labels["le"] == "+Inf" && (b.points[0].1 - 298.3155).abs() < 1e-9));
    assert!(prometheus.range("nothing", span, 5.0).await.unwrap().is_empty());
    let too_many = prometheus.range("up", span, 1.0).await.unwrap_err();
    assert_eq!(too_many, PrometheusError::TooManyPoints("up".into()));
    let steps: Vec<String> =
        replay.asked().into_iter().filter(|a| a.path.contains("query=up")).map(|a| a.path).collect();
    assert!(steps.len() == 4 && steps[3].contains("step=512"), "{steps:?}");
    let bad = prometheus.samples("rate(", span).await.unwrap_err();
    assert!(bad.to_string().contains("unclosed left parenthesis"), "{bad}");
}

/// What connecting to a server with this one answer says.
async fn refusal(exchange: Exchange) -> String {
    let replay = Replay::start([exchange]).await;
    Prometheus::connect(&replay.url(), QUICK).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_that_is_not_there_not_willing_or_not_prometheus_is_told_apart() {
    let at = |status, body: &str| Exchange::new("GET", "/api/v1/status/buildinfo", status, body.into());
    assert!(refusal(at(401, "no")).await.contains("wants a login (401)"));
    assert!(refusal(at(404, "404 page not found")).await.contains("not Prometheus"));
    assert!(refusal(at(503, "starting")).await.contains("does not answer (status 503)"));
    assert!(refusal(Exchange::hang_up("GET", "/api/v1/status/buildinfo")).await.contains("does not answer"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let secret = format!("http://me:very-secret@127.0.0.1:{port}");
    let error = Prometheus::connect(&secret, QUICK).await.unwrap_err().to_string();
    assert!(error.contains("does not answer") && !error.contains("very-secret"), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_a_cell_that_says_so() {
    let replay = Replay::start([Exchange::recorded("prometheus/buildinfo")]).await;
    let collector = Collector::at(&replay.url(), "openfaas", QUICK).await.unwrap();
    let cell = collector.cell(&on_openfaas(), PlatformKind::OpenFaas, BEGIN_NS, 1).await;
    assert!(cell.series.is_empty() && cell.remarks[0].starts_with("Nothing was collected"));
    assert!(cell.missing.iter().any(|m| m.name == name::REQUESTS));
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn candidate(metric: &str) -> &'static Candidate {
    QUANTITIES.iter().flat_map(|q| q.from).find(|c| c.metric == metric).unwrap()
}

#[test]
fn the_function_is_told_by_the_labels_that_are_there() {
    let requests = candidate("kn_serving_invocation_duration_seconds_count");
    let pod = "bench-kn-00001-deployment-1-a";
    let relabelled = labels(&[("service_name", "bench-kn"), ("namespace", "default"), ("pod", pod)]);
    let by_monitor = labels(&[("serving_knative_dev_service", "bench-kn"), ("namespace", "default")]);
    let by_pod = labels(&[("pod", pod), ("namespace", "default")]);
    let bare = labels(&[("instance", "10.0.0.1:9091"), ("job", "x")]);
    let chosen = |there: &BTreeMap<String, String>, instances: &[String]| {
        selector(requests, &on_knative(), std::slice::from_ref(there), instances)
    };
    let metric = requests.metric;
    assert_eq!(
        chosen(&relabelled, &[]).unwrap(),
        format!("{metric}{{service_name=\"bench-kn\",namespace=\"default\"}}")
    );
    assert_eq!(
        chosen(&by_monitor, &[]).unwrap(),
        format!("{metric}{{serving_knative_dev_service=\"bench-kn\",namespace=\"default\"}}")
    );
    assert_eq!(
        chosen(&by_pod, &[]).unwrap(),
        format!("{metric}{{pod=~\"bench-kn-.+\",namespace=\"default\"}}")
    );
    assert_eq!(chosen(&bare, &[]), None, "nothing tells whose it is");
    let instances = instances(
        &[labels(&[
            ("kn_service_name", "bench-kn"),
            ("k8s_namespace_name", "default"),
            ("instance", "10.0.0.1:9091"),
        ])],
        &on_knative(),
    );
    assert_eq!(
        chosen(&bare, &instances).unwrap(),
        format!("{metric}{{instance=~\"10\\\\.0\\\\.0\\\\.1:9091\"}}")
    );
    assert_eq!(escaped("a.b-c"), "a\\.b-c");
    assert!(Value::StartsWith("a".into()) != Value::Is("a".into()));
}

/// Made by hand: no server of that age was recorded.
#[tokio::test]
async fn the_older_generation_of_knative_is_known_by_its_names_and_counts_in_milliseconds() {
    let of = |more: &[(&str, &str)]| {
        let mut set = labels(&[("service_name", "bench-kn"), ("namespace_name", "default")]);
        set.extend(labels(more));
        serde_json::to_value(set).unwrap()
    };
    let start_s = (BEGIN_NS / 1_000_000_000) as f64;
    let matrix = |metric: serde_json::Value, value: &str| {
        serde_json::json!({ "status": "success", "data": { "resultType": "matrix", "result": [
            { "metric": metric, "values": [[start_s, value], [start_s + 2.0, value]] } ] } })
    };
    let names = [
        "revision_app_request_count",
        "revision_app_request_latencies_bucket",
        "autoscaler_actual_pods",
        "autoscaler_desired_pods",
    ];
    let json = |path: &str, body: serde_json::Value| {
        let mut exchange = Exchange::new("GET", path, 200, body);
        exchange.headers.push(("content-type".into(), "application/json".into()));
        exchange
    };
    let success = |data: serde_json::Value| serde_json::json!({ "status": "success", "data": data });
    let replay = Replay::start([
        Exchange::recorded("prometheus/buildinfo"),
        json("/api/v1/label/__name__/values", success(names.into_iter().collect())),
        json("/api/v1/series", success(serde_json::json!([of(&[])]))),
        json(
            "/api/v1/query",
            matrix(of(&[("response_code", "200"), ("revision_name", "bench-kn-00001")]), "7"),
        )
        .asked_with("revision_app_request_count"),
        json("/api/v1/query_range", matrix(serde_json::json!({ "le": "250" }), "3")),
        json("/api/v1/query", matrix(of(&[]), "2")).asked_with("_pods"),
    ])
    .await;
    let collector = Collector::at(&replay.url(), "openfaas", QUICK).await.unwrap();
    let cell = collector.cell(&on_knative(), PlatformKind::Knative, BEGIN_NS, 5_000_000_000).await;
    let series = |name: &str| {
        cell.series.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name}: {cell:?}"))
    };
    assert_eq!(series(name::REQUESTS).labels, labels(&[("code", "200"), ("revision", "bench-kn-00001")]));
    assert_eq!(series("latency_bucket").labels["le"], "0.25");
    assert_eq!(series(name::REPLICAS_READY).points, [(0, 2.0), (2_000_000_000, 2.0)]);
    assert!(cell.remarks.iter().any(|r| r.ends_with("up to 1.18.")), "{:?}", cell.remarks);
}

#[test]
fn labels_have_the_same_names_on_every_platform() {
    let knative =
        labels(&[("http_response_status_code", "200"), ("pod", "a"), ("instance", "1:2"), ("job", "x")]);
    assert_eq!(told_apart(&knative, false), labels(&[("code", "200"), ("pod", "a")]));
    assert_eq!(told_apart(&labels(&[("le", "+Inf")]), true), labels(&[("le", "+Inf")]));
    assert_eq!(told_apart(&labels(&[("le", "5")]), true), labels(&[("le", "0.005")]));
}

#[test]
fn a_container_that_two_jobs_scrape_counts_once() {
    let of_job = |job: &str, points: usize| Sampled {
        labels: labels(&[("job", job), ("pod", "a"), ("container", "c")]),
        points: vec![(1.0, 1.0); points],
    };
    let kept = once_each(vec![of_job("a", 2), of_job("b", 3)]);
    assert_eq!((kept.len(), kept[0].points.len()), (1, 3));
}

/// Says which series a living cluster has for running functions:
/// `KUBECONFIG=... PROMETHEUS=http://HOST:PORT FUNCTIONS=knative:NS/NAME:CONTAINER,openfaas:NS/NAME:CONTAINER
/// cargo test -p harness --lib living_cluster -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "needs a cluster with running functions"]
async fn a_living_cluster_has_series_for_its_functions() {
    use crate::{
        collect::usage::UsageSampler,
        platforms::cluster::{ClusterChoice, RunLabel},
    };
    let choice = ClusterChoice { prometheus: std::env::var("PROMETHEUS").ok(), ..ClusterChoice::default() };
    let cluster = Cluster::connect(choice, None, RunLabel::new("prom-look")).await.unwrap();
    let collector = Collector::connect(&cluster).await.unwrap().expect("there is a Prometheus");
    eprintln!(
        "{} ({}), scrapes every {:?}, clock {:.3} s ahead",
        collector.source(),
        collector.how,
        collector.interval,
        collector.ahead_s
    );
    for entry in std::env::var("FUNCTIONS").unwrap_or_default().split(',') {
        let (kind, place) = entry.split_once(':').unwrap();
        let (place, container) = place.split_once(':').unwrap();
        let (namespace, function) = place.split_once('/').unwrap();
        let (kind, function) = match kind {
            "openfaas" => (PlatformKind::OpenFaas, format!("{function}.{namespace}")),
            _ => (PlatformKind::Knative, function.to_owned()),
        };
        let pods = PodsOf {
            namespace: namespace.into(),
            selector: String::new(),
            container: container.into(),
            function,
            revision: None,
        };
        let elapsed = Duration::from_secs(30);
        let sampler = UsageSampler::start(&cluster, &pods, kind);
        tokio::time::sleep(Duration::from_secs(16)).await;
        let started_unix_ns =
            (SystemTime::now() - elapsed).duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        for cell in [
            collector.cell(&pods, kind, started_unix_ns, elapsed.as_nanos() as u64).await,
            sampler.stop(started_unix_ns, elapsed.as_nanos() as u64),
        ] {
            eprintln!("== {entry}: {}", cell.source);
            let found: BTreeSet<_> =
                cell.series.iter().map(|s| (&s.name, s.labels.get("component"), s.points.len())).collect();
            eprintln!("found: {found:?}\nmissing: {:?}\nremarks: {:?}", cell.missing, cell.remarks);
            assert!(
                cell.series
                    .iter()
                    .any(|s| s.name == name::CPU && s.labels["component"] == component::FUNCTION)
            );
        }
    }
}
