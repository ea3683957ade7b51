//! The monitors select what really runs, at ports that it has, and together cover what the doctor and the
//! catalogue of series ask for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{list, object, ports, selects};
use crate::platforms::{
    cluster::{RunLabel, testing},
    deployment,
};

/// A recorded pod of a revision.
fn pod_of_revision() -> Value {
    let recording: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/kubernetes/pods-of-revision.json")).unwrap();
    recording["response"]["body"]["items"][0].clone()
}

/// The endpoint of a monitor for a pod with those labels and ports; none if it does not select it.
fn endpoint<'a>(monitor: &'a Value, pod: &Value) -> Option<&'a Value> {
    let selected = selects(&monitor["spec"]["selector"], &pod["metadata"]["labels"]);
    let ports = ports(&pod["spec"]);
    let has = |endpoint: &&Value| ports.contains(&endpoint["port"].as_str().unwrap());
    list(&monitor["spec"]["podMetricsEndpoints"]).find(has).filter(|_| selected)
}

#[test]
fn a_recorded_pod_of_knative_is_scraped_at_queue_proxy_and_function_with_its_names_copied() {
    let pod = pod_of_revision();
    for (file, name, port) in [
        ("monitoring/knative.yaml", "knative-queue-proxy", "http-usermetric"),
        ("monitoring/functions.yaml", "functions-on-knative", "user-port"),
    ] {
        let monitor = object(file, "PodMonitor", name);
        assert_eq!(endpoint(&monitor, &pod).unwrap()["port"], port);
        for label in ["serving.knative.dev/service", "serving.knative.dev/revision"] {
            assert!(list(&monitor["spec"]["podTargetLabels"]).any(|copied| copied == label));
            assert!(!pod["metadata"]["labels"][label].is_null());
        }
    }
}

#[test]
fn our_own_deployment_is_scraped_and_its_label_copied() {
    let labels = RunLabel::new("r1").labels();
    let made = deployment::manifests(&testing::spec(1, 1), "testbed", &labels).unwrap();
    let monitor = object("monitoring/functions.yaml", "PodMonitor", "functions-deployed");
    let pod = &made[0]["spec"]["template"];
    assert_eq!(endpoint(&monitor, pod).unwrap()["port"], "http");
    for label in list(&monitor["spec"]["podTargetLabels"]) {
        assert!(!pod["metadata"]["labels"][label.as_str().unwrap()].is_null(), "{label}");
    }
    let of_knative = object("monitoring/functions.yaml", "PodMonitor", "functions-on-knative");
    assert_eq!(endpoint(&of_knative, pod), None, "each pod is scraped once");
}

#[test]
fn a_pod_of_openfaas_is_known_by_the_label_that_was_recorded() {
    let recording: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/openfaas/pods-badimage.json")).unwrap();
    let pod = &recording["response"]["body"]["items"][0];
    let monitor = object("monitoring/functions.yaml", "PodMonitor", "functions-on-openfaas");
    assert!(selects(&monitor["spec"]["selector"], &pod["metadata"]["labels"]));
    assert_eq!(monitor["spec"]["namespaceSelector"]["matchNames"], json!([pod["metadata"]["namespace"]]));
}

/// Labels of Knative's Services, from its own release 1.23 and seen on a cluster.
#[test]
fn the_control_plane_is_scraped_by_the_labels_of_its_services() {
    let monitor = object("monitoring/knative.yaml", "ServiceMonitor", "knative-control-plane");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], "http-metrics");
    for component in ["activator", "autoscaler", "controller", "webhook", "net-kourier"] {
        let labels =
            json!({ "app.kubernetes.io/component": component, "app.kubernetes.io/name": "knative-serving" });
        assert!(selects(&monitor["spec"]["selector"], &labels), "{component}");
    }
    assert!(!selects(&monitor["spec"]["selector"], &json!({ "app.kubernetes.io/component": "x" })));
}

#[test]
fn prometheus_takes_monitors_without_the_charts_label_and_an_interval_fits_a_short_cell() {
    let values: Value = serde_saphyr::from_str(&super::text("monitoring/values.yaml")).unwrap();
    let prometheus = &values["prometheus"]["prometheusSpec"];
    for key in ["serviceMonitorSelectorNilUsesHelmValues", "podMonitorSelectorNilUsesHelmValues"] {
        assert_eq!(prometheus[key], false, "{key}");
    }
    assert_eq!(values["kubelet"]["serviceMonitor"]["cAdvisor"], true);
    // What a report shows of a cell of half a minute needs several samples.
    let mut slow = BTreeMap::new();
    for file in ["monitoring/knative.yaml", "monitoring/openfaas.yaml", "monitoring/ingress.yaml"] {
        for monitor in super::objects(file) {
            let spec = &monitor["spec"];
            for endpoint in list(&spec["endpoints"]).chain(list(&spec["podMetricsEndpoints"])) {
                let interval = humantime::parse_duration(endpoint["interval"].as_str().unwrap()).unwrap();
                if interval.as_secs() > 10 {
                    slow.insert(monitor["metadata"]["name"].to_string(), interval);
                }
            }
        }
    }
    assert_eq!(slow.keys().collect::<Vec<_>>(), ["\"knative-eventing\""]);
}
