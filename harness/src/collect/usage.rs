//! CPU and memory without Prometheus: from the kubelets' summaries (through the API server) or, where
//! that is not allowed, from the metrics API; asked every few seconds beside the load.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    prometheus::parts::{Part, parts},
    series::{CellSeries, MissingSeries, Series, SeriesKind, name},
};
use crate::platforms::{
    PlatformKind, PodsOf,
    cluster::{
        Api, ApiError, Cluster,
        api::{Patience, Selection},
        resources::{NODES, POD_METRICS},
    },
};

/// Distance of two questions. A kubelet's own figures are renewed every 10 s or so.
const EVERY: Duration = Duration::from_secs(5);
/// What would provide the figures.
const REMEDY: &str = "allow `get` on nodes/proxy and `list` on nodes (cluster-setup/rbac/testbed.yaml), or install \
    metrics-server, or Prometheus";

/// Asks for the CPU and memory of a function's pods, and of what its requests pass, until dropped.
#[derive(Debug)]
pub struct UsageSampler {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    source: Option<Source>,
    series: BTreeMap<Key, Vec<(u64, f64)>>,
    failed: u32,
    last_error: Option<String>,
}

/// Who gives the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Kubelet,
    MetricsApi,
}

/// What tells series apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: &'static str,
    component: &'static str,
    pod: String,
    container: String,
}

/// One figure of one container.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    name: &'static str,
    namespace: String,
    pod: String,
    container: String,
    at_unix_ns: u64,
    value: f64,
}

impl UsageSampler {
    /// Begins to ask, for as long as the deployment lives.
    pub fn start(cluster: &Cluster, function: &PodsOf, kind: PlatformKind) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let api = cluster.api.with_patience(Patience::ONCE.within(EVERY));
        let parts = parts(kind, function, cluster.gateway_namespace());
        let (kept, function) = (seen.clone(), function.clone());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let source = lock(&kept).source;
                let heard = hear(&api, source, &parts).await;
                lock(&kept).take(heard, &parts, &function);
            }
        });
        Self { seen, task }
    }

    /// What was heard of a cell, on its time axis: called after the cell, best some seconds later.
    pub fn cell(&self, started_unix_ns: u64, elapsed_ns: u64) -> CellSeries {
        lock(&self.seen).cell(started_unix_ns, elapsed_ns)
    }

    /// Ends it and gives what was heard of the last cell.
    pub fn stop(self, started_unix_ns: u64, elapsed_ns: u64) -> CellSeries {
        self.cell(started_unix_ns, elapsed_ns)
    }
}

impl Drop for UsageSampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Figures from whoever gave them last; the first time from the kubelets, else from the metrics API.
async fn hear(api: &Api, source: Option<Source>, parts: &[Part]) -> Result<(Source, Vec<Figure>), ApiError> {
    match source {
        Some(Source::Kubelet) => kubelets(api).await.map(|f| (Source::Kubelet, f)),
        Some(Source::MetricsApi) => metrics_api(api, parts).await.map(|f| (Source::MetricsApi, f)),
        None => match kubelets(api).await {
            Ok(figures) => Ok((Source::Kubelet, figures)),
            Err(_) => metrics_api(api, parts).await.map(|f| (Source::MetricsApi, f)),
        },
    }
}

async fn kubelets(api: &Api) -> Result<Vec<Figure>, ApiError> {
    let nodes = api.list(&NODES, None, &Selection::default()).await?;
    let mut figures = Vec::new();
    for node in nodes.items.iter().filter_map(|n| n["metadata"]["name"].as_str()) {
        api.note("get", "", "nodes/proxy");
        let summary = api
            .get_path(&format!("/api/v1/nodes/{node}/proxy/stats/summary?only_cpu_and_memory=true"))
            .await?;
        figures.extend(of_summary(&summary));
    }
    Ok(figures)
}

async fn metrics_api(api: &Api, parts: &[Part]) -> Result<Vec<Figure>, ApiError> {
    let namespaces: BTreeSet<&String> = parts.iter().flat_map(|part| &part.namespaces).collect();
    let mut figures = Vec::new();
    for (i, namespace) in namespaces.into_iter().enumerate() {
        match api.list(&POD_METRICS, Some(namespace), &Selection::default()).await {
            Ok(listed) => figures.extend(listed.items.iter().flat_map(of_pod_metrics)),
            // A right that is missing in one namespace says nothing of the others.
            Err(error) if i == 0 || error.code() != Some(403) => return Err(error),
            Err(_) => (),
        }
    }
    Ok(figures)
}

/// The kubelet's summary (`k8s.io/kubelet/pkg/apis/stats/v1alpha1`): totals with their own times.
fn of_summary(summary: &Value) -> Vec<Figure> {
    let mut figures = Vec::new();
    for pod in summary["pods"].as_array().into_iter().flatten() {
        for container in pod["containers"].as_array().into_iter().flatten() {
            for (name, stats, field, scale) in [
                (name::CPU, &container["cpu"], "usageCoreNanoSeconds", 1e-9),
                (name::MEMORY, &container["memory"], "workingSetBytes", 1.0),
            ] {
                let (Some(value), Some(at_unix_ns)) = (stats[field].as_f64(), unix_ns(&stats["time"])) else {
                    continue;
                };
                figures.push(Figure {
                    name,
                    namespace: text(&pod["podRef"]["namespace"]),
                    pod: text(&pod["podRef"]["name"]),
                    container: text(&container["name"]),
                    at_unix_ns,
                    value: value * scale,
                });
            }
        }
    }
    figures
}

