//! The settings in force, read back from the cluster where that is allowed, under the keys that
//! every platform uses. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plan::{PORT, PROBE_PATH};
use crate::platforms::{
    FunctionSpec,
    cluster::effective,
    limits::{Accepted, ScalingRules},
    setting,
};

/// What a time limit of the gateway is by default (`upstream_timeout`).
const UPSTREAM_TIMEOUT: &str = "60s";

/// What is known of a deployment. What could not be read is left empty.
#[derive(Debug)]
pub struct Known<'a> {
    /// What was asked for.
    pub spec: &'a FunctionSpec,
    /// The same as the platform understands it.
    pub accepted: &'a Accepted,
    /// The kubeconfig's context.
    pub context: &'a str,
    /// Address of the gateway.
    pub gateway: &'a str,
    /// How it is reached, in words.
    pub how: &'a str,
    /// Whether load goes through a port-forward.
    pub is_forwarded: bool,
    /// The function's Deployment.
    pub deployment: Option<&'a Value>,
    /// Its pods.
    pub pods: &'a [Value],
    /// The gateway's own Deployment.
    pub gateway_deployment: Option<&'a Value>,
}

/// Normalised settings of one deployment.
pub fn effective(known: &Known<'_>) -> BTreeMap<String, String> {
    let spec = known.spec;
    let name = &spec.name;
    let pod = known.pods.first();
    // Pods show what the cluster made of it; the Deployment, what was asked of the cluster.
    let template = known.deployment.map(|deployment| &deployment["spec"]["template"]);
    let container = [pod, template].into_iter().flatten().find_map(|p| effective::container(p, name));
    let or_asked = |read: Option<String>, asked: String| read.unwrap_or(format!("{asked} (not read back)"));
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
    set(setting::ON, format!("cluster: context {}", known.context));
    set(setting::PLATFORM, "openfaas".to_owned());
    let digest = pod.and_then(|pod| effective::image_digest(pod, name));
    set(setting::IMAGE, or_asked(digest, spec.image.as_ref().map_or(String::new(), |i| i.reference.clone())));
    let policy = container.and_then(|c| c["imagePullPolicy"].as_str()).map(str::to_owned);
    set(setting::PULL_POLICY, or_asked(policy, "Always".to_owned()));
    set(setting::CPU, or_asked(container.map(effective::cpu_cores), spec.cpu_cores.to_string()));
    set(setting::MEMORY, or_asked(container.map(effective::memory_mib), spec.memory_mib.to_string()));
    set(setting::CONCURRENCY, "none (the platform has no such limit)".to_owned());
    set(setting::REPLICAS_MIN, spec.replicas.min.to_string());
    set(setting::REPLICAS_MAX, spec.replicas.max.to_string());
    set(setting::PROBE, or_asked(container.and_then(probes), format!("GET {PROBE_PATH} on port {PORT}")));
    set(setting::PATH, spec.path.clone());
    let through = if known.is_forwarded {
        "; THROUGH A PORT-FORWARD of the API server, whose cost is part of every latency"
    } else {
        ""
    };
    set(setting::ENTRY, format!("gateway at {} ({}), /function/NAME{through}", known.gateway, known.how));
    set(setting::HOPS, "gateway -> provider (in the gateway's pod) -> function".to_owned());
    set(setting::SIDECARS, or_asked(pod.map(|pod| effective::sidecars(pod, name)), "none".to_owned()));
    set(setting::BURST, "none (the platform has no such rule)".to_owned());
    set(setting::BALANCING, "provider: a random replica".to_owned());
    set(setting::QUEUEING, "none".to_owned());
    set(setting::AUTOSCALER, autoscaler(known));
    set(
        setting::TIMEOUT,
        known
            .gateway_deployment
            .and_then(upstream_timeout)
            .unwrap_or_else(|| format!("{UPSTREAM_TIMEOUT} (the default; not read back)")),
    );
    set(
        setting::NODES,
        if pod.is_some() { effective::nodes(known.pods) } else { "unknown (not read back)".into() },
    );
    if let Some(seconds) = template.and_then(|t| t["spec"]["terminationGracePeriodSeconds"].as_u64()) {
        set(setting::SHUTDOWN, format!("out of the routing and SIGTERM at once, SIGKILL after {seconds} s"));
    }
    settings
}

fn autoscaler(known: &Known<'_>) -> String {
    match &known.accepted.scaling {
        ScalingRules::OpenFaas(alert) if !known.spec.is_pinned() => format!(
            "alert: over {} successes/s, +{} replica(s) per firing, evaluated as the cluster's Prometheus does",
            alert.threshold_per_second,
            alert.step(),
        ),
        _ => "off: replicas are pinned".to_owned(),
    }
}

/// Both probes of a container, in words.
fn probes(container: &Value) -> Option<String> {
    let (ready, alive) = (&container["readinessProbe"], &container["livenessProbe"]);
    if ready.is_null() {
        return None;
    }
    let readiness = effective::http_probe("readiness", ready);
    let is_same = ["initialDelaySeconds", "periodSeconds", "failureThreshold", "httpGet"]
        .iter()
        .all(|key| ready[key] == alive[key]);
    Some(match (alive.is_null(), is_same) {
        (true, _) => readiness,
        (false, true) => format!("{readiness}; liveness the same, restarts it"),
        (false, false) => format!("{readiness}; {}", effective::http_probe("liveness", alive)),
    })
}

