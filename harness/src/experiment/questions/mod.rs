//! The built-in questions: each one a whole experiment, chosen by one flag (`--question capacity`) or
//! by one line of a file (`question = "capacity"`, which the rest of the file then changes).
//!
//! To add one: a file beside this that makes its experiment, and an arm in [`Question`].

mod autoscale;
mod canary;
mod capacity;
mod cold;
mod concurrency;
mod events;
mod eviction;
mod overhead;
mod pinned;
mod reference;

use serde::{Deserialize, Serialize};

use super::{Experiment, Site};

/// A question that the testbed knows how to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Equal, fixed replicas: goodput under a closed loop, p95 under Poisson arrivals (the default)
    Pinned,
    /// Step load: time to scale, over- and under-provisioning
    Autoscale,
    /// Proved cold starts, with their phases
    Cold,
    /// The highest Poisson rate that holds a service level (see --slo), and the curve that leads there
    Capacity,
    /// How long an idle instance lives
    Eviction,
    /// What the platform itself costs: a function that does nothing, and bodies of swept sizes
    Overhead,
    /// Closed loop with 1 to 200 connections: throughput and latency
    Concurrency,
    /// What an event for each answer costs: without, beside the answer, and before it
    Events,
    /// Two revisions behind a traffic split, compared from one stream of requests
    Canary,
    /// The published study's method as far as its files tell, its figures beside ours
    Reference,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pinned,
        Self::Autoscale,
        Self::Cold,
        Self::Capacity,
        Self::Eviction,
        Self::Overhead,
        Self::Concurrency,
        Self::Events,
        Self::Canary,
        Self::Reference,
    ];

    /// Its name, as flags and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Autoscale => "autoscale",
            Self::Cold => "cold",
            Self::Capacity => "capacity",
            Self::Eviction => "eviction",
            Self::Overhead => "overhead",
            Self::Concurrency => "concurrency",
            Self::Events => "events",
            Self::Canary => "canary",
            Self::Reference => "reference",
        }
    }

    /// The experiment that answers it there.
    pub fn experiment(self, site: Site) -> Experiment {
        let experiment = match self {
            Self::Pinned => pinned::experiment(site),
            Self::Autoscale => autoscale::experiment(site),
            Self::Cold => cold::experiment(site),
            Self::Capacity => capacity::experiment(site),
            Self::Eviction => eviction::experiment(site),
            Self::Overhead => overhead::experiment(site),
            Self::Concurrency => concurrency::experiment(site),
            Self::Events => events::experiment(site),
            Self::Canary => canary::experiment(site),
            Self::Reference => reference::experiment(site),
        };
        Experiment { question: Some(self), ..experiment }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::experiment::{parse, validate};

    #[test]
    fn flags_and_files_spell_a_question_alike() {
        for question in Question::ALL {
            let flag = question.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), question.name());
            assert_eq!(serde_json::to_value(question).unwrap(), question.name());
        }
        assert_eq!(Question::ALL, Question::value_variants());
    }

    #[test]
    fn every_experiment_of_a_question_is_valid_and_reads_back_as_itself() {
        for site in [Site::Twin, Site::Cluster] {
            for question in Question::ALL {
                let experiment = question.experiment(site);
                validate(&experiment).unwrap_or_else(|error| panic!("{question:?}: {error}"));
                assert_eq!(experiment.on, site);
                let text = toml::to_string_pretty(&experiment).unwrap();
                assert_eq!(parse(&text, "x.toml").unwrap(), experiment, "{text}");
            }
        }
    }

    #[test]
    fn a_file_changes_what_it_names_of_its_question_and_nothing_else() {
        let asked = Question::Overhead.experiment(Site::Twin);
        let text = "question = 'overhead'\non = 'twin'\ntrials = 3\n[function]\ncpu-cores = 2.0\n";
        let mut expected = asked.clone();
        expected.trials = 3;
        expected.function.cpu_cores = 2.0;
        assert_ne!(expected, asked);
        assert_eq!(parse(text, "x.toml").unwrap(), expected);
    }

    #[test]
    fn mistakes_in_a_file_with_a_question_keep_their_line_and_column() {
        let message = parse("question = 'overhead'\ntrials = 0\n", "x.toml").unwrap_err().to_string();
        assert_eq!(message, "x.toml:2:10: trials: 0 is not between 1 and 1000");
        let message = parse("question = 'overheat'\n", "x.toml").unwrap_err().to_string();
        assert!(message.starts_with("x.toml:1:12: unknown variant `overheat`"), "{message}");
    }
}
