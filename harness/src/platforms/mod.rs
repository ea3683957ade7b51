//! Stage 2, deployment: one file (or folder) a platform, behind one small trait.

pub mod cluster;
pub mod deployment;
pub mod endpoint;
pub mod exposure;
pub mod knative;
pub mod limits;
pub mod openfaas;
pub mod twin;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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
    /// A plain Kubernetes Deployment and Service: the baseline that shows a platform's tax.
    Deployment,
    /// Any URL that is there already.
    Endpoint,
}

impl PlatformKind {
    /// All of them, as `--platforms` spells them.
    pub const ALL: [Self; 4] = [Self::Knative, Self::OpenFaas, Self::Deployment, Self::Endpoint];
    /// Those that the twin can stand in for.
    pub const SERVERLESS: [Self; 2] = [Self::Knative, Self::OpenFaas];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knative => "knative",
            Self::OpenFaas => "openfaas",
            Self::Deployment => "deployment",
            Self::Endpoint => "endpoint",
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
    /// The image that a cluster runs; none on the twin.
    pub image: Option<Image>,
    /// Revisions that share the traffic; empty: one revision gets all of it.
    pub revisions: Vec<RevisionShare>,
    /// Name of the Secret with the object storage's credentials; a cluster alone needs one.
    pub storage_secret: Option<String>,
    /// Whether it may be offered to the world although it runs what callers send (see [`exposure`]).
    pub allow_public_grading: bool,
}

/// Keys of that Secret, and the variables by which the function knows what is in them.
pub const STORAGE_SECRET_KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

impl FunctionSpec {
    /// The image, or why there is none.
    ///
    /// # Errors
    /// [`PlatformError::Limit`] that says how to make one.
    pub fn image_for(&self, platform: PlatformKind) -> Result<&Image, PlatformError> {
        self.image.as_ref().ok_or_else(|| PlatformError::Limit {
            platform: platform.name(),
            limit: "a cluster runs images, and none was given".to_owned(),
            remedy: "push one with `harness image push REGISTRY/function:TAG` and give it as --image"
                .to_owned(),
        })
    }

    /// The storage's credentials as environment of a container: by reference, never by value.
    pub fn storage_environment(&self) -> Vec<serde_json::Value> {
        let of = |secret: &String| {
            STORAGE_SECRET_KEYS.map(|key| {
                serde_json::json!({ "name": key, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } })
            })
        };
        self.storage_secret.iter().flat_map(of).collect()
    }

    /// Whether the number of replicas is fixed.
    pub fn is_pinned(&self) -> bool {
        self.replicas.min == self.replicas.max
    }
}

/// An image and how its server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Image {
    /// `REGISTRY/NAME@sha256:...`, or with a tag where the digest could not be found out.
    pub reference: String,
    /// Port that it listens on (Knative also sets `PORT`).
    pub port: u16,
    /// Path that answers with success once the function can serve.
    pub health_path: String,
    /// Whether it is the testbed's own function, whose answers name the instance.
    pub is_ours: bool,
}

impl Image {
    /// The manifest's digest, `sha256:...`, if the reference holds one.
    pub fn digest(&self) -> Option<&str> {
        self.reference.split_once('@').map(|(_, digest)| digest)
    }
}

/// One of several revisions of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RevisionShare {
    /// Name, a DNS label: `stable`, `canary`.
    pub name: String,
    /// Share of the traffic, percent; all of them add up to 100.
    pub percent: u8,
    /// What differs in its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A function that is deployed and has answered.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where to send requests.
    pub endpoints: Vec<Endpoint>,
    /// From the deploy call to the first correct answer.
    pub ready_after: Duration,
    /// The settings in force, normalised, for the fairness table. The same keys on every platform
    /// (see [`setting`]).
    pub settings: BTreeMap<String, String>,
    /// Where its pods are; none where there are none (twin, endpoint).
    pub pods: Option<PodsOf>,
}

