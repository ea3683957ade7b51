//! From a spec to what is sent to the gateway, and what the Community Edition refuses, said before
//! anything is touched. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::gateway::{FunctionDeployment, FunctionStatus, GatewayError, Resources};
use crate::{
    platforms::{
        FunctionSpec, PlatformError, PlatformKind, STORAGE_SECRET_KEYS, cluster::effective::cpu_quantity,
        exposure, limits,
    },
    scaling::openfaas::MAX_REPLICAS,
};

/// Most functions of a Community Edition (faas-netes `MaxFunctions`).
pub const MAX_FUNCTIONS: usize = 15;
/// Port that the provider sends requests and probes to.
pub const PORT: u16 = 8080;
/// Path of both probes.
pub const PROBE_PATH: &str = "/_/health";
/// Where the provider mounts what is in a function's secrets.
const SECRETS: &str = "/var/openfaas/secrets/";
/// Beginning of the labels that the gateway reads.
const LABELS: &str = "com.openfaas.";

/// What is sent to the gateway. `marks`: labels that say which run made it.
///
/// # Errors
/// [`PlatformError::Limit`] for what the Community Edition cannot do.
pub fn deployment(
    spec: &FunctionSpec,
    namespace: &str,
    marks: &BTreeMap<String, String>,
) -> Result<FunctionDeployment, PlatformError> {
    limits::accept(PlatformKind::OpenFaas, spec)?;
    exposure::accept(PlatformKind::OpenFaas, spec)?;
    if !spec.revisions.is_empty() {
        return Err(limit(
            "traffic shared by revisions; it has no traffic split".to_owned(),
            "leave the revisions out, or measure them on knative",
        ));
    }
    let image = spec.image_for(PlatformKind::OpenFaas)?;
    if !image.is_ours && image.port != PORT {
        return Err(limit(
            format!("port {}; it sends requests and probes to port {PORT} alone", image.port),
            "let the image listen on 8080 (and answer GET /_/health there)",
        ));
    }
    let mut labels = marks.clone();
    labels.insert(format!("{LABELS}scale.min"), spec.replicas.min.to_string());
    labels.insert(format!("{LABELS}scale.max"), spec.replicas.max.to_string());
    for (key, value) in &spec.platform_settings {
        if !key.starts_with(LABELS) {
            return Err(limit(
                format!("{key} = {value}: set for all functions when OpenFaaS is installed, not for one"),
                "remove it here (the twin alone takes it), and set it in the chart's values",
            ));
        }
        labels.insert(key.clone(), value.clone());
    }
    let mut env_vars = spec.env.clone();
    if image.is_ours {
        env_vars.insert("PORT".to_owned(), PORT.to_string());
    }
    if spec.storage_secret.is_some() {
        // Here secrets are files, one for each key of the Secret.
        for key in STORAGE_SECRET_KEYS {
            env_vars.insert(format!("{key}_FILE"), format!("{SECRETS}{key}"));
        }
    }
    // Request and limit are equal, on every platform alike.
    let resources = Resources { memory: format!("{}Mi", spec.memory_mib), cpu: cpu_quantity(spec.cpu_cores) };
    Ok(FunctionDeployment {
        service: spec.name.clone(),
        image: image.reference.clone(),
        namespace: namespace.to_owned(),
        env_vars,
        labels,
        annotations: BTreeMap::new(),
        limits: resources.clone(),
        requests: resources,
        read_only_root_filesystem: false,
        secrets: spec.storage_secret.iter().cloned().collect(),
    })
}

/// Whether there is room for one more function.
///
/// # Errors
/// [`PlatformError::Limit`] if there is none, and the function is not one of those there.
pub fn room(functions: &[FunctionStatus], name: &str) -> Result<(), PlatformError> {
    let others = functions.iter().filter(|f| f.name != name).count();
    if others < MAX_FUNCTIONS {
        return Ok(());
    }
    Err(limit(
        format!("{others} functions are there, and the Community Edition allows {MAX_FUNCTIONS}"),
        "remove one (`harness clean` removes those of earlier runs)",
    ))
}

/// Whether functions may be in this namespace.
///
/// # Errors
/// [`PlatformError::Limit`] that names the one that they may be in.
pub fn namespace(allowed: &[String], namespace: &str) -> Result<(), PlatformError> {
    if allowed.is_empty() || allowed.iter().any(|n| n == namespace) {
        return Ok(());
    }
    Err(limit(
        format!("functions in namespace {namespace}; this gateway has {}", allowed.join(", ")),
        "set functions-namespace to that one, or leave it out",
    ))
}

