//! What would be applied, as files for people who deploy by kubectl or faas-cli. Touches no cluster.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use crate::{
    platforms::{FunctionSpec, PlatformError, PlatformKind, limits},
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
        PlatformKind::Knative => ("knative.yaml", todo_knative(spec, place)?),
        PlatformKind::OpenFaas => ("stack.yml", vec![todo_openfaas(spec, place)?]),
        PlatformKind::Deployment => ("deployment.yaml", todo_deployment(spec, place)?),
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

fn todo_knative(_: &FunctionSpec, _: Place<'_>) -> Result<Vec<Value>, PlatformError> {
    Err(PlatformError::Control { platform: "knative", cause: "not merged yet".into() })
}
fn todo_openfaas(_: &FunctionSpec, _: Place<'_>) -> Result<Value, PlatformError> {
    Err(PlatformError::Control { platform: "openfaas", cause: "not merged yet".into() })
}
fn todo_deployment(_: &FunctionSpec, _: Place<'_>) -> Result<Vec<Value>, PlatformError> {
    Err(PlatformError::Control { platform: "deployment", cause: "not merged yet".into() })
}
