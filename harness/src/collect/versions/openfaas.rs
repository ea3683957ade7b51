//! OpenFaaS: gateway and provider, their time limits, and the rules that scale functions.

use serde_json::{Map, Value, json};

use super::{text, unknown};
use crate::platforms::cluster::{
    Cluster,
    resources::{CONFIG_MAPS, DEPLOYMENTS},
};

/// Variables that shape a measurement: time limits, scaling, pulling. None of them is a secret.
const VARIABLES: [&str; 9] = [
    "read_timeout",
    "write_timeout",
    "upstream_timeout",
    "direct_functions",
    "scale_from_zero",
    "max_idle_conns",
    "max_idle_conns_per_host",
    "image_pull_policy",
    "set_nonroot_user",
];

pub(super) async fn found(cluster: &Cluster) -> Value {
    let namespace = cluster.gateway_namespace();
    let gateway = match cluster.api.get(&DEPLOYMENTS, Some(namespace), "gateway").await {
        Ok(Some(gateway)) => gateway,
        Ok(None) => return format!("not found (no Deployment gateway in {namespace})").into(),
        Err(error) => return unknown(&error),
    };
    let mut containers = Map::new();
    for container in gateway["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten() {
        let variables = container["env"].as_array().into_iter().flatten().filter_map(|variable| {
            let name = variable["name"].as_str()?;
            VARIABLES.contains(&name).then(|| format!("{name} {}", text(&variable["value"])))
        });
        let facts: Vec<String> = std::iter::once(text(&container["image"])).chain(variables).collect();
        containers.insert(text(&container["name"]), facts.join(", ").into());
    }
    json!({ "gateway": containers, "alert_rules": rules(cluster, namespace).await })
}

/// The rules of the chart's own Prometheus, in one line.
async fn rules(cluster: &Cluster, namespace: &str) -> Value {
    match cluster.api.get(&CONFIG_MAPS, Some(namespace), "prometheus-config").await {
        Ok(Some(config)) => {
            let rules =
                config["data"].as_object().into_iter().flatten().find(|(key, _)| key.contains("rules"));
            match rules {
                Some((_, rules)) => text(rules).split_whitespace().collect::<Vec<_>>().join(" ").into(),
                None => "not in the ConfigMap prometheus-config".into(),
            }
        }
        Ok(None) => format!("not found (no ConfigMap prometheus-config in {namespace})").into(),
        Err(error) => unknown(&error),
    }
}
