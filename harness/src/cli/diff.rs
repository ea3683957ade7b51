//! `harness diff`: one run against another, for changes over time and for CI.

use std::path::PathBuf;

use super::{
    CliError, Exit,
    experiment_args::Output,
    verdict_args::{GRAMMAR, exit, read},
};
use crate::{
    analyse::diff::{self, Change, Diff, Run},
    experiment::{self, Threshold},
    screen::{out, show},
    store::RunFolder,
};

/// Differences of the environment that are listed; JSON has them all.
const LISTED: usize = 20;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  harness diff runs/monday runs/tuesday
  harness diff runs/main runs/branch --threshold 'ratio@poisson<1.1'
  harness diff runs/main runs/branch --fail-if-worse --output json

The same platform under the same load, then and now, by the statistics of `compare`: trials are the
unit, a difference is claimed where interval and exact test agree. The two runs were not interleaved,
so what changed around them looks like a difference; the result lists what is known to have changed.

{GRAMMAR}
In a diff a ratio is RUN_B / RUN_A, and all other figures are RUN_B's.

Exit code: 0 a valid result, 1 failed, 2 bad usage, 3 not every question got a verdict, 4 a threshold
does not hold, or RUN_B is worse (--fail-if-worse). 3 goes before 4."))]
pub struct Args {
    /// The run to compare with
    run_a: PathBuf,
    /// The run that is judged
    run_b: PathBuf,
    /// A condition, for example 'ratio<1.1'; may be repeated
    #[arg(long = "threshold", value_name = "CONDITION")]
    thresholds: Vec<Threshold>,
    /// Exit code 4 if any verdict says that RUN_B is worse
    #[arg(long)]
    fail_if_worse: bool,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let [a, b] = [&args.run_a, &args.run_b].map(|path| -> Result<_, CliError> {
        let (experiment, summary) = read(path)?;
        let folder = RunFolder::open(path).map_err(|error| CliError::Usage(error.to_string()))?;
        let environment = folder.read_environment().map_err(|error| CliError::Usage(error.to_string()))?;
        Ok((experiment, environment, summary))
    });
    let (a, b) = (a?, b?);
    let names = names(&a.2.run_id, &b.2.run_id);
    experiment::check_thresholds(&args.thresholds, &b.0).map_err(|e| CliError::Usage(e.to_string()))?;
    let of = |(experiment, environment, summary)| Run { name: "", experiment, environment, summary };
    let (before, after) = (of((&a.0, &a.1, &a.2)), of((&b.0, &b.1, &b.2)));
    let found =
        diff::diff(Run { name: &names[0], ..before }, Run { name: &names[1], ..after }, &args.thresholds);
    match args.output {
        Output::Text => show!("{}", text(&found)),
        Output::Json => out!("{}", super::json(&found)),
    }
    let worse = args.fail_if_worse && found.answers().any(|c| found.change(c) == Change::Worse);
    Ok(exit(found.is_valid(), found.thresholds.iter().all(|result| result.met) && !worse))
}

/// Names of both, told apart where they are the same.
fn names(a: &str, b: &str) -> [String; 2] {
    if a == b { [format!("{a} (first)"), format!("{b} (second)")] } else { [a.to_owned(), b.to_owned()] }
}

/// For people.
fn text(found: &Diff) -> String {
    let mut lines = vec![format!("{} against {}", found.after, found.before), String::new()];
    for comparison in found.answers() {
        let word = match found.change(comparison) {
            Change::Better => "better",
            Change::Worse => "WORSE",
            Change::CannotTell => "cannot tell",
            Change::None => "no verdict",
        };
        lines.push(format!("{}: {word}", comparison.load));
        lines.push(format!("  {}", comparison.sentence));
    }
    if found.answers().next().is_none() {
        lines.push("The runs have no platform and load point in common: nothing is compared.".to_owned());
    }
    lines.extend(found.thresholds.iter().map(|result| format!("threshold {}", result.line())));
    lines.push(String::new());
    lines.push(format!("note: {}", found.note));
    lines.extend(found.unmatched.iter().map(|sentence| format!("note: {sentence}")));
    if found.differences.is_empty() {
        lines.push(
            "Machine, versions, settings and seed are the same in both, as far as they are recorded."
                .to_owned(),
        );
    } else {
        lines.push(format!("What else differs ({} facts):", found.differences.len()));
    }
    for difference in found.differences.iter().take(LISTED) {
        lines.push(format!("  {}: {} -> {}", difference.fact, difference.before, difference.after));
    }
    if found.differences.len() > LISTED {
        lines.push(format!("  and {} more (--output json lists them)", found.differences.len() - LISTED));
    }
    lines.join("\n") + "\n"
}
