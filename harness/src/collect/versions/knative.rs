//! Knative Serving: version, networking layer, and the settings in force.

use serde_json::{Map, Value, json};

use super::{NO_SELECTION, text, unknown};
use crate::platforms::cluster::{
    Cluster,
    resources::{CONFIG_MAPS, DEPLOYMENTS, NAMESPACES},
};

const SERVING: &str = "knative-serving";

/// Settings of the autoscaler that shape a measurement, with their defaults (knative/serving 1.23,
/// `config/core/configmaps/autoscaler.yaml`).
const AUTOSCALER: [(&str, &str); 17] = [
    ("pod-autoscaler-class", "kpa.autoscaling.knative.dev"),
    ("container-concurrency-target-default", "100"),
    ("container-concurrency-target-percentage", "70"),
    ("requests-per-second-target-default", "200"),
    ("target-burst-capacity", "211"),
    ("stable-window", "60s"),
    ("panic-window-percentage", "10.0"),
    ("panic-threshold-percentage", "200.0"),
    ("max-scale-up-rate", "1000.0"),
    ("max-scale-down-rate", "2.0"),
    ("enable-scale-to-zero", "true"),
    ("scale-to-zero-grace-period", "30s"),
    ("scale-to-zero-pod-retention-period", "0s"),
    ("scale-down-delay", "0s"),
    ("initial-scale", "1"),
    ("activator-capacity", "100.0"),
    ("max-scale", "0"),
];

/// Other settings that shape a measurement: the ConfigMap, its keys and their defaults.
const OTHERS: [(&str, &[(&str, &str)]); 4] = [
    (
        "config-network",
        &[("ingress-class", "istio.ingress.networking.knative.dev"), ("mesh-compatibility-mode", "auto")],
    ),
    ("config-defaults", &[("revision-timeout-seconds", "300"), ("container-concurrency", "0")]),
    (
        "config-deployment",
        &[
            ("queue-sidecar-cpu-request", "25m"),
            ("queue-sidecar-cpu-limit", "none"),
            ("progress-deadline", "600s"),
        ],
    ),
    ("config-observability", &[("metrics-protocol", "none"), ("request-metrics-protocol", "none")]),
];

/// Features that change how functions run; they are off unless listed.
const FEATURES: [&str; 4] = [
    "multi-container-probing",
    "queueproxy.resource-defaults",
    "autodetect-http2",
    "kubernetes.podspec-nodeselector",
];

pub(super) async fn found(cluster: &Cluster) -> Value {
    let version = match cluster.api.get(&NAMESPACES, None, SERVING).await {
        Ok(None) => return format!("not found (no namespace {SERVING})").into(),
        Ok(Some(namespace)) => match text(&namespace["metadata"]["labels"]["app.kubernetes.io/version"]) {
            label if label.is_empty() => "unknown (the namespace has no version label)".into(),
            label => Value::String(label),
        },
        Err(error) => unknown(&error),
    };
    let images = match cluster.api.list(&DEPLOYMENTS, Some(SERVING), NO_SELECTION).await {
        Ok(listed) => {
            let named = listed
                .items
                .iter()
                .map(|d| (text(&d["metadata"]["name"]), super::images(d).join(", ").into()));
            Value::Object(named.collect::<Map<_, _>>())
        }
        Err(error) => unknown(&error),
    };
    let mut settings = Map::new();
    settings.insert("config-autoscaler".to_owned(), config(cluster, "config-autoscaler", &AUTOSCALER).await);
    for (name, keys) in OTHERS {
        settings.insert(name.to_owned(), config(cluster, name, keys).await);
    }
    settings.insert("config-features".to_owned(), features(cluster).await);
    json!({ "version": version, "images": images, "settings": settings })
}

/// The keys of a ConfigMap in a line; values that nobody set are marked as defaults.
async fn config(cluster: &Cluster, name: &str, keys: &[(&str, &str)]) -> Value {
    let found = match cluster.api.get(&CONFIG_MAPS, Some(SERVING), name).await {
        Ok(found) => found.unwrap_or_default(),
        Err(error) => return unknown(&error),
    };
    let (mut set, mut defaults) = (Vec::new(), Vec::new());
    for (key, default) in keys {
        match found["data"][*key].as_str() {
            Some(value) => set.push(format!("{key} {value}")),
            None => defaults.push(format!("{key} {default}")),
        }
    }
    if !defaults.is_empty() {
        set.push(format!("by default {}", defaults.join(", ")));
    }
    set.join("; ").into()
}

async fn features(cluster: &Cluster) -> Value {
    let found = match cluster.api.get(&CONFIG_MAPS, Some(SERVING), "config-features").await {
        Ok(found) => found.unwrap_or_default(),
        Err(error) => return unknown(&error),
    };
    let set = FEATURES.iter().filter_map(|key| Some(format!("{key} {}", found["data"][*key].as_str()?)));
    let set: Vec<String> = set.collect();
    if set.is_empty() { "defaults".into() } else { set.join("; ").into() }
}
