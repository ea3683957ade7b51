//! What is asked of Prometheus, on which platform, in which generation of metric names; and what
//! to install where it is missing. Pure: which name and which labels are used follows from those
//! that are really there.
//!
//! Knative renamed its metrics when it went over to OpenTelemetry in 1.19; both tables are in
//! Knative's documentation (Serving, "Metrics"), of 1.18 and of 1.19. OpenFaaS: gateway sources,
//! `gateway/metrics`.

use std::collections::BTreeMap;

use crate::{
    collect::series::{SeriesKind, name},
    platforms::{PlatformKind, PodsOf},
};

/// One thing that is asked.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    /// Name of the series, the same on every platform.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Where it exists.
    pub platforms: &'static [PlatformKind],
    /// Metrics that yield it; the first one that is there is taken.
    pub from: &'static [Candidate],
    /// The monitor that would provide it.
    pub remedy: &'static str,
}

/// A metric that yields a quantity.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its name.
    pub metric: &'static str,
    /// How it is read.
    pub read: Read,
    /// Which labels tell the function.
    pub of: Of,
}

/// How a metric is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Its samples as they are.
    Samples(SeriesKind),
    /// The change a second of each bucket, summed over replicas and codes; `le` in seconds.
    Buckets,
    /// The same, where `le` is in milliseconds.
    BucketsMs,
    /// Cores in use, by machine.
    BusyCores {
        /// Matchers of the series that are added up.
        matchers: &'static str,
    },
}

/// Which labels tell the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Knative's autoscaler.
    Autoscaler,
    /// Knative's activator.
    Activator,
    /// Knative's queue-proxy, whose series carry no label of the Service unless somebody relabelled.
    QueueProxy,
    /// Anything of Knative up to 1.18.
    OldKnative,
    /// The OpenFaaS gateway.
    Gateway,
    /// kube-state-metrics, by Deployment.
    Deployment,
    /// Every machine.
    Machine,
}

const GAUGE: Read = Read::Samples(SeriesKind::Gauge);
const COUNTER: Read = Read::Samples(SeriesKind::Counter);

const fn from(metric: &'static str, read: Read, of: Of) -> Candidate {
    Candidate { metric, read, of }
}

const KNATIVE: &[PlatformKind] = &[PlatformKind::Knative];
const OPENFAAS: &[PlatformKind] = &[PlatformKind::OpenFaas];
const PODS: &[PlatformKind] = &[PlatformKind::OpenFaas, PlatformKind::Deployment];
const ON_CLUSTER: &[PlatformKind] =
    &[PlatformKind::Knative, PlatformKind::OpenFaas, PlatformKind::Deployment];

const QUEUE_PROXY: &str = "set request-metrics-protocol: prometheus in the ConfigMap config-observability of \
    knative-serving (pods started before keep exporting nothing), and scrape the pods' port http-usermetric (9091) \
    with a PodMonitor that copies the labels serving.knative.dev/service and serving.knative.dev/revision";
const CONTROL_PLANE: &str = "set metrics-protocol: prometheus in the ConfigMap config-observability of knative-serving, \
    and scrape autoscaler and activator on port 9090 with a ServiceMonitor on http-metrics";
const GATEWAY: &str =
    "scrape the pods of the OpenFaaS gateway on port 8082 (it is in no Service) with a PodMonitor";
const STATE: &str = "install kube-state-metrics with a ServiceMonitor";
/// What provides CPU and memory of containers.
pub const CADVISOR: &str =
    "scrape /metrics/cadvisor of every kubelet with a ServiceMonitor, as kube-prometheus-stack does";
const NODE: &str = "install node_exporter, or scrape /metrics/cadvisor of every kubelet";

