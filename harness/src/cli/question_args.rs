//! The flags that choose a built-in question, shared by `compare` and `run`.

use super::CliError;
use crate::experiment::{Experiment, Procedure, Question, Site, Slo, events};

/// What is asked.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct QuestionArgs {
    /// Built-in question; the other flags change its experiment
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "experiment")]
    pub question: Option<Question>,
    /// What *capacity* has to hold (default: p99<500ms,failures<1%)
    #[arg(long, value_name = "LIMITS")]
    pub slo: Option<Slo>,
    /// Post an event of each answer to a broker with a logger behind it: beside the answer (background),
    /// before it (inline), or not (off); --vary env.EVENT_MODE=off,background compares modes
    #[arg(long, value_name = "MODE", value_parser = events::MODES, num_args = 0..=1, default_missing_value = events::USUAL_MODE)]
    pub events: Option<String>,
}

impl QuestionArgs {
    /// The experiment of the question there.
    pub fn experiment(&self, site: Site) -> Experiment {
        self.question.map_or_else(|| Experiment::default_on(site), |question| question.experiment(site))
    }

    /// Puts the flags on top of an experiment.
    ///
    /// # Errors
    /// If there is nothing in it that a flag could change.
    pub fn apply(&self, e: &mut Experiment) -> Result<(), CliError> {
        if let Some(mode) = &self.events {
            e.events.get_or_insert_default();
            e.function.env.insert(events::MODE.to_owned(), mode.clone());
        }
        let Some(wanted) = self.slo else { return Ok(()) };
        let mut searches = 0;
        for load in &mut e.load {
            if let Procedure::Capacity { slo, .. } = &mut load.procedure {
                *slo = wanted;
                load.question = wanted.question();
                searches += 1;
            }
        }
        if searches == 0 {
            return Err(CliError::Usage(
                "--slo is what a search for the capacity has to hold; add --question capacity".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: QuestionArgs,
        #[arg(long)]
        experiment: Option<String>,
    }

    fn asked(flags: &str) -> Result<Experiment, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace()))
            .map_err(|error| error.to_string())?;
        let mut experiment = line.args.experiment(Site::Twin);
        line.args.apply(&mut experiment).map_err(|error| error.to_string())?;
        Ok(experiment)
    }

    #[test]
    fn without_a_question_the_default_experiment_runs() {
        assert_eq!(asked("").unwrap(), Experiment::default_on(Site::Twin));
        assert_eq!(asked("--question pinned").unwrap().load, Experiment::default_on(Site::Twin).load);
    }

    #[test]
    fn a_service_level_changes_the_search_and_its_question() {
        let e = asked("--question capacity --slo p95<50ms").unwrap();
        assert!(e.load[0].question.contains("p95 <= 50 ms"), "{}", e.load[0].question);
        let Procedure::Capacity { slo, .. } = e.load[0].procedure else { panic!("{:?}", e.load[0]) };
        assert_eq!(slo.to_string(), "p95 <= 50 ms and failures <= 1 %");
        assert!(asked("--slo p95<50ms").unwrap_err().contains("--question capacity"));
        assert!(asked("--question capacity --slo p95").unwrap_err().contains("write for example"));
    }

    #[test]
    fn events_are_asked_for_with_a_mode_or_the_usual_one() {
        let mode = |flags: &str| {
            let e = asked(flags).unwrap();
            assert!(e.events.is_some());
            e.function.env[events::MODE].clone()
        };
        assert_eq!(mode("--events"), "background");
        assert_eq!(mode("--events inline"), "inline");
        assert!(asked("--events later").unwrap_err().contains("possible values: off, background, inline"));
        assert_eq!(asked("").unwrap().events, None);
    }

    #[test]
    fn a_file_names_its_question_itself() {
        assert!(
            asked("--question capacity --experiment x.toml").unwrap_err().contains("cannot be used with")
        );
    }
}
