//! The seam for workloads: which there are, and what the harness has to know of each.
//!
//! To add one: a file beside this, an arm in [`Kind`]; the compiler lists the rest.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use models::Places;
use serde::{Deserialize, Serialize};

use super::{JudgeSpec, caption, classify, grade, logger, null, pdf};
use crate::{
    drive::Payload,
    experiment::{Experiment, FunctionChoice},
};

/// The workloads of our function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What is on a picture.
    Classify,
    /// A sentence about a picture.
    Caption,
    /// A page of HTML as PDF.
    Pdf,
    /// Compiles and runs a C program.
    GradeC,
    /// Runs a Python program.
    GradePython,
    /// Keeps the events that it gets.
    Logger,
    /// Nothing: for the platform's own cost.
    Null,
}

/// How much work one request is: what it means is said at each workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// The least that shows that it works
    Test,
    /// What a usual request asks for
    #[default]
    Small,
    /// What a demanding request asks for
    Large,
}

/// What a run sends, and what counts as a right answer.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Path and query of an invocation.
    pub path: String,
    /// What is sent.
    pub payloads: Vec<Payload>,
    /// What counts as a right answer.
    pub expected: JudgeSpec,
    /// Environment that the function needs beside what it gets anyway. On the twin alone: paths of this machine.
    pub env: BTreeMap<String, String>,
    /// What was degraded, one sentence each.
    pub notices: Vec<String>,
    /// Digests and names for `environment.json`.
    pub facts: serde_json::Value,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Classify, Self::Caption, Self::Pdf, Self::GradeC, Self::GradePython, Self::Logger, Self::Null];

    /// Its name, as `WORKLOAD` and experiment files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Caption => caption::NAME,
            Self::Pdf => pdf::NAME,
            Self::GradeC => grade::NAME_C,
            Self::GradePython => grade::NAME_PYTHON,
            Self::Logger => logger::NAME,
            Self::Null => null::NAME,
        }
    }

    /// The names of all, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// What it is in a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Classify => "MobileNetV2 image classification",
            Self::Caption => "Image captioning",
            Self::Pdf => "HTML to PDF",
            Self::GradeC => "Grading of C programs",
            Self::GradePython => "Grading of Python programs",
            Self::Logger => "Logging of events",
            Self::Null => "A function that does nothing",
        }
    }

    /// What one of its inputs is called.
    pub fn input(self) -> &'static str {
        match self {
            Self::Classify | Self::Caption => "picture",
            Self::Pdf => "document",
            Self::GradeC | Self::GradePython => "program",
            Self::Logger => "event",
            Self::Null => "body",
        }
    }

    /// Whether it runs programs that callers send.
    pub fn runs_strangers_code(self) -> bool {
        matches!(self, Self::GradeC | Self::GradePython)
    }

    /// Memory limit of a replica where nobody says otherwise, MiB.
    pub fn usual_memory_mib(self) -> u32 {
        match self {
            Self::Classify | Self::Logger | Self::Null => 512,
            Self::GradeC | Self::GradePython | Self::Pdf => 1024,
            Self::Caption => 2048,
        }
    }

    /// Deadline of a request where nobody says otherwise.
    pub fn usual_timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Classify | Self::Logger | Self::Null => 10,
            Self::Caption | Self::GradeC | Self::GradePython | Self::Pdf => 30,
        })
    }

    /// Cargo features of the function without which it cannot serve this, with this environment.
    pub fn cargo_features(self, env: &BTreeMap<String, String>) -> &'static [&'static str] {
        match self {
            Self::Pdf => pdf::cargo_features(env),
            Self::Classify | Self::Caption | Self::GradeC | Self::GradePython | Self::Logger | Self::Null => {
                &[]
            }
        }
    }

    /// What a run of it sends, where the harness makes it. `say` gets a line before what takes long.
    ///
    /// # Errors
    /// If something is missing, or it is not the harness that makes it; the message names the remedy.
    pub fn requests(
        self,
        experiment: &Experiment,
        places: &Places,
        say: &dyn Fn(&str),
    ) -> anyhow::Result<Requests> {
        match self {
            Self::Caption => caption::requests(experiment, places, say),
            Self::Pdf => pdf::requests(experiment, places, say),
            Self::GradeC | Self::GradePython => grade::requests(self, experiment, places, say),
            Self::Logger => logger::requests(experiment, places, say),
            Self::Null => Ok(null::requests(experiment.seed)),
            Self::Classify => anyhow::bail!(
                "classify is sent pictures; name them with --body FOLDER, or use `harness compare`"
            ),
        }
    }

    /// Path and query of an invocation.
    pub fn path(self, function: &FunctionChoice) -> String {
        match self {
            Self::Classify => classify::path(function.top),
            Self::Caption => caption::path(function.size),
            Self::Pdf | Self::GradeC | Self::GradePython | Self::Logger | Self::Null => null::PATH.to_owned(),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("there is no workload '{name}'; there are: {}", Self::names()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name_and_no_other() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "dream".parse::<Kind>().unwrap_err();
        assert!(error.contains("caption") && error.contains("null"), "{error}");
    }
}
