//! `harness clean`: removes everything that carries the label of a run, or of all runs.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use anyhow::Context;

use super::{CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output};
use crate::{
    admin::{
        clean::{self, Outcome},
        inventory::{self, Inventory, Owner, Thing},
    },
    bucket::{self, Bucket},
    platforms::cluster::{Cluster, ClusterChoice, RunLabel},
    reports::format,
    screen::{self, note, out, show},
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true))]
#[command(after_help = "Examples:
  harness clean --all --dry-run                               what would be removed
  harness clean --run 20261121-101500-knative-openfaas        what that run left
  harness clean --all --yes                                   everything, without asking
  harness clean --all --s3-endpoint URL --s3-bucket NAME      objects of runs in that bucket too

Exit code: 0 nothing is left, 1 something is left or it failed, 2 bad usage.")]
pub struct Args {
    /// What this run left (the name of its folder)
    #[arg(long, value_name = "NAME", group = "whose")]
    run: Option<String>,
    /// What any run left, running ones included
    #[arg(long, group = "whose")]
    all: bool,
    #[command(flatten)]
    how: RemovalArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// How things are removed.
#[derive(Debug, clap::Args)]
pub(super) struct RemovalArgs {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// How long to wait until pods are gone; they may take their grace period
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "6m")]
    pub(super) timeout: Duration,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    pub(super) output: Output,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let run = args.run.as_deref().map(RunLabel::new);
    args.how.check_terminal(std::io::stdin().is_terminal())?;
    super::block_on(async {
        let label = run.clone().unwrap_or_else(|| RunLabel::new(crate::admin::BY_HAND));
        let cluster = args.cluster.connect(ClusterChoice::default(), label).await?;
        note!("{}", cluster.describe());
        let owner = run.map_or(Owner::AnyRun, Owner::Run);
        let found = inventory::take(&cluster, &owner).await.context("cannot look through the cluster")?;
        let exit = args.how.remove(&cluster, &found).await?;
        match args.cluster.over(ClusterChoice::default()).object_store {
            Some(choice) => objects(&Bucket::of_cluster(&choice)?, args, exit).await,
            None => Ok(exit),
        }
    })
}

/// Removes what runs put into a bucket. The question was asked, if one had to be.
async fn objects(bucket: &Bucket, args: &Args, so_far: Exit) -> Result<Exit, CliError> {
    let folder = args.run.as_deref().map_or_else(|| bucket::FOLDER.to_owned(), bucket::folder_of);
    if args.how.dry_run {
        let keys = bucket.keys_below(&folder).await?;
        eprintln!("would remove {} below {folder} in the bucket", format::plural(keys.len(), "object"));
        return Ok(so_far);
    }
    let count = bucket.remove_below(&folder).await?;
    eprintln!("gone: {} below {folder} in the bucket", format::plural(count, "object"));
    Ok(so_far)
}

impl RemovalArgs {
    /// Without a terminal nobody can be asked.
    ///
    /// # Errors
    /// If the user would have to be asked and cannot be.
    pub(super) fn check_terminal(&self, is_terminal: bool) -> Result<(), CliError> {
        must_be_able_to_ask(is_terminal || self.yes || self.dry_run)
    }

    /// Says what is there, asks, removes it and says what is left.
    ///
    /// # Errors
    /// Only if the terminal fails; what cannot be removed is said and is the exit code.
    pub(super) async fn remove(&self, cluster: &Cluster, found: &Inventory) -> Result<Exit, CliError> {
        for note in &found.notes {
            note!("note: {note}");
        }
        if found.things.is_empty() {
            self.print(&Outcome::default(), &[]);
            return Ok(Exit::Valid);
        }
        let lines: Vec<String> = found.things.iter().map(Thing::describe).collect();
        let head = if self.dry_run { "would remove" } else { "removing" };
        note!("{head}:\n  {}", lines.join("\n  "));
        if self.dry_run {
            self.print(&Outcome::default(), &lines);
            return Ok(Exit::Valid);
        }
        if !self.yes && !ask("remove these?").map_err(anyhow::Error::from)? {
            return Err(CliError::Usage("nothing was removed: the answer was not y".into()));
        }
        let outcome = clean::remove(cluster, &found.things, self.timeout, &|line| note!("{line}")).await;
        self.print(&outcome, &[]);
        Ok(if outcome.left.is_empty() { Exit::Valid } else { Exit::Failed })
    }

    fn print(&self, outcome: &Outcome, would_remove: &[String]) {
        match self.output {
            Output::Json => out!(
                "{}",
                super::json(&serde_json::json!({
                    "would_remove": would_remove, "gone": outcome.gone, "left": outcome.left }))
            ),
            Output::Text if self.dry_run && !would_remove.is_empty() => {
                out!("would be removed: {}; nothing was touched", would_remove.len());
            }
            Output::Text => show!("{}", summary(outcome)),
        }
    }
}

fn summary(outcome: &Outcome) -> String {
    let mut lines: Vec<String> = outcome.gone.iter().map(|what| format!("gone: {what}")).collect();
    lines.extend(outcome.left.iter().map(|what| format!("LEFT: {what}")));
    lines.push(match (outcome.gone.len(), outcome.left.len()) {
        (0, 0) => "nothing of the testbed is there".to_owned(),
        (_, 0) => "nothing is left".to_owned(),
        (_, left) => format!("{left} left"),
    });
    lines.join("\n") + "\n"
}

/// Refuses to remove anything that nobody can be asked about.
///
/// # Errors
/// If that is so.
pub(super) fn must_be_able_to_ask(is_able: bool) -> Result<(), CliError> {
    if is_able {
        return Ok(());
    }
    Err(CliError::Usage("this is no terminal to ask on; say --yes, or look first with --dry-run".into()))
}

/// Asks on the terminal; anything but y or yes is no.
pub(super) fn ask(question: &str) -> std::io::Result<bool> {
    screen::write_note(format_args!("{question} [y/N] "));
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_one_has_to_say_yes_or_look_only() {
        let how = |yes, dry_run| RemovalArgs { dry_run, yes, timeout: Duration::ZERO, output: Output::Text };
        assert!(how(false, false).check_terminal(true).is_ok());
        assert!(how(true, false).check_terminal(false).is_ok());
        assert!(how(false, true).check_terminal(false).is_ok());
        let refused = how(false, false).check_terminal(false).unwrap_err();
        assert!(matches!(&refused, CliError::Usage(text) if text.contains("--yes")), "{refused}");
    }

    #[test]
    fn what_is_left_is_said_last() {
        let outcome = Outcome { gone: vec!["a".into()], left: vec!["b: not allowed".into()] };
        assert_eq!(summary(&outcome), "gone: a\nLEFT: b: not allowed\n1 left\n");
        assert_eq!(summary(&Outcome::default()), "nothing of the testbed is there\n");
    }
}
