//! The data plane of OpenFaaS CE: gateway -> provider -> function, and the alert's loop.
//!
//! What it follows: gateway 0.27 and faas-netes 0.18, as recorded. A random ready replica, no queue,
//! no limit. What it leaves out: the asynchronous path, the control API, authentication. Where the
//! connection to a replica cannot be opened it answers 500 (as recorded while a function is being
//! deleted), where it breaks or the time-out passes 502.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hyper::{Request, Response, StatusCode, Uri, body::Incoming, header};
use tokio::sync::watch;

use super::{
    http::{self, Answer, Body, Closed, SendError, Upstream},
    replicas::{Probe, Ready, Replicas},
};
use crate::{platforms::twin::protocol::PlaneState, scaling::openfaas::CeAutoscaler};

/// Both probes of a function, as faas-netes sets them.
pub const PROBE: Probe = Probe {
    path: "/_/health",
    initial_delay: Duration::from_secs(2),
    period: Duration::from_secs(2),
    timeout: Duration::from_secs(1),
    failures: 3,
    restarts: true,
};

/// The only namespace of the Community Edition.
const NAMESPACE: &str = "openfaas-fn";

/// How long the gateway believes that a function had replicas (`CacheExpiry`).
const AVAILABILITY_CACHE: Duration = Duration::from_millis(250);

/// How the gateway waits for a first replica: every 100 ms, 1000 times.
const AVAILABILITY_POLL: (Duration, u32) = (Duration::from_millis(100), 1000);

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    name: String,
    provider: Arc<Upstream>,
    upstream_timeout: Duration,
    ready: watch::Receiver<Ready>,
    seen_available: Mutex<Option<Instant>>,
    /// Calls answered with 200.
    successes: AtomicU64,
}

impl Gateway {
    /// A gateway that knows one function.
    pub fn new(
        name: &str,
        provider: Arc<Upstream>,
        upstream_timeout: Duration,
        ready: watch::Receiver<Ready>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            provider,
            upstream_timeout,
            ready,
            seen_available: Mutex::default(),
            successes: AtomicU64::new(0),
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if path == "/healthz" {
            return Ok(http::empty(StatusCode::OK));
        }
        let Some((name, _)) = function_and_rest(path) else {
            return Ok(http::go_error(StatusCode::NOT_FOUND, "404 page not found"));
        };
        let name = name.strip_suffix(&format!(".{NAMESPACE}")).unwrap_or(name);
        if name != self.name {
            return Ok(http::text(
                StatusCode::NOT_FOUND,
                format!(
                    "error finding function {name}.{NAMESPACE}: server returned non-200 status code (404) \
                     for function, {name}, body: "
                ),
            ));
        }
        if !self.becomes_available().await {
            return Err(Closed);
        }
        let host = request.headers().get(header::HOST).cloned();
        let mut request = http::received(request).await?;
        if let Some(host) = host {
            request.headers_mut().insert("x-forwarded-host", host);
        }
        Ok(self.proxy(request).await)
    }

    async fn proxy(&self, mut request: Request<Body>) -> Response<Body> {
        let call_id = request
            .headers()
            .get("x-call-id")
            .and_then(|id| id.to_str().ok())
            .map_or_else(http::random_uuid, str::to_owned);
        let start_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos()).to_string();
        let headers = request.headers_mut();
        http::set(headers, "x-call-id", &call_id);
        http::set(headers, "x-start-time", &start_ns);
        http::set(headers, "x-forwarded-for", "127.0.0.1");
        let answer = tokio::time::timeout(self.upstream_timeout, self.provider.send(request)).await;
        let mut response =
            if let Ok(Ok(response)) = answer { response } else { http::empty(StatusCode::BAD_GATEWAY) };
        if response.status() == StatusCode::OK {
            self.successes.fetch_add(1, Ordering::Relaxed);
        }
        let headers = response.headers_mut();
        http::strip_connection_headers(headers);
        http::set(headers, "x-call-id", &call_id);
        http::set(headers, "x-start-time", &start_ns);
        http::set(headers, "x-served-by", "openfaas-community/");
        response
    }

    /// Holds a call until the function has a replica, for up to 100 s.
    async fn becomes_available(&self) -> bool {
        let (pause, polls) = AVAILABILITY_POLL;
        for _ in 0..polls {
            {
                let mut seen = self.seen_available.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.is_some_and(|at| at.elapsed() < AVAILABILITY_CACHE) {
                    return true;
                }
                if !self.ready.borrow().is_empty() {
                    *seen = Some(Instant::now());
                    return true;
                }
            }
            tokio::time::sleep(pause).await;
        }
        false
    }
}

