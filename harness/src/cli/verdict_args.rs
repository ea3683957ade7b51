//! Flags on what a run is judged by: thresholds, an optional stop, the noise that the plan assumes.

use std::path::{Path, PathBuf};

use super::{CliError, Exit, screen_args::ScreenArgs};
use crate::{
    analyse::{foresight, summary::Summary},
    experiment::{ExpectedNoise, Experiment, StopRule, Threshold},
    store::RunFolder,
};

/// How thresholds are written, for the help of every command that takes them.
pub(super) const GRAMMAR: &str = "Thresholds: METRIC[@LOAD][:SUBJECT] OP VALUE, OP one of < <= > >=:
  p50 p90 p95 p99 p99.9 mean max   response time                    'p99<500ms'  'p95@poisson<80ms'
  failures                         share of failed requests         'failures<1%'
  goodput, achieved                answers a second                 'goodput:knative>30'
  ratio                            contender / baseline             'ratio>1.1', with its whole interval
Figures are means over the VALID trials. One that is missing, INVALID or (under a ceiling) only a lower
bound does not hold.";

/// Flags of what is judged.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct VerdictArgs {
    /// A condition on the figures, for example 'p99<500ms'; exit code 4 if it does not hold; may be repeated
    #[arg(long = "threshold", value_name = "CONDITION")]
    pub thresholds: Vec<Threshold>,
    /// End before the last trial when every ratio is known this closely, for example 3%; looks after half, three
    /// quarters and all of --trials, and pays for looking with confidence
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub stop_early: Option<f64>,
    /// Earlier run whose scatter between trials the plan's smallest effect assumes
    #[arg(long, value_name = "RUN")]
    pub noise_from: Option<PathBuf>,
}

impl VerdictArgs {
    /// Over what a file says. To be called after the number of trials is settled.
    ///
    /// # Errors
    /// If the earlier run cannot be read.
    pub fn apply(&self, experiment: &mut Experiment) -> Result<(), CliError> {
        if !self.thresholds.is_empty() {
            experiment.thresholds.clone_from(&self.thresholds);
        }
        if let Some(half_width) = self.stop_early {
            experiment.stop_early = Some(StopRule::for_trials(half_width, experiment.trials));
        }
        if let Some(run) = &self.noise_from {
            experiment.expected_noise = noise_of(run)?;
        }
        Ok(())
    }
}

/// The scatter of an earlier run.
fn noise_of(run: &Path) -> Result<Vec<ExpectedNoise>, CliError> {
    let (experiment, summary) = read(run)?;
    let noise = foresight::noise_of(&experiment, &summary);
    if noise.is_empty() {
        return Err(CliError::Usage(format!(
            "--noise-from {}: no load point has two VALID trials; name another run",
            run.display()
        )));
    }
    Ok(noise)
}

/// Plan and figures of a run that is there already.
///
/// # Errors
/// If it is no run, or has no summary.
pub(super) fn read(run: &Path) -> Result<(Experiment, Summary), CliError> {
    let usage = |error: crate::store::StoreError| CliError::Usage(error.to_string());
    let folder = RunFolder::open(run).map_err(usage)?;
    let experiment = folder.read_experiment().map_err(usage)?;
    let summary = folder.read_summary().map_err(usage)?.ok_or_else(|| {
        let run = run.display();
        CliError::Usage(format!("{run} has no summary.json; make it with `harness report {run}`"))
    })?;
    Ok((experiment, summary))
}

/// `3%` as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number.filter(|n| *n > 0.0 && *n < 100.0) {
        Some(number) => Ok(number / 100.0),
        None => Err(format!("'{text}' is not a percentage; write for example 3%")),
    }
}

/// The exit code of finished figures. An INVALID run cannot vouch for a threshold, so 3 goes before 4.
pub(super) fn exit(valid: bool, thresholds_met: bool) -> Exit {
    match (valid, thresholds_met) {
        (false, _) => Exit::Invalid,
        (true, false) => Exit::Threshold,
        (true, true) => Exit::Valid,
    }
}

/// The same under `--allow-invalid`, which forgives the instrument and never a threshold.
pub(super) fn forgiven(exit: Exit, screen: ScreenArgs, thresholds_met: bool) -> Exit {
    match screen.exit(exit) {
        Exit::Valid if !thresholds_met => Exit::Threshold,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_run_cannot_vouch_for_thresholds() {
        assert_eq!(exit(false, false), Exit::Invalid);
        assert_eq!(exit(false, true), Exit::Invalid);
        assert_eq!(exit(true, false), Exit::Threshold);
        assert_eq!(exit(true, true), Exit::Valid);
    }

    #[test]
    fn allowing_invalid_runs_forgives_no_threshold() {
        let allowing = ScreenArgs { allow_invalid: true, ..ScreenArgs::default() };
        assert_eq!(forgiven(Exit::Invalid, allowing, true), Exit::Valid);
        assert_eq!(forgiven(Exit::Invalid, allowing, false), Exit::Threshold);
        assert_eq!(forgiven(Exit::Invalid, ScreenArgs::default(), false), Exit::Invalid);
    }

    #[test]
    fn a_width_is_a_percentage() {
        assert!((percent("3%").unwrap() - 0.03).abs() < 1e-12);
        for wrong in ["3", "0%", "100%", "x%", "NaN%"] {
            assert!(percent(wrong).unwrap_err().contains("write for example 3%"), "{wrong}");
        }
    }
}
