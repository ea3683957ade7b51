//! The command line: arguments to calls, errors to exit codes. One file a command.

mod annotate;
mod calibrate;
mod clean;
mod cluster;
mod cluster_args;
mod compare;
mod connection_args;
mod deploy;
mod diff;
mod doctor;
mod experiment_args;
mod export;
mod function_args;
mod goose_driver;
mod grafana_args;
mod image;
mod invoke;
mod invoke_async;
mod load;
mod load_from_args;
mod matrix_args;
mod models;
mod null_target;
mod question_args;
mod remove;
mod report;
mod resume;
mod screen_args;
mod serve_s3;
mod status;
mod twin_plane;
mod verdict_args;
mod worker;

use crate::screen::{self, note};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// How a command ended, as the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A valid result.
    Valid = 0,
    /// It failed.
    Failed = 1,
    /// It was asked for something that makes no sense.
    Usage = 2,
    /// It finished, but the measurement is INVALID.
    Invalid = 3,
    /// It finished, and a threshold that was set does not hold.
    Threshold = 4,
}

/// Why a command did not finish. Both print one line that names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The user's arguments or files; exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Anything else; exit code 1.
    #[error("{}", one_line(.0))]
    Failed(#[from] anyhow::Error),
}

/// An error and its causes in one line, each said once: some messages hold their cause already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() { cause } else { format!("{line}: {cause}") };
        }
    }
    line
}

impl From<crate::platforms::PlatformError> for CliError {
    fn from(error: crate::platforms::PlatformError) -> Self {
        crate::runner::RunError::from(error).into()
    }
}

impl From<crate::runner::RunError> for CliError {
    fn from(error: crate::runner::RunError) -> Self {
        match error {
            crate::runner::RunError::Usage(message) => Self::Usage(message),
            crate::runner::RunError::Failed(error) => Self::Failed(error),
        }
    }
}

/// Which platform serves my machine-learning model better, and why?
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    propagate_version = true,
    after_help = "Examples:
  harness compare --platforms knative,openfaas --on twin
  harness compare --resume runs/NAME
  harness compare --image REGISTRY/function@sha256:DIGEST     on the cluster of the current context
  harness deploy knative --image REGISTRY/function@sha256:DIGEST
  harness clean --all --dry-run
  harness cluster up --profile kind
  harness load http://127.0.0.1:8080/predict --body cat.jpg --rate 20 --duration 30s
  harness report runs/NAME
  harness diff runs/MONDAY runs/TUESDAY
  harness calibrate --quick
  harness models list

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID, 4 finished and
a threshold does not hold (an INVALID run cannot vouch for one: 3 goes before 4)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare platforms: deploy the same function to each, put the same load on it, judge.
    Compare(compare::CompareArgs),
    /// Measure one platform.
    Run(compare::RunArgs),
    /// Deploy one function on a platform, and leave it there.
    Deploy(deploy::Args),
    /// Call a deployed function, or any URL, and show the answer; prove a cold start.
    Invoke(invoke::Args),
    /// Show what of the testbed is on the cluster.
    Status(status::Args),
    /// Take away what `deploy` left.
    Remove(remove::Args),
    /// Remove everything that a run, or all runs, left on the cluster, also after a crash.
    Clean(clean::Args),
    /// Write what would be applied: Knative YAML, OpenFaaS stack.yml, plain manifests.
    Export(export::Args),
    /// Rebuild the report of a run from its folder.
    Report(report::Args),
    /// Show the cells of a run as spans in Grafana.
    Annotate(annotate::Args),
    /// Compare a run with an earlier one: better, worse, or cannot tell.
    Diff(diff::Args),
    /// Drive load at any HTTP endpoint and say what it did.
    Load(load::Args),
    /// Set up a cluster to compare on, show how it is, take it down.
    Cluster(cluster::Args),
    /// Check whether everything is there that a comparison on a cluster needs.
    Doctor(doctor::Args),
    /// List, fetch, verify and find models and pictures.
    Models(models::Args),
    /// Build the function's OCI image, send it to a registry, ask for its digest.
    Image(image::Args),
    /// Serve an endpoint that answers at once: measures the harness itself.
    NullTarget(null_target::Args),
    /// Drive a target of known behaviour with each driver, and show what each would have you believe.
    Calibrate(calibrate::Args),
    /// Runs goose in a process of its own (the harness starts it itself).
    #[command(hide = true)]
    GooseDriver,
    /// The twin's data plane of one platform (the harness starts it itself).
    #[command(hide = true)]
    TwinPlane(twin_plane::Args),
    /// The twin's object storage (the harness starts it itself).
    #[command(hide = true)]
    ServeS3,
    /// One of several load generators (the harness starts it itself).
    #[command(hide = true)]
    Worker(worker::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    let exit = match cli.command {
        Command::Compare(args) => compare::compare(&args),
        Command::Run(args) => compare::run(&args),
        Command::Deploy(args) => deploy::run(&args),
        Command::Invoke(args) => invoke::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Remove(args) => remove::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Annotate(args) => annotate::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Load(args) => load::run(args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Models(args) => models::run(args),
        Command::Image(args) => image::run(args),
        Command::NullTarget(args) => null_target::run(args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::GooseDriver => goose_driver::run(),
        Command::TwinPlane(args) => twin_plane::run(args),
        Command::ServeS3 => serve_s3::run(),
        Command::Worker(args) => worker::run(args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "harness", &mut std::io::stdout());
            Ok(Exit::Valid)
        }
    };
    match exit {
        // Whoever reads the code must not take what is missing for the whole.
        Ok(Exit::Valid) if screen::has_lost_output() => ExitCode::from(Exit::Failed as u8),
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            note!("error: {error}");
            ExitCode::from(match error {
                CliError::Usage(_) => Exit::Usage as u8,
                CliError::Failed(_) => Exit::Failed as u8,
            })
        }
    }
}

/// The command line's grammar.
fn command() -> clap::Command {
    Cli::command()
}

/// What was given on this process's command line, which was accepted before.
fn matches() -> clap::ArgMatches {
    Cli::command().get_matches()
}

/// Runs a command's asynchronous part to its end.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?;
    runtime.block_on(work)
}

/// A value as indented JSON, for `--output json`.
fn json(value: &impl serde::Serialize) -> String {
    // Our own structures have string keys and finite numbers: nothing that JSON cannot say.
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_that_a_message_already_holds_is_not_said_twice() {
        let error = anyhow!("disk full").context("x.json: disk full; free space").context("no report");
        assert_eq!(CliError::Failed(error).to_string(), "no report: x.json: disk full; free space");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