/// The provider (faas-netes).
#[derive(Debug)]
pub struct Provider {
    name: String,
    ready: watch::Receiver<Ready>,
}

impl Provider {
    /// A provider that knows one function.
    pub fn new(name: &str, ready: watch::Receiver<Ready>) -> Self {
        Self { name: name.to_owned(), ready }
    }

    /// Answers one request of the gateway.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let Some(upstream) = self.random_replica() else {
            return Ok(self.own_error(StatusCode::SERVICE_UNAVAILABLE, "No endpoints available for"));
        };
        let mut request = http::forwardable(request);
        if let Some(uri) = without_prefix(request.uri()) {
            *request.uri_mut() = uri;
        }
        http::set(request.headers_mut(), "host", &upstream.address().to_string());
        Ok(match upstream.send(request).await {
            Ok(mut response) => {
                http::strip_connection_headers(response.headers_mut());
                response
            }
            Err(SendError::Connect(_)) => {
                self.own_error(StatusCode::INTERNAL_SERVER_ERROR, "Can't reach service for")
            }
            Err(SendError::Broken(_)) => http::empty(StatusCode::BAD_GATEWAY),
        })
    }

    fn random_replica(&self) -> Option<Arc<Upstream>> {
        let ready = self.ready.borrow();
        let chosen = (!ready.is_empty()).then(|| rand::random_range(0..ready.len()))?;
        Some(Arc::clone(&ready[chosen].upstream))
    }

    /// An error of the platform, marked as such.
    fn own_error(&self, status: StatusCode, what: &str) -> Response<Body> {
        let mut response = http::go_error(status, &format!("{what}: {}.{NAMESPACE}.", self.name));
        http::set(response.headers_mut(), "x-openfaas-internal", "proxy");
        response
    }
}

/// `/function/NAME/rest` -> (`NAME`, `/rest`); the rest is `/` where there is none.
fn function_and_rest(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/function/")?;
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    (!name.is_empty()).then_some((name, if rest.is_empty() { "/" } else { rest }))
}

/// What the function is asked for: the sub-path and the query.
fn without_prefix(uri: &Uri) -> Option<Uri> {
    let (_, rest) = function_and_rest(uri.path())?;
    match uri.query() {
        Some(query) => format!("{rest}?{query}").parse().ok(),
        None => rest.parse().ok(),
    }
}

/// Drives the alert's state machine a few times a second.
#[derive(Debug)]
pub struct Autoscaler {
    gateway: Arc<Gateway>,
    replicas: Replicas,
    desired: AtomicU32,
    firing: AtomicBool,
}

impl Autoscaler {
    /// Starts the first replicas.
    pub fn new(policy: &CeAutoscaler, gateway: Arc<Gateway>, replicas: Replicas) -> Arc<Self> {
        replicas.scale_to(policy.desired());
        let desired = AtomicU32::new(policy.desired());
        Arc::new(Self { gateway, replicas, desired, firing: AtomicBool::new(false) })
    }

    /// Runs for ever.
    pub async fn run(self: Arc<Self>, mut policy: CeAutoscaler) {
        let started = Instant::now();
        let mut beat = tokio::time::interval(Duration::from_millis(250));
        loop {
            beat.tick().await;
            let successes = self.gateway.successes.load(Ordering::Relaxed);
            let desired = policy.advance(started.elapsed(), successes);
            self.firing.store(policy.is_firing(), Ordering::Relaxed);
            if self.desired.swap(desired, Ordering::Relaxed) != desired {
                self.replicas.scale_to(desired);
            }
        }
    }

    /// How things stand.
    pub fn state(&self) -> PlaneState {
        PlaneState {
            desired: self.desired.load(Ordering::Relaxed),
            panic: self.firing.load(Ordering::Relaxed),
            ..self.replicas.state()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sub_path_and_the_query_reach_the_function() {
        let asked = |uri: &str| without_prefix(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(asked("/function/classify/predict?top=5").as_deref(), Some("/predict?top=5"));
        assert_eq!(asked("/function/classify").as_deref(), Some("/"));
        assert_eq!(asked("/function/classify.openfaas-fn/a/b").as_deref(), Some("/a/b"));
        assert_eq!(asked("/system/info"), None);
        assert_eq!(asked("/function/"), None);
    }
}
