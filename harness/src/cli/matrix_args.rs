//! The flags of the matrix: what is varied, and whether deployments are reused.

use super::CliError;
use crate::experiment::{Experiment, Vary, multiply};

/// What is varied, and how often it is deployed and measured.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Matrix")]
pub struct MatrixArgs {
    /// Measure every platform with each of these values; several multiply. Keys: cpu-cores, memory-mib,
    /// container-concurrency, replicas (2 or 1-5), image, workload, env.NAME
    #[arg(long, value_name = "KEY=V1,V2")]
    pub vary: Vec<Vary>,
    /// One deployment of each platform for all trials: faster, and trials are not independent
    #[arg(long)]
    pub reuse_deployments: bool,
}

impl MatrixArgs {
    /// Puts the flags on top of an experiment whose platforms are known.
    ///
    /// # Errors
    /// If what is varied makes no variants.
    pub fn apply(&self, e: &mut Experiment) -> Result<(), CliError> {
        if !self.vary.is_empty() {
            let variants = multiply(&self.vary).map_err(|why| CliError::Usage(format!("--vary: {why}")))?;
            e.set_variants(variants);
        }
        e.reuse_deployments |= self.reuse_deployments;
        // A file for two platforms may be run on one of them.
        if e.pairs().is_empty() {
            e.stop_early = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        experiment::{StopRule, validate},
        platforms::PlatformKind,
    };

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: MatrixArgs,
    }

    fn applied(flags: &str) -> Result<Experiment, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace()))
            .map_err(|error| error.to_string())?;
        let mut e = Experiment { trials: 9, ..Experiment::default() };
        line.args.apply(&mut e).map_err(|error| error.to_string())?;
        validate(&e).map_err(|error| error.to_string())?;
        Ok(e)
    }

    #[test]
    fn flags_vary_every_platform_and_several_multiply() {
        let e = applied("--vary replicas=1,2 --vary cpu-cores=1,2").unwrap();
        assert_eq!(e.subjects.len(), 2 * 2 * 2);
        assert_eq!(e.subjects[0].label, "knative-replicas-1-cores-1");
        assert!(applied("--vary lambda=1").unwrap_err().contains("cannot be varied"));
        assert!(applied("--vary replicas=1 --vary replicas=2").unwrap_err().starts_with("--vary: "));
    }

    #[test]
    fn a_files_rule_for_two_platforms_does_not_hinder_a_run_of_one() {
        let mut e = Experiment { stop_early: Some(StopRule::default()), ..Experiment::default() };
        e.set_platforms(&[PlatformKind::Knative]);
        MatrixArgs::default().apply(&mut e).unwrap();
        assert_eq!(e.stop_early, None);
    }
}
