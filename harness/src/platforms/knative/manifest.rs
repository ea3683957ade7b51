//! A function as Knative Services, ready to be applied. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    platforms::{
        FunctionSpec, PlatformError, PlatformKind, RevisionShare, cluster::effective::cpu_quantity,
        exposure::Exposure, limits,
    },
    scaling::knative::KpaConfig,
};

/// Container that holds the function; Knative's own name for it.
pub const CONTAINER: &str = "user-container";
/// Label of everything that belongs to a Service: its name.
pub const SERVICE_LABEL: &str = "serving.knative.dev/service";
/// Label of a pod: its revision.
pub const REVISION_LABEL: &str = "serving.knative.dev/revision";
/// Prefix of the autoscaler's annotations.
pub const AUTOSCALING: &str = "autoscaling.knative.dev/";
/// Label of a Service that says who can reach it, and its value for the cluster alone
/// (<https://knative.dev/docs/serving/services/private-services/>).
pub const VISIBILITY: &str = "networking.knative.dev/visibility";
/// See [`VISIBILITY`].
pub const CLUSTER_LOCAL: &str = "cluster-local";
/// Time limit of a request, seconds, unless set. The same as the upstream time limit of the
/// OpenFaaS gateway (Knative's own default is 300). It is also the termination grace of a pod, so
/// that a stuck one is gone after a minute.
pub const TIMEOUT_S: u64 = 60;

/// Settings of the KPA that hold for the whole cluster, and so cannot be annotations.
const CLUSTER_WIDE: [&str; 3] = ["max-scale-up-rate", "max-scale-down-rate", "scale-to-zero-grace-period"];
/// Variables that Knative sets itself, and refuses to be given.
const RESERVED_ENV: [&str; 4] = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"];
/// Ports that the queue-proxy needs.
const RESERVED_PORTS: [u16; 6] = [8008, 8012, 8013, 8022, 9090, 9091];

/// What `platform_settings` mean for Knative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Annotations of the template.
    pub annotations: BTreeMap<String, String>,
    /// Time limit of a request, seconds.
    pub timeout_s: u64,
}

/// The Services of a function in the order in which they are applied: one, or one for each of its
/// revisions, the last with the final division of the traffic. The namespace is not among them.
///
/// # Errors
/// [`PlatformError::Limit`] for what Knative's webhook would refuse.
pub fn manifests(
    spec: &FunctionSpec,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<Value>, PlatformError> {
    limits::accept(PlatformKind::Knative, spec)?;
    let settings = settings(spec)?;
    check_revisions(spec)?;
    let latest = json!([{ "latestRevision": true, "percent": 100 }]);
    if spec.revisions.is_empty() {
        return Ok(vec![service(
            spec,
            namespace,
            labels,
            &template(spec, labels, &settings, None)?,
            &latest,
        )]);
    }
    let count = spec.revisions.len();
    let mut services = Vec::with_capacity(count);
    for (index, share) in spec.revisions.iter().enumerate() {
        let traffic = if index + 1 == count {
            let shares = spec.revisions.iter();
            shares.map(|s| json!({ "revisionName": revision_name(spec, s), "percent": s.percent })).collect()
        } else if index == 0 {
            latest.clone()
        } else {
            json!([{ "revisionName": revision_name(spec, &spec.revisions[0]), "percent": 100 }])
        };
        let template = template(spec, labels, &settings, Some(share))?;
        services.push(service(spec, namespace, labels, &template, &traffic));
    }
    Ok(services)
}

/// Name of a revision: Knative wants the Service's name in front.
pub fn revision_name(spec: &FunctionSpec, share: &RevisionShare) -> String {
    format!("{}-{}", spec.name, share.name)
}

fn service(
    spec: &FunctionSpec,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    template: &Value,
    traffic: &Value,
) -> Value {
    let mut labels = labels.clone();
    if spec.exposure() == Exposure::InsideAlone {
        labels.insert(VISIBILITY.to_owned(), CLUSTER_LOCAL.to_owned());
    }
    json!({
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels },
        "spec": { "template": template, "traffic": traffic },
    })
}

