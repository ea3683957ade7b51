//! The embedded stand-in for a cluster: the real function as real processes, behind a data plane
//! per platform that follows the platform's documented rules.
//!
//! It is a stand-in, labelled as one on every page ([`crate::reports::TWIN_BANNER`]): its figures say nothing about a
//! real cluster, and its replicas share one machine, so more of them add no capacity. All hops of a
//! platform run in one process on loopback, without containers and virtual networks, so they cost
//! less than on a cluster; CPU and memory limits are not enforced.
//!
//! Map: `plane/` is the data plane process; `process` starts and ends it; `protocol` is what they
//! say to each other; `s3/` is its object storage; `placement` divides the cores; `settings` says what is in force.

pub mod broker;
mod placement;
pub mod plane;
mod process;
pub mod protocol;
pub mod s3;
mod settings;
mod zero;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Uri, header, http::uri::PathAndQuery};
use hyper_util::rt::TokioIo;

pub use placement::{Placement, confine, placement};
pub use process::is_running;
pub use protocol::{PlaneState, ReplicaNews, Step};

use self::{
    process::{Lives, PlaneProcess},
    protocol::{FunctionProcess, PlaneConfig, RevisionProcess, Rules},
};
use super::{
    Deployed, FunctionSpec, Platform, PlatformError, PlatformKind, ReplicaSample, RevisionShare, ZeroProof,
    knative,
    limits::{Accepted, ScalingRules, accept},
};
use crate::{collect::clock::unix_now_ns, drive::Endpoint, scaling::knative::Kpa};

/// How long a replica goes on serving after SIGTERM, seconds, unless the spec's environment says
/// otherwise. Nothing is needed here: the twin takes a replica out of its routing first.
const DRAIN_SECONDS: &str = "0";

/// How a twin is set up.
#[derive(Debug, Clone)]
pub struct TwinOptions {
    /// The binary that has the `twin-plane` command; none = the running one.
    pub plane_command: Option<PathBuf>,
    /// Arguments of the function's binary; only tests need any.
    pub function_arguments: Vec<String>,
    /// How long a deployment may take until the first answer.
    pub ready_limit: Duration,
}

impl Default for TwinOptions {
    fn default() -> Self {
        Self { plane_command: None, function_arguments: Vec::new(), ready_limit: Duration::from_mins(1) }
    }
}

/// One platform on the twin.
#[derive(Debug)]
pub struct Twin {
    kind: PlatformKind,
    options: TwinOptions,
    plane: Option<PlaneProcess>,
    /// The deployment of now, or the last one.
    life: Life,
    /// Digest of the binary deployed last.
    digest: Option<(PathBuf, String)>,
}

/// What is known of one deployment, also after it was removed.
#[derive(Debug, Clone, Default)]
struct Life {
    /// When it was asked for, Unix nanoseconds.
    called_unix_ns: u64,
    news: Lives,
    /// Names of the revisions that share the traffic.
    revisions: Vec<String>,
    min_replicas: u32,
}

impl Twin {
    /// A twin of this platform; nothing is started yet.
    pub fn new(kind: PlatformKind, options: TwinOptions) -> Self {
        Self { kind, options, plane: None, life: Life::default(), digest: None }
    }

    /// Everything the data plane says of itself.
    ///
    /// # Errors
    /// When nothing is deployed or the data plane does not answer.
    pub async fn state(&self) -> Result<PlaneState, PlatformError> {
        let plane = self.plane.as_ref().ok_or_else(|| self.control("nothing is deployed".to_owned()))?;
        plane.state().await.map_err(|cause| self.control(cause))
    }

    /// Process ids of the data plane and of all living replicas.
    pub fn pids(&self) -> Vec<u32> {
        self.plane.as_ref().map(PlaneProcess::pids).unwrap_or_default()
    }

    /// What happened to the replicas of the deployment of now or, once it was removed, of the last
    /// one; and when the deployment was asked for, Unix nanoseconds.
    pub fn lives(&self) -> (u64, Vec<ReplicaNews>) {
        let news = self.life.news.lock().unwrap_or_else(PoisonError::into_inner);
        (self.life.called_unix_ns, news.clone())
    }

    fn control(&self, cause: String) -> PlatformError {
        PlatformError::Control { platform: self.kind.name(), cause }
    }