/// `upstream_timeout` of the gateway's container.
fn upstream_timeout(deployment: &Value) -> Option<String> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array()?;
    let gateway = containers.iter().find(|c| c["name"] == "gateway")?;
    let set = gateway["env"].as_array()?.iter().find(|e| e["name"] == "upstream_timeout")?;
    set["value"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::platforms::{PlatformKind, limits::accept, openfaas::plan::tests::spec};

    fn shown(settings: &BTreeMap<String, String>) -> String {
        settings.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn settings_are_what_the_cluster_runs() {
        let spec = spec();
        let accepted = accept(PlatformKind::OpenFaas, &spec).unwrap();
        let probe = json!({ "httpGet": { "path": "/_/health", "port": 8080 }, "initialDelaySeconds": 2, "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 3 });
        let container = json!({
            "name": "rec-fn", "image": "127.0.0.1:5000/benchfn:v1", "imagePullPolicy": "Always",
            "resources": { "limits": { "cpu": "500m", "memory": "256Mi" }, "requests": { "cpu": "500m", "memory": "256Mi" } },
            "readinessProbe": probe, "livenessProbe": probe,
        });
        let proxy = json!({ "name": "istio-proxy", "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } } });
        let pod = json!({
            "spec": { "nodeName": "n1", "containers": [container, proxy] },
            "status": { "containerStatuses": [{ "name": "rec-fn", "imageID": "r/benchfn@sha256:d284" }] },
        });
        let deployment =
            json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": 30 } } } });
        let gateway = json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "gateway", "env": [{ "name": "upstream_timeout", "value": "60s" }] }] } } } });
        let pods = [pod.clone(), pod];
        let known = Known {
            spec: &spec,
            accepted: &accepted,
            context: "lab",
            gateway: "http://192.0.2.1:31112",
            how: "node port 31112 of 192.0.2.1",
            is_forwarded: false,
            deployment: Some(&deployment),
            pods: &pods,
            gateway_deployment: Some(&gateway),
        };
        let settings = effective(&known);
        assert!(setting::ON_CLUSTER.iter().all(|key| settings.contains_key(*key)));
        insta::assert_snapshot!(shown(&settings), @r#"
        autoscaler: off: replicas are pinned
        balancing: provider: a random replica
        container_concurrency: none (the platform has no such limit)
        cpu_cores: 0.5
        entry: gateway at http://192.0.2.1:31112 (node port 31112 of 192.0.2.1), /function/NAME
        hops: gateway -> provider (in the gateway's pod) -> function
        image: sha256:d284
        memory_mib: 256
        nodes: n1 (2)
        on: cluster: context lab
        path: /predict?top=5
        platform: openfaas
        probe: readiness GET /_/health, first after 2 s, every 2 s, 3 failures take it out; liveness the same, restarts it
        pull_policy: Always
        queueing: none
        replicas_max: 1
        replicas_min: 1
        request_timeout: 60s
        shutdown: out of the routing and SIGTERM at once, SIGKILL after 30 s
        sidecars: istio-proxy (CPU: request 0.1, no limit; memory MiB: request 128, no limit)
        target_burst_capacity: none (the platform has no such rule)
        "#);
    }

    #[test]
    fn what_cannot_be_read_back_is_said_and_a_port_forward_too() {
        let mut spec = spec();
        spec.replicas.max = 5;
        let accepted = accept(PlatformKind::OpenFaas, &spec).unwrap();
        let known = Known {
            spec: &spec,
            accepted: &accepted,
            context: "lab",
            gateway: "http://127.0.0.1:40000",
            how: "port-forward to gateway-1",
            is_forwarded: true,
            deployment: None,
            pods: &[],
            gateway_deployment: None,
        };
        let settings = effective(&known);
        assert!(setting::ON_CLUSTER.iter().all(|key| settings.contains_key(*key)));
        insta::assert_snapshot!(shown(&settings), @r#"
        autoscaler: alert: over 5 successes/s, +1 replica(s) per firing, evaluated as the cluster's Prometheus does
        balancing: provider: a random replica
        container_concurrency: none (the platform has no such limit)
        cpu_cores: 0.5 (not read back)
        entry: gateway at http://127.0.0.1:40000 (port-forward to gateway-1), /function/NAME; THROUGH A PORT-FORWARD of the API server, whose cost is part of every latency
        hops: gateway -> provider (in the gateway's pod) -> function
        image: registry.example/function@sha256:d284 (not read back)
        memory_mib: 256 (not read back)
        nodes: unknown (not read back)
        on: cluster: context lab
        path: /predict?top=5
        platform: openfaas
        probe: GET /_/health on port 8080 (not read back)
        pull_policy: Always (not read back)
        queueing: none
        replicas_max: 5
        replicas_min: 1
        request_timeout: 60s (the default; not read back)
        sidecars: none (not read back)
        target_burst_capacity: none (the platform has no such rule)
        "#);
    }
}
