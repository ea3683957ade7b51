//! What Prometheus saw of a cell: found, asked after the cell, put on the cell's time axis.
//!
//! `catalogue` says what is asked and what provides it, `parts` whose CPU and memory; `client` asks.
//! Counters and gauges are kept as they were scraped: no rate, no interpolation, no staleness rule
//! comes between the measurement and the analysis. Only histograms and machines are asked for as
//! rates, since they have too many series.

pub mod catalogue;
pub mod client;
#[cfg(test)]
mod dashboards_tests;
mod find;
pub mod parts;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::{
    catalogue::{Candidate, Of, QUANTITIES, Quantity, Read},
    client::{Patience, Prometheus, PrometheusError, Sampled, Span},
};
use super::series::{CellSeries, MissingSeries, Series, SeriesKind, component, name};
use crate::platforms::{
    PlatformKind, PodsOf,
    cluster::{Cluster, reach::Route},
};

/// Before a cell's start: so long back a counter's last sample is looked for. cAdvisor's come every
/// 10 to 20 s.
const BEFORE_S: i64 = 60;
/// After a cell's end: until then the next sample of every counter is in.
const AFTER: Duration = Duration::from_secs(20);
/// What rates of cAdvisor's counters need at least.
const MACHINE_WINDOW_S: f64 = 60.0;
/// Distance of scrapes where the server does not tell.
const USUAL_INTERVAL: Duration = Duration::from_secs(15);
/// Clocks that differ by more than this are named.
const SKEW_S: f64 = 0.5;

/// A Prometheus server that knows the cluster.
#[derive(Debug)]
pub struct Collector {
    prometheus: Prometheus,
    /// Where it was found, in words.
    pub how: String,
    /// The longest distance between two scrapes.
    pub interval: Duration,
    /// Its clock less ours, seconds.
    pub ahead_s: f64,
    gateway_namespace: String,
    /// A port-forward lives as long as its route.
    route: Option<Route>,
}

/// A stretch of a cell, on the wall clock.
#[derive(Debug, Clone, Copy)]
struct Interval {
    started_unix_ns: u64,
    elapsed_ns: u64,
}

/// What is being collected.
struct Collection<'a> {
    collector: &'a Collector,
    function: &'a PodsOf,
    kind: PlatformKind,
    interval: Interval,
    span: Span,
    names: BTreeSet<String>,
    instances: Vec<String>,
    found: CellSeries,
}

impl Collector {
    /// Finds the cluster's Prometheus, or takes the address that the user gave. None: there is none.
    ///
    /// # Errors
    /// One sentence, if there is one that cannot be used.
    pub async fn connect(cluster: &Cluster) -> Result<Option<Self>, String> {
        let Some(route) = find::prometheus(cluster).await? else { return Ok(None) };
        let mut found = Self::at(&route.url, cluster.gateway_namespace(), Patience::default())
            .await
            .map_err(|error| format!("{error} ({})", route.how))?;
        found.how.clone_from(&route.how);
        found.route = Some(route);
        Ok(Some(found))
    }

    /// The server at an address.
    ///
    /// # Errors
    /// If it cannot be used.
    pub async fn at(url: &str, gateway_namespace: &str, patience: Patience) -> Result<Self, PrometheusError> {
        let prometheus = Prometheus::connect(url, patience).await?;
        let interval = prometheus.scrape_interval().await.ok().flatten().unwrap_or(USUAL_INTERVAL);
        let ahead_s = prometheus.clock_ahead_s().await.unwrap_or(0.0);
        Ok(Self {
            prometheus,
            how: "given by the user".to_owned(),
            interval: interval.clamp(Duration::from_secs(1), Duration::from_mins(1)),
            ahead_s,
            gateway_namespace: gateway_namespace.to_owned(),
            route: None,
        })
    }

    /// `Prometheus 2.42.0`.
    pub fn source(&self) -> String {
        format!("Prometheus {}", self.prometheus.version)
    }

