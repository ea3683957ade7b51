//! The function that an experiment puts on a platform. On a cluster no weights and no pictures are
//! needed for it: the image has its model.

use std::{collections::BTreeMap, path::PathBuf};

use super::kept;
use crate::{
    experiment::{AUTO, Experiment, FunctionChoice, ObjectStore, Site, Subject, Via},
    platforms::{FunctionSpec, Image, PlatformKind},
    workloads::{Kind, null},
};

/// The function of an experiment as one platform gets it, under a name.
pub fn function_spec(e: &Experiment, platform: PlatformKind, name: &str) -> FunctionSpec {
    for_platform(&common(e, name), e, platform)
}

/// What all platforms get, with the settings of one of them.
pub fn for_platform(common: &FunctionSpec, e: &Experiment, platform: PlatformKind) -> FunctionSpec {
    let platform_settings = e.settings.get(&platform).cloned().unwrap_or_default();
    FunctionSpec { platform_settings, replicas: kept::bounds(e, platform), ..common.clone() }
}

/// What one subject gets: the common spec with its platform's settings and its variant.
pub fn for_subject(common: &FunctionSpec, e: &Experiment, subject: &Subject) -> FunctionSpec {
    let mut spec = for_platform(common, e, subject.platform);
    let Some(variant) = e.variant_of(subject) else { return spec };
    let function = e.function_of(subject);
    spec.cpu_cores = function.cpu_cores;
    spec.memory_mib = function.memory_mib;
    spec.container_concurrency = function.container_concurrency;
    spec.replicas = e.replicas_of(subject);
    spec.image = image(&function);
    if e.function.own.is_none() {
        spec.env.extend(resources_in_environment(&function));
    }
    spec.env.extend(variant.env.clone());
    spec
}

/// What all platforms get.
pub fn common(e: &Experiment, name: &str) -> FunctionSpec {
    let function = &e.function;
    let (env, path) = match &function.own {
        Some(own) => (own.env.clone(), own.path.clone()),
        None => (our_environment(e), our_path(function)),
    };
    FunctionSpec {
        name: name.to_owned(),
        binary: PathBuf::new(),
        env,
        path,
        cpu_cores: function.cpu_cores,
        memory_mib: function.memory_mib,
        container_concurrency: function.container_concurrency,
        replicas: e.replicas,
        platform_settings: BTreeMap::new(),
        image: image(function),
        revisions: e.revisions.clone(),
        storage_secret: storage(e).and_then(|store| store.secret.clone()),
        allow_public_grading: function.allow_public_grading,
    }
}

/// The cluster's object storage, if inputs come from it. The twin has one of its own, which the runner starts.
fn storage(e: &Experiment) -> Option<&ObjectStore> {
    e.cluster.object_store.as_ref().filter(|_| e.on == Site::Cluster && e.function.inputs == Via::Storage)
}

fn image(function: &FunctionChoice) -> Option<Image> {
    let reference = function.image.clone()?;
    Some(match &function.own {
        Some(own) => {
            Image { reference, port: own.port, health_path: own.health_path.clone(), is_ours: false }
        }
        None => Image { reference, port: 8080, health_path: "/health".to_owned(), is_ours: true },
    })
}

/// Path and query of an invocation of our function.
fn our_path(function: &FunctionChoice) -> String {
    // An unknown name is refused when the experiment is read.
    function.workload.parse().map_or_else(|_| null::PATH.to_owned(), |kind: Kind| kind.path(function))
}

/// A container sees all cores of its node, whatever its limit: the limit decides on the threads.
fn our_environment(e: &Experiment) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from(resources_in_environment(&e.function));
    // Else the one that the image has.
    if e.function.model != AUTO {
        env.insert("MODEL".to_owned(), e.function.model.clone());
    }
    if let Some(store) = storage(e) {
        env.extend([
            ("S3_ENDPOINT".to_owned(), store.endpoint.clone()),
            ("S3_REGION".to_owned(), store.region().to_owned()),
            ("S3_ALLOWED_BUCKETS".to_owned(), store.bucket.clone()),
        ]);
    }
    env.extend(e.function.env.clone());
    env
}

