//! The seam for workloads: what one must do, and which there are.
//!
//! To add one: a file beside this, an arm in [`Kind`]; the compiler lists the rest. A workload
//! knows no HTTP; its errors become statuses in `error.rs` alone.

pub mod caption;
pub mod classify;
pub mod grade;
pub mod logger;
pub mod null;
pub mod pdf;

use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::config::Config;

/// Work on one request's bytes. Called on the inference threads, several at the same time.
pub trait Workload: Send + Sync {
    /// Its name, as `WORKLOAD` spells it.
    fn name(&self) -> &'static str;

    /// What it uses (such as the model and its digest), for people and for reports.
    fn about(&self) -> Map<String, Value>;

    /// Does the whole work once on made-up input, so that no request pays for first-time costs.
    ///
    /// # Errors
    /// If it cannot serve at all.
    fn warm_up(&self) -> Result<(), WorkloadError>;

    /// Ends what it has started, such as other processes. Called once, after the last request.
    fn stop(&self) {}

    /// Answers one request; the input's body is not empty, unless it takes such.
    ///
    /// # Errors
    /// See [`WorkloadError`]; everything but `Internal` is the caller's mistake.
    fn handle(&self, input: &Input, query: &Query) -> Result<Answer, WorkloadError>;

    /// Whether a request without a body makes sense to it.
    fn takes_empty_bodies(&self) -> bool {
        false
    }

    /// A page of its own to read, at a path that the server does not know (`/events`). It is made on
    /// the threads that read requests, so it has to be quick. None: there is no such page.
    fn page(&self, path: &str, query: &Query) -> Option<Result<Value, WorkloadError>> {
        let _ = (path, query);
        None
    }

    /// What it counts, for `/metrics`.
    fn collectors(&self) -> Vec<Box<dyn prometheus::core::Collector>> {
        Vec::new()
    }
}

/// What a request brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// The raw body, or the field `file` of a multipart form.
    pub body: Bytes,
    /// Media type of that body, as the caller names it.
    pub content_type: Option<String>,
    /// The other fields and files of a form, in their order.
    pub parts: Vec<Part>,
    /// The request's headers that begin with `ce-`, without that, in lower case: the attributes of an
    /// event in binary mode.
    pub attributes: Vec<(String, Bytes)>,
}

/// A further field or file of a multipart form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// Name of the file, if it is one.
    pub file_name: Option<String>,
    /// Its media type, as the caller names it.
    pub content_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

impl From<&'static [u8]> for Input {
    /// A raw body of no named type.
    fn from(body: &'static [u8]) -> Self {
        Bytes::from_static(body).into()
    }
}

impl From<Bytes> for Input {
    /// A raw body of no named type.
    fn from(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

/// A result that is no JSON, such as a PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its media type.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

/// What a workload answers.
#[derive(Debug, Default)]
pub struct Answer {
    /// Members of the JSON body; they are not sent where there is a document.
    pub body: Map<String, Value>,
    /// The body, if it is no JSON. Instance and timing facts are then in the headers alone.
    pub document: Option<Document>,
    /// Headers of the answer beside the instance's and the timing's.
    pub headers: Vec<(&'static str, String)>,
    /// How long each stage took, in order.
    pub stages: Vec<(&'static str, Duration)>,
}

/// Why a workload could not answer. The texts are shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// A query parameter is out of its range.
    #[error("{0}")]
    BadParameter(String),
    /// The input is of a kind that the workload does not take.
    #[error("{0}")]
    Unsupported(String),
    /// The input is of the right kind, but broken.
    #[error("{0}")]
    Damaged(String),
    /// The input would take too much memory or time.
    #[error("{0}")]
    TooLarge(String),
    /// The workload itself failed.
    #[error("{0}")]
    Internal(String),
}

/// The parameters of the request's query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=1&b=2`, percent-decoded.
    ///
    /// # Errors
    /// If it is no query string.
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        actix_web::web::Query::<Vec<(String, String)>>::from_query(text)
            .map(|query| Self(query.into_inner()))
            .map_err(|error| WorkloadError::BadParameter(format!("the query string cannot be read: {error}")))
    }

    /// The value of a parameter; the last one if it is given more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Times the stages of one request.
#[derive(Debug)]
pub struct Stopwatch {
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    /// Starts the first stage.
    pub fn start() -> Self {
        Self { last: Instant::now(), stages: Vec::with_capacity(4) }
    }

    /// Ends a stage and starts the next.
    pub fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.stages.push((stage, now - self.last));
        self.last = now;
    }

    /// All stages, in order.
    pub fn stages(self) -> Vec<(&'static str, Duration)> {
        self.stages
    }
}

/// The workloads that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// What is on a picture.
    #[default]
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

impl Kind {
    const ALL: [Self; 7] =
        [Self::Classify, Self::Caption, Self::Pdf, Self::GradeC, Self::GradePython, Self::Logger, Self::Null];

    fn name(self) -> &'static str {
        match self {
            Self::Classify => classify::NAME,
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

    /// Makes the workload ready to be called.
    ///
    /// # Errors
    /// If a setting names something unknown (a `ConfigError`), or a file is missing.
    pub fn load(self, config: &Config) -> anyhow::Result<Box<dyn Workload>> {
        match self {
            Self::Classify => Ok(Box::new(classify::Classify::load(config)?)),
            Self::Caption => caption::load(config),
            Self::Pdf => pdf::load(config),
            Self::GradeC => grade::load(grade::Language::C, config),
            Self::GradePython => grade::load(grade::Language::Python, config),
            Self::Logger => logger::load(config),
            Self::Null => Ok(Box::new(null::Null)),
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_repeated_parameter_counts() {
        let query = Query::parse("top=3&x=%20y&top=7").unwrap();
        assert_eq!((query.get("top"), query.get("x"), query.get("none")), (Some("7"), Some(" y"), None));
    }

    #[test]
    fn stages_come_in_order() {
        let mut watch = Stopwatch::start();
        watch.lap("decode");
        watch.lap("inference");
        let names: Vec<_> = watch.stages().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["decode", "inference"]);
    }
}
