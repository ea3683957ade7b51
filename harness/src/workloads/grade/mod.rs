//! Code grading: a program goes out, its verdict has to come back.

mod exercises;
mod judge;

use std::{collections::BTreeMap, process::Command};

use anyhow::bail;
use bytes::Bytes;
use models::Places;
use serde_json::json;

use self::exercises::{Exercise, Language};
pub use self::judge::VerdictJudge;
use super::{JudgeSpec, Kind, Requests, null};
use crate::{
    drive::Payload,
    experiment::{Experiment, Site},
};

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME_C: &str = "grade-c";
/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME_PYTHON: &str = "grade-python";

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub fn requests(
    kind: Kind,
    experiment: &Experiment,
    _places: &Places,
    _say: &dyn Fn(&str),
) -> anyhow::Result<Requests> {
    let language = language(kind)?;
    let exercises = exercises::of(language, experiment.function.size, experiment.seed);
    let mut notices = Vec::new();
    let mut env = BTreeMap::new();
    if experiment.on == Site::Twin {
        notices.push(format!(
            "Submissions are judged with this machine's own {}, not an image's.",
            tool_version(language)?
        ));
        // The twin's replicas start with an empty environment, and look for their tools in it.
        env.extend(std::env::var("PATH").ok().map(|path| ("PATH".to_owned(), path)));
    }
    Ok(Requests {
        path: null::PATH.to_owned(),
        payloads: exercises.iter().map(|exercise| payload(exercise, language)).collect(),
        expected: JudgeSpec::Verdicts {
            expected: exercises.iter().map(|exercise| exercise.verdict.to_owned()).collect(),
        },
        env,
        notices,
        facts: json!({ "submissions": exercises.iter().map(|exercise| json!({
            "name": file_name(exercise, language),
            "sha256": models::sha256_hex(exercise.source.as_bytes()),
            "tests": exercise.tests.len(),
            "expected_verdict": exercise.verdict,
        })).collect::<Vec<_>>() }),
    })
}

/// The programs that an image of this workload must have, and a base that has them; none for other workloads.
pub fn needs_base(workload: &str) -> Option<(&'static str, &'static str)> {
    match workload {
        NAME_C => Some(("a C compiler", "gcc:14")),
        NAME_PYTHON => Some(("python3", "python:3.12-slim")),
        _ => None,
    }
}

fn language(kind: Kind) -> anyhow::Result<Language> {
    match kind {
        Kind::GradeC => Ok(Language::C),
        Kind::GradePython => Ok(Language::Python),
        other => bail!("{other} grades no programs"),
    }
}

fn payload(exercise: &Exercise, language: Language) -> Payload {
    let tests: Vec<_> = exercise
        .tests
        .iter()
        .map(|test| json!({ "stdin": test.stdin, "expected_output": test.expected_output }))
        .collect();
    let mut body = json!({ "source": exercise.source, "tests": tests });
    if let Some(seconds) = exercise.run_seconds {
        body["limits"] = json!({ "run_seconds": seconds });
    }
    Payload {
        name: file_name(exercise, language),
        content_type: "application/json".to_owned(),
        body: Bytes::from(body.to_string()),
    }
}

fn file_name(exercise: &Exercise, language: Language) -> String {
    match language {
        Language::C => format!("{}.c", exercise.name),
        Language::Python => format!("{}.py", exercise.name),
    }
}

/// The first line in which compiler or interpreter presents itself.
fn tool_version(language: Language) -> anyhow::Result<String> {
    let (tools, packages): (&[&str], _) = match language {
        Language::C => (&["cc", "gcc", "clang", "tcc"], "gcc libc6-dev"),
        Language::Python => (&["python3"], "python3"),
    };
    let version = tools.iter().find_map(|tool| Command::new(tool).arg("--version").output().ok());
    let Some(output) = version else {
        bail!(
            "the twin judges submissions with this machine's own {}, and there is none; install one (apt-get install \
             {packages}), or compare images on a cluster",
            tools[0]
        );
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or(tools[0]).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Size;

    fn made(kind: Kind, size: Size, seed: u64) -> Requests {
        let mut experiment = Experiment { on: Site::Cluster, seed, ..Experiment::default() };
        experiment.function.size = size;
        requests(kind, &experiment, &Places::default(), &|_| {}).unwrap()
    }

    #[test]
    fn every_submission_has_a_verdict_and_follows_from_the_seed() {
        for kind in [Kind::GradeC, Kind::GradePython] {
            for size in [Size::Test, Size::Small, Size::Large] {
                let one = made(kind, size, 7);
                let JudgeSpec::Verdicts { expected } = &one.expected else { panic!("{:?}", one.expected) };
                assert_eq!(expected.len(), one.payloads.len());
                assert_eq!(one.payloads, made(kind, size, 7).payloads);
                assert!(one.env.is_empty(), "paths of this machine are the twin's alone");
                for payload in &one.payloads {
                    let body: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
                    assert!(!body["source"].as_str().unwrap().is_empty());
                    assert!(!body["tests"].as_array().unwrap().is_empty());
                }
            }
            assert_ne!(made(kind, Size::Small, 7).payloads, made(kind, Size::Small, 8).payloads);
        }
    }

    #[test]
    fn small_submissions_come_to_different_verdicts() {
        let verdicts = |kind| match made(kind, Size::Small, 1).expected {
            JudgeSpec::Verdicts { expected } => expected,
            other => panic!("{other:?}"),
        };
        let three = ["accepted", "accepted", "accepted"];
        assert_eq!(verdicts(Kind::GradeC)[..3], three);
        assert_eq!(verdicts(Kind::GradeC)[3..], ["wrong_answer", "runtime_error", "compile_error"]);
        assert_eq!(verdicts(Kind::GradePython)[3..], ["wrong_answer", "runtime_error", "runtime_error"]);
    }
}
