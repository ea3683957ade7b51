//! The settings in force, read back from pods: what the fairness table shows is what the cluster
//! did, not what was asked for. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// The container of this name in a pod.
pub fn container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    pod["spec"]["containers"].as_array()?.iter().find(|c| c["name"] == name)
}

/// Digest of the image that a container runs, `sha256:...`: the one that the pod asks for, or that
/// the runtime found. None where neither names the manifest (an image that was imported by hand has
/// only the digest of its configuration).
pub fn image_digest(pod: &Value, name: &str) -> Option<String> {
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let found = statuses.filter(|s| s["name"] == name).find_map(|s| s["imageID"].as_str());
    let asked = container(pod, name).and_then(|c| c["image"].as_str());
    [asked, found].into_iter().flatten().find_map(|image| image.split_once('@').map(|(_, d)| d.to_owned()))
}

/// CPU request and limit of a container in cores, in words; one number where both are equal.
pub fn cpu_cores(container: &Value) -> String {
    request_and_limit(container, "cpu", |quantity| cores(quantity).map(trimmed))
}

/// Memory request and limit of a container in MiB, in words; one number where both are equal.
pub fn memory_mib(container: &Value) -> String {
    request_and_limit(container, "memory", |quantity| bytes(quantity).map(|b| trimmed(b / 1_048_576.0)))
}

fn request_and_limit(container: &Value, resource: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let value = |kind: &str| container["resources"][kind][resource].as_str().and_then(&read);
    match (value("requests"), value("limits")) {
        (Some(request), Some(limit)) if request == limit => request,
        (Some(request), Some(limit)) => format!("request {request}, limit {limit}"),
        (Some(request), None) => format!("request {request}, no limit"),
        (None, Some(limit)) => format!("no request, limit {limit}"),
        (None, None) => "no request, no limit".to_owned(),
    }
}

/// The other containers of a pod with their resources.
pub fn sidecars(pod: &Value, function: &str) -> String {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let others: Vec<String> = containers
        .filter(|c| c["name"] != function)
        .map(|c| {
            let name = c["name"].as_str().unwrap_or("?");
            format!("{name} (CPU: {}; memory MiB: {})", cpu_cores(c), memory_mib(c))
        })
        .collect();
    if others.is_empty() { "none".to_owned() } else { others.join(", ") }
}

/// Nodes of these pods, with the number of pods on each.
pub fn nodes(pods: &[Value]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for pod in pods {
        *counts.entry(pod["spec"]["nodeName"].as_str().unwrap_or("(none)")).or_default() += 1;
    }
    let words: Vec<String> = counts.into_iter().map(|(node, count)| format!("{node} ({count})")).collect();
    if words.is_empty() { "none: no replica runs".to_owned() } else { words.join(", ") }
}

/// An HTTP probe in words.
pub fn http_probe(kind: &str, probe: &Value) -> String {
    let number = |key: &str, default: u64| probe[key].as_u64().unwrap_or(default);
    let what = match (probe["httpGet"]["path"].as_str(), probe["tcpSocket"].is_null()) {
        (Some(path), _) => format!("GET {path}"),
        (None, false) => "TCP connection".to_owned(),
        (None, true) => "command".to_owned(),
    };
    format!(
        "{kind} {what}, first after {} s, every {} s, {} failures take it out",
        number("initialDelaySeconds", 0),
        number("periodSeconds", 10),
        number("failureThreshold", 3)
    )
}

/// A CPU quantity of Kubernetes in cores.
pub fn cores(quantity: &str) -> Option<f64> {
    match quantity.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|m| m / 1000.0),
        None => quantity.parse().ok(),
    }
}

/// A memory quantity of Kubernetes in bytes.
pub fn bytes(quantity: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 8] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    for (unit, factor) in UNITS {
        if let Some(number) = quantity.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|n| n * factor);
        }
    }
    quantity.parse().ok()
}

/// Cores as a quantity of Kubernetes; a thousandth at least.
pub fn cpu_quantity(cores: f64) -> String {
    let milli = (cores * 1000.0).round().max(1.0) as u64;
    if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") }
}

/// A number without needless zeros.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_cpu_quantity_reads_back_as_the_cores_it_was_made_of(milli in 1_u32..64_000) {
            let wanted = f64::from(milli) / 1000.0;
            prop_assert!((cores(&cpu_quantity(wanted)).unwrap() - wanted).abs() < 1e-9);
        }
    }

    #[test]
    fn equal_requests_and_limits_are_one_number_and_missing_ones_are_said() {
        let resources = |json: Value| json!({ "resources": json });
        let both = resources(
            json!({ "requests": { "cpu": "500m", "memory": "1Gi" }, "limits": { "cpu": "0.5", "memory": "1024Mi" } }),
        );
        assert_eq!((cpu_cores(&both).as_str(), memory_mib(&both).as_str()), ("0.5", "1024"));
        let half = resources(json!({ "requests": { "cpu": "25m" } }));
        assert_eq!(
            (cpu_cores(&half).as_str(), memory_mib(&half).as_str()),
            ("request 0.025, no limit", "no request, no limit")
        );
    }

    #[test]
    fn an_image_without_a_manifest_digest_has_none() {
        let pod = |image: &str, id: &str| {
            json!({
            "spec": { "containers": [{ "name": "f", "image": image }] },
            "status": { "containerStatuses": [{ "name": "f", "imageID": id }] } })
        };
        assert_eq!(image_digest(&pod("r/f@sha256:1", "sha256:2"), "f").as_deref(), Some("sha256:1"));
        assert_eq!(image_digest(&pod("r/f:v1", "r/f@sha256:1"), "f").as_deref(), Some("sha256:1"));
        assert_eq!(image_digest(&pod("r/f:v1", "sha256:2"), "f"), None);
    }
}
