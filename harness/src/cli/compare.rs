//! `harness compare` and `harness run`: an experiment, from its plan to its report.

use std::path::PathBuf;

use super::{
    CliError, Exit,
    experiment_args::{ExperimentArgs, Output},
    resume,
    verdict_args::{self, GRAMMAR},
};
use crate::{
    experiment::{Experiment, expand},
    interrupt::Interrupt,
    platforms::PlatformKind,
    runner::{self, Finished, Left, budget},
    screen::{note, out},
};

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  harness compare --platforms knative,openfaas --on twin
  harness compare --platforms knative,knative --on twin --trials 8     an A/A comparison
  harness compare --experiment experiment.toml --on twin --name friday
  harness compare --platforms knative,openfaas --on twin --dry-run     the plan and its cost
  harness compare --platforms knative,openfaas --on twin --vary cpu-cores=0.5,1 --vary replicas=1,2
  harness compare --platforms knative --on twin --vary replicas=1,2    variants of one platform
  harness compare --on twin --trials 20 --stop-early 5%                ends once the ratios are known to 5 %
  harness compare --on twin --threshold 'p99@poisson<500ms' --threshold 'failures<1%'
  harness compare --resume runs/friday                                 goes on after any stop (of `run`, too)

{GRAMMAR}

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID
(--allow-invalid: 0), 4 finished and a threshold does not hold (3 goes before 4)."))]
pub struct CompareArgs {
    /// Platforms to compare; the first is the baseline; one named twice is compared with itself
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_enum)]
    platforms: Option<Vec<PlatformKind>>,
    /// Go on with the run in this folder: what is missing of it, or was cut off, is measured
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  harness run knative --on twin
  harness run openfaas --on twin --trials 1 --duration 20s --rate 30

{GRAMMAR}

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID
(--allow-invalid: 0), 4 finished and a threshold does not hold (3 goes before 4)."))]
pub struct RunArgs {
    /// The platform
    #[arg(value_enum)]
    platform: PlatformKind,
    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Compares platforms.
pub fn compare(args: &CompareArgs) -> Result<Exit, CliError> {
    if let Some(run) = &args.resume {
        let resumed = resume::resume(run, &args.experiment)?;
        return Ok(resumed.map_or(Exit::Valid, |finished| conclude(&finished, &args.experiment)));
    }
    let experiment = args.experiment.experiment(args.platforms.as_deref())?;
    if experiment.subjects.len() < 2 {
        return Err(CliError::Usage(
            "a comparison needs two platforms, for example --platforms knative,openfaas, or two variants of one \
             (--vary replicas=1,2); for one use `harness run`"
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
        return print_plan(&experiment, None, args.output);
    }
    let options = args.options()?;
    let finished = super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        Ok(Box::pin(runner::run(experiment, &options, interrupt)).await?)
    })?;
    Ok(conclude(&finished, args))
}

/// Prints what a run, or the rest of one, is going to do.
///
/// # Errors
/// If the plan cannot be carried out.
pub(super) fn print_plan(
    experiment: &Experiment,
    left: Option<&Left>,
    output: Output,
) -> Result<Exit, CliError> {
    let files = runner::check(experiment)?;
    let cells = left.map_or_else(|| expand(experiment), |left| left.cells.clone());
    match output {
        Output::Text => {
            out!(
                "{}\n{}",
                runner::describe(experiment, left, &files),
                budget::describe_order(experiment, &cells)
            );
        }
        Output::Json => out!(
            "{}",
            super::json(&serde_json::json!({
                "experiment": experiment,
                "budget": runner::cost(experiment, left, &files),
                "cells": cells,
            }))
        ),
    }
    Ok(Exit::Valid)
}

/// Prints what came of a run.
fn conclude(finished: &Finished, args: &ExperimentArgs) -> Exit {
    match args.output {
        Output::Text => {
            out!("{}", finished.table);
            out!("report: {}", finished.folder.join("report.html").display());
        }
        Output::Json => out!("{}", super::json(&finished.summary)),
    }
    if finished.interrupted {
        let folder = finished.folder.display();
        note!(
            "interrupted: what was measured until then is in {folder}; go on with `harness compare --resume {folder}`"
        );
        return Exit::Failed;
    }
    if finished.summary.cells.iter().all(|cell| cell.requests == 0 && cell.outcome.is_none()) {
        note!("error: nothing was measured; why stands beside each cell in {}", finished.folder.display());
        return Exit::Failed;
    }
    let met = finished.summary.meets_thresholds();
    verdict_args::forgiven(verdict_exit(&finished.summary), args.screen, met)
}

/// A run is valid if every question got a verdict, or, with one subject, if enough cells are VALID.
/// Only then do its thresholds count.
pub fn verdict_exit(summary: &crate::analyse::summary::Summary) -> Exit {
    verdict_args::exit(summary.is_valid(), summary.meets_thresholds())
}
