//! `harness compare` and `harness run`: an experiment, from its plan to its report.

use super::{
    CliError, Exit,
    experiment_args::{ExperimentArgs, Output},
};
use crate::{experiment::Experiment, interrupt::Interrupt, platforms::PlatformKind, runner};

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness compare --platforms knative,openfaas --on twin
  harness compare --platforms knative,knative --on twin --trials 8     an A/A comparison
  harness compare --experiment experiment.toml --on twin --name friday
  harness compare --platforms knative,openfaas --on twin --dry-run     the plan and its duration

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID
(--allow-invalid: 0).")]
pub struct CompareArgs {
    /// Platforms to compare; the first is the baseline; one named twice is compared with itself
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_enum)]
    platforms: Option<Vec<PlatformKind>>,
    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness run knative --on twin
  harness run openfaas --on twin --trials 1 --duration 20s --rate 30

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID
(--allow-invalid: 0).")]
pub struct RunArgs {
    /// The platform
    #[arg(value_enum)]
    platform: PlatformKind,
    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Compares platforms.
pub fn compare(args: &CompareArgs) -> Result<Exit, CliError> {
    let experiment = args.experiment.experiment(args.platforms.as_deref())?;
    if experiment.subjects.len() < 2 {
        return Err(CliError::Usage(
            "a comparison needs two platforms, for example --platforms knative,openfaas; for one use `harness run`"
                .into(),
        ));
    }
    start(experiment, &args.experiment)
}

/// Measures one platform.
pub fn run(args: &RunArgs) -> Result<Exit, CliError> {
    let experiment = args.experiment.experiment(Some(&[args.platform]))?;
    start(experiment, &args.experiment)
}

fn start(experiment: Experiment, args: &ExperimentArgs) -> Result<Exit, CliError> {
    if args.dry_run {
        println!("{}", runner::describe(&experiment));
        return Ok(Exit::Valid);
    }
    let options = args.options()?;
    let finished = super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        Ok(runner::run(experiment, &options, interrupt).await?)
    })?;
    match args.output {
        Output::Text => {
            println!("{}", finished.table);
            println!("report: {}", finished.folder.join("report.html").display());
        }
        Output::Json => println!("{}", super::json(&finished.summary)),
    }
    if finished.interrupted {
        eprintln!("interrupted: what was measured until then is in {}", finished.folder.display());
        return Ok(Exit::Failed);
    }
    Ok(args.screen.exit(verdict_exit(&finished.summary)))
}

/// A run is valid if every question got a verdict, or, with one subject, if enough cells are VALID.
pub fn verdict_exit(summary: &crate::analyse::summary::Summary) -> Exit {
    if summary.is_valid() { Exit::Valid } else { Exit::Invalid }
}