    fn plane_config(&self, spec: &FunctionSpec, accepted: &Accepted) -> Result<PlaneConfig, PlatformError> {
        let mut env = spec.env.clone();
        env.entry("DRAIN_SECONDS".to_owned()).or_insert_with(|| DRAIN_SECONDS.to_owned());
        env.insert("INFERENCE_THREADS".to_owned(), settings::inference_threads(spec).to_string());
        let rules = match accepted.scaling.clone() {
            ScalingRules::Knative(kpa) => Rules::Knative(kpa),
            ScalingRules::OpenFaas(alert) => Rules::OpenFaas {
                // Prometheus does not know when a function is deployed, so its phase is random.
                scrape_in: alert.scrape_interval.mul_f64(rand::random()),
                evaluation_in: alert.evaluation_interval.mul_f64(rand::random()),
                alert,
            },
            ScalingRules::Fixed => {
                return Err(PlatformError::Limit {
                    platform: self.kind.name(),
                    limit: "the twin stands in for knative and openfaas alone".to_owned(),
                    remedy: "leave --on twin out to use a cluster".to_owned(),
                });
            }
        };
        Ok(PlaneConfig {
            function: FunctionProcess {
                name: spec.name.clone(),
                command: spec.binary.clone(),
                arguments: self.options.function_arguments.clone(),
                env,
            },
            revisions: self.revisions(spec)?,
            container_concurrency: spec.container_concurrency,
            request_timeout: accepted.request_timeout,
            cores: placement().rest,
            rules,
        })
    }

    /// The revisions that share the traffic, as Knative names them.
    fn revisions(&self, spec: &FunctionSpec) -> Result<Vec<RevisionProcess>, PlatformError> {
        if spec.revisions.is_empty() || self.kind != PlatformKind::Knative {
            return Ok(Vec::new());
        }
        knative::manifest::check_revisions(spec)?;
        let revision = |share: &RevisionShare| RevisionProcess {
            name: knative::manifest::revision_name(spec, share),
            percent: share.percent,
            env: share.env.clone(),
        };
        Ok(spec.revisions.iter().map(revision).collect())
    }

    /// SHA-256 of the binary, computed once per binary.
    fn digest_of(&mut self, binary: &Path) -> Result<String, PlatformError> {
        if let Some((known, digest)) = &self.digest
            && known == binary
        {
            return Ok(digest.clone());
        }
        let bytes = std::fs::read(binary).map_err(|error| {
            self.control(format!("{} cannot be read ({error}); build the function first", binary.display()))
        })?;
        let digest = models::sha256_hex(&bytes);
        self.digest = Some((binary.to_owned(), digest.clone()));
        Ok(digest)
    }

    /// Waits for the entry, for enough replicas, and for one real answer of the function.
    async fn first_answer(&self, plane: &PlaneProcess, name: &str, wanted: u32) -> Result<Endpoint, String> {
        let opened = plane.wait_for(|news| news.address.is_some()).await;
        let address = opened.address.ok_or("the data plane process has ended")?;
        loop {
            let state = plane.state().await?;
            if state.ready >= wanted {
                if function_answers(address, &self.endpoint(address, name, "/health")).await? {
                    return Ok(self.endpoint(address, name, ""));
                }
            } else if state.ready == 0 && state.restarts > 1 {
                return Err(state.last_error.unwrap_or_else(|| "it ends again and again".to_owned()));
            }
            // The plane tells at once when a replica becomes ready; everything else can wait.
            let more =
                plane.wait_for(|news| news.state.as_ref().is_some_and(|(_, now)| now.ready > state.ready));
            let _ = tokio::time::timeout(Duration::from_millis(50), more).await;
        }
    }

    /// Where invocations go on this platform.
    fn endpoint(&self, address: SocketAddr, name: &str, path: &str) -> Endpoint {
        match self.kind {
            PlatformKind::Knative => Endpoint {
                url: format!("http://{address}{path}"),
                headers: vec![("Host".to_owned(), plane::host_of(name))],
            },
            PlatformKind::OpenFaas | PlatformKind::Deployment | PlatformKind::Endpoint => {
                Endpoint { url: format!("http://{address}/function/{name}{path}"), headers: Vec::new() }
            }
        }
    }
}

