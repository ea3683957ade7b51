//! Nodes: are they well, and do the replicas find room?

use serde_json::Value;

use crate::{
    doctor::{Patient, Said, fail, ok, skipped, warn},
    platforms::cluster::{
        api::Selection,
        resources::{NODES, PODS},
    },
};

/// CPU request of Knative's sidecar, cores (`queue-sidecar-cpu-request`, 25m by default).
const SIDECAR_CORES: f64 = 0.025;

pub(super) async fn nodes(p: &Patient<'_>) -> Said {
    let nodes = match p.cluster.api.list(&NODES, None, &Selection::default()).await {
        Ok(listed) => listed.items,
        Err(error) => return skipped(error.to_string()),
    };
    let mut ready = 0;
    let mut troubles = Vec::new();
    for node in &nodes {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        for condition in node["status"]["conditions"].as_array().into_iter().flatten() {
            let kind = condition["type"].as_str().unwrap_or_default();
            let message = condition["message"].as_str().unwrap_or_default();
            match (kind, condition["status"].as_str().unwrap_or_default()) {
                ("Ready", "True") => ready += 1,
                ("Ready", _) => troubles.push(format!("{name} is not ready ({message})")),
                (_, "True") => troubles.push(format!("{name} has {kind} ({message})")),
                _ => {}
            }
        }
        if node["spec"]["unschedulable"] == true {
            troubles.push(format!("{name} is cordoned"));
        }
    }
    let remedy = "kubectl describe node NAME says more; kubectl uncordon NAME gives a cordoned node back";
    let count = format!("{ready} of {} ready", nodes.len());
    match (ready, troubles.is_empty()) {
        (0, _) => fail(format!("{count}: {}", troubles.join("; ")), remedy),
        (_, false) => warn(format!("{count}: {}", troubles.join("; ")), remedy),
        _ => ok(format!("{count}, none under pressure")),
    }
}

pub(super) async fn room(p: &Patient<'_>) -> Said {
    let api = &p.cluster.api;
    let all = Selection::default();
    let (nodes, pods) = tokio::join!(api.list(&NODES, None, &all), api.list(&PODS, None, &all));
    let (nodes, pods) = match (nodes, pods) {
        (Ok(nodes), Ok(pods)) => (nodes.items, pods.items),
        (Err(error), _) | (_, Err(error)) => return skipped(error.to_string()),
    };
    let free = free_cores(&nodes, &pods);
    let needed = p.wishes.cpu_cores + SIDECAR_CORES;
    // Replicas that fit, node by node.
    let fits: u32 = free.iter().map(|(_, cores)| (cores.max(0.0) / needed + 1e-9) as u32).sum();
    let most = free.iter().map(|(_, cores)| *cores).fold(0.0, f64::max);
    let total: f64 = free.iter().map(|(_, cores)| cores.max(0.0)).sum();
    let found = format!(
        "{total:.2} cores are not requested ({most:.2} on the freest node); {} of {} and a sidecar need {:.2}",
        crate::reports::format::plural(p.wishes.replicas as usize, "replica"),
        if (p.wishes.cpu_cores - 1.0).abs() < 1e-9 {
            "1 core".to_owned()
        } else {
            format!("{} cores", p.wishes.cpu_cores)
        },
        needed * f64::from(p.wishes.replicas)
    );
    let remedy =
        "lower --cpu or --replicas, or remove other workloads (kubectl describe nodes lists their requests)";
    match fits {
        0 => fail(found, remedy),
        n if n < p.wishes.replicas => fail(format!("{found}; only {n} fit"), remedy),
        _ => ok(found),
    }
}

/// Cores of each schedulable node that no pod requests.
fn free_cores(nodes: &[Value], pods: &[Value]) -> Vec<(String, f64)> {
    let usable = nodes.iter().filter(|node| node["spec"]["unschedulable"] != true);
    usable
        .map(|node| {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            let there = pods.iter().filter(|pod| {
                let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
                pod["spec"]["nodeName"] == name && !ended
            });
            let containers = there.flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten());
            let requested: f64 = containers.filter_map(|c| cores(&c["resources"]["requests"]["cpu"])).sum();
            let allocatable = cores(&node["status"]["allocatable"]["cpu"]).unwrap_or(0.0);
            (name.to_owned(), allocatable - requested)
        })
        .collect()
}

/// Cores of a quantity: `2`, `0.5`, `250m`.
fn cores(quantity: &Value) -> Option<f64> {
    let text = quantity.as_str()?;
    match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|m| m / 1e3),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_running_pods_request_is_not_free() {
        let nodes = [json!({ "metadata": { "name": "n" }, "status": { "allocatable": { "cpu": "2" } } })];
        let pod = |phase: &str, cpu: &str| {
            json!({ "spec": { "nodeName": "n", "containers": [{ "resources": { "requests": { "cpu": cpu } } }, {}] },
                "status": { "phase": phase } })
        };
        let free =
            free_cores(&nodes, &[pod("Running", "250m"), pod("Succeeded", "1"), pod("Pending", "0.5")]);
        assert_eq!(free, [("n".to_owned(), 1.25)]);
        assert_eq!(cores(&json!("x")), None);
    }
}
