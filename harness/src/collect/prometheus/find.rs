//! Where a cluster's Prometheus is: under the names that its usual installations give it.

use crate::platforms::cluster::{
    Cluster,
    reach::{self, ReachError, Route, ServicePort},
    resources::SERVICES,
};

/// Namespaces, in the order in which they are looked through. OpenFaaS's own comes late: it knows
/// nothing but OpenFaaS.
const NAMESPACES: [&str; 7] = [
    "monitoring",
    "prometheus",
    "observability",
    "knative-monitoring",
    "istio-system",
    "openfaas",
    "default",
];

/// Services: kube-prometheus-stack under either release name, kube-prometheus, the plain chart, and
/// what the operator makes.
const NAMES: [&str; 6] = [
    "kube-prometheus-stack-prometheus",
    "prometheus-kube-prometheus-prometheus",
    "prometheus-k8s",
    "prometheus-server",
    "prometheus",
    "prometheus-operated",
];

/// The user's address, or the first Service that can be reached; none if there is none.
pub(super) async fn prometheus(cluster: &Cluster) -> Result<Option<Route>, String> {
    if let Some(url) = &cluster.choice.prometheus {
        return Ok(Some(Route::given(url)));
    }
    let own = cluster.gateway_namespace();
    let own = (!NAMESPACES.contains(&own)).then_some(own);
    let mut unreachable = None;
    for namespace in NAMESPACES.into_iter().chain(own) {
        for name in NAMES {
            let service = match cluster.api.get(&SERVICES, Some(namespace), name).await {
                Ok(Some(service)) => service,
                Ok(None) => continue,
                Err(error) => return Err(format!("Prometheus cannot be looked for: {error}")),
            };
            let Some(port) = port(&service) else { continue };
            match reach::control(cluster, ServicePort { namespace, name, port }).await {
                Ok(route) => return Ok(Some(route)),
                Err(ReachError::Absent { .. }) => (),
                Err(error) => unreachable = Some(error),
            }
        }
    }
    unreachable.map_or(Ok(None), |error| Err(format!("{error}; give Prometheus' address as --prometheus")))
}

/// 9090 if it has that, else a port with a name that fits, else the first.
fn port(service: &serde_json::Value) -> Option<u16> {
    let ports = service["spec"]["ports"].as_array()?;
    let usual = ports.iter().find(|p| p["port"] == 9090);
    let named =
        || ports.iter().find(|p| p["name"].as_str().is_some_and(|n| n == "web" || n.contains("http")));
    let port = usual.or_else(named).or_else(|| ports.first())?;
    u16::try_from(port["port"].as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_port_is_9090_or_the_one_that_is_named_for_it() {
        let service = |ports| json!({ "spec": { "ports": ports } });
        let of_stack =
            json!([{ "name": "reloader-web", "port": 8080 }, { "name": "http-web", "port": 9090 }]);
        assert_eq!(port(&service(of_stack)), Some(9090));
        assert_eq!(
            port(&service(json!([{ "name": "grpc", "port": 1 }, { "name": "http", "port": 80 }]))),
            Some(80)
        );
        assert_eq!(port(&service(json!([]))), None);
    }
}
