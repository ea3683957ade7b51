//! `harness compare --resume RUN`: goes on with a run, from its own plan.

use std::path::Path;

use clap::{ArgMatches, Command, parser::ValueSource};

use super::{CliError, compare::print_plan, experiment_args::ExperimentArgs};
use crate::{
    interrupt::Interrupt,
    runner::{self, Finished, Left},
};

/// Flags that change nothing of what is measured: where things are found, and what is shown.
const ALLOWED: [&str; 14] = [
    "resume",
    "quiet",
    "output",
    "dry_run",
    "offline",
    "function_binary",
    "models_dir",
    "pictures_dir",
    "gateway_user",
    "gateway_password_file",
    "grafana",
    "grafana_token_file",
    "allow_invalid",
    "no_live",
];

/// Goes on with a run; none: only its plan was asked for, and it was printed.
pub(super) fn resume(run: &Path, args: &ExperimentArgs) -> Result<Option<Finished>, CliError> {
    if let Some(matches) = super::matches().subcommand_matches("compare") {
        refuse_others(matches, &super::command())?;
    }
    if args.dry_run {
        let left = Left::of(run)?;
        print_plan(&left.experiment, Some(&left), args.output)?;
        return Ok(None);
    }
    let options = args.options()?;
    super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        Ok(Some(runner::resume(run, &options, interrupt).await?))
    })
}

/// Refuses flags that would make another experiment of it.
fn refuse_others(matches: &ArgMatches, cli: &Command) -> Result<(), CliError> {
    let compare = cli.find_subcommand("compare");
    let arguments = compare.into_iter().flat_map(Command::get_arguments);
    let given =
        arguments.filter(|a| matches.value_source(a.get_id().as_str()) == Some(ValueSource::CommandLine));
    let others: Vec<String> = given
        .filter(|a| !ALLOWED.contains(&a.get_id().as_str()))
        .map(|a| a.get_long().map_or_else(|| a.get_id().to_string(), |long| format!("--{long}")))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "--resume goes on with the experiment that is in the run's folder; leave out {}, or start a new run without \
         --resume",
        others.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(flags: &str) -> Option<String> {
        let words = "harness compare".split(' ').chain(flags.split_whitespace());
        let cli = super::super::command();
        let matches = cli.clone().try_get_matches_from(words).unwrap();
        let compare = matches.subcommand_matches("compare").unwrap();
        refuse_others(compare, &cli).err().map(|error| error.to_string())
    }

    #[test]
    fn only_flags_that_change_no_figure_go_with_resume() {
        assert_eq!(refused("--resume runs/x --quiet --output json --offline --function-binary f"), None);
        let message = refused("--resume runs/x --trials 3 --vary replicas=1,2").unwrap();
        assert!(message.contains("leave out --trials, --vary"), "{message}");
        assert!(refused("--resume runs/x --platforms knative,openfaas").unwrap().contains("--platforms"));
    }
}
