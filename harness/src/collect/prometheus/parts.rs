//! Whose CPU and memory is asked for: the containers that a request passes, by platform. Pure.

use super::catalogue::{bare_name, escaped, quoted};
use crate::{
    collect::series::component,
    platforms::{PlatformKind, PodsOf},
};

/// Pods whose containers are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Their namespaces.
    pub namespaces: Vec<String>,
    /// Beginnings of their names; empty: all pods.
    pub pods: Vec<String>,
    /// Their containers; none: all, and the function's own is told by its name.
    pub containers: Vec<&'static str>,
    /// What they are; none: told by the container's name.
    pub component: Option<&'static str>,
}

/// What a request passes on a platform. `gateway` is the namespace of the OpenFaaS gateway.
pub fn parts(kind: PlatformKind, function: &PodsOf, gateway: &str) -> Vec<Part> {
    let text = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let of_function = Part {
        namespaces: vec![function.namespace.clone()],
        pods: vec![format!("{}-", bare_name(function))],
        containers: Vec::new(),
        component: None,
    };
    let part = |namespaces: &[&str], pods: &[&str], container, component| Part {
        namespaces: text(namespaces),
        pods: text(pods),
        containers: vec![container],
        component: Some(component),
    };
    let mut parts = vec![of_function];
    match kind {
        PlatformKind::Knative => parts.extend([
            part(&["knative-serving"], &["activator-"], "activator", component::ACTIVATOR),
            part(
                &["kourier-system", "knative-serving"],
                &["3scale-kourier-gateway-"],
                "kourier-gateway",
                component::INGRESS,
            ),
            part(&["istio-system", "istio-ingress"], &["istio-ingress"], "istio-proxy", component::INGRESS),
        ]),
        PlatformKind::OpenFaas => parts.extend([
            part(&[gateway], &["gateway-"], "gateway", component::GATEWAY),
            part(&[gateway], &["gateway-", "faas-netes-"], "faas-netes", component::PROVIDER),
            part(&[gateway], &["gateway-"], "operator", component::PROVIDER),
        ]),
        PlatformKind::Deployment | PlatformKind::Endpoint => (),
    }
    parts
}

impl Part {
    /// The matchers of a cAdvisor metric.
    pub fn matchers(&self) -> String {
        let one_of = |names: Vec<String>| quoted(&names.join("|"));
        let namespaces = one_of(self.namespaces.iter().map(|n| escaped(n)).collect());
        let pods = one_of(self.pods.iter().map(|p| format!("{}.+", escaped(p))).collect());
        let containers = match self.containers.as_slice() {
            [] => "container!=\"\",container!=\"POD\"".to_owned(),
            some => format!("container=~{}", one_of(some.iter().map(|c| escaped(c)).collect())),
        };
        format!("namespace=~{namespaces},pod=~{pods},{containers}")
    }

    /// Whether a container of a pod is one of these.
    pub fn holds(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.namespaces.iter().any(|n| n == namespace)
            && self.pods.iter().any(|start| pod.len() > start.len() && pod.starts_with(start.as_str()))
            && !matches!(container, "" | "POD")
            && (self.containers.is_empty() || self.containers.contains(&container))
    }

    /// What a container of these pods is.
    pub fn component(&self, function: &PodsOf, container: &str) -> &'static str {
        match self.component {
            Some(known) => known,
            None if container == function.container => component::FUNCTION,
            None if container == "queue-proxy" => component::QUEUE_PROXY,
            None => component::SIDECAR,
        }
    }

    /// What it is that would be missing.
    pub fn title(&self) -> &'static str {
        self.component.unwrap_or(component::FUNCTION)
    }
}