fn template(
    spec: &FunctionSpec,
    labels: &BTreeMap<String, String>,
    settings: &Settings,
    share: Option<&RevisionShare>,
) -> Result<Value, PlatformError> {
    let image = spec.image_for(PlatformKind::Knative)?;
    if RESERVED_PORTS.contains(&image.port) {
        return Err(limit(
            format!("port {} is taken by its queue-proxy", image.port),
            "let the function listen on another port, for example 8080",
        ));
    }
    let mut env = spec.env.clone();
    env.extend(share.into_iter().flat_map(|share| share.env.clone()));
    let env: Vec<Value> = env
        .iter()
        .filter(|(name, _)| !RESERVED_ENV.contains(&name.as_str()))
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .chain(spec.storage_environment())
        .collect();
    let resources =
        json!({ "cpu": cpu_quantity(spec.cpu_cores), "memory": format!("{}Mi", spec.memory_mib) });
    let mut metadata = Map::new();
    if let Some(share) = share {
        metadata.insert("name".to_owned(), revision_name(spec, share).into());
    }
    metadata.insert("labels".to_owned(), json!(labels));
    metadata.insert("annotations".to_owned(), json!(settings.annotations));
    Ok(json!({
        "metadata": metadata,
        "spec": {
            "containerConcurrency": spec.container_concurrency,
            "timeoutSeconds": settings.timeout_s,
            "containers": [{
                "name": CONTAINER,
                "image": image.reference,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{ "containerPort": image.port }],
                "env": env,
                "resources": { "requests": resources, "limits": resources },
                // The queue-proxy takes the period over; with its own of 10 s, a deployment's time
                // is mostly the wait for the next probe.
                "readinessProbe": { "httpGet": { "path": image.health_path }, "periodSeconds": 1 },
            }],
        },
    }))
}

/// Reads `platform_settings`; what they leave open follows from the replicas.
///
/// # Errors
/// [`PlatformError::Limit`] for keys and values that Knative does not accept.
pub fn settings(spec: &FunctionSpec) -> Result<Settings, PlatformError> {
    let bounds = spec.replicas;
    let mut annotations = BTreeMap::from([
        (format!("{AUTOSCALING}min-scale"), bounds.min.to_string()),
        (format!("{AUTOSCALING}max-scale"), bounds.max.to_string()),
        (format!("{AUTOSCALING}initial-scale"), bounds.min.max(1).to_string()),
    ]);
    let mut timeout_s = TIMEOUT_S;
    let mut checked = KpaConfig::default();
    for (key, value) in &spec.platform_settings {
        let short = key.strip_prefix(AUTOSCALING).unwrap_or(key);
        let refused = |why: &str| limit(format!("{short} = {value}: {why}"), REMEDY);
        let one_of = |allowed: &[&str]| {
            let known = allowed.contains(&value.as_str());
            known.then_some(()).ok_or_else(|| refused(&format!("write {}", allowed.join(" or "))))
        };
        match short {
            "timeout-seconds" => match value.parse() {
                Ok(seconds @ 1..=600) => timeout_s = seconds,
                _ => return Err(refused("write 1 to 600")),
            },
            "class" => one_of(&["kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"])?,
            "metric" => one_of(&["concurrency", "rps", "cpu", "memory"])?,
            cluster_wide if CLUSTER_WIDE.contains(&cluster_wide) => {
                let why = "it holds for the whole cluster; set it in the ConfigMap knative-serving/config-autoscaler";
                return Err(refused(why));
            }
            _ => {
                if let Some(annotation) = sidecar_annotation(short) {
                    annotations.insert(annotation, value.clone());
                    continue;
                }
                if let Err(bad) = checked.set(short, value) {
                    return Err(limit(bad.to_string(), REMEDY));
                }
            }
        }
        if short != "timeout-seconds" {
            annotations.insert(format!("{AUTOSCALING}{short}"), value.clone());
        }
    }
    Ok(Settings { annotations, timeout_s })
}

const REMEDY: &str = "change or remove it in the platform's settings";

/// `queue-cpu-request` and its like: resources of the queue-proxy.
fn sidecar_annotation(key: &str) -> Option<String> {
    let (resource, kind) = key.strip_prefix("queue-")?.split_once('-')?;
    let known = matches!(resource, "cpu" | "memory") && matches!(kind, "request" | "limit");
    known.then(|| format!("queue.sidecar.serving.knative.dev/{resource}-resource-{kind}"))
}

