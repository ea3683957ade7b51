//! Opt-in: renders the charts with our values where there is helm and a folder with the charts' sources
//! (`HARNESS_CHARTS`, one folder a chart, their dependencies in place).

use std::{env, path::PathBuf, process::Command};

use serde_json::Value;

use super::{components, folder, list, object, ports, selects, steps};

/// What a chart makes, rendered with our values into its component's namespace; none: it cannot be rendered here.
fn rendered(chart: &str) -> Option<Vec<Value>> {
    let source = env::var_os("HARNESS_CHARTS").map(|charts| PathBuf::from(charts).join(chart));
    let Some(source) = source.filter(|source| source.is_dir()) else {
        eprintln!("skipped: HARNESS_CHARTS names no folder with the chart {chart}");
        return None;
    };
    let components = components();
    let (component, step) = steps(&components).find(|(_, step)| step["chart"] == chart).unwrap();
    let mut helm = Command::new("helm");
    helm.args(["template", component["name"].as_str().unwrap()]).arg(source);
    helm.args(["--namespace", component["namespace"].as_str().unwrap(), "--values"]);
    let Ok(output) = helm.arg(folder().join(step["values"].as_str().unwrap())).output() else {
        eprintln!("skipped: `helm` is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(serde_saphyr::from_multiple::<Value>(&text).unwrap())
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |o: &&Value| o["kind"] == kind && o["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("the chart makes no {kind} {name}"))
}

#[test]
fn whatever_is_waited_for_after_a_chart_is_made_by_it() {
    let components = components();
    for (component, step) in steps(&components) {
        let Some(objects) = step["chart"].as_str().and_then(rendered) else { continue };
        let waits =
            list(&component["step"]).map(|step| &step["wait"]).filter(|wait| wait["kind"] == "Deployment");
        for wait in waits {
            let made = find(&objects, "Deployment", wait["name"].as_str().unwrap());
            assert_eq!(made["metadata"]["namespace"], wait["namespace"]);
        }
    }
}

#[test]
fn the_gateway_is_scraped_reached_at_its_node_port_and_scaled_by_its_alert() {
    let Some(objects) = rendered("openfaas") else { return };
    let pod = &find(&objects, "Deployment", "gateway")["spec"]["template"];
    let monitor = object("monitoring/openfaas.yaml", "PodMonitor", "openfaas-gateway");
    assert!(selects(&monitor["spec"]["selector"], &pod["metadata"]["labels"]));
    assert!(
        ports(&pod["spec"]).contains(&monitor["spec"]["podMetricsEndpoints"][0]["port"].as_str().unwrap())
    );
    let service = find(&objects, "Service", "gateway-external");
    assert_eq!(service["spec"]["ports"][0]["nodePort"], 31112);
    let rules = find(&objects, "ConfigMap", "prometheus-config")["data"]["alert.rules.yml"].to_string();
    assert!(rules.contains("APIHighInvocationRate") && rules.contains("> 5"), "{rules}");
    find(&objects, "Deployment", "alertmanager");
}

#[test]
fn prometheus_is_found_where_the_harness_looks_and_takes_every_monitor() {
    let Some(objects) = rendered("kube-prometheus-stack") else { return };
    find(&objects, "Service", "kube-prometheus-stack-prometheus");
    let prometheus = &find(&objects, "Prometheus", "kube-prometheus-stack-prometheus")["spec"];
    for selector in ["serviceMonitorSelector", "podMonitorSelector", "serviceMonitorNamespaceSelector"] {
        assert_eq!(prometheus[selector], serde_json::json!({}), "{selector}");
    }
    let kubelet = &find(&objects, "ServiceMonitor", "kube-prometheus-stack-kubelet")["spec"]["endpoints"];
    assert!(list(kubelet).any(|endpoint| endpoint["path"] == "/metrics/cadvisor"));
    let grafana = find(&objects, "Deployment", "kube-prometheus-stack-grafana").to_string();
    assert!(grafana.contains("grafana-admin") && grafana.contains("grafana_dashboard"));
    let alerts = objects.iter().filter(|o| o["kind"] == "PrometheusRule").count();
    assert_eq!(alerts, 0, "nobody is to be woken by a testbed");
}

#[test]
fn metallb_speaks_layer_2_alone() {
    let Some(objects) = rendered("metallb") else { return };
    let speaker = find(&objects, "DaemonSet", "metallb-speaker");
    assert_eq!(list(&speaker["spec"]["template"]["spec"]["containers"]).count(), 1);
    assert_eq!(objects.iter().filter(|o| o["kind"] == "DaemonSet").count(), 1);
}