/// A container sees all cores of its node, whatever its limit: the limit decides on the threads.
fn resources_in_environment(function: &FunctionChoice) -> [(String, String); 2] {
    let threads = (function.cpu_cores.ceil() as u32).max(1);
    [
        ("WORKLOAD".to_owned(), function.workload.clone()),
        ("INFERENCE_THREADS".to_owned(), threads.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    #[test]
    fn our_function_gets_its_threads_and_a_users_own_function_what_the_file_says() {
        let ours = parse("[function]\ncpu-cores = 1.5\nimage = 'r/f:1'", "x").unwrap();
        let spec = function_spec(&ours, PlatformKind::Knative, "classify");
        assert_eq!(spec.env["INFERENCE_THREADS"], "2");
        assert!(!spec.env.contains_key("MODEL"), "the image knows its model");
        assert_eq!(spec.path, "/predict?top=5");
        assert!(spec.image.unwrap().is_ours);

        let text = "
[settings.knative]
window = '30s'
[function]
image = 'r/f:1'
[function.own]
path = '/run'
port = 9000
env = { A = 'b' }";
        let own = parse(text, "x").unwrap();
        let spec = function_spec(&own, PlatformKind::Knative, "mine");
        assert_eq!(spec.env, BTreeMap::from([("A".to_owned(), "b".to_owned())]));
        assert_eq!((spec.path.as_str(), spec.image.as_ref().unwrap().port), ("/run", 9000));
        assert_eq!(spec.platform_settings["window"], "30s");
        assert!(function_spec(&own, PlatformKind::OpenFaas, "mine").platform_settings.is_empty());
    }

    #[test]
    fn a_clusters_object_storage_reaches_the_function_as_settings_and_a_secrets_name() {
        let text = "
on = 'cluster'
[function]
image = 'r/f:1'
inputs = 'storage'
[cluster.object-store]
endpoint = 'http://minio.minio.svc:9000'
endpoint-from-here = 'http://127.0.0.1:9000'
bucket = 'testbed'
secret = 's3'";
        let mut e = parse(text, "x").unwrap();
        let spec = function_spec(&e, PlatformKind::Knative, "classify");
        assert_eq!(spec.env["S3_ENDPOINT"], "http://minio.minio.svc:9000");
        assert_eq!((&*spec.env["S3_ALLOWED_BUCKETS"], &*spec.env["S3_REGION"]), ("testbed", "us-east-1"));
        assert_eq!(spec.storage_secret.as_deref(), Some("s3"));
        e.function.inputs = Via::Request;
        let without = function_spec(&e, PlatformKind::Knative, "classify");
        assert!(without.storage_secret.is_none() && !without.env.contains_key("S3_ENDPOINT"));
    }

    #[test]
    fn a_subject_gets_what_its_variant_changes_and_threads_for_its_cores() {
        let text = "
[settings.knative]
window = '30s'
[function]
image = 'r/f:1'
[[variants]]
name = 'small'
[[variants]]
name = 'large'
cpu-cores = 2.5
image = 'r/f:2'
container-concurrency = 3
replicas = { min = 2, max = 2 }
env = { A = 'b' }";
        let e = parse(text, "x").unwrap();
        let spec = |label: &str| for_subject(&common(&e, "classify"), &e, e.subject(label).unwrap());
        let (small, large) = (spec("knative-small"), spec("knative-large"));
        assert_eq!(small, function_spec(&e, PlatformKind::Knative, "classify"), "nothing is changed");
        assert_eq!((large.cpu_cores, large.container_concurrency, large.replicas.min), (2.5, 3, 2));
        assert_eq!((&*large.env["INFERENCE_THREADS"], &*large.env["A"]), ("3", "b"));
        assert_eq!(large.image.unwrap().reference, "r/f:2");
        assert_eq!(large.platform_settings["window"], "30s");
        assert!(spec("openfaas-large").platform_settings.is_empty());
    }
}
