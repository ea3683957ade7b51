//! The settings in force for a Knative Service, read back from its revision, its pods and the
//! cluster's ConfigMaps, under the keys that every platform has. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    ingress::Ingress,
    manifest::{AUTOSCALING, CONTAINER},
};
use crate::platforms::{FunctionSpec, cluster::effective, setting};

/// What was read from the cluster.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Name of the kubeconfig's context.
    pub context: &'a str,
    /// What was asked for.
    pub spec: &'a FunctionSpec,
    /// The newest revision.
    pub revision: &'a Value,
    /// Its living pods.
    pub pods: &'a [Value],
    /// `data` of `config-autoscaler`; null if it cannot be read.
    pub autoscaler: &'a Value,
    /// The way in.
    pub ingress: &'a Ingress,
    /// Host of the Service's URL.
    pub host: &'a str,
}

impl Observed<'_> {
    /// Every key of [`setting::ON_CLUSTER`].
    pub fn settings(&self) -> BTreeMap<String, String> {
        let none = Value::Null;
        let pod = self.pods.first().unwrap_or(&none);
        let container =
            effective::container(pod, CONTAINER).unwrap_or(&self.revision["spec"]["containers"][0]);
        let concurrency = self.revision["spec"]["containerConcurrency"].as_u64().unwrap_or(0);
        let burst = self.in_force("target-burst-capacity", "211");
        let mut settings = BTreeMap::new();
        let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
        set(setting::ON, format!("cluster: context {}", self.context));
        set(setting::PLATFORM, "knative".to_owned());
        set(setting::IMAGE, self.image(pod));
        set(setting::PULL_POLICY, container["imagePullPolicy"].as_str().unwrap_or("IfNotPresent").to_owned());
        set(setting::CPU, effective::cpu_cores(container));
        set(setting::MEMORY, effective::memory_mib(container));
        set(setting::CONCURRENCY, if concurrency == 0 { "none".to_owned() } else { concurrency.to_string() });
        set(setting::REPLICAS_MIN, self.in_force("min-scale", "0"));
        set(
            setting::REPLICAS_MAX,
            match self.in_force("max-scale", "0").as_str() {
                "0" => "no limit".to_owned(),
                max => max.to_owned(),
            },
        );
        set(setting::PROBE, self.probe());
        set(setting::PATH, self.spec.path.clone());
        set(setting::ENTRY, self.entry());
        set(setting::HOPS, self.hops(&burst));
        set(setting::SIDECARS, effective::sidecars(pod, CONTAINER));
        set(setting::BURST, burst);
        set(
            setting::BALANCING,
            match concurrency {
                0 => "activator: the less loaded of two random replicas; without it kube-proxy",
                1..=3 => "activator: first free replica; without it kube-proxy",
                _ => "activator: free replicas in turn; without it kube-proxy",
            }
            .to_owned(),
        );
        set(
            setting::QUEUEING,
            match concurrency {
                0 => "activator: 10000 while no replica is ready; none per replica".to_owned(),
                n => format!("activator: 10000; queue-proxy: {} per replica", 10 * n),
            },
        );
        set(setting::AUTOSCALER, self.autoscaler_words());
        set(setting::TIMEOUT, self.timeout());
        set(setting::NODES, effective::nodes(self.pods));
        settings
    }

    /// A setting of the autoscaler: the revision's annotation, else the cluster's, else Knative's
    /// own default.
    fn in_force(&self, key: &str, default: &str) -> String {
        let annotation = &self.revision["metadata"]["annotations"][format!("{AUTOSCALING}{key}")];
        let cluster_wide = &self.autoscaler[cluster_key(key)];
        annotation.as_str().or(cluster_wide.as_str()).unwrap_or(default).to_owned()
    }

    fn image(&self, pod: &Value) -> String {
        let resolved = self.revision["status"]["containerStatuses"].as_array().into_iter().flatten();
        let resolved = resolved
            .filter_map(|status| status["imageDigest"].as_str())
            .find_map(|image| image.split_once('@').map(|(_, digest)| digest.to_owned()));
        effective::image_digest(pod, CONTAINER).or(resolved).unwrap_or_else(|| {
            let reference = self.spec.image.as_ref().map_or("?", |image| image.reference.as_str());
            format!("{reference} (no digest known)")
        })
    }

    fn probe(&self) -> String {
        let probe = &self.revision["spec"]["containers"][0]["readinessProbe"];
        format!("{}, by the queue-proxy", effective::http_probe("readiness", probe))
    }

    fn entry(&self) -> String {
        let route = &self.ingress.route;
        let entry = format!("{} ({}), Host {}", route.url, route.how, self.host);
        if route.is_forwarded {
            format!("{entry}; THROUGH A PORT-FORWARD of the API server, whose cost is part of every latency")
        } else {
            entry
        }
    }

    fn hops(&self, burst: &str) -> String {
        let when = match burst {
            "-1" => "always in the path (burst capacity -1)".to_owned(),
            "0" => "in the path only from zero (burst capacity 0)".to_owned(),
            burst => format!("in the path while the spare capacity is below the burst capacity of {burst}"),
        };
        format!("ingress ({}) -> activator ({when}) -> queue-proxy -> function", self.ingress.layer)
    }

    fn autoscaler_words(&self) -> String {
        let source = if self.autoscaler.is_null() { "; cluster-wide settings could not be read" } else { "" };
        if self.spec.is_pinned() {
            return "off: replicas are pinned".to_owned();
        }
        let class = self.in_force("class", "kpa.autoscaling.knative.dev");
        let class = class.split('.').next().unwrap_or_default().to_uppercase();
        let metric = self.in_force("metric", "concurrency");
        let concurrency = self.revision["spec"]["containerConcurrency"].as_u64().unwrap_or(0);
        // Without a target annotation, the hard limit is the target.
        let default = match (metric.as_str(), concurrency) {
            ("rps", _) => self.in_force("requests-per-second-target-default", "200"),
            ("concurrency", n) if n > 0 => n.to_string(),
            _ => self.in_force("container-concurrency-target-default", "100"),
        };
        let wide = |key: &str, default: &str| self.autoscaler[key].as_str().unwrap_or(default).to_owned();
        format!(
            "{class}: {metric} {} at {} %, window {}, panic window {} %, panic at {} %, scale-down delay {}, \
             zero after a grace of {}{source}",
            self.annotation("target").unwrap_or(default),
            self.in_force("target-utilization-percentage", "70"),
            self.in_force("window", "60s"),
            self.in_force("panic-window-percentage", "10"),
            self.in_force("panic-threshold-percentage", "200"),
            self.in_force("scale-down-delay", "0s"),
            wide("scale-to-zero-grace-period", "30s"),
        )
    }

    fn annotation(&self, key: &str) -> Option<String> {
        self.revision["metadata"]["annotations"][format!("{AUTOSCALING}{key}")].as_str().map(str::to_owned)
    }

    fn timeout(&self) -> String {
        match self.revision["spec"]["timeoutSeconds"].as_u64() {
            Some(seconds) => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
            None => "not known".to_owned(),
        }
    }
}

/// Name of a setting in `config-autoscaler`, where it differs from the annotation's.
fn cluster_key(key: &str) -> &str {
    match key {
        "window" => "stable-window",
        "target-utilization-percentage" => "container-concurrency-target-percentage",
        "panic-threshold-percentage" => "panic-threshold-percentage",
        "class" => "pod-autoscaler-class",
        key => key,
    }
}
