//! What a run finds on a cluster: versions, nodes, and the settings of autoscalers and gateways in
//! force. Never fails: what is not there, or not allowed, is said in its place.

mod generator;
mod knative;
mod openfaas;

use serde_json::{Map, Value, json};

use crate::platforms::cluster::{
    ApiError, Cluster,
    api::Selection,
    resources::{NODES, Resource},
};

/// Daemon sets, among which networks and load balancers are found.
const DAEMON_SETS: Resource =
    Resource { group: "apps", version: "v1", plural: "daemonsets", kind: "DaemonSet" };

/// Everything found, for `environment.json` under `cluster`. Its `notices` belong above the report:
/// see [`notices`].
pub async fn versions(cluster: &Cluster) -> Value {
    let (kubernetes, nodes, knative, openfaas, network) = tokio::join!(
        kubernetes(cluster),
        cluster.api.list(&NODES, None, NO_SELECTION),
        knative::found(cluster),
        openfaas::found(cluster),
        network(cluster),
    );
    let (nodes, place) = match nodes {
        Ok(listed) => {
            let place = generator::place(&listed.items, &generator::Machine::this());
            let nodes = listed.items.iter().map(|n| (text(&n["metadata"]["name"]), node(n).into()));
            (Value::Object(nodes.collect::<Map<_, _>>()), place)
        }
        Err(error) => (unknown(&error), generator::place(&[], &generator::Machine::this())),
    };
    json!({
        "context": cluster.context,
        "kubernetes": kubernetes,
        "nodes": nodes,
        "network": network,
        "knative": knative,
        "openfaas": openfaas,
        "generator": place.words,
        "notices": place.notice.into_iter().collect::<Vec<_>>(),
    })
}

const NO_SELECTION: &Selection = &Selection { labels: String::new(), fields: String::new() };

/// What must be known to read the figures, of what [`versions`] found.
pub fn notices(versions: &Value) -> Vec<String> {
    versions["notices"].as_array().into_iter().flatten().map(text).collect()
}

async fn kubernetes(cluster: &Cluster) -> Value {
    match cluster.api.get_path("/version").await {
        Ok(version) => format!("{} ({})", text(&version["gitVersion"]), text(&version["platform"])).into(),
        Err(error) => unknown(&error),
    }
}

/// A node in a line.
fn node(node: &Value) -> String {
    let (status, info) = (&node["status"], &node["status"]["nodeInfo"]);
    let gib = kibibytes(&status["capacity"]["memory"]).map(|kib| format!("{:.1} GiB", kib / 1_048_576.0));
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let bad = conditions.filter_map(|c| {
        let is_ready = c["type"] == "Ready";
        let good = if is_ready { "True" } else { "False" };
        (c["status"] != good).then(|| format!("{} {}", text(&c["type"]), text(&c["status"])))
    });
    let bad: Vec<String> = bad.collect();
    let facts = [
        format!("{} CPUs", text(&status["capacity"]["cpu"])),
        gib.unwrap_or_default(),
        format!("kernel {}", text(&info["kernelVersion"])),
        text(&info["osImage"]),
        text(&info["containerRuntimeVersion"]).replace("://", " "),
        format!("kubelet {}", text(&info["kubeletVersion"])),
        text(&info["architecture"]),
        if bad.is_empty() { "healthy".to_owned() } else { bad.join(", ") },
    ];
    facts.into_iter().filter(|fact| !fact.is_empty()).collect::<Vec<_>>().join(", ")
}

fn kibibytes(quantity: &Value) -> Option<f64> {
    quantity.as_str()?.strip_suffix("Ki")?.parse().ok()
}

/// Names and images of what could be the pods' network and the load balancers' addresses.
async fn network(cluster: &Cluster) -> Value {
    const KNOWN: [&str; 10] =
        ["calico", "cilium", "flannel", "weave", "kindnet", "canal", "antrea", "ovn", "aws-node", "metallb"];
    let listed = match cluster.api.list(&DAEMON_SETS, None, NO_SELECTION).await {
        Ok(listed) => listed.items,
        Err(error) => return unknown(&error),
    };
    let of = |object: &Value| {
        let place =
            format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let known = KNOWN.iter().any(|word| place.contains(word));
        known.then(|| format!("{place} ({})", images(object).join(", ")))
    };
    let found: Vec<String> = listed.iter().filter_map(of).collect();
    if found.is_empty() { "none known as a DaemonSet".into() } else { found.into() }
}

/// Images of a workload's containers.
fn images(workload: &Value) -> Vec<String> {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    containers.map(|container| text(&container["image"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Stands where an answer is missing.
fn unknown(error: &ApiError) -> Value {
    match error {
        ApiError::Forbidden { .. } => "unknown (not allowed to read it)".into(),
        other => format!("unknown ({other})").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platforms::cluster::{ClusterChoice, RunLabel},
        replay::{Exchange, Replay},
    };

    async fn found(script: Vec<Exchange>) -> Value {
        let server = Replay::start(script).await;
        let cluster = Cluster {
            api: server.api(),
            context: "lab".to_owned(),
            server: server.url(),
            choice: ClusterChoice::default(),
            login: None,
            run: RunLabel::new("r"),
        };
        versions(&cluster).await
    }

    #[tokio::test]
    async fn a_cluster_is_described_in_lines_that_people_read() {
        let recorded = |name: &str| Exchange::recorded(&format!("doctor/{name}"));
        let get = |path: &str, body: Value| Exchange::new("GET", path, 200, body);
        let container = |image: &str, env: Value| {
            json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "gateway", "image": image, "env": env }] } } } })
        };
        let serving = |name: &str| {
            let mut object = container(&format!("dev.local/kn-{name}:v1.23.0"), json!([]));
            object["metadata"] = json!({ "name": name });
            object
        };
        let value = found(vec![
            recorded("version"),
            recorded("nodes"),
            recorded("configmap-config-autoscaler"),
            recorded("configmap-config-network"),
            recorded("configmap-config-observability"),
            get("/api/v1/namespaces/knative-serving", json!({ "metadata": { "labels": { "app.kubernetes.io/version": "1.23.0" } } })),
            get("/apis/apps/v1/namespaces/knative-serving/deployments",
                json!({ "items": [serving("activator"), serving("net-kourier-controller")] })),
            get("/apis/apps/v1/namespaces/openfaas/deployments/gateway",
                container("dev.local/of-gateway:lab", json!([{ "name": "upstream_timeout", "value": "1m" }, { "name": "basic_auth", "value": "true" }]))),
            get("/api/v1/namespaces/openfaas/configmaps/prometheus-config",
                json!({ "data": { "alert.rules.yml": "groups:\n- name: openfaas\n  rules:\n  - alert: APIHighInvocationRate\n" } })),
            get("/apis/apps/v1/daemonsets", json!({ "items": [] })),
        ])
        .await;
        let mut value = value;
        // Where the tests run is not theirs to say.
        value["generator"] = Value::Null;
        value["notices"] = Value::Null;
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }

    #[tokio::test]
    async fn what_is_not_allowed_or_not_there_is_said_and_nothing_fails() {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no", "reason": "Forbidden", "code": 403 });
        let value = found(vec![Exchange::new("GET", "/api*", 403, status)]).await;
        assert_eq!(value["nodes"], "unknown (not allowed to read it)");
        assert_eq!(value["knative"]["version"], "unknown (not allowed to read it)");
        let value = found(Vec::new()).await;
        assert_eq!(value["knative"], "not found (no namespace knative-serving)");
        assert_eq!(value["openfaas"], "not found (no Deployment gateway in openfaas)");
    }
}