/// Checks names and shares of the revisions.
///
/// # Errors
/// [`PlatformError::Limit`] with what to change.
pub fn check_revisions(spec: &FunctionSpec) -> Result<(), PlatformError> {
    if spec.revisions.is_empty() {
        return Ok(());
    }
    let total: u32 = spec.revisions.iter().map(|share| u32::from(share.percent)).sum();
    if total != 100 {
        return Err(limit(
            format!("the shares of the revisions add up to {total} %"),
            "let them add up to 100",
        ));
    }
    let mut names: Vec<&str> = spec.revisions.iter().map(|share| share.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(limit("two revisions have the same name".to_owned(), "name each differently"));
    }
    for share in &spec.revisions {
        let name = revision_name(spec, share);
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if share.name.is_empty() || name.len() > 63 || !name.bytes().all(fits) || name.ends_with('-') {
            return Err(limit(
                format!("'{name}' is no name for a revision"),
                "use lower-case letters, digits and hyphens, at most 63 with the function's name",
            ));
        }
    }
    Ok(())
}

fn limit(limit: String, remedy: &str) -> PlatformError {
    PlatformError::Limit { platform: PlatformKind::Knative.name(), limit, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platforms::{
            STORAGE_SECRET_KEYS,
            cluster::{RunLabel, testing::spec},
        },
        schema_check::faults,
    };

    fn made(spec: &FunctionSpec) -> Vec<Value> {
        manifests(spec, "bench", &RunLabel::new("r1").labels()).unwrap()
    }

    fn with(pairs: &[(&str, &str)]) -> FunctionSpec {
        let settings = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        FunctionSpec { platform_settings: settings, ..spec(2, 2) }
    }

    fn canary(first: u8, second: u8) -> FunctionSpec {
        let share = |name: &str, percent| RevisionShare {
            name: name.to_owned(),
            percent,
            env: BTreeMap::from([("VARIANT".to_owned(), name.to_owned())]),
        };
        FunctionSpec { revisions: vec![share("stable", first), share("canary", second)], ..spec(1, 3) }
    }

    #[test]
    fn a_function_becomes_one_service() {
        let made = made(&spec(2, 2));
        assert_eq!(made.len(), 1);
        insta::assert_snapshot!(serde_json::to_string_pretty(&made[0]).unwrap());
    }

    #[test]
    fn the_storages_credentials_come_from_a_secret_and_never_as_values() {
        let made = made(&FunctionSpec { storage_secret: Some("s3".into()), ..spec(1, 1) });
        assert_eq!(faults(&made[0]), Vec::<String>::new());
        let env = &made[0]["spec"]["template"]["spec"]["containers"][0]["env"];
        for key in STORAGE_SECRET_KEYS {
            let entry = env.as_array().unwrap().iter().find(|entry| entry["name"] == key).unwrap();
            assert_eq!(entry["valueFrom"]["secretKeyRef"], json!({ "name": "s3", "key": key }));
            assert_eq!(entry["value"], Value::Null);
        }
    }

    #[test]
    fn a_service_that_runs_strangers_code_is_for_the_cluster_alone_unless_that_is_allowed() {
        let mut grading = canary(90, 10);
        grading.env.insert("WORKLOAD".into(), "grade-c".into());
        for manifest in made(&grading) {
            assert_eq!(manifest["metadata"]["labels"][VISIBILITY], CLUSTER_LOCAL);
            assert_eq!(faults(&manifest), Vec::<String>::new(), "{manifest:#}");
        }
        insta::assert_json_snapshot!(made(&grading)[0]["metadata"], @r#"
        {
          "labels": {
            "app.kubernetes.io/managed-by": "serverless-testbed",
            "networking.knative.dev/visibility": "cluster-local",
            "testbed/run": "r1"
          },
          "name": "classify",
          "namespace": "bench"
        }
        "#);
        grading.allow_public_grading = true;
        assert_eq!(made(&grading)[0]["metadata"]["labels"][VISIBILITY], Value::Null);
    }

    #[test]
    fn every_manifest_keeps_to_the_schema() {
        let everything = with(&[
            ("window", "6s"),
            ("target", "2"),
            ("target-burst-capacity", "0"),
            ("metric", "rps"),
            ("class", "kpa.autoscaling.knative.dev"),
            ("panic-window-percentage", "10"),
            ("panic-threshold-percentage", "200"),
            ("activation-scale", "2"),
            ("scale-down-delay", "5s"),
            ("autoscaling.knative.dev/scale-to-zero-pod-retention-period", "1m"),
            ("target-utilization-percentage", "80"),
            ("initial-scale", "3"),
            ("timeout-seconds", "30"),
            ("queue-cpu-request", "50m"),
            ("queue-memory-limit", "64Mi"),
        ]);
        for manifest in [made(&spec(0, 5)), made(&everything), made(&canary(90, 10))].concat() {
            assert_eq!(faults(&manifest), Vec::<String>::new(), "{manifest:#}");
        }
        let annotations = &made(&everything)[0]["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations["autoscaling.knative.dev/initial-scale"], "3", "the user's wish goes first");
        assert_eq!(annotations["queue.sidecar.serving.knative.dev/cpu-resource-request"], "50m");
        assert_eq!(annotations.as_object().unwrap().len(), 16);
    }

    #[test]
    fn a_canary_is_two_templates_and_the_last_one_divides_the_traffic() {
        let made = made(&canary(90, 10));
        let names: Vec<_> = made.iter().map(|m| &m["spec"]["template"]["metadata"]["name"]).collect();
        assert_eq!(names, ["classify-stable", "classify-canary"]);
        assert_eq!(made[0]["spec"]["traffic"], json!([{ "latestRevision": true, "percent": 100 }]));
        assert_eq!(
            made[1]["spec"]["traffic"],
            json!([{ "revisionName": "classify-stable", "percent": 90 }, { "revisionName": "classify-canary", "percent": 10 }])
        );
        let env = &made[1]["spec"]["template"]["spec"]["containers"][0]["env"];
        assert!(env.as_array().unwrap().contains(&json!({ "name": "VARIANT", "value": "canary" })), "{env}");
    }

    #[test]
    fn at_least_one_replica_is_started_also_where_zero_are_allowed() {
        let annotation = |min, max, key: &str| {
            made(&spec(min, max))[0]["spec"]["template"]["metadata"]["annotations"]
                [format!("{AUTOSCALING}{key}")]
            .clone()
        };
        assert_eq!(
            (annotation(0, 5, "min-scale"), annotation(0, 5, "initial-scale")),
            (json!("0"), json!("1"))
        );
        assert_eq!(
            (annotation(3, 5, "max-scale"), annotation(3, 5, "initial-scale")),
            (json!("5"), json!("3"))
        );
    }

    #[test]
    fn variables_that_knative_sets_itself_are_left_out() {
        let mut spec = spec(1, 1);
        spec.env.insert("PORT".into(), "1".into());
        let env = made(&spec)[0]["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
        assert!(!env.contains("PORT"), "{env}");
    }

    #[test]
    fn what_the_webhook_would_refuse_is_refused_before_with_the_remedy() {
        let refusal =
            |spec: &FunctionSpec| manifests(spec, "bench", &BTreeMap::new()).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(&with(&[("window", "1s")])), @"knative cannot do this: window = 1s: write 6s to 1h; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(&with(&[("metric", "x")])), @"knative cannot do this: metric = x: write concurrency or rps or cpu or memory; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(&with(&[("timeout-seconds", "601")])), @"knative cannot do this: timeout-seconds = 601: write 1 to 600; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(&with(&[("max-scale-up-rate", "2")])), @"knative cannot do this: max-scale-up-rate = 2: it holds for the whole cluster; set it in the ConfigMap knative-serving/config-autoscaler; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(&canary(90, 20)), @"knative cannot do this: the shares of the revisions add up to 110 %; let them add up to 100");
        insta::assert_snapshot!(refusal(&FunctionSpec { image: None, ..spec(1, 1) }), @"knative cannot do this: a cluster runs images, and none was given; push one with `harness image push REGISTRY/function:TAG` and give it as --image");
        let mut reserved = spec(1, 1);
        reserved.image.as_mut().unwrap().port = 8012;
        insta::assert_snapshot!(refusal(&reserved), @"knative cannot do this: port 8012 is taken by its queue-proxy; let the function listen on another port, for example 8080");
        assert!(manifests(&canary(0, 100), "bench", &BTreeMap::new()).is_ok());
    }
}
