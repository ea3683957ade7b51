//! The function that an experiment puts on a platform. On a cluster no weights and no pictures are
//! needed for it: the image has its model.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    experiment::{Experiment, FunctionChoice},
    platforms::{FunctionSpec, Image, PlatformKind},
    workloads::{classify, null},
};

/// The function of an experiment as one platform gets it, under a name.
pub fn function_spec(e: &Experiment, platform: PlatformKind, name: &str) -> FunctionSpec {
    for_platform(&common(e, name), e, platform)
}

/// What all platforms get, with the settings of one of them.
pub fn for_platform(common: &FunctionSpec, e: &Experiment, platform: PlatformKind) -> FunctionSpec {
    let platform_settings = e.settings.get(&platform).cloned().unwrap_or_default();
    FunctionSpec { platform_settings, ..common.clone() }
}

/// What all platforms get.
pub fn common(e: &Experiment, name: &str) -> FunctionSpec {
    let function = &e.function;
    let image = |port: u16, health_path: &str, is_ours: bool| {
        let reference = function.image.clone()?;
        Some(Image { reference, port, health_path: health_path.to_owned(), is_ours })
    };
    let (env, path, image) = match &function.own {
        Some(own) => (own.env.clone(), own.path.clone(), image(own.port, &own.health_path, false)),
        None => (our_environment(e), our_path(function), image(8080, "/health", true)),
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
        image,
        revisions: e.revisions.clone(),
    }
}

/// Path and query of an invocation of our function.
fn our_path(function: &FunctionChoice) -> String {
    if function.workload == null::NAME { null::PATH.to_owned() } else { classify::path(function.top) }
}

/// A container sees all cores of its node, whatever its limit: the limit decides on the threads.
fn our_environment(e: &Experiment) -> BTreeMap<String, String> {
    let threads = (e.function.cpu_cores.ceil() as u32).max(1);
    let mut env = BTreeMap::from([
        ("WORKLOAD".to_owned(), e.function.workload.clone()),
        ("INFERENCE_THREADS".to_owned(), threads.to_string()),
    ]);
    // Else the one that the image has.
    if e.function.model != super::AUTO {
        env.insert("MODEL".to_owned(), e.function.model.clone());
    }
    env.extend(e.function.env.clone());
    env
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
}
