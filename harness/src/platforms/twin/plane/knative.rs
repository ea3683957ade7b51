//! The data plane of Knative: ingress -> activator (when in the path) -> queue-proxy -> function,
//! and the loop that feeds the KPA.
//!
//! What it follows: the facts of Knative Serving 1.23 with Kourier, as recorded. What it leaves
//! out: several activators and subsetting, the ingress's retries, route probing when the activator
//! joins or leaves (here it does so between two requests). A traffic split is a weighted draw for
//! each request, as Envoy's weighted clusters are.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, header};
use tokio::sync::{Notify, watch};

use super::{
    http::{self, Answer, Body, Upstream},
    probe::Probe,
    replicas::{Ready, Replicas},
    usage,
};
use crate::{platforms::twin::protocol::PlaneState, scaling::knative::Kpa};

/// The probe that our manifests set for Knative: every second, so that deploy times are not those
/// of the default period of 10 s.
pub const PROBE: Probe = Probe {
    path: "/health",
    initial_delay: Duration::ZERO,
    period: Duration::from_secs(1),
    timeout: Duration::from_secs(1),
    failures: 3,
    restarts: false,
};

/// The domain that names are served under.
const DOMAIN: &str = "default.127.0.0.1.sslip.io";

/// The `Host` of a function.
pub fn host_of(name: &str) -> String {
    format!("{name}.{DOMAIN}")
}

/// The ingress: one function, and the ways to its revisions.
#[derive(Debug)]
pub struct Ingress {
    host: String,
    routes: Vec<Arc<Route>>,
}

/// The way to one revision and what the ingress knows of it.
#[derive(Debug)]
pub struct Route {
    percent: u8,
    activator: Arc<Upstream>,
    activator_in_path: AtomicBool,
    ready: watch::Receiver<Ready>,
    next: AtomicUsize,
    concurrency: ConcurrencyMeter,
}

impl Ingress {
    /// An ingress that knows one function; the shares of its routes add up to 100.
    pub fn new(name: &str, routes: Vec<Arc<Route>>) -> Self {
        Self { host: host_of(name), routes }
    }

    /// Answers one request as Envoy does.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        if host.split(':').next() != Some(self.host.as_str()) {
            let mut unknown = http::empty(StatusCode::NOT_FOUND);
            http::set(unknown.headers_mut(), "server", "envoy");
            http::set(unknown.headers_mut(), "connection", "close");
            return Ok(unknown);
        }
        let Some(route) = route_for(&self.routes, rand::random_range(0..100)) else {
            return Ok(http::empty(StatusCode::NOT_FOUND));
        };
        let counted = Arc::clone(&route).count();
        let mut request = http::received(request).await?;
        add_forwarding_headers(request.headers_mut());
        let sent = Instant::now();
        let mut response = match route.next_hop().send(request).await {
            Ok(response) => response.map(|body| http::guarded(body, counted)),
            Err(_) => http::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream connect error or disconnect/reset before headers. reset reason: connection \
                 termination",
            ),
        };
        finish(&mut response, sent.elapsed());
        Ok(response)
    }
}

/// The route of a request, by a draw of 0..100.
fn route_for(routes: &[Arc<Route>], draw: u8) -> Option<Arc<Route>> {
    let mut below = 0;
    let chosen = routes.iter().find(|route| {
        below += route.percent;
        draw < below
    });
    chosen.or(routes.last()).cloned()
}

impl Route {
    /// The way to a revision that gets this share of the traffic, percent.
    pub fn new(percent: u8, activator: Arc<Upstream>, ready: watch::Receiver<Ready>) -> Self {
        Self {
            percent,
            activator,
            activator_in_path: AtomicBool::new(true),
            ready,
            next: AtomicUsize::new(0),
            concurrency: ConcurrencyMeter::default(),
        }
    }

    /// The activator, or a queue-proxy in turn.
    fn next_hop(&self) -> Arc<Upstream> {
        let ready = self.ready.borrow();
        if ready.is_empty() || self.activator_in_path.load(Ordering::Relaxed) {
            return Arc::clone(&self.activator);
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % ready.len();
        Arc::clone(&ready[turn].upstream)
    }

    fn count(self: Arc<Self>) -> Counted {
        self.concurrency.change(1);
        Counted(self)
    }
}

/// A request in the system, for the autoscaler.
struct Counted(Arc<Route>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.concurrency.change(-1);
    }
}

fn add_forwarding_headers(headers: &mut HeaderMap) {
    http::set(headers, "x-request-id", &http::random_uuid());
    http::set(headers, "x-forwarded-for", "127.0.0.1");
    http::set(headers, "x-forwarded-proto", "http");
    http::set(headers, "forwarded", "for=127.0.0.1;proto=http");
}

fn finish(response: &mut Response<Body>, took: Duration) {
    let headers = response.headers_mut();
    http::strip_connection_headers(headers);
    http::set(headers, "server", "envoy");
    http::set(headers, "x-envoy-upstream-service-time", &took.as_millis().to_string());
}

/// Mean number of requests in the system, weighted by time. On a cluster the activator and the
/// queue-proxies measure it together; the ingress sees the same requests.
#[derive(Debug)]
struct ConcurrencyMeter {
    state: Mutex<Metered>,
}

#[derive(Debug)]
struct Metered {
    current: i64,
    since: Instant,
    last_change: Instant,
    /// Requests x seconds since `since`.
    area: f64,
}

