//! The settings in force, under the same keys for both platforms, so that a report can put them
//! side by side and mark where they differ. Pure.

use std::collections::BTreeMap;

use super::{
    placement::Placement,
    plane::{KNATIVE_PROBE, OPENFAAS_PROBE, Probe, STOP_GRACE},
};
use crate::platforms::{
    FunctionSpec,
    limits::{Accepted, ScalingRules},
};

/// Normalised settings of one deployment.
pub fn effective(
    spec: &FunctionSpec,
    accepted: &Accepted,
    binary_sha256: &str,
    drain_seconds: &str,
    placement: &Placement,
) -> BTreeMap<String, String> {
    let pinned = spec.replicas.min == spec.replicas.max;
    let limit = match spec.container_concurrency {
        0 => "none".to_owned(),
        n => n.to_string(),
    };
    let cores = placement.rest.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
    set("on", "twin: a stand-in on one machine, not a cluster".to_owned());
    set("function_binary_sha256", binary_sha256.to_owned());
    set("path", spec.path.clone());
    set(
        "cpu_cores",
        format!("{} (inference threads {}; not enforced)", spec.cpu_cores, inference_threads(spec)),
    );
    set("memory_mib", format!("{} (not enforced)", spec.memory_mib));
    set("cores_of_data_plane_and_replicas", if cores.is_empty() { "any".to_owned() } else { cores });
    set("replicas_min", spec.replicas.min.to_string());
    set("replicas_max", spec.replicas.max.to_string());
    set("request_timeout", humantime::format_duration(accepted.request_timeout).to_string());
    set(
        "shutdown",
        format!(
            "out of the routing, SIGTERM, {drain_seconds} s drain, SIGKILL after {} s",
            STOP_GRACE.as_secs()
        ),
    );
    match &accepted.scaling {
        ScalingRules::Knative(kpa) => {
            let burst = kpa.target_burst_capacity;
            set("platform", "knative".to_owned());
            set("entry", "ingress, by Host header".to_owned());
            set("hops", "ingress, activator (while in the path), queue-proxy; one process".to_owned());
            set(
                "balancing",
                match spec.container_concurrency {
                    0 => "activator: the less loaded of two random replicas",
                    1..=3 => "activator: first free replica",
                    _ => "activator: free replicas in turn",
                }
                .to_owned(),
            );
            set("container_concurrency", limit);
            set(
                "queueing",
                match spec.container_concurrency {
                    0 => "activator: 10000 while no replica is ready; none per replica".to_owned(),
                    n => format!("activator: 10000; queue-proxy: {} per replica", 10 * n),
                },
            );
            set("target_burst_capacity", burst.to_string());
            set("probe", probe(&KNATIVE_PROBE));
            set(
                "autoscaler",
                if pinned {
                    "off: replicas are pinned".to_owned()
                } else {
                    format!(
                        "KPA: concurrency {} at {} %, window {}, panic window {} %, tick {}",
                        kpa.target,
                        kpa.target_utilization_percent,
                        humantime::format_duration(kpa.window),
                        kpa.panic_window_percent,
                        humantime::format_duration(kpa.tick)
                    )
                },
            );
        }
        ScalingRules::OpenFaas(alert) => {
            set("platform", "openfaas".to_owned());
            set("entry", "gateway, /function/NAME".to_owned());
            set("hops", "gateway, provider; one process".to_owned());
            set("balancing", "provider: a random replica".to_owned());
            set("container_concurrency", "none (the platform has no such limit)".to_owned());
            set("queueing", "none".to_owned());
            set("target_burst_capacity", "none (the platform has no such rule)".to_owned());
            set("probe", probe(&OPENFAAS_PROBE));
            set(
                "autoscaler",
                if pinned {
                    "off: replicas are pinned".to_owned()
                } else {
                    format!(
                        "alert: over {} successes/s, +{} replica(s) per firing, evaluated every {}",
                        alert.threshold_per_second,
                        alert.step(),
                        humantime::format_duration(alert.evaluation_interval)
                    )
                },
            );
        }
        ScalingRules::Fixed => {}
    }
    settings
}

/// Inference threads of a replica: its CPU limit, rounded up.
pub fn inference_threads(spec: &FunctionSpec) -> u32 {
    (spec.cpu_cores.ceil() as u32).max(1)
}

fn probe(probe: &Probe) -> String {
    format!(
        "GET {}, first after {}, every {}, {} failures {}",
        probe.path,
        humantime::format_duration(probe.initial_delay),
        humantime::format_duration(probe.period),
        probe.failures,
        if probe.restarts { "restart it" } else { "take it out" }
    )
}