/// Everything that is asked, CPU and memory of containers aside (see `parts`).
pub const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: name::REQUESTS,
        title: "requests that the queue-proxy answered",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_serving_invocation_duration_seconds_count", COUNTER, Of::QueueProxy),
            from("revision_app_request_count", COUNTER, Of::OldKnative),
            from("revision_request_count", COUNTER, Of::OldKnative),
        ],
        remedy: QUEUE_PROXY,
    },
    Quantity {
        name: name::REQUESTS,
        title: "requests that the gateway answered",
        unit: "requests",
        platforms: OPENFAAS,
        from: &[from("gateway_function_invocation_total", COUNTER, Of::Gateway)],
        remedy: GATEWAY,
    },
    Quantity {
        name: "requests_started_total",
        title: "requests that the gateway began",
        unit: "requests",
        platforms: OPENFAAS,
        from: &[from("gateway_function_invocation_started", COUNTER, Of::Gateway)],
        remedy: GATEWAY,
    },
    Quantity {
        name: "latency_bucket",
        title: "requests by the queue-proxy's latency, up to le seconds",
        unit: "1/s",
        platforms: KNATIVE,
        from: &[
            from("kn_serving_invocation_duration_seconds_bucket", Read::Buckets, Of::QueueProxy),
            from("revision_app_request_latencies_bucket", Read::BucketsMs, Of::OldKnative),
        ],
        remedy: QUEUE_PROXY,
    },
    Quantity {
        name: "latency_bucket",
        title: "requests by the gateway's latency, up to le seconds",
        unit: "1/s",
        platforms: OPENFAAS,
        from: &[from("gateway_functions_seconds_bucket", Read::Buckets, Of::Gateway)],
        remedy: GATEWAY,
    },
    Quantity {
        name: name::REPLICAS_DESIRED,
        title: "replicas that the autoscaler wants",
        unit: "replicas",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_pods_desired", GAUGE, Of::Autoscaler),
            from("autoscaler_desired_pods", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: name::REPLICAS_READY,
        title: "replicas that the autoscaler sees ready",
        unit: "replicas",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_pods_count", GAUGE, Of::Autoscaler),
            from("autoscaler_actual_pods", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: name::REPLICAS_DESIRED,
        title: "replicas that the Deployment asks for",
        unit: "replicas",
        platforms: PODS,
        from: &[
            from("gateway_service_count", GAUGE, Of::Gateway),
            from("kube_deployment_spec_replicas", GAUGE, Of::Deployment),
        ],
        remedy: STATE,
    },
    Quantity {
        name: name::REPLICAS_READY,
        title: "replicas that are ready",
        unit: "replicas",
        platforms: PODS,
        from: &[from("kube_deployment_status_replicas_ready", GAUGE, Of::Deployment)],
        remedy: STATE,
    },
    Quantity {
        name: name::CONCURRENCY_STABLE,
        title: "requests at once, average over the stable window",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_concurrency_stable", GAUGE, Of::Autoscaler),
            from("autoscaler_stable_request_concurrency", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: name::CONCURRENCY_PANIC,
        title: "requests at once, average over the panic window",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_concurrency_panic", GAUGE, Of::Autoscaler),
            from("autoscaler_panic_request_concurrency", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: name::CONCURRENCY_TARGET,
        title: "requests at once that the autoscaler aims at, by replica",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_concurrency_target", GAUGE, Of::Autoscaler),
            from("autoscaler_target_concurrency_per_pod", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: name::PANIC_MODE,
        title: "whether the autoscaler panics",
        unit: "0 or 1",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_panic_mode", GAUGE, Of::Autoscaler),
            from("autoscaler_panic_mode", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: "excess_burst_capacity",
        title: "spare capacity less the target burst capacity; below 0 the activator stays in the path",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_capacity_excess", GAUGE, Of::Autoscaler),
            from("autoscaler_excess_burst_capacity", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: "queue_depth",
        title: "requests that wait in the queue-proxies (exported only with a concurrency limit)",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_serving_queue_depth", GAUGE, Of::QueueProxy),
            from("revision_queue_depth", GAUGE, Of::OldKnative),
        ],
        remedy: QUEUE_PROXY,
    },
    Quantity {
        name: "activator_concurrency",
        title: "requests at once in the activator",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("kn_revision_request_concurrency", GAUGE, Of::Autoscaler),
            from("activator_request_concurrency", GAUGE, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: "activator_requests_total",
        title: "requests that the activator passed on",
        unit: "requests",
        platforms: KNATIVE,
        from: &[
            from("http_server_request_duration_seconds_count", COUNTER, Of::Activator),
            from("activator_request_count", COUNTER, Of::OldKnative),
        ],
        remedy: CONTROL_PLANE,
    },
    Quantity {
        name: "node_cpu_cores",
        title: "cores that each machine uses for everything",
        unit: "cores",
        platforms: ON_CLUSTER,
        from: &[
            from(
                "node_cpu_seconds_total",
                Read::BusyCores { matchers: "mode!~\"idle|iowait|steal\"" },
                Of::Machine,
            ),
            from("container_cpu_usage_seconds_total", Read::BusyCores { matchers: "id=\"/\"" }, Of::Machine),
        ],
        remedy: NODE,
    },
];

/// Labels and the values that they must have. Values are compared as a whole.
pub type Matchers = Vec<(&'static str, Value)>;

/// What a label must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Just this.
    Is(String),
    /// This, a word and a random end: a pod's name.
    StartsWith(String),
    /// One of these.
    OneOf(Vec<String>),
}

impl Value {
    fn holds(&self, label: Option<&String>) -> bool {
        label.is_some_and(|found| match self {
            Self::Is(wanted) => found == wanted,
            Self::StartsWith(start) => found.starts_with(start.as_str()),
            Self::OneOf(wanted) => wanted.contains(found),
        })
    }

    fn promql(&self, label: &str) -> String {
        match self {
            Self::Is(wanted) => format!("{label}={}", quoted(wanted)),
            Self::StartsWith(start) => format!("{label}=~{}", quoted(&format!("{}.+", escaped(start)))),
            Self::OneOf(wanted) => {
                let all: Vec<String> = wanted.iter().map(|w| escaped(w)).collect();
                format!("{label}=~{}", quoted(&all.join("|")))
            }
        }
    }
}

/// A string of PromQL.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text as a regular expression that matches just it.
pub fn escaped(text: &str) -> String {
    let special = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/'));
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The PromQL selector for a metric: the first way of telling the function that any of the label
/// sets really bears. None: nothing there is of this function.
///
/// `instances` are the addresses of the function's queue-proxies as `target_info` gives them.
pub fn selector(
    candidate: &Candidate,
    function: &PodsOf,
    there: &[BTreeMap<String, String>],
    instances: &[String],
) -> Option<String> {
    let fits = |matchers: &Matchers| {
        there.iter().any(|labels| matchers.iter().all(|(label, value)| value.holds(labels.get(*label))))
    };
    let found = ways(candidate.of, function, instances).into_iter().find(fits)?;
    let matchers: Vec<String> = found.iter().map(|(label, value)| value.promql(label)).collect();
    Some(format!("{}{{{}}}", candidate.metric, matchers.join(",")))
}

/// Ways in which series may tell whose they are, best first.
fn ways(of: Of, function: &PodsOf, instances: &[String]) -> Vec<Matchers> {
    let is = |text: &str| Value::Is(text.to_owned());
    let name = || is(&function.function);
    let bare = || is(bare_name(function));
    let namespace = || is(&function.namespace);
    match of {
        Of::Autoscaler => vec![
            vec![("kn_service_name", name()), ("k8s_namespace_name", namespace())],
            vec![("kn_configuration_name", name()), ("k8s_namespace_name", namespace())],
        ],
        Of::Activator => ["pod", "container", "app", "job"]
            .into_iter()
            .flat_map(|by| {
                let activator =
                    if by == "pod" { Value::StartsWith("activator-".into()) } else { is("activator") };
                let of = ("k8s_namespace_name", namespace());
                [
                    vec![("kn_service_name", name()), of, (by, activator.clone())],
                    vec![("kn_service_name", name()), (by, activator)],
                ]
            })
            .collect(),
        Of::QueueProxy => {
            let mut ways: Vec<Matchers> =
                ["serving_knative_dev_service", "kn_service_name", "service_name", "exported_service_name"]
                    .into_iter()
                    .flat_map(|label| {
                        let spaces = ["namespace", "k8s_namespace_name", "exported_namespace"];
                        spaces.map(|space| vec![(label, name()), (space, namespace())])
                    })
                    .collect();
            let pods = Value::StartsWith(format!("{}-", function.function));
            ways.push(vec![("pod", pods), ("namespace", namespace())]);
            if !instances.is_empty() {
                ways.push(vec![("instance", Value::OneOf(instances.to_vec()))]);
            }
            ways
        }
        Of::OldKnative => vec![
            vec![("service_name", name()), ("namespace_name", namespace())],
            vec![("configuration_name", name()), ("namespace_name", namespace())],
        ],
        Of::Gateway => vec![vec![("function_name", name())], vec![("function_name", bare())]],
        Of::Deployment => vec![
            vec![("deployment", bare()), ("namespace", namespace())],
            vec![("deployment", bare()), ("exported_namespace", namespace())],
        ],
        Of::Machine => vec![Matchers::new()],
    }
}

/// The function's name without the namespace that OpenFaaS appends.
pub fn bare_name(function: &PodsOf) -> &str {
    let end = format!(".{}", function.namespace);
    function.function.strip_suffix(end.as_str()).unwrap_or(&function.function)
}

/// Labels that tell series of one name apart, under the same names on every platform.
pub fn told_apart(labels: &BTreeMap<String, String>, milliseconds: bool) -> BTreeMap<String, String> {
    let names = [
        ("code", ["http_response_status_code", "code", "response_code"].as_slice()),
        ("revision", &["kn_revision_name", "serving_knative_dev_revision", "revision_name"]),
        ("pod", &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"]),
        ("container", &["container"]),
        ("le", &["le"]),
        ("instance", &["instance"]),
    ];
    let first = |from: &[&str]| from.iter().find_map(|label| labels.get(*label)).cloned();
    let mut kept: BTreeMap<String, String> =
        names.iter().filter_map(|(name, from)| Some(((*name).to_owned(), first(from)?))).collect();
    if kept.contains_key("pod") {
        kept.remove("instance");
    }
    // `+Inf` is the same in either unit.
    let in_ms = kept.get("le").filter(|_| milliseconds).and_then(|le| le.parse::<f64>().ok());
    if let Some(ms) = in_ms.filter(|ms| ms.is_finite()) {
        kept.insert("le".to_owned(), (ms / 1000.0).to_string());
    }
    kept
}
