//! What a load point sends, and what counts as a right answer to it.

use std::sync::Arc;

use crate::{
    drive::{Judge, Payload},
    experiment::{Experiment, PayloadChoice},
    workloads::{
        JudgeSpec, Kind, caption::CaptionJudge, classify::ClassifyJudge, null::NullJudge, own::OwnJudge,
        payloads,
    },
};

/// Bodies, how often each is drawn, and the right answers.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What the function gets, and what answers are judged by.
    pub payloads: Arc<[Payload]>,
    /// What is put into requests instead, where inputs come by reference: one for each payload.
    pub references: Option<Arc<[Payload]>>,
    /// Weight of each in the draw; empty: equal ones.
    pub weights: Arc<[f64]>,
    /// What counts as a right answer.
    pub expected: Expected,
}

/// What counts as a right answer.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The top class by payload, where an independent engine named one.
    Classes(Vec<Option<String>>),
    /// The caption by payload, where an independent engine named one.
    Captions(Vec<Option<String>>),
    /// A success, with this text in it if there is one: a user's own function.
    Text(Option<String>),
    /// Length and checksum of what was sent: the null workload.
    Checksum,
    /// What the workload itself knows.
    Judged(JudgeSpec),
}

impl From<JudgeSpec> for Expected {
    fn from(spec: JudgeSpec) -> Self {
        match spec {
            JudgeSpec::Captions { expected } => Self::Captions(expected),
            // Both follow from the payloads.
            JudgeSpec::Checksum { .. } => Self::Checksum,
            other => Self::Judged(other),
        }
    }
}

impl Expected {
    /// The right answer by payload, where each has one that the function can be asked for before the run.
    pub fn answers(&self) -> Option<&[Option<String>]> {
        match self {
            Self::Classes(answers) | Self::Captions(answers) => Some(answers),
            Self::Text(_) | Self::Checksum | Self::Judged(_) => None,
        }
    }

    /// The same, to be filled in.
    pub fn answers_mut(&mut self) -> Option<&mut [Option<String>]> {
        match self {
            Self::Classes(answers) | Self::Captions(answers) => Some(answers),
            Self::Text(_) | Self::Checksum | Self::Judged(_) => None,
        }
    }
}

impl Sent {
    /// Bodies that are drawn equally often.
    pub fn new(payloads: impl Into<Arc<[Payload]>>, expected: Expected) -> Self {
        Self { payloads: payloads.into(), references: None, weights: Arc::default(), expected }
    }

    /// What is put into requests: the payloads, or references to them.
    pub fn requests(&self) -> Arc<[Payload]> {
        self.references.as_ref().unwrap_or(&self.payloads).clone()
    }

    /// Whether nobody knows the right answer to some payload yet.
    pub fn is_open(&self) -> bool {
        self.expected.answers().is_some_and(|answers| answers.iter().any(Option::is_none))
    }

    /// The judge of answers to these payloads.
    pub fn judge(&self) -> Arc<dyn Judge> {
        match &self.expected {
            Expected::Classes(classes) => Arc::new(ClassifyJudge {
                expected: classes.iter().map(|e| e.clone().unwrap_or_default()).collect(),
            }),
            Expected::Captions(captions) => Arc::new(CaptionJudge { expected: captions.clone() }),
            Expected::Judged(spec) => spec.judge(),
            Expected::Checksum => Arc::new(NullJudge::of(&self.payloads)),
            Expected::Text(contains) => Arc::new(OwnJudge { contains: contains.clone() }),
        }
    }

    /// The judge of an answer before the run, where it may take its time.
    pub fn thorough_judge(&self) -> Arc<dyn Judge> {
        match &self.expected {
            Expected::Judged(spec) => spec.thorough_judge(),
            _ => self.judge(),
        }
    }

    /// For people and for `environment.json`.
    pub fn describe(&self) -> serde_json::Value {
        match &self.expected {
            Expected::Classes(answers) | Expected::Captions(answers) => serde_json::json!(
                self.payloads
                    .iter()
                    .map(|p| p.name.clone())
                    .zip(answers.iter().cloned())
                    .collect::<std::collections::BTreeMap<_, _>>()
            ),
            Expected::Judged(spec) => serde_json::json!(spec),
            Expected::Checksum => serde_json::json!("the number of bytes that were sent, and their checksum"),
            Expected::Text(text) => serde_json::json!({ "success, with this text in it": text }),
        }
    }
}

/// The files that a load point chooses for itself, read; none where it chooses none.
///
/// # Errors
/// If they cannot be read, or weights do not fit them.
pub fn of_files(
    experiment: &Experiment,
    choice: Option<&PayloadChoice>,
) -> Result<Option<Sent>, payloads::PayloadError> {
    let Some(choice @ PayloadChoice::Files { .. }) = choice else { return Ok(None) };
    let loaded = payloads::load(choice, experiment.seed)?;
    let expected = match (&experiment.function.own, experiment.function.workload.parse()) {
        (Some(own), _) => Expected::Text(own.expect_contains.clone()),
        (None, Ok(Kind::Null)) => Expected::Checksum,
        // No independent engine has seen them: the function says what they show before it is measured.
        (None, Ok(Kind::Caption)) => Expected::Captions(vec![None; loaded.payloads.len()]),
        (None, _) => Expected::Classes(vec![None; loaded.payloads.len()]),
    };
    Ok(Some(Sent { payloads: loaded.payloads, references: None, weights: loaded.weights, expected }))
}
