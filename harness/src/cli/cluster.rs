//! `harness cluster`: sets a cluster up, says how it is, takes it down.

mod down;
mod status;
mod up;

use std::path::PathBuf;

use super::{CliError, Exit};
use crate::{
    interrupt::Interrupt,
    platforms::cluster::{Cluster, ClusterChoice, ClusterError, RunLabel, kinds::Kinds},
    screen::note,
    setup::{
        SetupError, Site,
        base::{self, Base},
        download::Cache,
        folder::Folder,
        profile::Profile,
        progress::Progress,
    },
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness cluster up --profile kind                                  on this machine, with Docker
  harness cluster up --profile kubeadm --nodes me@node0,me@node1     on machines over SSH
  harness cluster up --profile existing --with knative-serving,kourier --dry-run
  harness cluster status --profile kind
  harness cluster down --profile kind")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the cluster where the profile has one to make, and set up its components.
    Up(up::Args),
    /// Say how each component is: ready, present, missing, or different from the files.
    Status(status::Args),
    /// Take away what `up` made, the cluster itself included where the profile made it.
    Down(down::Args),
}

/// Which cluster.
#[derive(Debug, clap::Args)]
struct WhereArgs {
    /// Folder with components.toml (default: cluster-setup here or above)
    #[arg(long, value_name = "DIR")]
    setup: Option<PathBuf>,
    /// Machines over SSH, the control plane first (profiles kubeadm and cloudlab)
    #[arg(long, value_name = "[USER@]HOST,...", value_delimiter = ',')]
    nodes: Vec<String>,
    /// Network that these machines share, for example 10.10.1.0/24
    #[arg(long, value_name = "CIDR")]
    lan: Option<String>,
    /// Kubeconfig (default: the environment's; with --nodes ~/.local/state/testbed/kubeconfig)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (default: the current one; kind-testbed and testbed for kind and minikube)
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    match &args.command {
        Command::Up(args) => up::run(args),
        Command::Status(args) => status::run(args),
        Command::Down(args) => down::run(args),
    }
}

impl WhereArgs {
    fn open(&self, profile: Profile) -> Result<(Folder, Base), CliError> {
        let base = Base {
            profile,
            nodes: self.nodes.clone(),
            lan: self.lan.clone(),
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            own_kubeconfig: base::scripts_kubeconfig(),
        };
        base.check()?;
        Ok((Folder::open(self.setup.as_deref())?, base))
    }
}

/// Connects to the cluster of a profile. `steps`: of the bar.
async fn connect(
    folder: &Folder,
    base: &Base,
    interrupt: &Interrupt,
    steps: usize,
) -> Result<Site, CliError> {
    let access = base.access(|path| path.is_file());
    let choice = ClusterChoice { context: access.context.clone(), ..ClusterChoice::default() };
    let cluster =
        Cluster::connect_by(access.kubeconfig.as_deref(), choice, None, RunLabel::new("setup")).await;
    let cluster = cluster.map_err(|error| match (error, base.program()) {
        (ClusterError::None, _) => CliError::Usage(
            "no cluster found: KUBECONFIG is not set and there is no ~/.kube/config; name one with --kubeconfig, \
             name machines with --nodes, or let --profile kind make one"
                .to_owned(),
        ),
        (error, Some(program @ ("kind" | "minikube"))) => CliError::Failed(anyhow::anyhow!(
            "the cluster of {program} cannot be used ({error}); `harness cluster up --profile {0}` makes one, and \
             `harness cluster down --profile {0}` throws one away that does not answer",
            base.profile
        )),
        (error, _) => error.into(),
    })?;
    note!("cluster: context {} at {}", cluster.context, cluster.server);
    let api = cluster.api.as_administrator();
    Ok(Site {
        kinds: Kinds::new(&api),
        api,
        access,
        cache: Cache::from_env()?,
        progress: Progress::new(steps),
        interrupt: interrupt.clone(),
        versions: folder.versions.clone(),
    })
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Usage(_) | SetupError::File { .. } => Self::Usage(error.to_string()),
            error => Self::Failed(error.into()),
        }
    }
}