/// What a refusal of the gateway means: a limit of the edition is named as one.
pub fn meaning(error: &GatewayError) -> PlatformError {
    if let GatewayError::Invalid { message, .. } = error {
        let said = message.to_lowercase();
        if said.contains("maximum: ") {
            return limit(
                format!("{MAX_FUNCTIONS} functions are there ({message})"),
                "remove one (`harness clean` removes those of earlier runs)",
            );
        }
        if said.contains("public") || said.contains("private") || said.contains("registry") {
            return limit(
                format!("the Community Edition runs public images alone ({message})"),
                "push the image to where the gateway's pod can read it without a login",
            );
        }
        if said.contains("community edition") {
            return limit(message.clone(), "change or remove it in the platform's settings");
        }
        if said.contains("scale.max") || said.contains("maximum replica") {
            return limit(
                format!("more than {MAX_REPLICAS} replicas ({message})"),
                "set replicas.max (--replicas) to 5 or fewer",
            );
        }
    }
    PlatformError::Control { platform: "openfaas", cause: error.to_string() }
}

/// A stack file of faas-cli, as JSON (which is YAML).
///
/// # Errors
/// [`PlatformError::Limit`] for what the Community Edition cannot do.
pub fn stack_yml(
    spec: &FunctionSpec,
    gateway: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Value, PlatformError> {
    let function = deployment(spec, "", labels)?;
    let mut entry = json!({
        // The image is there already: nothing is to be built.
        "lang": "dockerfile",
        "skip_build": true,
        "image": function.image,
        "environment": function.env_vars,
        "labels": function.labels,
        "annotations": function.annotations,
        "limits": function.limits,
        "requests": function.requests,
    });
    if !function.secrets.is_empty() {
        entry["secrets"] = json!(function.secrets);
    }
    Ok(json!({
        "version": "1.0",
        "provider": { "name": "openfaas", "gateway": gateway },
        "functions": { function.service: entry },
    }))
}

fn limit(limit: String, remedy: &str) -> PlatformError {
    PlatformError::Limit { platform: "openfaas", limit, remedy: remedy.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::platforms::{Image, ReplicaBounds, RevisionShare};

    /// Two pinned replicas of our function.
    pub fn spec() -> FunctionSpec {
        FunctionSpec {
            name: "rec-fn".into(),
            binary: PathBuf::new(),
            env: BTreeMap::from([("MODEL".into(), "mobilenet".into())]),
            path: "/predict?top=5".into(),
            cpu_cores: 0.5,
            memory_mib: 256,
            container_concurrency: 0,
            replicas: ReplicaBounds { min: 1, max: 1 },
            platform_settings: BTreeMap::new(),
            image: Some(Image {
                reference: "registry.example/function@sha256:d284".into(),
                port: 8080,
                health_path: "/health".into(),
                is_ours: true,
            }),
            revisions: Vec::new(),
            storage_secret: None,
            allow_public_grading: false,
        }
    }

    fn refusal(change: impl FnOnce(&mut FunctionSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        deployment(&spec, "openfaas-fn", &BTreeMap::new()).unwrap_err().to_string()
    }

    #[test]
    fn the_storages_credentials_are_files_of_a_secret() {
        let spec = FunctionSpec { storage_secret: Some("s3".into()), ..spec() };
        let made = deployment(&spec, "openfaas-fn", &BTreeMap::new()).unwrap();
        assert_eq!(made.secrets, ["s3"]);
        assert_eq!(
            made.env_vars["AWS_SECRET_ACCESS_KEY_FILE"],
            "/var/openfaas/secrets/AWS_SECRET_ACCESS_KEY"
        );
        let stack = stack_yml(&spec, "http://gateway", &BTreeMap::new()).unwrap();
        assert_eq!(stack["functions"]["rec-fn"]["secrets"], json!(["s3"]));
    }

    #[test]
    fn a_deployment_pins_replicas_and_resources_and_carries_the_runs_marks() {
        let marks = BTreeMap::from([("testbed/run".to_owned(), "r1".to_owned())]);
        let made = deployment(&spec(), "openfaas-fn", &marks).unwrap();
        insta::assert_json_snapshot!(made, @r#"
        {
          "service": "rec-fn",
          "image": "registry.example/function@sha256:d284",
          "namespace": "openfaas-fn",
          "envVars": {
            "MODEL": "mobilenet",
            "PORT": "8080"
          },
          "labels": {
            "com.openfaas.scale.max": "1",
            "com.openfaas.scale.min": "1",
            "testbed/run": "r1"
          },
          "annotations": {},
          "limits": {
            "memory": "256Mi",
            "cpu": "500m"
          },
          "requests": {
            "memory": "256Mi",
            "cpu": "500m"
          },
          "readOnlyRootFilesystem": false
        }
        "#);
    }

    #[test]
    fn limits_of_the_edition_are_named_with_the_remedy() {
        let foreign = |port| {
            move |s: &mut FunctionSpec| {
                let image = s.image.as_mut().unwrap();
                (image.is_ours, image.port) = (false, port);
            }
        };
        let share = RevisionShare { name: "stable".into(), percent: 100, env: BTreeMap::new() };
        let setting = |key: &str, value: &str| {
            let pair = (key.to_owned(), value.to_owned());
            move |s: &mut FunctionSpec| s.platform_settings.extend([pair])
        };
        insta::assert_snapshot!([
            refusal(|s| s.replicas.max = 6),
            refusal(|s| s.replicas.min = 0),
            refusal(|s| s.image = None),
            refusal(foreign(3000)),
            refusal(|s| s.revisions = vec![share]),
            refusal(setting("com.openfaas.scale.zero", "true")),
            refusal(setting("evaluation-interval", "5s")),
            refusal(|s| s.name = "x".repeat(64)),
            refusal(|s| drop(s.env.insert("WORKLOAD".into(), "grade-c".into()))),
        ].join("\n"), @r#"
        openfaas cannot do this: 6 replicas; the Community Edition allows 5 per function; set replicas.max (--replicas) to 5 or fewer
        openfaas cannot do this: the Community Edition does not scale to zero; set replicas.min to 1
        openfaas cannot do this: a cluster runs images, and none was given; push one with `harness image push REGISTRY/function:TAG` and give it as --image
        openfaas cannot do this: port 3000; it sends requests and probes to port 8080 alone; let the image listen on 8080 (and answer GET /_/health there)
        openfaas cannot do this: traffic shared by revisions; it has no traffic split; leave the revisions out, or measure them on knative
        openfaas cannot do this: com.openfaas.scale.zero = true: not available in the Community Edition; leave it out; change or remove it in the platform's settings
        openfaas cannot do this: evaluation-interval = 5s: set for all functions when OpenFaaS is installed, not for one; remove it here (the twin alone takes it), and set it in the chart's values
        openfaas cannot do this: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is no name for a function; use at most 63 lower-case letters, digits and hyphens, beginning with a letter
        openfaas cannot do this: the function runs programs that callers send, and the gateway hands every function to whoever reaches the gateway; take knative or deployment, where it is then reachable inside the cluster alone, or allow whoever reaches it from outside to run programs there with --allow-public-grading
        "#);
        let mut spec = spec();
        foreign(8080)(&mut spec);
        assert!(!deployment(&spec, "", &BTreeMap::new()).unwrap().env_vars.contains_key("PORT"));
    }

    #[test]
    fn fifteen_functions_leave_room_only_for_an_update() {
        let there: Vec<_> = (0..MAX_FUNCTIONS)
            .map(|i| FunctionStatus { name: format!("f{i}"), ..FunctionStatus::default() })
            .collect();
        assert!(room(&there, "f3").is_ok());
        assert!(room(&there[1..], "new").is_ok());
        insta::assert_snapshot!(room(&there, "new").unwrap_err(), @"openfaas cannot do this: 15 functions are there, and the Community Edition allows 15; remove one (`harness clean` removes those of earlier runs)");
    }

    #[test]
    fn another_namespace_is_refused_with_the_one_that_is_allowed() {
        let allowed = ["openfaas-fn".to_owned()];
        assert!(namespace(&allowed, "openfaas-fn").is_ok());
        insta::assert_snapshot!(namespace(&allowed, "mine").unwrap_err(), @"openfaas cannot do this: functions in namespace mine; this gateway has openfaas-fn; set functions-namespace to that one, or leave it out");
    }

    #[test]
    fn refusals_of_the_gateway_that_are_limits_are_named_as_such() {
        let invalid = |message: &str| {
            meaning(&GatewayError::Invalid { what: "deploy f".into(), message: message.into() }).to_string()
        };
        insta::assert_snapshot!([
            invalid("unable to create function, maximum: 15"),
            invalid("the Community Edition license allows only public images"),
            invalid("validation failed: com.openfaas.scale.zero not available for Community Edition"),
            invalid("validation failed: image: is required"),
        ].join("\n"), @r#"
        openfaas cannot do this: 15 functions are there (unable to create function, maximum: 15); remove one (`harness clean` removes those of earlier runs)
        openfaas cannot do this: the Community Edition runs public images alone (the Community Edition license allows only public images); push the image to where the gateway's pod can read it without a login
        openfaas cannot do this: validation failed: com.openfaas.scale.zero not available for Community Edition; change or remove it in the platform's settings
        the control interface of openfaas failed: the gateway refuses to deploy f (400): validation failed: image: is required
        "#);
    }

    #[test]
    fn a_stack_file_deploys_the_same_without_a_build() {
        let mut spec = spec();
        spec.platform_settings.insert("com.openfaas.scale.factor".into(), "20".into());
        let made = stack_yml(&spec, "http://127.0.0.1:8080", &BTreeMap::new()).unwrap();
        insta::assert_json_snapshot!(made, @r#"
        {
          "functions": {
            "rec-fn": {
              "annotations": {},
              "environment": {
                "MODEL": "mobilenet",
                "PORT": "8080"
              },
              "image": "registry.example/function@sha256:d284",
              "labels": {
                "com.openfaas.scale.factor": "20",
                "com.openfaas.scale.max": "1",
                "com.openfaas.scale.min": "1"
              },
              "lang": "dockerfile",
              "limits": {
                "cpu": "500m",
                "memory": "256Mi"
              },
              "requests": {
                "cpu": "500m",
                "memory": "256Mi"
              },
              "skip_build": true
            }
          },
          "provider": {
            "gateway": "http://127.0.0.1:8080",
            "name": "openfaas"
          },
          "version": "1.0"
        }
        "#);
    }
}