impl Default for ConcurrencyMeter {
    fn default() -> Self {
        let now = Instant::now();
        Self { state: Mutex::new(Metered { current: 0, since: now, last_change: now, area: 0.0 }) }
    }
}

impl ConcurrencyMeter {
    fn change(&self, by: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(Instant::now());
        state.current += by;
    }

    /// The mean since the last call.
    fn take_mean(&self) -> f64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.advance(now);
        let elapsed_s = (now - state.since).as_secs_f64();
        let mean = if elapsed_s > 0.0 { state.area / elapsed_s } else { state.current as f64 };
        state.since = now;
        state.area = 0.0;
        mean
    }
}

impl Metered {
    fn advance(&mut self, now: Instant) {
        self.area += self.current as f64 * (now - self.last_change).as_secs_f64();
        self.last_change = now;
    }
}

/// Drives the KPA: a sample every second, a decision every tick, and one at once when a request
/// finds no pod (`poke`).
#[derive(Debug)]
pub struct Autoscaler {
    kpa: Mutex<Kpa>,
    started: Instant,
    route: Arc<Route>,
    replicas: Replicas,
    panic: AtomicBool,
    desired: AtomicU32,
}

impl Autoscaler {
    /// Starts the initial replicas.
    pub fn new(kpa: Kpa, route: Arc<Route>, replicas: Replicas) -> Arc<Self> {
        let initial = kpa.initial();
        replicas.scale_to(initial);
        route.activator_in_path.store(kpa.config().target_burst_capacity != 0.0, Ordering::Relaxed);
        Arc::new(Self {
            kpa: Mutex::new(kpa),
            started: Instant::now(),
            route,
            replicas,
            panic: AtomicBool::new(false),
            desired: AtomicU32::new(initial),
        })
    }

    /// Runs for ever.
    pub async fn run(self: Arc<Self>, poke: Arc<Notify>) {
        let ticks_every = self.kpa().config().tick.as_secs().max(1);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.tick().await;
        // A request that was reported at once is not reported again with its first second.
        let mut already_reported = 0.0;
        for seconds in 1u64.. {
            let poked = loop {
                tokio::select! {
                    _ = second.tick() => break false,
                    () = poke.notified() => if self.desired.load(Ordering::Relaxed) == 0 { break true },
                }
            };
            if poked {
                already_reported = 1.0;
                self.kpa().observe(self.started.elapsed(), 1.0);
                self.decide();
                continue;
            }
            let mean = (self.route.concurrency.take_mean() - already_reported).max(0.0);
            already_reported = 0.0;
            // A revision at zero that nobody calls reports nothing.
            if mean > 0.0 || self.desired.load(Ordering::Relaxed) > 0 {
                self.kpa().observe(self.started.elapsed(), mean);
            }
            if seconds % ticks_every == 0 {
                self.decide();
            }
        }
    }

    fn decide(&self) {
        let decision = self.kpa().tick(self.started.elapsed(), self.replicas.ready_count());
        self.panic.store(decision.panic, Ordering::Relaxed);
        self.route.activator_in_path.store(decision.activator_in_path, Ordering::Relaxed);
        if let Some(desired) = decision.desired {
            self.desired.store(desired, Ordering::Relaxed);
            self.replicas.scale_to(desired);
        }
    }

    /// How things stand.
    pub fn state(&self) -> PlaneState {
        PlaneState {
            desired: self.desired.load(Ordering::Relaxed),
            panic: self.panic.load(Ordering::Relaxed),
            activator_in_path: Some(self.route.activator_in_path.load(Ordering::Relaxed)),
            ..self.replicas.state()
        }
    }

    fn kpa(&self) -> std::sync::MutexGuard<'_, Kpa> {
        self.kpa.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Several revisions as one deployment.
pub fn together(states: impl Iterator<Item = PlaneState>) -> PlaneState {
    let mut all: Option<PlaneState> = None;
    for state in states {
        let Some(sum) = &mut all else {
            all = Some(state);
            continue;
        };
        sum.ready += state.ready;
        sum.desired += state.desired;
        sum.panic |= state.panic;
        sum.activator_in_path = sum.activator_in_path.max(state.activator_in_path);
        sum.pids.extend(state.pids);
        sum.restarts += state.restarts;
        // Each counts the processes of this plane that have ended.
        sum.cpu_seconds += state.cpu_seconds - usage::of_ended_children();
        sum.memory_bytes += state.memory_bytes;
        sum.last_error = sum.last_error.take().or(state.last_error);
    }
    all.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_revision_gets_its_share_of_the_draws() {
        let (_, ready) = watch::channel(Ready::default());
        let route = |percent, port: u16| {
            let activator = Upstream::new(([127, 0, 0, 1], port).into());
            Arc::new(Route::new(percent, activator, ready.clone()))
        };
        let routes = [route(90, 1), route(10, 2)];
        let to_canary = (0..100).filter(|&draw| route_for(&routes, draw).unwrap().percent == 10).count();
        assert_eq!(to_canary, 10);
        assert!((0..100).all(|draw| route_for(&routes[..1], draw).unwrap().percent == 90), "the only one");
    }

    #[test]
    fn the_concurrency_meter_weights_by_time() {
        let start = Instant::now();
        let mut metered = Metered { current: 2, since: start, last_change: start, area: 0.0 };
        metered.advance(start + Duration::from_millis(500));
        metered.current = 0;
        metered.advance(start + Duration::from_secs(1));
        assert!((metered.area - 1.0).abs() < 1e-9, "2 requests for half a second: {}", metered.area);
    }
}