impl Platform for Twin {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        let accepted = accept(self.kind, spec)?;
        let config = self.plane_config(spec, &accepted)?;
        let digest = self.digest_of(&spec.binary)?;
        let command = match &self.options.plane_command {
            Some(command) => command.clone(),
            None => std::env::current_exe()
                .map_err(|error| self.control(format!("the harness does not find itself: {error}")))?,
        };
        self.remove().await?;
        let started = Instant::now();
        self.life = Life {
            called_unix_ns: unix_now_ns(),
            news: Lives::default(),
            revisions: config.revisions.iter().map(|revision| revision.name.clone()).collect(),
            min_replicas: spec.replicas.min,
        };
        let news = self.life.news.clone();
        let plane =
            PlaneProcess::start(&command, &config, news).await.map_err(|cause| self.control(cause))?;
        let wanted = match &accepted.scaling {
            ScalingRules::Knative(kpa) => {
                Kpa::new(kpa.clone(), Duration::ZERO).initial() * config.revisions.len().max(1) as u32
            }
            ScalingRules::OpenFaas(alert) => alert.min,
            ScalingRules::Fixed => spec.replicas.min,
        };
        let limit = self.options.ready_limit;
        let answered = tokio::time::timeout(limit, self.first_answer(&plane, &spec.name, wanted)).await;
        let cause = match answered {
            Ok(Ok(mut endpoint)) => {
                endpoint.url.push_str(&spec.path);
                self.plane = Some(plane);
                let drain = config.function.env.get("DRAIN_SECONDS").map_or("", String::as_str);
                return Ok(Deployed {
                    endpoints: vec![endpoint],
                    ready_after: started.elapsed(),
                    settings: settings::effective(spec, &accepted, &digest, drain, &placement()),
                    pods: None,
                });
            }
            Ok(Err(cause)) => cause,
            Err(_) => match plane.state().await {
                Ok(PlaneState { last_error: Some(error), .. }) => error,
                Ok(state) => format!("{} of {wanted} replicas answer their probes", state.ready),
                Err(cause) => cause,
            },
        };
        let waited_s = started.elapsed().as_secs_f64();
        let _ = plane.stop(plane::STOP_GRACE).await;
        Err(PlatformError::NotReady { platform: self.kind.name(), name: spec.name.clone(), waited_s, cause })
    }

    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        let state = self.state().await?;
        Ok(ReplicaSample {
            ready: state.ready,
            desired: state.desired,
            cpu_seconds: Some(state.cpu_seconds),
            memory_bytes: Some(state.memory_bytes),
            plane_cpu_seconds: Some(state.plane_cpu_seconds),
            restarts: state.restarts,
        })
    }

    fn revisions(&self) -> BTreeMap<String, String> {
        let news = self.life.news.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |replica: &str| {
            // A replica is named after its revision and numbered.
            let (revision, _) = replica.rsplit_once('-')?;
            self.life.revisions.iter().find(|name| *name == revision).cloned()
        };
        news.iter().filter_map(|one| Some((one.replica.clone(), of(&one.replica)?))).collect()
    }

    async fn wait_for_zero(&self, limit: Duration) -> Result<ZeroProof, PlatformError> {
        zero::wait(self, limit).await
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        let Some(plane) = self.plane.take() else { return Ok(()) };
        let limit = plane::STOP_GRACE + Duration::from_secs(2);
        plane.stop(limit).await.map_err(|cause| self.control(cause))
    }
}

/// Whether a GET through the data plane is answered with success by our function.
///
/// # Errors
/// When something else answers with success.
async fn function_answers(address: SocketAddr, endpoint: &Endpoint) -> Result<bool, String> {
    let Ok(head) = get(address, endpoint).await else { return Ok(false) };
    let ours = ["x-instance-id", "x-boot-id"].iter().all(|name| head.headers.contains_key(*name));
    match head.status {
        StatusCode::OK if ours => Ok(true),
        StatusCode::OK => {
            Err("what answers /health has no X-Instance-Id and X-Boot-Id: not our function".into())
        }
        _ => Ok(false),
    }
}

async fn get(address: SocketAddr, endpoint: &Endpoint) -> anyhow::Result<hyper::http::response::Parts> {
    let uri: Uri = endpoint.url.parse()?;
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut request = Request::get(path);
    for (name, value) in &endpoint.headers {
        request = request.header(name, value);
    }
    if endpoint.headers.is_empty() {
        request = request.header(header::HOST, address.to_string());
    }
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request.body(Empty::<bytes::Bytes>::new())?).await?;
    let (head, body) = response.into_parts();
    body.collect().await?;
    Ok(head)
}