/// Where a deployed function's pods are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodsOf {
    /// Namespace.
    pub namespace: String,
    /// Label selector.
    pub selector: String,
    /// Name of the container that holds the function.
    pub container: String,
    /// Name under which the platform's own metrics know it: the Knative Service, or `NAME.NAMESPACE`
    /// on OpenFaaS.
    pub function: String,
    /// Knative's newest revision.
    pub revision: Option<String>,
}

/// Keys of [`Deployed::settings`], the same on every platform, so that a report can put the
/// sides next to each other. A platform without such a thing says so in the value.
pub mod setting {
    /// Where: the twin, or the cluster's context.
    pub const ON: &str = "on";
    /// The platform.
    pub const PLATFORM: &str = "platform";
    /// Digest of the image (on the twin: `function_binary_sha256`).
    pub const IMAGE: &str = "image";
    /// When the image is pulled.
    pub const PULL_POLICY: &str = "pull_policy";
    /// CPU request and limit of the function's container, cores.
    pub const CPU: &str = "cpu_cores";
    /// Memory request and limit of the function's container, MiB.
    pub const MEMORY: &str = "memory_mib";
    /// Requests a replica works on at once.
    pub const CONCURRENCY: &str = "container_concurrency";
    /// Fewest replicas.
    pub const REPLICAS_MIN: &str = "replicas_min";
    /// Most replicas.
    pub const REPLICAS_MAX: &str = "replicas_max";
    /// Probes of the container.
    pub const PROBE: &str = "probe";
    /// Path and query of an invocation.
    pub const PATH: &str = "path";
    /// How a request enters: the address and what tells the function.
    pub const ENTRY: &str = "entry";
    /// What a request passes.
    pub const HOPS: &str = "hops";
    /// Other containers in the function's pods, with their resources.
    pub const SIDECARS: &str = "sidecars";
    /// Knative's target burst capacity.
    pub const BURST: &str = "target_burst_capacity";
    /// Who chooses the replica, and how.
    pub const BALANCING: &str = "balancing";
    /// Where requests wait.
    pub const QUEUEING: &str = "queueing";
    /// The autoscaler's settings.
    pub const AUTOSCALER: &str = "autoscaler";
    /// Time limit of a request on the platform's path.
    pub const TIMEOUT: &str = "request_timeout";
    /// Nodes that hold replicas.
    pub const NODES: &str = "nodes";
    /// Request bodies and their sizes; set by the runner, not by platforms.
    pub const BODIES: &str = "bodies";
    /// Where the load generator runs; set by the runner, not by platforms.
    pub const GENERATOR: &str = "generator";
    /// What happens to a replica that has to go.
    pub const SHUTDOWN: &str = "shutdown";

    /// All of them, for platforms on a cluster.
    pub const ON_CLUSTER: [&str; 20] = [
        ON,
        PLATFORM,
        IMAGE,
        PULL_POLICY,
        CPU,
        MEMORY,
        CONCURRENCY,
        REPLICAS_MIN,
        REPLICAS_MAX,
        PROBE,
        PATH,
        ENTRY,
        HOPS,
        SIDECARS,
        BURST,
        BALANCING,
        QUEUEING,
        AUTOSCALER,
        TIMEOUT,
        NODES,
    ];
}

/// Replicas and what they use, at one instant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaSample {
    /// Replicas that can answer.
    pub ready: u32,
    /// Replicas that the platform wants.
    pub desired: u32,
    /// CPU seconds used since each one's start, summed over all replicas that ever ran, where known.
    #[serde(default)]
    pub cpu_seconds: Option<f64>,
    /// Resident memory of the living replicas, bytes, where known.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
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
    /// Finds a function that another process deployed, and takes it over: afterwards `observe`,
    /// `wait_for_zero` and `remove` speak of it. None: there is no such function. Its endpoints'
    /// URLs end where the path of an invocation begins; `ready_after` is zero.
    fn find(&mut self, name: &str) -> impl Future<Output = Result<Option<Deployed>, PlatformError>> + Send {
        let _ = name;
        async {
            Err(PlatformError::Control {
                platform: "this platform",
                cause: "it cannot find what another process deployed; give the function's URL".to_owned(),
            })
        }
    }
    /// The revision of each pod seen so far, where a platform has such a thing.
    fn revisions(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// Waits, without sending anything, until the deployed function has no replica left.
    fn wait_for_zero(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<ZeroProof, PlatformError>> + Send {
        let _ = limit;
        async {
            Err(PlatformError::Limit {
                platform: "this platform",
                limit: "it does not scale to zero".to_owned(),
                remedy: "measure cold starts on knative".to_owned(),
            })
        }
    }
}

/// What was seen when the last replica had gone. A cold start is proved by this and by an answer
/// with a boot id that was not seen before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZeroProof {
    /// From the question to zero.
    pub waited: Duration,
    /// Names of the pods that went away meanwhile.
    pub gone: Vec<String>,
    /// What the autoscaler says of itself then.
    pub autoscaler: String,
}