/// A PodMetrics of metrics.k8s.io: use, averaged over its own window.
fn of_pod_metrics(pod: &Value) -> Vec<Figure> {
    let Some(at_unix_ns) = unix_ns(&pod["timestamp"]) else { return Vec::new() };
    let containers = pod["containers"].as_array().into_iter().flatten();
    let figure = |container: &Value, name: &'static str, value: f64| Figure {
        name,
        namespace: text(&pod["metadata"]["namespace"]),
        pod: text(&pod["metadata"]["name"]),
        container: text(&container["name"]),
        at_unix_ns,
        value,
    };
    containers
        .flat_map(|container| {
            let usage = |of: &str| quantity(container["usage"][of].as_str()?);
            let cpu = usage("cpu").map(|cores| figure(container, name::CPU_CORES, cores));
            let memory = usage("memory").map(|bytes| figure(container, name::MEMORY, bytes));
            [cpu, memory].into_iter().flatten().collect::<Vec<_>>()
        })
        .collect()
}

/// A Kubernetes quantity: `250m`, `12345n`, `64Mi`.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-'))).unwrap_or(text.len());
    let scale = match &text[digits..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        _ => return None,
    };
    Some(text[..digits].parse::<f64>().ok()? * scale)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unix_ns(value: &Value) -> Option<u64> {
    let time: SystemTime = humantime::parse_rfc3339(value.as_str()?).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

impl Seen {
    fn take(&mut self, heard: Result<(Source, Vec<Figure>), ApiError>, parts: &[Part], function: &PodsOf) {
        let (source, figures) = match heard {
            Ok(heard) => heard,
            Err(error) => {
                self.failed += 1;
                self.last_error = Some(error.to_string());
                return;
            }
        };
        self.source = Some(source);
        for figure in figures {
            let part = parts.iter().find(|p| p.holds(&figure.namespace, &figure.pod, &figure.container));
            let Some(part) = part else { continue };
            let component = part.component(function, &figure.container);
            let Figure { name, pod, container, at_unix_ns, value, .. } = figure;
            let points = self.series.entry(Key { name, component, pod, container }).or_default();
            // The same figure is heard again until its source renews it.
            if points.last().is_none_or(|last| last.0 < at_unix_ns) {
                points.push((at_unix_ns, value));
            }
        }
    }

    fn cell(&self, started_unix_ns: u64, elapsed_ns: u64) -> CellSeries {
        let (source, query) = match self.source {
            Some(Source::Kubelet) => ("kubelet", "/api/v1/nodes/NODE/proxy/stats/summary"),
            Some(Source::MetricsApi) => ("metrics API", "/apis/metrics.k8s.io/v1beta1/pods"),
            None => ("nobody", ""),
        };
        let kind = |name| if name == name::CPU { SeriesKind::Counter } else { SeriesKind::Gauge };
        // So far around the cell a figure still says something of its edges.
        let margin_ns = 60_000_000_000_i64;
        let end_ns = i64::try_from(elapsed_ns).unwrap_or(i64::MAX).saturating_add(margin_ns);
        let series = self.series.iter().filter_map(|(key, points)| {
            let at = |unix_ns: u64| unix_ns.cast_signed() - started_unix_ns.cast_signed();
            let points = points.iter().map(|(unix_ns, value)| (at(*unix_ns), *value));
            let points: Vec<_> = points.filter(|p| (-margin_ns..=end_ns).contains(&p.0)).collect();
            let (what, unit) = match key.name {
                name::CPU => ("CPU time", "s"),
                name::CPU_CORES => ("CPU use", "cores"),
                _ => ("working set", "bytes"),
            };
            let labels = [
                ("component", key.component),
                ("pod", key.pod.as_str()),
                ("container", key.container.as_str()),
            ];
            (!points.is_empty()).then(|| Series {
                name: key.name.to_owned(),
                title: format!("{what} of {}", key.component),
                unit: unit.to_owned(),
                kind: kind(key.name),
                window_s: None,
                query: query.to_owned(),
                labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                points,
            })
        });
        let mut cell =
            CellSeries { source: source.to_owned(), series: series.collect(), ..CellSeries::default() };
        if self.source == Some(Source::MetricsApi) {
            cell.remarks.push(
                "CPU is from the metrics API, which averages over half a minute or so: only long cells bear it."
                    .to_owned(),
            );
        }
        if let Some(error) = &self.last_error {
            cell.remarks.push(format!(
                "CPU and memory could not be asked for {} times during this deployment; last: {error}.",
                self.failed
            ));
        }
        if cell.series.is_empty() {
            for (name, title) in [(name::CPU, "CPU time"), (name::MEMORY, "working set")] {
                cell.missing.push(MissingSeries {
                    name: name.to_owned(),
                    title: format!("{title} of the containers"),
                    remedy: REMEDY.to_owned(),
                });
            }
        }
        cell
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
