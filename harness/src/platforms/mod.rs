//! Stage 2, deployment: one file (or folder) a platform, behind one small trait.

pub mod limits;
pub mod twin;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::drive::Endpoint;

/// The platforms that can be compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum PlatformKind {
    /// Knative Serving.
    Knative,
    /// OpenFaaS Community Edition.
    #[value(name = "openfaas")]
    OpenFaas,
}

impl PlatformKind {
    /// All of them, as `--platforms` spells them.
    pub const ALL: [Self; 2] = [Self::Knative, Self::OpenFaas];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knative => "knative",
            Self::OpenFaas => "openfaas",
        }
    }
}

/// How many replicas a deployment may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicaBounds {
    /// Fewest; 0 allows scale to zero where the platform can.
    pub min: u32,
    /// Most. Equal to `min`: pinned.
    pub max: u32,
}

/// What is deployed, the same on every platform.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSpec {
    /// Name of the function, a DNS label.
    pub name: String,
    /// The function's binary (the twin runs it as a process).
    pub binary: PathBuf,
    /// Environment of the function: `WORKLOAD`, `MODEL`, `MODELS_DIR`, ...
    pub env: BTreeMap<String, String>,
    /// Path and query of an invocation, for example `/predict?top=5`.
    pub path: String,
    /// CPU limit of a replica, cores.
    pub cpu_cores: f64,
    /// Memory limit of a replica, MiB.
    pub memory_mib: u32,
    /// Requests a replica works on at once; 0 = no limit (Knative's `containerConcurrency`).
    pub container_concurrency: u32,
    /// Replica bounds; equal bounds pin the number.
    pub replicas: ReplicaBounds,
    /// Settings of one platform alone, as `key = value` (autoscaling annotations, labels).
    pub platform_settings: BTreeMap<String, String>,
}

/// A function that is deployed and has answered.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where to send requests.
    pub endpoints: Vec<Endpoint>,
    /// From the deploy call to the first correct answer.
    pub ready_after: Duration,
    /// The settings in force, normalised, for the fairness table.
    pub settings: BTreeMap<String, String>,
}

/// Replicas and what they use, at one instant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaSample {
    /// Replicas that can answer.
    pub ready: u32,
    /// Replicas that the platform wants.
    pub desired: u32,
    /// CPU seconds used since each one's start, summed over all replicas that ever ran.
    pub cpu_seconds: f64,
    /// Resident memory of the living replicas, bytes.
    pub memory_bytes: u64,
    /// CPU seconds used by the platform's own data plane since its start, where known.
    pub plane_cpu_seconds: Option<f64>,
    /// Replicas that ended without having been told to, since the deployment.
    pub restarts: u32,
}

/// Why a platform could not do what was asked. Messages name the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The plan asks for what the platform cannot give.
    #[error("{platform} cannot do this: {limit}; {remedy}")]
    Limit {
        /// Which platform.
        platform: &'static str,
        /// The limit that stands in the way.
        limit: String,
        /// What to change.
        remedy: String,
    },
    /// The function did not become ready.
    #[error("{name} did not become ready on {platform} within {waited_s:.0} s: {cause}")]
    NotReady {
        /// Which platform.
        platform: &'static str,
        /// The function's name.
        name: String,
        /// How long was waited.
        waited_s: f64,
        /// What is known of the cause.
        cause: String,
    },
    /// The platform's control interface failed.
    #[error("the control interface of {platform} failed: {cause}")]
    Control {
        /// Which platform.
        platform: &'static str,
        /// What went wrong.
        cause: String,
    },
}

/// One platform holding at most one deployed function at a time.
///
/// The order of calls is deploy, any number of observe, remove; remove is safe to repeat.
pub trait Platform: Send + Sync {
    /// Deploys the function on fresh replicas and waits until it has answered correctly.
    fn deploy(&mut self, spec: &FunctionSpec)
    -> impl Future<Output = Result<Deployed, PlatformError>> + Send;
    /// Replicas and their use now.
    fn observe(&self) -> impl Future<Output = Result<ReplicaSample, PlatformError>> + Send;
    /// Takes the function away and waits until its replicas are gone.
    fn remove(&mut self) -> impl Future<Output = Result<(), PlatformError>> + Send;
}

/// Any platform, wherever it is. Closed, so that the compiler lists what a new one still needs.
#[derive(Debug)]
pub enum AnyPlatform {
    /// On the embedded stand-in.
    Twin(twin::Twin),
}

impl AnyPlatform {
    /// The stand-in for this platform.
    pub fn twin(kind: PlatformKind, options: twin::TwinOptions) -> Self {
        Self::Twin(twin::Twin::new(kind, options))
    }
}

impl Platform for AnyPlatform {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        match self {
            Self::Twin(twin) => twin.deploy(spec).await,
        }
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        match self {
            Self::Twin(twin) => twin.observe().await,
        }
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        match self {
            Self::Twin(twin) => twin.remove().await,
        }
    }
}

/// What points at a cluster, in words: a kubeconfig, or being a pod. None: there is no cluster.
pub fn cluster_hint() -> Option<String> {
    let file = |path: PathBuf| path.is_file().then(|| format!("there is a kubeconfig at {}", path.display()));
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("this is a pod in a cluster".into());
    }
    match std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).find_map(file),
        None => std::env::home_dir().and_then(|home| file(home.join(".kube/config"))),
    }
}
