//! Knative Serving: API, controllers, ingress, routing, metrics.

use serde_json::Value;

use crate::{
    doctor::{Patient, Said, fail, ok, skipped, warn},
    platforms::cluster::{
        api::Selection,
        reach::{self, Route, ServicePort},
        resources::{CONFIG_MAPS, DEPLOYMENTS},
    },
};

/// Namespace of Knative's own parts.
const SERVING: &str = "knative-serving";
/// Its parts that a Service needs.
const NEEDED: [&str; 4] = ["activator", "autoscaler", "controller", "webhook"];
/// A name that no Service has (RFC 2606 reserves `.invalid`).
const NOBODY: &str = "nobody.harness.invalid";

/// Ingress Services by what `ingress-class` begins with.
const INGRESSES: [(&str, &str, &str); 3] = [
    ("kourier", "kourier-system", "kourier"),
    ("istio", "istio-system", "istio-ingressgateway"),
    ("contour", "contour-external", "envoy"),
];

pub(super) async fn serving(p: &Patient<'_>) -> Said {
    let remedy = "install Knative Serving and a networking layer; cluster-setup/README.md says how";
    served(p, "serving.knative.dev", remedy).await
}

/// Whether a group of the API is served as v1.
pub(super) async fn served(p: &Patient<'_>, group: &str, remedy: &str) -> Said {
    match p.cluster.api.get_path(&format!("/apis/{group}")).await {
        Ok(found) => {
            let versions = found["versions"].as_array().into_iter().flatten();
            let versions: Vec<&str> = versions.filter_map(|v| v["version"].as_str()).collect();
            if versions.contains(&"v1") {
                ok(format!("{group}/v1 is served"))
            } else {
                fail(format!("{group} is served as {} only", versions.join(", ")), remedy)
            }
        }
        Err(error) if error.code() == Some(404) => {
            fail(format!("there is no {group} on this cluster"), remedy)
        }
        Err(error) => fail(error.to_string(), remedy),
    }
}

pub(super) async fn controllers(p: &Patient<'_>) -> Said {
    ready(p, SERVING, &NEEDED).await
}

/// Whether Deployments of Knative's own have pods.
pub(super) async fn ready(p: &Patient<'_>, namespace: &str, needed: &[&str]) -> Said {
    let deployments = match p.cluster.api.list(&DEPLOYMENTS, Some(namespace), &Selection::default()).await {
        Ok(listed) => listed.items,
        Err(error) => return skipped(error.to_string()),
    };
    let available = |name: &str| {
        let found = deployments.iter().find(|d| d["metadata"]["name"] == name)?;
        Some(found["status"]["availableReplicas"].as_u64().unwrap_or(0))
    };
    let troubles: Vec<String> = needed
        .iter()
        .filter_map(|name| match available(name) {
            None => Some(format!("{name} is not there")),
            Some(0) => Some(format!("{name} has no pod that is ready")),
            Some(_) => None,
        })
        .collect();
    if troubles.is_empty() {
        return ok(format!("{} are ready", needed.join(", ")));
    }
    fail(
        troubles.join("; "),
        format!("kubectl -n {namespace} get pods; kubectl -n {namespace} describe pod NAME"),
    )
}

pub(super) async fn ingress(p: &Patient<'_>) -> Said {
    match route(p).await {
        Ok((what, route)) => ok(format!("{what} at {} ({})", route.url, route.how)),
        Err(said) => said,
    }
}

pub(super) async fn routing(p: &Patient<'_>) -> Said {
    let Ok((_, route)) = route(p).await else {
        return skipped("see Knative ingress");
    };
    let remedy = "give the address of Knative's ingress as --ingress http://HOST:PORT";
    match p.http.get(&route.url, Some(NOBODY), None).await {
        Ok(answer) if answer.status == 404 => {
            let server = if answer.server.is_empty() { "its server" } else { &answer.server };
            ok(format!("an unknown host is answered with 404 by {server}, as it should be"))
        }
        Ok(answer) => warn(
            format!(
                "an unknown host is answered with {} by {:?}: is this the ingress?",
                answer.status, answer.server
            ),
            remedy,
        ),
        Err(error) => fail(format!("{} does not answer: {error}", route.url), remedy),
    }
}

pub(super) async fn metrics(p: &Patient<'_>) -> Said {
    let config = match config(p, "config-observability").await {
        Ok(config) => config,
        Err(said) => return said,
    };
    let off: Vec<&str> = ["request-metrics-protocol", "metrics-protocol"]
        .into_iter()
        .filter(|key| config.get(*key).and_then(Value::as_str) != Some("prometheus"))
        .collect();
    if off.is_empty() {
        return ok("queue-proxy and control plane export to Prometheus");
    }
    // Up to 1.18 the keys are others, and metrics are on by default.
    if config.keys().any(|key| key.starts_with("metrics.backend-destination")) {
        return ok("metrics as before Knative 1.19");
    }
    let patch: Vec<String> = off.iter().map(|key| format!("\"{key}\":\"prometheus\"")).collect();
    warn(
        format!("{} is off, so its series will be missing from the report", off.join(" and ")),
        format!(
            "kubectl -n {SERVING} patch configmap config-observability --type merge -p '{{\"data\":{{{}}}}}'",
            patch.join(",")
        ),
    )
}

/// Knative's ingress: what it is, and the address that answers from here.
async fn route(p: &Patient<'_>) -> Result<(String, Route), Said> {
    if let Some(url) = &p.cluster.choice.ingress {
        return Ok(("the ingress".to_owned(), Route::given(url)));
    }
    let config = config(p, "config-network").await?;
    // Before 1.3 the key was `ingress.class`; Istio is what an empty file means.
    let class = config.get("ingress-class").or_else(|| config.get("ingress.class")).and_then(Value::as_str);
    let class = class.unwrap_or("istio.ingress.networking.knative.dev");
    let Some((what, namespace, name)) = INGRESSES.iter().find(|(word, ..)| class.starts_with(word)) else {
        return Err(fail(
            format!("the ingress class {class} is not known to the testbed"),
            "give the address of Knative's ingress as --ingress http://HOST:PORT",
        ));
    };
    match reach::direct(p.cluster, ServicePort { namespace, name, port: 80 }).await {
        Ok(route) => Ok(((*what).to_owned(), route)),
        Err(error) => Err(fail(
            format!("{class}: {error}"),
            format!(
                "give {namespace}/{name} a load balancer or a node port that this machine reaches (kubectl -n {namespace} \
                 patch service {name} -p '{{\"spec\":{{\"type\":\"NodePort\"}}}}'), or its address as --ingress \
                 http://HOST:PORT"
            ),
        )),
    }
}

async fn config(p: &Patient<'_>, name: &str) -> Result<serde_json::Map<String, Value>, Said> {
    match config_in(p, SERVING, name).await? {
        Some(data) => Ok(data),
        None => Err(fail(format!("there is no {name} in {SERVING}"), "install Knative Serving again")),
    }
}

/// The data of a ConfigMap; none if it is not there.
pub(super) async fn config_in(
    p: &Patient<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<serde_json::Map<String, Value>>, Said> {
    match p.cluster.api.get(&CONFIG_MAPS, Some(namespace), name).await {
        Ok(found) => Ok(found.map(|found| found["data"].as_object().cloned().unwrap_or_default())),
        Err(error) => Err(skipped(error.to_string())),
    }
}
