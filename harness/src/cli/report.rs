//! `harness report`: rebuilds everything that can be rebuilt from a run folder, offline.

use crate::screen::out;
use std::path::PathBuf;

use super::{CliError, Exit, compare::verdict_exit, experiment_args::Output};
use crate::runner;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness report runs/20261121-101500-knative-openfaas
  harness report runs/latest --output json

A run that was interrupted or killed yields a report of what was measured until then.")]
pub struct Args {
    /// The run's folder
    run: PathBuf,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let finished = runner::rebuild(&args.run)?;
    match args.output {
        Output::Text => {
            out!("{}", finished.table);
            out!("report: {}", finished.folder.join("report.html").display());
        }
        Output::Json => out!("{}", super::json(&finished.summary)),
    }
    Ok(verdict_exit(&finished.summary))
}