/// Where the platforms of a run are.
#[derive(Debug, Clone)]
pub enum Ground {
    /// The embedded stand-in on this machine.
    Twin,
    /// A Kubernetes cluster.
    Cluster(Arc<cluster::Cluster>),
    /// Nowhere of its own: URLs that are there already need no cluster.
    Urls(Vec<String>),
}

impl Ground {
    /// A platform there; nothing is deployed yet.
    pub fn platform(&self, kind: PlatformKind) -> AnyPlatform {
        match self {
            Self::Twin => AnyPlatform::Twin(twin::Twin::new(kind, twin::TwinOptions::default())),
            Self::Urls(urls) => AnyPlatform::Endpoint(endpoint::AnyEndpoint::new(urls.clone())),
            Self::Cluster(cluster) => {
                let cluster = cluster.clone();
                match kind {
                    PlatformKind::Knative => AnyPlatform::Knative(knative::Knative::new(cluster)),
                    PlatformKind::OpenFaas => AnyPlatform::OpenFaas(openfaas::OpenFaas::new(cluster)),
                    PlatformKind::Deployment => {
                        AnyPlatform::Deployment(deployment::PlainDeployment::new(cluster))
                    }
                    PlatformKind::Endpoint => {
                        AnyPlatform::Endpoint(endpoint::AnyEndpoint::new(cluster.choice.endpoints.clone()))
                    }
                }
            }
        }
    }
}

/// Any platform, wherever it is. Closed, so that the compiler lists what a new one still needs.
#[derive(Debug)]
pub enum AnyPlatform {
    /// On the embedded stand-in.
    Twin(twin::Twin),
    /// Knative Serving on a cluster.
    Knative(knative::Knative),
    /// OpenFaaS on a cluster.
    OpenFaas(openfaas::OpenFaas),
    /// A plain Deployment and Service on a cluster.
    Deployment(deployment::PlainDeployment),
    /// URLs that are there already.
    Endpoint(endpoint::AnyEndpoint),
}

/// Calls the same method on whichever platform it is.
macro_rules! on_each {
    ($any:expr, $platform:ident => $call:expr) => {
        match $any {
            AnyPlatform::Twin($platform) => $call,
            AnyPlatform::Knative($platform) => $call,
            AnyPlatform::OpenFaas($platform) => $call,
            AnyPlatform::Deployment($platform) => $call,
            AnyPlatform::Endpoint($platform) => $call,
        }
    };
}

impl Platform for AnyPlatform {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        on_each!(self, platform => platform.deploy(spec).await)
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        on_each!(self, platform => platform.observe().await)
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        on_each!(self, platform => platform.remove().await)
    }

    async fn find(&mut self, name: &str) -> Result<Option<Deployed>, PlatformError> {
        on_each!(self, platform => platform.find(name).await)
    }

    fn revisions(&self) -> BTreeMap<String, String> {
        on_each!(self, platform => platform.revisions())
    }

    async fn wait_for_zero(&self, limit: Duration) -> Result<ZeroProof, PlatformError> {
        on_each!(self, platform => platform.wait_for_zero(limit).await)
    }
}

/// The kubeconfig that is used: the first of `KUBECONFIG` that is there, else `~/.kube/config`.
pub fn kubeconfig_path() -> Option<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).find(|path| path.is_file()),
        None => std::env::home_dir().map(|home| home.join(".kube/config")).filter(|path| path.is_file()),
    }
}
