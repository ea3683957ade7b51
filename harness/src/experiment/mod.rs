//! Stage 1: from a TOML file and flags to a validated experiment, and from that to cells.

mod arrivals;
mod cells;
mod cluster_checks;
mod defaults;
pub mod events;
mod file;
mod load_from;
mod noise;
mod payloads;
mod procedure;
mod procedure_checks;
mod questions;
mod slo;
mod stopping;
mod storage;
mod subjects;
#[cfg(test)]
mod testing;
mod thresholds;
mod variants;
mod vary;

use std::{collections::BTreeMap, time::Duration};

pub use arrivals::{Arrivals, Gap, MAX_CONNECTIONS, MAX_RATE, Spacing, Spread};
pub use cells::{deployments, expand};
pub use cluster_checks::check_choice;
pub use file::{ExperimentError, load_file, parse, validate};
pub use load_from::{LoadFromChoice, LoadPlace};
pub use noise::ExpectedNoise;
pub use payloads::PayloadChoice;
pub use procedure::Procedure;
pub use questions::Question;
pub use slo::{Slo, SloError};
pub use stopping::{StopRule, Stopped};
pub use storage::{ObjectStore, Via};
pub use subjects::label_subjects;
pub use thresholds::{Operator, Quantity, Threshold, check as check_thresholds};
pub use variants::Variant;
pub use vary::{Vary, multiply};

use serde::{Deserialize, Serialize};

use crate::drive::ConnectionPolicy;
use crate::platforms::{PlatformKind, ReplicaBounds, RevisionShare, cluster::ClusterChoice};

/// In place of a model's or picture set's name: the first that is found.
pub const AUTO: &str = "auto";

/// A validated plan: platforms x variants x load points x trials.
///
/// An experiment file is this structure in TOML; what it leaves out keeps its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Experiment {
    /// The built-in question that everything below is the answer's default of; none: *pinned*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// One line that says what is asked.
    pub title: String,
    /// Everything random comes from it.
    pub seed: u64,
    /// Where the platforms are.
    pub on: Site,
    /// What is compared, in the order of the report; the first one is the baseline. In a file a
    /// list of platform names; the same name twice is an A/A comparison.
    #[serde(rename = "platforms", with = "subjects::names")]
    pub subjects: Vec<Subject>,
    /// Fresh deployments of each subject.
    pub trials: u32,
    /// What is deployed.
    pub function: FunctionChoice,
    /// Replica bounds; equal bounds pin the number.
    pub replicas: ReplicaBounds,
    /// Deadline of each request.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// How long after the last send answers are still awaited.
    #[serde(with = "duration_text")]
    pub drain: Duration,
    /// Where the parts of the cluster are.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster: ClusterChoice,
    /// Settings of one platform alone, by its name: `[settings.knative] window = "30s"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<PlatformKind, BTreeMap<String, String>>,
    /// Revisions that share the traffic, on platforms that can (Knative).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionShare>,
    /// How the load generator uses connections, the same for every platform.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: ConnectionPolicy,
    /// Where the load comes from, the same for every platform.
    #[serde(skip_serializing_if = "is_default")]
    pub load_from: LoadFromChoice,
    /// Variants of the function: every platform is measured with each of them. Empty: as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// One deployment of each subject for all trials, instead of a fresh one for each.
    #[serde(skip_serializing_if = "is_default")]
    pub reuse_deployments: bool,
    /// When the run may end before its last trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_early: Option<StopRule>,
    /// Trials that were planned, where the run ended before them by that rule: `trials` then says how
    /// many there are. Known when a run is read back; never in a file.
    #[serde(skip)]
    pub planned_trials: Option<u32>,
    /// Conditions that the figures must meet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    /// How much an earlier run's trials varied, for the smallest effect that the plan can see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected_noise: Vec<ExpectedNoise>,
    /// A broker that gets an event of each answer, and a logger behind it; none: there are no events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<events::EventsChoice>,
    /// Load points; each trial measures every one of them on the same fresh replicas.
    pub load: Vec<LoadPoint>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where the platforms are that an experiment runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// The cluster of the current context.
    Cluster,
    /// The embedded stand-in on this machine.
    Twin,
}

/// One side of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name in tables and folders; unique. `knative`, or `knative-2` in an A/A comparison.
    pub label: String,
    /// The platform.
    pub platform: PlatformKind,
    /// Name of the variant; none: the experiment's own function.
    pub variant: Option<String>,
}

/// The function to deploy and what to send it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FunctionChoice {
    /// Workload of our function.
    pub workload: String,
    /// How much work one request is.
    #[serde(skip_serializing_if = "is_default")]
    pub size: crate::workloads::Size,
    /// How inputs reach the function.
    #[serde(skip_serializing_if = "is_default")]
    pub inputs: Via,
    /// Whether results are also written back to the object storage.
    #[serde(skip_serializing_if = "is_default")]
    pub results: Via,
    /// Name of the model in `models/manifest.toml`; `auto`: the first that is found.
    pub model: String,
    /// Name of a picture set in the manifest, or a folder of pictures; `auto`: the first that is found.
    pub pictures: String,
    /// How many classes to ask for.
    pub top: u32,
    /// CPU limit of a replica, cores.
    pub cpu_cores: f64,
    /// Memory limit of a replica, MiB.
    pub memory_mib: u32,
    /// Requests a replica works on at once; 0 = no limit.
    pub container_concurrency: u32,
    /// Environment added to what our function gets anyway.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Offer a workload that runs what callers send to whoever reaches the cluster from outside.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_public_grading: bool,
    /// Image that a cluster runs; the same digest goes to every platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What to ask of a function that is not the testbed's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFunction>,
}

