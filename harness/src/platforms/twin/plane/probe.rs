//! Probes: how a platform finds out that a replica can answer.

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt;
use hyper::{Request, Uri, header};

use super::http::{Upstream, full};

/// How readiness is found out. Values per platform; see `super::knative` and `super::openfaas`.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// What is asked for.
    pub path: &'static str,
    /// From the start of the process to the first probe.
    pub initial_delay: Duration,
    /// Between two probes.
    pub period: Duration,
    /// After which a probe has failed.
    pub timeout: Duration,
    /// Failures in a row that make a replica unready.
    pub failures: u32,
    /// Whether they also restart it (a liveness probe of the same kind).
    pub restarts: bool,
}

impl Probe {
    /// Asks once; a late answer is a failure.
    pub async fn succeeds(&self, address: SocketAddr) -> bool {
        tokio::time::timeout(self.timeout, answers(address, self.path)).await.unwrap_or(false)
    }
}

/// Whether a GET of this path is answered with success.
async fn answers(address: SocketAddr, path: &'static str) -> bool {
    let request = Request::get(Uri::from_static(path))
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "kube-probe/twin")
        .body(full(bytes::Bytes::new()));
    let Ok(request) = request else { return false };
    let Ok(response) = Upstream::new(address).send(request).await else { return false };
    let success = response.status().is_success();
    success && response.into_body().collect().await.is_ok()
}