    /// How long after a cell's end its last samples are in. Pods must live until then: what is
    /// removed is not scraped any more.
    pub fn settles_after(&self) -> Duration {
        AFTER.max(self.interval + Duration::from_secs(2))
    }

    /// What Prometheus saw of a cell. Waits until its last samples are in, at most
    /// [`Collector::settles_after`] from its end, so it is best called for all cells of a deployment
    /// once they are done, and before the function is removed. Never fails: what went wrong is among
    /// the remarks and the missing.
    pub async fn cell(
        &self,
        function: &PodsOf,
        kind: PlatformKind,
        started_unix_ns: u64,
        elapsed_ns: u64,
    ) -> CellSeries {
        let end = Duration::from_nanos(started_unix_ns.saturating_add(elapsed_ns)) + self.settles_after();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        tokio::time::sleep(end.saturating_sub(now).min(self.settles_after())).await;

        let from_s = i64::try_from(started_unix_ns / 1_000_000_000).unwrap_or(i64::MAX) - BEFORE_S;
        let to_s = i64::try_from(end.as_secs()).unwrap_or(i64::MAX);
        let mut collection = Collection {
            collector: self,
            function,
            kind,
            interval: Interval { started_unix_ns, elapsed_ns },
            span: Span { from_s, to_s },
            names: BTreeSet::new(),
            instances: Vec::new(),
            found: CellSeries { source: self.source(), ..CellSeries::default() },
        };
        match collection.collect().await {
            Ok(()) => collection.remark(),
            Err(error) => collection.give_up(&error),
        }
        collection.found
    }
}

