//! `harness cluster down`.

use std::io::IsTerminal;

use super::{
    super::{
        CliError,
        clean::{ask, must_be_able_to_ask},
    },
    Exit, WhereArgs, connect,
};
use crate::{
    interrupt::Interrupt,
    screen::{note, out},
    setup::{
        base::Base,
        down,
        folder::Folder,
        profile::Profile,
        program::{self, Call},
        state::State,
    },
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness cluster down --profile kind                              the whole cluster
  harness cluster down --profile kubeadm --nodes me@a,me@b         the machines are nodes no more
  harness cluster down --profile existing --dry-run                what would be removed
  harness cluster down --profile existing --only minio --yes

On an existing cluster it removes only what `up` made, and no namespace that was there before.
Exit code: 0 it is gone, 1 something is left or it failed, 2 bad usage.")]
pub(super) struct Args {
    /// Where the cluster comes from
    #[arg(long, value_enum)]
    profile: Profile,
    /// Just these components; the cluster stays
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: WhereArgs,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let (folder, base) = args.place.open(args.profile)?;
    must_be_able_to_ask(std::io::stdin().is_terminal() || args.yes || args.dry_run)?;
    let whole = base.remove(|name| folder.file(name)).filter(|_| args.only.is_empty());
    super::super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        match whole {
            Some(call) => throw_away(args, &folder, &base, &call, &interrupt).await,
            None => components(args, &folder, &base, &interrupt).await,
        }
    })
}

/// The whole cluster, with all that is on it.
async fn throw_away(
    args: &Args,
    folder: &Folder,
    base: &Base,
    call: &Call,
    interrupt: &Interrupt,
) -> Result<Exit, CliError> {
    let what = if base.nodes.is_empty() {
        format!("the whole cluster of {}, with all that is on it", base.profile)
    } else {
        format!("the cluster on {}, with all that is on it", base.nodes.join(", "))
    };
    if !is_wanted(args, &[what])? {
        out!("{call}");
        return Ok(Exit::Valid);
    }
    if let Some(name) = base.program() {
        program::need(name, &folder.versions)?;
    }
    note!("{call}");
    call.run(interrupt, |line| note!("  {line}")).await?;
    out!("gone");
    Ok(Exit::Valid)
}

/// The components alone, in the opposite order.
async fn components(
    args: &Args,
    folder: &Folder,
    base: &Base,
    interrupt: &Interrupt,
) -> Result<Exit, CliError> {
    let site = connect(folder, base, interrupt, args.only.len()).await?;
    let mut state = State::load(&site.api).await?;
    let names = down::order(&folder.components, &state, &args.only)?;
    if names.is_empty() {
        out!("nothing is set up on this cluster");
        return Ok(Exit::Valid);
    }
    let lines: Vec<String> = names.iter().map(|name| down::describe(name, &state.components[name])).collect();
    if !is_wanted(args, &lines)? {
        out!("would be removed: {}; nothing was touched", names.join(", "));
        return Ok(Exit::Valid);
    }
    let done = down::down(&site, &folder.components, &mut state, &names).await;
    site.progress.finish();
    done?;
    out!("gone: {}", names.join(", "));
    if matches!(args.profile, Profile::Kubeadm | Profile::Cloudlab) && args.only.is_empty() {
        note!("the machines are still a cluster; name them with --nodes to throw that away too");
    }
    Ok(Exit::Valid)
}

/// Says what goes, and asks. False: it is only looked.
fn is_wanted(args: &Args, lines: &[String]) -> Result<bool, CliError> {
    let head = if args.dry_run { "would remove" } else { "removing" };
    note!("{head}:\n  {}", lines.join("\n  "));
    if args.dry_run {
        return Ok(false);
    }
    if !args.yes && !ask("remove these?").map_err(anyhow::Error::from)? {
        return Err(CliError::Usage("nothing was removed: the answer was not y".into()));
    }
    Ok(true)
}
