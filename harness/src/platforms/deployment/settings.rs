//! The settings in force for a plain Deployment, read back from its pods, under the keys that
//! every platform has. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifest::CONTAINER;
use crate::platforms::{
    FunctionSpec,
    cluster::{effective, reach::Route},
    setting,
};

/// Every key of [`setting::ON_CLUSTER`].
pub fn effective(
    context: &str,
    spec: &FunctionSpec,
    pods: &[Value],
    route: &Route,
) -> BTreeMap<String, String> {
    let none = Value::Null;
    let pod = pods.first().unwrap_or(&none);
    let container = effective::container(pod, CONTAINER).unwrap_or(&none);
    let reference = spec.image.as_ref().map_or("?", |image| image.reference.as_str());
    let image =
        effective::image_digest(pod, CONTAINER).unwrap_or_else(|| format!("{reference} (no digest known)"));
    let entry = format!("{} ({})", route.url, route.how);
    let entry = if route.is_forwarded {
        format!("{entry}; THROUGH A PORT-FORWARD of the API server, whose cost is part of every latency")
    } else {
        entry
    };
    let text = |value: &str| value.to_owned();
    [
        (setting::ON, format!("cluster: context {context}")),
        (setting::PLATFORM, text("deployment")),
        (setting::IMAGE, image),
        (setting::PULL_POLICY, text(container["imagePullPolicy"].as_str().unwrap_or("not known"))),
        (setting::CPU, effective::cpu_cores(container)),
        (setting::MEMORY, effective::memory_mib(container)),
        (setting::CONCURRENCY, text("none (a Deployment has no such limit)")),
        (setting::REPLICAS_MIN, spec.replicas.min.to_string()),
        (setting::REPLICAS_MAX, spec.replicas.max.to_string()),
        (
            setting::PROBE,
            effective::http_probe("readiness", &container["readinessProbe"]) + ", by the kubelet",
        ),
        (setting::PATH, spec.path.clone()),
        (setting::ENTRY, entry),
        (setting::HOPS, text("kube-proxy -> function")),
        (setting::SIDECARS, effective::sidecars(pod, CONTAINER)),
        (setting::BURST, text("none (a Deployment has no such rule)")),
        (setting::BALANCING, text("kube-proxy: a random replica for each connection")),
        (setting::QUEUEING, text("none")),
        (setting::AUTOSCALER, text("off: replicas are pinned")),
        (setting::TIMEOUT, text("none")),
        (setting::NODES, effective::nodes(pods)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
