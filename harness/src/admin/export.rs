//! What would be applied, as files for people who deploy by kubectl or faas-cli. Touches no cluster.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use crate::{
    platforms::{
        FunctionSpec, PlatformError, PlatformKind, cluster::namespace, deployment, knative, limits, openfaas,
    },
    yaml,
};

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its name.
    pub file: &'static str,
    /// How it is put to use.
    pub apply: String,
    /// YAML.
    pub text: String,
}

/// Where it is to go.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Namespace of Knative Services and Deployments.
    pub namespace: &'a str,
    /// Address of the OpenFaaS gateway.
    pub gateway: &'a str,
    /// Labels of everything, by which `harness clean` finds it.
    pub labels: &'a BTreeMap<String, String>,
}

/// The file for one platform.
///
/// # Errors
/// If the platform cannot do what the spec asks.
pub fn export(platform: PlatformKind, spec: &FunctionSpec, place: Place<'_>) -> anyhow::Result<Exported> {
    limits::accept(platform, spec)?;
    let (file, values): (_, Vec<Value>) = match platform {
        PlatformKind::Knative => (
            "knative.yaml",
            with_namespace(place, knative::manifest::manifests(spec, place.namespace, place.labels)?),
        ),
        PlatformKind::OpenFaas => {
            ("stack.yml", vec![openfaas::stack_yml(spec, place.gateway, place.labels)?])
        }
        PlatformKind::Deployment => (
            "deployment.yaml",
            with_namespace(place, deployment::manifests(spec, place.namespace, place.labels)?),
        ),
        PlatformKind::Endpoint => {
            return Err(PlatformError::Limit {
                platform: "endpoint",
                limit: "it deploys nothing, so there is nothing to write".to_owned(),
                remedy: "name knative, openfaas or deployment".to_owned(),
            }
            .into());
        }
    };
    let apply = match platform {
        PlatformKind::OpenFaas => format!("faas-cli deploy -f {file}"),
        _ => format!("kubectl apply --server-side -f {file}"),
    };
    Ok(Exported { file, apply, text: yaml::documents(&values).context("cannot write YAML")? })
}

/// The namespace goes first: kubectl applies in the order of the file.
fn with_namespace(place: Place<'_>, manifests: Vec<Value>) -> Vec<Value> {
    std::iter::once(namespace::manifest(place.namespace, place.labels)).chain(manifests).collect()
}
