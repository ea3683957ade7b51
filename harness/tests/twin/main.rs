//! The twin with real processes: one conformance suite over both planes, and the rules of each.
//!
//! The replicas are the harness's own fake function, so that nothing but this package is needed.
//! Every wait is for a condition, with a limit; ports are the kernel's choice.

mod conformance;
mod knative;
mod openfaas;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use harness::platforms::{
    FunctionSpec, Platform, PlatformKind, ReplicaBounds, RevisionShare,
    twin::{PlaneState, Step, Twin, TwinOptions},
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

/// The harness's binary: the data plane and, with another flag, the fake function.
fn harness() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_harness"))
}

fn twin(kind: PlatformKind) -> Twin {
    Twin::new(
        kind,
        TwinOptions {
            plane_command: Some(harness()),
            function_arguments: vec!["twin-plane".into(), "--fake-function".into()],
            ready_limit: Duration::from_secs(30),
        },
    )
}

fn spec(min: u32, max: u32) -> FunctionSpec {
    FunctionSpec {
        name: "fake".into(),
        binary: harness(),
        env: BTreeMap::new(),
        path: "/predict".into(),
        cpu_cores: 1.0,
        memory_mib: 64,
        container_concurrency: 0,
        replicas: ReplicaBounds { min, max },
        platform_settings: BTreeMap::new(),
        image: None,
        revisions: Vec::new(),
        storage_secret: None,
        allow_public_grading: false,
    }
}

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// An answer, or the status 0 where the connection ended without one.
#[derive(Debug, Clone, Default)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Which process answered.
    fn boot_id(&self) -> &str {
        self.header("x-boot-id")
    }
}

/// One POST on a connection of its own. The URL is the endpoint's with its path replaced.
async fn call(endpoint: &harness::drive::Endpoint, path: &str) -> Answer {
    let url = endpoint.url.replace("/predict", path);
    let host = endpoint.headers.iter().find(|(name, _)| name == "Host").map(|(_, host)| host.clone());
    post(&url, host).await.unwrap_or_default()
}

async fn post(url: &str, host: Option<String>) -> Option<Answer> {
    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    let stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post(format!("/{path}"))
        .header("host", host.unwrap_or_else(|| address.to_owned()))
        .body(Full::new(bytes::Bytes::from_static(b"body")))
        .unwrap();
    let (head, body) = sender.send_request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    connection.abort();
    let headers = head.headers.iter();
    Some(Answer {
        status: head.status.as_u16(),
        headers: headers
            .map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into()))
            .collect(),
        body: String::from_utf8_lossy(&body).into(),
    })
}

/// Waits until the data plane's state is as wanted.
async fn until(twin: &Twin, limit_s: u64, wanted: impl Fn(&PlaneState) -> bool) -> PlaneState {
    let started = Instant::now();
    loop {
        let state = twin.state().await.unwrap();
        if wanted(&state) {
            return state;
        }
        assert!(started.elapsed() < Duration::from_secs(limit_s), "not within {limit_s} s: {state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Removes the deployment and checks that none of its processes is left.
async fn remove(mut twin: Twin) {
    let pids = twin.pids();
    assert!(!pids.is_empty(), "a deployment has processes");
    twin.remove().await.unwrap();
    gone(&pids).await;
}

async fn gone(pids: &[u32]) {
    let started = Instant::now();
    while let Some(pid) = pids.iter().find(|&&pid| harness::platforms::twin::is_running(pid)) {
        assert!(started.elapsed() < Duration::from_secs(10), "process {pid} still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs this many calls at the same time.
async fn burst(endpoint: &harness::drive::Endpoint, path: &str, count: usize) -> Vec<Answer> {
    let calls = (0..count).map(|_| {
        let (endpoint, path) = (endpoint.clone(), path.to_owned());
        tokio::spawn(async move { call(&endpoint, &path).await })
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.unwrap());
    }
    answers
}

/// Keeps this many connections busy until the handle is aborted.
fn load(
    endpoint: &harness::drive::Endpoint,
    path: &'static str,
    connections: usize,
) -> tokio::task::JoinSet<()> {
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let endpoint = endpoint.clone();
        set.spawn(async move {
            loop {
                call(&endpoint, path).await;
            }
        });
    }
    set
}
