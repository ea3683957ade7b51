//! `harness cluster up`.

use super::{super::CliError, Exit, WhereArgs, connect};
use crate::{
    interrupt::Interrupt,
    screen::{note, out, show},
    setup::{
        SetupError,
        base::{Access, Base, NAME},
        components::{Component, Step},
        download::Cache,
        dry_run,
        folder::Folder,
        plan::{self, Part},
        profile::Profile,
        program::{self, Call},
        select::{self, Wishes},
        state::{Choice, State},
        up,
        variables::{self, Given},
    },
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness cluster up --profile kind
  harness cluster up --profile cloudlab --nodes me@node0.example,me@node1.example --networking istio
  harness cluster up --profile existing --only policies
  harness cluster up --profile cloudlab --set ADDRESS_POOL=10.10.1.200-10.10.1.220 --dry-run

Interrupted or failed, the same command goes on where it stopped. What somebody else made is never
taken over. Exit code: 0 all is ready, 1 failed or interrupted, 2 bad usage.")]
pub(super) struct Args {
    /// Where the cluster comes from
    #[arg(long, value_enum)]
    profile: Profile,
    /// Just these components, and nothing that they need
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// These components too, and what they need
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    with: Vec<String>,
    /// Not these components
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    without: Vec<String>,
    /// Networking layer of Knative, in place of the profile's: istio, kourier
    #[arg(long, value_name = "NAME")]
    networking: Option<String>,
    /// A value that the components leave open; kept for later calls. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variables::parse)]
    set: Vec<(String, String)>,
    /// Print everything that would be done, and do nothing; wants no cluster
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: WhereArgs,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let (folder, base) = args.place.open(args.profile)?;
    let wishes = Wishes {
        only: args.only.clone(),
        with: args.with.clone(),
        without: args.without.clone(),
        networking: args.networking.clone(),
    };
    let chosen = select::select(&folder.components, args.profile, &wishes)?;
    let given: Given = args.set.iter().cloned().collect();
    variables::check(&given, &chosen)?;
    let parts = plans(&folder, &chosen, &given, &State::default());
    if args.dry_run {
        let make = base.make(|name| folder.file(name));
        let access = base.access(|path| path.is_file());
        show!("{}", dry_run::lines(make.as_ref(), &parts?, &Cache::from_env()?, &access));
        out!("next: {}", doctor(&access));
        return Ok(Exit::Valid);
    }
    // A value that is missing now may have been given the last time; a wrong file is said at once.
    if let Err(error @ SetupError::File { .. }) = parts {
        return Err(error.into());
    }
    let steps = chosen.iter().map(|component| component.steps.len()).sum();
    need_programs(&folder, &base, &chosen)?;
    super::super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        make_cluster(&folder, &base, &interrupt).await?;
        let site = connect(&folder, &base, &interrupt, steps).await?;
        let mut state = State::load(&site.api).await?;
        let parts = plans(&folder, &chosen, &given, &state)?;
        up::check_beside(&folder.components, &state, &parts)?;
        let choice = choice(args, &chosen, &state);
        let done = up::up(&site, &folder.components, &mut state, &parts, choice).await;
        site.progress.finish();
        done?;
        out!("ready: {}", chosen.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", "));
        out!("next: {}", doctor(&site.access));
        Ok(Exit::Valid)
    })
}

fn plans(
    folder: &Folder,
    chosen: &[&Component],
    given: &Given,
    state: &State,
) -> Result<Vec<Part>, SetupError> {
    let plan = |component: &&Component| {
        plan::part(component, &folder.versions, folder, given, &state.values(&component.name))
    };
    chosen.iter().map(plan).collect()
}

/// With `--only`, what was wanted before stays wanted.
fn choice(args: &Args, chosen: &[&Component], state: &State) -> Choice {
    let before = state.choice.iter().filter(|_| !args.only.is_empty()).flat_map(|choice| &choice.components);
    let mut components: Vec<String> = before.cloned().collect();
    for component in chosen {
        if !components.contains(&component.name) {
            components.push(component.name.clone());
        }
    }
    Choice { profile: args.profile, components }
}

fn need_programs(folder: &Folder, base: &Base, chosen: &[&Component]) -> Result<(), SetupError> {
    let is_chart = |step: &Step| matches!(step, Step::Chart { .. });
    let helm = chosen.iter().any(|component| component.steps.iter().any(is_chart)).then_some("helm");
    base.program().into_iter().chain(helm).try_for_each(|name| program::need(name, &folder.versions))
}

/// Makes the cluster itself, where the profile has one to make.
async fn make_cluster(folder: &Folder, base: &Base, interrupt: &Interrupt) -> Result<(), CliError> {
    let Some(call) = base.make(|name| folder.file(name)) else { return Ok(()) };
    if base.profile == Profile::Kind {
        let there = Call::new("kind", ["get", "clusters"]).run(interrupt, |_| ()).await?;
        if there.lines().any(|name| name == NAME) {
            note!("the cluster {NAME} of kind is there");
            return Ok(());
        }
    }
    note!("{call}");
    call.run(interrupt, |line| note!("  {line}")).await?;
    Ok(())
}

/// The command that says whether all is there.
fn doctor(access: &Access) -> String {
    let kubeconfig = access.kubeconfig.as_ref().map(|path| format!("KUBECONFIG={} ", path.display()));
    let context = access.context.as_ref().map(|context| format!(" --context {context}"));
    format!("{}harness doctor{}", kubeconfig.unwrap_or_default(), context.unwrap_or_default())
}
