//! A function as a plain Deployment and its Service. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::platforms::{
    FunctionSpec, PlatformError, PlatformKind, cluster::effective::cpu_quantity, exposure::Exposure, limits,
};

/// Container that holds the function.
pub const CONTAINER: &str = "function";
/// Label by which the Service and the testbed find the pods: the function's name.
pub const FUNCTION_LABEL: &str = "testbed/function";
/// Port of the Service.
pub const PORT: u16 = 80;
/// From SIGTERM to SIGKILL, seconds: what the function allows itself (`GRACE_SECONDS`).
pub const GRACE_S: u64 = 30;

/// The Deployment and the Service of a function. The namespace is not among them.
///
/// # Errors
/// [`PlatformError::Limit`] for what a plain Deployment cannot do.
pub fn manifests(
    spec: &FunctionSpec,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<Value>, PlatformError> {
    limits::accept(PlatformKind::Deployment, spec)?;
    if !spec.revisions.is_empty() {
        return Err(PlatformError::Limit {
            platform: PlatformKind::Deployment.name(),
            limit: "it cannot divide the traffic between revisions".to_owned(),
            remedy: "compare revisions on knative, or leave revisions out".to_owned(),
        });
    }
    let service_type = match spec.exposure() {
        Exposure::Usual => "NodePort",
        Exposure::InsideAlone => "ClusterIP",
    };
    Ok(vec![deployment(spec, namespace, labels)?, service(spec, namespace, labels, service_type)])
}

/// Selects the pods of a function.
pub fn selector(name: &str) -> String {
    format!("{FUNCTION_LABEL}={name}")
}

/// The Service alone, of a type: `NodePort`, or `ClusterIP` where the cluster forbids the former.
pub fn service(
    spec: &FunctionSpec,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    service_type: &str,
) -> Value {
    let port = spec.image.as_ref().map_or(8080, |image| image.port);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels },
        "spec": {
            "type": service_type,
            "selector": { FUNCTION_LABEL: spec.name },
            "ports": [{ "name": "http", "port": PORT, "protocol": "TCP", "targetPort": port }],
        },
    })
}

fn deployment(
    spec: &FunctionSpec,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Value, PlatformError> {
    let image = spec.image_for(PlatformKind::Deployment)?;
    let mut of_pods = labels.clone();
    of_pods.insert(FUNCTION_LABEL.to_owned(), spec.name.clone());
    let mut env = spec.env.clone();
    // As Knative does it.
    env.insert("PORT".to_owned(), image.port.to_string());
    let env = env.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let env: Vec<Value> = env.chain(spec.storage_environment()).collect();
    let resources =
        json!({ "cpu": cpu_quantity(spec.cpu_cores), "memory": format!("{}Mi", spec.memory_mib) });
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels },
        "spec": {
            "replicas": spec.replicas.max,
            "selector": { "matchLabels": { FUNCTION_LABEL: spec.name } },
            "template": {
                "metadata": { "labels": of_pods },
                "spec": {
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": GRACE_S,
                    "containers": [{
                        "name": CONTAINER,
                        "image": image.reference,
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{ "name": "http", "containerPort": image.port, "protocol": "TCP" }],
                        "env": env,
                        "resources": { "requests": resources, "limits": resources },
                        "readinessProbe": {
                            "httpGet": { "path": image.health_path, "port": image.port },
                            "periodSeconds": 1,
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                    }],
                },
            },
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platforms::{
            RevisionShare,
            cluster::{RunLabel, testing::spec},
        },
        schema_check::faults,
    };

    #[test]
    fn a_function_becomes_a_deployment_and_a_service_that_keep_to_the_schema() {
        let made = manifests(&spec(2, 2), "bench", &RunLabel::new("r1").labels()).unwrap();
        for manifest in &made {
            assert_eq!(faults(manifest), Vec::<String>::new(), "{manifest:#}");
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&made).unwrap());
    }

    #[test]
    fn the_storages_credentials_come_from_a_secret() {
        let spec = FunctionSpec { storage_secret: Some("s3".into()), ..spec(1, 1) };
        let made = manifests(&spec, "bench", &BTreeMap::new()).unwrap();
        assert_eq!(faults(&made[0]), Vec::<String>::new());
        let env = &made[0]["spec"]["template"]["spec"]["containers"][0]["env"];
        let from = env.as_array().unwrap().iter().filter(|e| e["valueFrom"]["secretKeyRef"]["name"] == "s3");
        assert_eq!(from.count(), 2);
    }

    #[test]
    fn what_runs_strangers_code_has_no_port_on_the_nodes_unless_that_is_allowed() {
        let mut grading = spec(1, 1);
        grading.env.insert("WORKLOAD".into(), "grade-python".into());
        let made = |spec: &FunctionSpec| manifests(spec, "bench", &BTreeMap::new()).unwrap().swap_remove(1);
        assert_eq!(faults(&made(&grading)), Vec::<String>::new());
        insta::assert_json_snapshot!(made(&grading)["spec"], @r#"
        {
          "ports": [
            {
              "name": "http",
              "port": 80,
              "protocol": "TCP",
              "targetPort": 8080
            }
          ],
          "selector": {
            "testbed/function": "classify"
          },
          "type": "ClusterIP"
        }
        "#);
        grading.allow_public_grading = true;
        assert_eq!(made(&grading)["spec"]["type"], "NodePort");
    }

    #[test]
    fn what_it_cannot_do_is_refused_with_the_remedy() {
        let refusal =
            |spec: &FunctionSpec| manifests(spec, "bench", &BTreeMap::new()).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(&spec(1, 3)), @"deployment cannot do this: replicas from 1 to 3; a plain Deployment has no autoscaler; set replicas.min and replicas.max to the same number (--replicas)");
        let share = RevisionShare { name: "a".into(), percent: 100, env: BTreeMap::new() };
        insta::assert_snapshot!(refusal(&FunctionSpec { revisions: vec![share], ..spec(1, 1) }), @"deployment cannot do this: it cannot divide the traffic between revisions; compare revisions on knative, or leave revisions out");
    }
}
