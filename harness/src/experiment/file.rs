//! Experiment files: TOML in, a validated experiment out, mistakes named by line and column.

use std::{fmt::Write as _, ops::Range, path::Path, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{
    Arrivals, Experiment, LoadPoint, Site, cluster_checks, events, load_from, procedure_checks, stopping,
    thresholds, variants,
};

/// Why an experiment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("cannot read the experiment file {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Syntax, a wrong type, an unknown key.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// Name of the file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that makes no sense, with its place if it came from a file.
    #[error("{place}{problem}")]
    Value {
        /// `FILE:LINE:COLUMN: `, or empty.
        place: String,
        /// What is wrong and what to write instead.
        problem: Problem,
    },
}

/// A value that makes no sense: where it is and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the top to the value; numbers are positions in a list.
    pub path: Vec<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// Reads an experiment file; what it leaves out keeps its default. `on` says whose defaults the file's
/// question gets, if not those of the site that the file names.
///
/// # Errors
/// If the file cannot be read, or is not an experiment (with line and column).
pub fn load_file(path: &Path, on: Option<Site>) -> Result<Experiment, ExperimentError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| ExperimentError::Read { path: name.clone(), source })?;
    parse_on(&text, &name, on)
}

/// Reads an experiment from text; `file` is its name in messages.
///
/// # Errors
/// With line and column, if the text is not an experiment or has a value that makes no sense.
pub fn parse(text: &str, file: &str) -> Result<Experiment, ExperimentError> {
    parse_on(text, file, None)
}

fn parse_on(text: &str, file: &str, on: Option<Site>) -> Result<Experiment, ExperimentError> {
    let syntax = |error: &toml::de::Error| {
        let (line, column) = line_and_column(text, error.span().map_or(0, |s| s.start));
        ExperimentError::Syntax {
            file: file.into(),
            line,
            column,
            message: error.message().replace('\n', " "),
        }
    };
    let experiment: Experiment = toml::from_str(text).map_err(|e| syntax(&e))?;
    let experiment = match experiment.question {
        None => experiment,
        Some(question) => {
            let asked = question.experiment(on.unwrap_or(experiment.on));
            over(&asked, text).map_err(|e| syntax(&e))?
        }
    };
    match problems(&experiment).into_iter().next() {
        None => Ok(experiment),
        Some(problem) => {
            let mut place = format!("{file}: ");
            if let Some(span) = find(text, &problem.path) {
                let (line, column) = line_and_column(text, span.start);
                place.clear();
                let _ = write!(place, "{file}:{line}:{column}: ");
            }
            Err(ExperimentError::Value { place, problem })
        }
    }
}

/// An experiment with what a file says in place of its own; tables are merged key by key.
fn over(base: &Experiment, text: &str) -> Result<Experiment, toml::de::Error> {
    use serde::de::Error as _;
    let mut whole = toml::Table::try_from(base).map_err(toml::de::Error::custom)?;
    merge(&mut whole, toml::from_str(text)?);
    whole.try_into()
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => _ = into.insert(key, value),
        }
    }
}

/// Checks values that every type allows and no experiment can use.
///
/// # Errors
/// The first such value, with what to write instead.
pub fn validate(experiment: &Experiment) -> Result<(), ExperimentError> {
    let mut missing = Checks::default();
    cluster_checks::missing(&mut missing, experiment);
    load_from::missing(&mut missing, &experiment.load_from, experiment.on);
    variants::missing(&mut missing, experiment);
    stopping::missing(&mut missing, experiment);
    events::missing(&mut missing, experiment);
    match problems(experiment).into_iter().chain(missing.0).next() {
        None => Ok(()),
        Some(problem) => Err(ExperimentError::Value { place: String::new(), problem }),
    }
}

const MAX_TRIALS: u32 = 1000;

fn problems(e: &Experiment) -> Vec<Problem> {
    let mut list = Checks::default();
    list.check(
        !e.subjects.is_empty(),
        &["platforms"],
        "name at least one platform, for example [\"knative\"]",
    );
    list.check(
        (1..=MAX_TRIALS).contains(&e.trials),
        &["trials"],
        &format!("{} is not between 1 and {MAX_TRIALS}", e.trials),
    );
    list.check(
        e.replicas.max >= 1 && e.replicas.min <= e.replicas.max,
        &["replicas"],
        &format!(
            "min {} and max {}: max must be at least 1 and at least min",
            e.replicas.min, e.replicas.max
        ),
    );
    list.check(e.timeout >= Duration::from_millis(1), &["timeout"], "must be at least 1ms");
    list.check((1..=1000).contains(&e.function.top), &["function", "top"], "must be between 1 and 1000");
    list.check(
        variants::is_workload(&e.function.workload),
        &["function", "workload"],
        &variants::no_workload(&e.function.workload),
    );
    list.check(
        e.function.cpu_cores.is_finite() && e.function.cpu_cores > 0.0,
        &["function", "cpu-cores"],
        "must be above 0",
    );
    list.check(e.function.memory_mib >= 64, &["function", "memory-mib"], "must be at least 64");
    cluster_checks::problems(&mut list, e);
    load_from::problems(&mut list, &e.load_from);
    variants::problems(&mut list, e);
    events::problems(&mut list, e);
    stopping::problems(&mut list, e);
    thresholds::problems(&mut list, e);
    list.check(!e.load.is_empty(), &["load"], "give at least one [[load]]");
    for (i, load) in e.load.iter().enumerate() {
        load_problems(&mut list, &i.to_string(), load);
        procedure_checks::problems(&mut list, &i.to_string(), e, load);
        let twice = e.load[..i].iter().any(|other| other.name == load.name);
        list.check(!twice, &["load", &i.to_string(), "name"], &format!("'{}' is there twice", load.name));
    }
    list.0
}

