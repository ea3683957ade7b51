//! The cluster itself: API, namespace, clock, usage figures, leftovers.

use crate::{
    collect::clock as clocks,
    doctor::{Patient, Said, fail, ok, skipped, warn},
    platforms::cluster::{
        api::Selection,
        labels,
        resources::{DEPLOYMENTS, KNATIVE_SERVICES, NAMESPACES, NODES, Resource},
    },
};

/// A difference of the clocks above this is said, ms.
const SKEW_MS: f64 = 1000.0;

pub(super) async fn server(p: &Patient<'_>) -> Said {
    match p.cluster.api.get_path("/version").await {
        Ok(version) => ok(format!(
            "Kubernetes {}, context {} at {}",
            version["gitVersion"].as_str().unwrap_or("of unknown version"),
            p.cluster.context,
            p.cluster.server
        )),
        Err(error) => fail(error.to_string(), "choose a context that works with --context NAME"),
    }
}

pub(super) async fn namespace(p: &Patient<'_>) -> Said {
    let name = p.cluster.namespace();
    match p.cluster.api.get(&NAMESPACES, None, name).await {
        Ok(Some(found)) if !found["metadata"]["deletionTimestamp"].is_null() => warn(
            format!("{name} is being deleted"),
            "wait until it is gone, or choose another with --namespace",
        ),
        Ok(Some(_)) => ok(format!("{name} is there")),
        Ok(None) => ok(format!("{name} is not there yet; a run makes it, and `harness clean` removes it")),
        Err(error) => skipped(format!("{name}: {error}")),
    }
}

pub(super) async fn clock(p: &Patient<'_>) -> Said {
    match clocks::offset(&p.cluster.api, p.clock_pause).await {
        Ok(offset) if offset.least_ms() > SKEW_MS => warn(
            offset.words(),
            "set both by NTP (timedatectl set-ntp true); figures of a run are by this machine's clock alone, but its \
             time lines mix both",
        ),
        Ok(offset) => ok(offset.words()),
        Err(error) => skipped(error.to_string()),
    }
}

pub(super) async fn usage(p: &Patient<'_>) -> Said {
    let api = &p.cluster.api;
    if api.get_path("/apis/metrics.k8s.io/v1beta1").await.is_ok() {
        return ok("the metrics API is there");
    }
    let listed = api.list(&NODES, None, &Selection::default()).await;
    let nodes = listed.map(|listed| listed.items).unwrap_or_default();
    let Some(node) = nodes.first().and_then(|node| node["metadata"]["name"].as_str()) else {
        return warn("neither the metrics API nor a kubelet can be asked", METRICS);
    };
    match api.get_path(&format!("/api/v1/nodes/{node}/proxy/stats/summary")).await {
        Ok(_) => ok("no metrics API; the kubelets' own figures serve instead"),
        Err(error) => {
            warn(format!("no metrics API, and the kubelet of {node} does not tell: {error}"), METRICS)
        }
    }
}

const METRICS: &str = "install metrics-server, or grant get on nodes/proxy; without both, and without Prometheus, CPU \
                       and memory of replicas are not reported";

pub(super) async fn leftovers(p: &Patient<'_>) -> Said {
    let (own, functions) = (p.cluster.namespace(), p.cluster.functions_namespace());
    let places: [(&Resource, &str); 3] =
        [(&KNATIVE_SERVICES, own), (&DEPLOYMENTS, own), (&DEPLOYMENTS, functions)];
    let mut found = Vec::new();
    for (resource, namespace) in places {
        let selection = Selection::labelled(labels::any_run());
        // A kind that is not there has no leftovers; a missing right is told of above.
        let listed = p.cluster.api.list(resource, Some(namespace), &selection).await.unwrap_or_default();
        found.extend(listed.items.iter().map(|object| {
            let run = object["metadata"]["labels"][labels::RUN].as_str().unwrap_or("unknown");
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{namespace}/{name} of run {run}")
        }));
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return ok("nothing of earlier runs");
    }
    warn(format!("left by earlier runs: {}", found.join(", ")), "harness clean --all (first with --dry-run)")
}
