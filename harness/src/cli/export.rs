//! `harness export`: writes what `deploy` would apply.

use std::path::PathBuf;

use anyhow::Context;

use super::{CliError, Exit, cluster_args::ClusterArgs, deploy::WhatArgs};
use crate::{
    admin::{
        BY_HAND,
        export::{self, Place},
    },
    platforms::{PlatformKind, cluster::RunLabel},
    screen::{note, out, show},
};

/// Where the gateway is as seen from the machine that runs faas-cli, if nobody says.
const GATEWAY: &str = "http://127.0.0.1:8080";
/// Namespace, if nobody says.
const NAMESPACE: &str = "testbed";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness export knative --image REGISTRY/function@sha256:DIGEST
  harness export openfaas --image REGISTRY/function:1 --gateway http://10.0.0.1:31112 -o deploy
  harness export deployment --image REGISTRY/function:1 --replicas 3 | kubectl apply --server-side -f -

No cluster is touched. What is applied by hand carries the label of the run 'manual': `harness remove`
and `harness clean --run manual` find it.")]
pub struct Args {
    /// The platform
    #[arg(value_enum)]
    platform: PlatformKind,
    #[command(flatten)]
    what: WhatArgs,
    /// Folder to write into (default: to standard output)
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let (e, spec) = args.what.spec(args.platform, &args.cluster)?;
    let labels = RunLabel::new(BY_HAND).labels();
    let place = Place {
        namespace: e.cluster.namespace.as_deref().unwrap_or(NAMESPACE),
        gateway: e.cluster.gateway.as_deref().unwrap_or(GATEWAY),
        labels: &labels,
    };
    let exported = export::export(args.platform, &spec, place)?;
    let Some(folder) = &args.output else {
        show!("{}", exported.text);
        return Ok(Exit::Valid);
    };
    let path = folder.join(exported.file);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &exported.text)).with_context(
        || format!("cannot write {}; name a folder that can be written with -o", path.display()),
    )?;
    note!("apply it with: {}", exported.apply);
    out!("{}", path.display());
    Ok(Exit::Valid)
}