/// A user's own function: how it is called and what counts as a right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OwnFunction {
    /// Path and query of an invocation.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// Port that the container listens on.
    pub port: u16,
    /// Path that answers with success once it can serve.
    pub health_path: String,
    /// A file, or a folder of files, each sent as one body; none: no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payloads: Option<String>,
    /// Media type of the bodies.
    pub content_type: String,
    /// Environment of the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Text that a right answer's body contains; none: any success counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_contains: Option<String>,
}

impl Default for OwnFunction {
    fn default() -> Self {
        Self {
            path: "/".into(),
            method: "POST".into(),
            port: 8080,
            health_path: "/".into(),
            payloads: None,
            content_type: "application/octet-stream".into(),
            env: BTreeMap::new(),
            expect_contains: None,
        }
    }
}

/// One load to put on every subject, and the question it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadPoint {
    /// Short name, a DNS label: `closed-8`.
    pub name: String,
    /// The question in words.
    pub question: String,
    /// The metric that answers it, named before the run.
    pub primary_metric: Metric,
    /// How requests arrive.
    pub arrivals: Arrivals,
    /// Sets the rate of a constant or Poisson arrival to this share (0..1) of what one bare
    /// replica serves in the pilot before the run; the rate given in `arrivals` is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_share: Option<f64>,
    /// Load before the measured interval, not counted.
    #[serde(with = "duration_text")]
    pub warmup: Duration,
    /// The measured interval.
    #[serde(with = "duration_text")]
    pub duration: Duration,
    /// What is sent, where it is not the workload's own payloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadChoice>,
    /// What is done in each trial.
    #[serde(default, skip_serializing_if = "Procedure::is_play")]
    pub procedure: Procedure,
}

impl Default for LoadPoint {
    fn default() -> Self {
        Self {
            name: "closed-8".into(),
            question: String::new(),
            primary_metric: Metric::GoodputRps,
            arrivals: Arrivals::Closed { connections: 8, think_time: Duration::ZERO },
            rate_share: None,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            payload: None,
            procedure: Procedure::Play,
        }
    }
}

/// Metrics that can be compared between subjects, one value a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Correct answers a second.
    GoodputRps,
    /// Median response time (from the intended send), ms.
    ResponseP50Ms,
    /// 95th percentile of the response time, ms.
    ResponseP95Ms,
    /// 99th percentile of the response time, ms.
    ResponseP99Ms,
    /// Share of requests that failed, 0..1.
    FailureShare,
    /// The highest Poisson rate at which a service level was shown to hold, requests a second.
    CapacityRps,
    /// Correct answers a second at the number of connections that gives most.
    PeakGoodputRps,
    /// What each further MiB of a request body adds to the response time, ms.
    BodyMsPerMib,
    /// First answer after zero replicas, proved; median of a trial's starts, ms.
    ColdStartMs,
    /// From the last answer until no replica is ready, s.
    IdleLifeS,
    /// From a rise of the load until as many replicas are ready as it needs, s.
    TimeToScaleS,
}

impl Metric {
    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::GoodputRps | Self::CapacityRps | Self::PeakGoodputRps | Self::IdleLifeS)
    }

    /// Name and unit for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::GoodputRps => "goodput (correct answers/s)",
            Self::ResponseP50Ms => "median response time (ms)",
            Self::ResponseP95Ms => "p95 response time (ms)",
            Self::ResponseP99Ms => "p99 response time (ms)",
            Self::FailureShare => "share of failed requests",
            Self::CapacityRps => "capacity (requests/s)",
            Self::PeakGoodputRps => "highest goodput (correct answers/s)",
            Self::BodyMsPerMib => "response time per MiB of body (ms)",
            Self::ColdStartMs => "cold start (ms)",
            Self::IdleLifeS => "life of an idle instance (s)",
            Self::TimeToScaleS => "time to scale (s)",
        }
    }
}

/// One measured interval: a load point on a subject in a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Unique in a run and usable as a folder name: `t03-knative-closed-8`.
    pub id: String,
    /// Position in the run, from 0.
    pub order: u32,
    /// Label of the subject.
    pub subject: String,
    /// The platform behind it.
    pub platform: PlatformKind,
    /// Trial, from 1. Cells with the same subject and trial share one deployment.
    pub trial: u32,
    /// The load.
    pub load: LoadPoint,
    /// Seed of this cell's schedule and draws. Equal for all subjects of a trial and load point,
    /// so that they get the same bytes at the same intended times.
    pub seed: u64,
}

/// Durations as people write them: `7s`, `1m 30s`, `250ms`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a duration as text.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    /// Reads a duration from text.
    ///
    /// # Errors
    /// When the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|e| {
            D::Error::custom(format!("'{text}' is not a duration ({e}); write for example 7s or 1m 30s"))
        })
    }
}
