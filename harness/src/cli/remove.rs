//! `harness remove`: takes away what `deploy` left.

use std::io::IsTerminal;

use anyhow::Context;

use super::{CliError, Exit, clean::RemovalArgs, cluster_args::ClusterArgs};
use crate::{
    admin::{
        BY_HAND,
        inventory::{self, Owner},
    },
    platforms::{
        PlatformKind,
        cluster::{ClusterChoice, RunLabel},
    },
    screen::note,
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness remove knative --yes
  harness remove openfaas --name classify
  harness remove --all --dry-run

Only what `harness deploy` made is removed, unless --run names another run; `harness clean` removes
everything of a run.

Exit code: 0 nothing is left, 1 something is left or it failed, 2 bad usage.")]
pub struct Args {
    /// The platform
    #[arg(value_enum, required_unless_present = "all", conflicts_with = "all")]
    platform: Option<PlatformKind>,
    /// On every platform
    #[arg(long)]
    all: bool,
    /// Only the function of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The run that the functions belong to
    #[arg(long, value_name = "NAME", default_value = BY_HAND)]
    run: String,
    #[command(flatten)]
    how: RemovalArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if args.platform == Some(PlatformKind::Endpoint) {
        return Err(CliError::Usage(
            "an endpoint is not deployed by the harness; name knative, openfaas or deployment".into(),
        ));
    }
    args.how.check_terminal(std::io::stdin().is_terminal())?;
    super::block_on(async {
        let run = RunLabel::new(&args.run);
        let cluster = args.cluster.connect(ClusterChoice::default(), run.clone()).await?;
        note!("{}", cluster.describe());
        let mut found =
            inventory::take(&cluster, &Owner::Run(run)).await.context("cannot look through the cluster")?;
        // Namespaces stay: the next deployment wants them again.
        found.things.retain(|thing| {
            let platform = thing.kind.platform();
            platform.is_some()
                && (args.all || platform == args.platform)
                && args.name.as_ref().is_none_or(|name| *name == thing.name)
        });
        args.how.remove(&cluster, &found).await
    })
}