fn load_problems(list: &mut Checks, i: &str, load: &LoadPoint) {
    let is_label = !load.name.is_empty()
        && load.name.len() <= 40
        && load.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    list.check(is_label, &["load", i, "name"], "use 1 to 40 of a-z, 0-9 and '-'");
    list.check(
        load.duration >= Duration::from_millis(100),
        &["load", i, "duration"],
        "must be at least 100ms",
    );
    let has_one_rate = matches!(load.arrivals, Arrivals::Constant { .. } | Arrivals::Poisson { .. });
    if let Some(share) = load.rate_share {
        let steps = matches!(load.arrivals, Arrivals::Steps { .. });
        list.check(
            has_one_rate || steps,
            &["load", i, "rate-share"],
            "is for constant and poisson arrivals and for steps; leave it out",
        );
        // Steps are there to overload one replica.
        let (most, message) =
            if steps { (100.0, "must be between 0 and 100") } else { (1.0, "must be between 0 and 1") };
        list.check(share > 0.0 && share < most, &["load", i, "rate-share"], message);
    }
    // A rate that the pilot settles may be anything until then.
    let settled = load.rate_share.is_none() || !has_one_rate;
    if let Err(message) = load.arrivals.check()
        && settled
    {
        list.check(false, &["load", i, "arrivals"], &message);
    }
}

/// Problems found so far.
#[derive(Default)]
pub(super) struct Checks(Vec<Problem>);

impl Checks {
    /// The first problem.
    pub(super) fn first(self) -> Option<Problem> {
        self.0.into_iter().next()
    }

    /// Notes a problem unless `holds`.
    pub(super) fn check(&mut self, holds: bool, path: &[&str], message: &str) {
        if !holds {
            let path = path.iter().map(ToString::to_string).collect();
            self.0.push(Problem { path, message: message.into() });
        }
    }
}

/// Where in the text the value of this path is; where it is absent, the nearest one around it.
fn find(text: &str, path: &[String]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut keys = path.iter();
    let first = table.get_ref().get(keys.next()?.as_str())?;
    span.replace(first.span());
    let mut value = first.get_ref();
    for key in keys {
        let next = match value {
            DeValue::Table(table) => table.get(key.as_str()),
            DeValue::Array(array) => key.parse().ok().and_then(|i: usize| array.get(i)),
            _ => None,
        };
        let Some(next) = next else { break };
        span.replace(next.span());
        value = next.get_ref();
    }
    span
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{experiment::testing::message, platforms::PlatformKind};

    #[test]
    fn an_empty_file_is_the_default_experiment() {
        assert_eq!(parse("", "x.toml").unwrap(), Experiment::default());
    }

    #[test]
    fn the_effective_experiment_reads_back_as_itself() {
        let experiment = Experiment::default();
        let text = toml::to_string_pretty(&experiment).unwrap();
        assert_eq!(parse(&text, "x.toml").unwrap(), experiment, "{text}");
    }

    #[test]
    fn a_platform_named_twice_is_an_a_a_comparison() {
        let experiment = parse("platforms = ['knative', 'knative']", "x.toml").unwrap();
        let labels: Vec<_> = experiment.subjects.iter().map(|s| s.label.as_str()).collect();
        assert_eq!(labels, ["knative", "knative-2"]);
        assert!(experiment.subjects.iter().all(|s| s.platform == PlatformKind::Knative));
    }

    #[test]
    fn an_unknown_key_is_named_with_line_and_column() {
        let text = "seed = 1\ntrails = 3\n";
        assert!(message(text).starts_with("x.toml:2:1: unknown field `trails`"), "{}", message(text));
    }

    #[test]
    fn broken_syntax_is_named_with_line_and_column() {
        assert!(
            message("seed = 1\ntrials = [").starts_with("x.toml:2:"),
            "{}",
            message("seed = 1\ntrials = [")
        );
    }

    #[test]
    fn a_senseless_value_is_named_with_line_and_column() {
        assert_eq!(message("seed = 1\ntrials = 0\n"), "x.toml:2:10: trials: 0 is not between 1 and 1000");
    }

    #[test]
    fn a_senseless_value_inside_a_load_point_is_found() {
        let text = "
[[load]]
name = 'a'
question = 'q'
primary-metric = 'goodput_rps'
arrivals = { kind = 'closed', connections = 0 }
warmup = '1s'
duration = '5s'
";
        assert!(
            message(text).starts_with("x.toml:6:12: load.0.arrivals: connections must be"),
            "{}",
            message(text)
        );
    }

    #[test]
    fn a_bad_duration_says_how_to_write_one() {
        let text = "timeout = 'ten'";
        assert!(message(text).contains("write for example 7s"), "{}", message(text));
    }

    #[test]
    fn two_load_points_of_one_name_are_refused() {
        let mut experiment = Experiment::default();
        experiment.load[1].name = experiment.load[0].name.clone();
        assert!(validate(&experiment).unwrap_err().to_string().contains("is there twice"));
    }
}