impl Collection<'_> {
    async fn collect(&mut self) -> Result<(), PrometheusError> {
        let prometheus = &self.collector.prometheus;
        self.names = prometheus.names(self.span).await?;
        if self.kind == PlatformKind::Knative && self.names.contains("target_info") {
            let targets = prometheus.label_sets("target_info", self.span).await?;
            self.instances = instances(&targets, self.function);
        }
        for quantity in asked(self.kind) {
            match self.quantity(quantity).await {
                Ok(true) => (),
                Ok(false) => self.miss(quantity.name, quantity.title, &absent(quantity, &self.names)),
                Err(error) => self.miss(quantity.name, quantity.title, &error.to_string()),
            }
        }
        for (of_cadvisor, name, title, unit, kind) in [
            ("container_cpu_usage_seconds_total", name::CPU, "CPU time", "s", SeriesKind::Counter),
            ("container_memory_working_set_bytes", name::MEMORY, "working set", "bytes", SeriesKind::Gauge),
        ] {
            self.containers(&Metric { of_cadvisor, name, title, unit, kind }).await;
        }
        Ok(())
    }

    /// Takes the first metric that yields points; false: none does.
    async fn quantity(&mut self, quantity: &Quantity) -> Result<bool, PrometheusError> {
        for candidate in quantity.from.iter().filter(|c| self.names.contains(c.metric)) {
            let found = self.series(quantity, candidate).await?;
            if !found.is_empty() {
                self.found.series.extend(found);
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn series(
        &self,
        quantity: &Quantity,
        candidate: &Candidate,
    ) -> Result<Vec<Series>, PrometheusError> {
        let prometheus = &self.collector.prometheus;
        let step_s = self.collector.interval.as_secs_f64();
        let (query, kind, window_s, sampled) = match candidate.read {
            Read::BusyCores { matchers } => {
                let window_s = MACHINE_WINDOW_S.max(4.0 * step_s);
                let query =
                    format!("sum by (instance) (rate({}{{{matchers}}}[{window_s}s]))", candidate.metric);
                let sampled = prometheus.range(&query, self.span, step_s).await?;
                (query, SeriesKind::Rate, Some(window_s), sampled)
            }
            Read::Samples(kind) => {
                let Some(selector) = self.selector(candidate).await? else { return Ok(Vec::new()) };
                let sampled = prometheus.samples(&selector, self.span).await?;
                (selector, kind, None, sampled)
            }
            Read::Buckets | Read::BucketsMs => {
                let Some(selector) = self.selector(candidate).await? else { return Ok(Vec::new()) };
                let window_s = (4.0 * step_s).max(20.0);
                let query = format!("sum by (le) (rate({selector}[{window_s}s]))");
                let sampled = prometheus.range(&query, self.span, step_s).await?;
                (query, SeriesKind::Rate, Some(window_s), sampled)
            }
        };
        let milliseconds = candidate.read == Read::BucketsMs;
        let series = sampled.into_iter().map(|sampled| Series {
            name: quantity.name.to_owned(),
            title: quantity.title.to_owned(),
            unit: quantity.unit.to_owned(),
            kind,
            window_s,
            query: query.clone(),
            labels: catalogue::told_apart(&sampled.labels, milliseconds),
            points: self.interval.rebased(&sampled.points),
        });
        Ok(series.filter(|series| self.interval.holds_any(&series.points)).collect())
    }

    async fn selector(&self, candidate: &Candidate) -> Result<Option<String>, PrometheusError> {
        let there = self.collector.prometheus.label_sets(candidate.metric, self.span).await?;
        let instances = if candidate.of == Of::QueueProxy { self.instances.as_slice() } else { &[] };
        Ok(catalogue::selector(candidate, self.function, &there, instances))
    }

    /// CPU or memory of everything that a request passes.
    async fn containers(&mut self, metric: &Metric) {
        let parts = parts::parts(self.kind, self.function, &self.collector.gateway_namespace);
        let mut there = BTreeSet::new();
        for part in &parts {
            let selector = format!("{}{{{}}}", metric.of_cadvisor, part.matchers());
            match self.collector.prometheus.samples(&selector, self.span).await {
                Ok(sampled) => {
                    for sampled in once_each(sampled) {
                        let series = self.container(metric, part, &selector, &sampled);
                        there.insert(series.labels["component"].clone());
                        self.found.series.push(series);
                    }
                }
                Err(error) => self.miss(
                    metric.name,
                    &format!("{} of {}", metric.title, part.title()),
                    &error.to_string(),
                ),
            }
        }
        let wanted: BTreeSet<&str> = match self.kind {
            PlatformKind::Knative => {
                [component::FUNCTION, component::QUEUE_PROXY, component::ACTIVATOR, component::INGRESS].into()
            }
            PlatformKind::OpenFaas => [component::FUNCTION, component::GATEWAY, component::PROVIDER].into(),
            PlatformKind::Deployment | PlatformKind::Endpoint => [component::FUNCTION].into(),
        };
        for missing in wanted.into_iter().filter(|w| !there.contains(*w)) {
            self.miss(metric.name, &format!("{} of {missing}", metric.title), catalogue::CADVISOR);
        }
    }

    fn container(&self, metric: &Metric, part: &parts::Part, selector: &str, sampled: &Sampled) -> Series {
        let container = sampled.labels.get("container").map_or("", String::as_str);
        let component = part.component(self.function, container);
        let mut labels = catalogue::told_apart(&sampled.labels, false);
        labels.insert("component".to_owned(), component.to_owned());
        Series {
            name: metric.name.to_owned(),
            title: format!("{} of {component}", metric.title),
            unit: metric.unit.to_owned(),
            kind: metric.kind,
            window_s: None,
            query: selector.to_owned(),
            labels,
            points: self.interval.rebased(&sampled.points),
        }
    }

    fn miss(&mut self, name: &str, title: &str, remedy: &str) {
        self.found.missing.push(MissingSeries {
            name: name.to_owned(),
            title: title.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// Says what the figures can bear.
    fn remark(&mut self) {
        let ahead_s = self.collector.ahead_s;
        if ahead_s.abs() > SKEW_S {
            let (by, way) = (ahead_s.abs(), if ahead_s > 0.0 { "ahead of" } else { "behind" });
            self.found.remarks.push(format!(
                "Prometheus' clock is {by:.1} s {way} this machine's, and its series are shifted by that."
            ));
        }
        if self.found.series.iter().any(|s| s.name == "latency_bucket") {
            self.found.remarks.push(
                "The platforms' own latency histograms begin at 5 ms and have different buckets: they are kept, and not \
                 compared."
                    .to_owned(),
            );
        }
        let replicas = self.found.series.iter().find(|s| s.name == name::REPLICAS_DESIRED);
        if let (PlatformKind::Knative, Some(replicas)) = (self.kind, replicas) {
            let generation = if replicas.query.starts_with("kn_") { "1.19 and later" } else { "up to 1.18" };
            self.found.remarks.push(format!("Knative's metrics bear the names of {generation}."));
        }
    }

    /// Nothing could be asked at all.
    fn give_up(&mut self, error: &PrometheusError) {
        self.found.remarks.push(format!("Nothing was collected: {error}."));
        let mut named = BTreeSet::new();
        for quantity in asked(self.kind) {
            if named.insert(quantity.name) {
                self.miss(quantity.name, quantity.title, &error.to_string());
            }
        }
    }
}

/// What is asked on a platform.
fn asked(kind: PlatformKind) -> impl Iterator<Item = &'static Quantity> {
    QUANTITIES.iter().filter(move |quantity| quantity.platforms.contains(&kind))
}

/// A metric of cAdvisor.
struct Metric {
    of_cadvisor: &'static str,
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    kind: SeriesKind,
}

impl Interval {
    /// From Unix seconds to nanoseconds since the cell's start.
    fn rebased(self, points: &[(f64, f64)]) -> Vec<(i64, f64)> {
        let (start_s, rest_ns) = (self.started_unix_ns / 1_000_000_000, self.started_unix_ns % 1_000_000_000);
        // Prometheus counts in milliseconds; whole seconds first, so that a float holds the rest.
        let at = |unix_s: f64| {
            ((unix_s - start_s as f64) * 1e3).round() as i64 * 1_000_000 - rest_ns.cast_signed()
        };
        points.iter().map(|(unix_s, value)| (at(*unix_s), *value)).collect()
    }

    /// Whether a series says anything of the cell: a sample in it, or right before or after.
    fn holds_any(self, points: &[(i64, f64)]) -> bool {
        let reach_ns = AFTER.as_nanos() as i64;
        let end_ns = i64::try_from(self.elapsed_ns).unwrap_or(i64::MAX);
        points.iter().any(|(at, _)| *at >= -reach_ns && *at <= end_ns.saturating_add(reach_ns))
    }
}

/// Why a quantity is missing, and what to do.
fn absent(quantity: &Quantity, names: &BTreeSet<String>) -> String {
    match quantity.from.iter().find(|c| names.contains(c.metric)) {
        Some(there) => format!(
            "{} is collected, but nothing of this function in this time; {}",
            there.metric, quantity.remedy
        ),
        None => quantity.remedy.to_owned(),
    }
}

/// Addresses of the function's queue-proxies, from the series that carries their identity.
fn instances(target_info: &[BTreeMap<String, String>], function: &PodsOf) -> Vec<String> {
    let is = |labels: &BTreeMap<String, String>, name: &str, value: &str| {
        labels.get(name).is_some_and(|found| found == value)
    };
    let mut found: Vec<String> = target_info
        .iter()
        .filter(|l| is(l, "kn_service_name", &function.function))
        .filter(|l| is(l, "k8s_namespace_name", &function.namespace))
        .filter_map(|labels| labels.get("instance").cloned())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Leaves out what a second scrape job collects of the same container.
fn once_each(sampled: Vec<Sampled>) -> Vec<Sampled> {
    let of_job = ["job", "instance", "endpoint", "metrics_path", "service", "prometheus", "node"];
    let mut best: BTreeMap<BTreeMap<String, String>, Sampled> = BTreeMap::new();
    for sampled in sampled {
        let mut key = sampled.labels.clone();
        key.retain(|label, _| !of_job.contains(&label.as_str()));
        let longer = best.get(&key).is_none_or(|kept| kept.points.len() < sampled.points.len());
        if longer {
            best.insert(key, sampled);
        }
    }
    best.into_values().collect()
}
