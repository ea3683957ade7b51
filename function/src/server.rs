//! The HTTP side: paths, handlers, and the headers by which every answer names its instance.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Map, Value, json};

use crate::body;
use crate::config::Config;
use crate::error::Problem;
use crate::events::{Events, Receipt};
use crate::instance::{Instance, Turn, milliseconds};
use crate::pool::Pool;
use crate::storage::{MEDIA_TYPE, Storage};
use crate::telemetry::Telemetry;
use crate::workloads::{Answer, Query, Workload};

const INSTANCE_ID: HeaderName = HeaderName::from_static("x-instance-id");
const BOOT_ID: HeaderName = HeaderName::from_static("x-boot-id");
const STARTED_AT: HeaderName = HeaderName::from_static("x-instance-started-at");
const REQUESTS_SERVED: HeaderName = HeaderName::from_static("x-requests-served");
const COLD_START: HeaderName = HeaderName::from_static("x-cold-start");
const INIT_MS: HeaderName = HeaderName::from_static("x-init-ms");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const CALL: HeaderName = HeaderName::from_static("x-testbed-call");
const EVENT_ID: HeaderName = HeaderName::from_static("x-event-id");
const EVENT_FATE: HeaderName = HeaderName::from_static("x-event-fate");

/// Gateways written in Go keep an idle connection for 90 s; a server that closes it earlier
/// races with their next request, which then fails through nobody's fault.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// All that a request needs.
pub struct Service {
    workload: Arc<dyn Workload>,
    pool: Pool,
    instance: Instance,
    telemetry: Telemetry,
    storage: Storage,
    events: Events,
    max_body_bytes: usize,
    max_pixels: u64,
    queue_limit: usize,
    draining: AtomicBool,
    draining_since: OnceLock<Instant>,
    grace: Duration,
    /// Those headers of an answer that never change.
    identity: [(HeaderName, HeaderValue); 4],
}

impl Service {
    /// Puts the parts together; what posts events runs on the caller's runtime.
    pub fn new(
        config: &Config,
        workload: Arc<dyn Workload>,
        pool: Pool,
        instance: Instance,
        telemetry: Telemetry,
        storage: Storage,
    ) -> Arc<Self> {
        let identity = [
            (INSTANCE_ID, header_value(&instance.id)),
            (BOOT_ID, header_value(&instance.boot_id)),
            (STARTED_AT, header_value(&instance.started_at)),
            (INIT_MS, header_value(&instance.init_ms.to_string())),
        ];
        let events = Events::start(&config.events, workload.name(), &instance, telemetry.events());
        Arc::new(Self {
            events,
            workload,
            pool,
            instance,
            telemetry,
            storage,
            max_body_bytes: config.max_body_bytes,
            max_pixels: config.max_pixels,
            queue_limit: config.queue_limit,
            draining: AtomicBool::new(false),
            draining_since: OnceLock::new(),
            grace: config.grace,
            identity,
        })
    }

    /// From now on health checks fail, and answers close their connection.
    pub fn start_draining(&self) {
        self.draining_since.get_or_init(Instant::now);
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits, once the server has stopped, until every event has met its fate, or the grace time is
    /// over. Returns how many events are left.
    pub async fn finish_events(&self) -> u64 {
        let since = self.draining_since.get().map_or(self.grace, Instant::elapsed);
        self.events.finish(self.grace.saturating_sub(since)).await
    }

    /// The line that says where the function listens.
    pub fn ready_line(&self, address: SocketAddr) -> String {
        format!(
            "listening on {address}: {}, {} inference threads, queue of {}, ready after {} ms",
            self.workload.name(),
            self.pool.threads(),
            self.queue_limit,
            self.instance.init_ms
        )
    }
}

/// Opens the port. The server runs once it is awaited.
///
/// # Errors
/// If the address cannot be listened on.
pub fn bind(service: &Arc<Service>, config: &Config) -> io::Result<(Server, SocketAddr)> {
    let listener = TcpListener::bind((config.bind, config.port))?;
    let address = listener.local_addr()?;
    let shared = Arc::clone(service);
    let server = HttpServer::new(move || {
        let service = Arc::clone(&shared);
        App::new()
            .wrap(from_fn(move |request, next| sign(Arc::clone(&service), request, next)))
            .app_data(web::Data::from(Arc::clone(&shared)))
            .configure(routes)
    })
    .workers(config.http_workers)
    .keep_alive(KEEP_ALIVE)
    // A caller who leaves ends the handler, and with it the place in the queue.
    .h1_allow_half_closed(false)
    .disable_signals()
    .shutdown_timeout(config.grace.saturating_sub(config.drain).as_secs())
    .listen(listener)?
    .run();
    Ok((server, address))
}

fn routes(app: &mut web::ServiceConfig) {
    let reading = |path: &str, handler: actix_web::Route| {
        web::resource(path).route(handler).default_service(not_allowed("GET, HEAD"))
    };
    for path in ["/health", "/healthz", "/_/health", "/_/ready"] {
        app.service(reading(path, get_or_head().to(health)));
    }
    app.service(reading("/metrics", get_or_head().to(metrics)))
        .service(web::resource("/predict").route(web::post().to(invoke)).default_service(not_allowed("POST")))
        .service(
            web::resource("/")
                .route(web::post().to(invoke))
                .route(get_or_head().to(index))
                .default_service(not_allowed("GET, HEAD, POST")),
        )
        .default_service(web::to(page));
}

fn get_or_head() -> actix_web::Route {
    use actix_web::guard;
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn not_allowed(allow: &'static str) -> actix_web::Route {
    web::to(move || async move { Problem::MethodNotAllowed { allow }.response() })
}

/// Puts the instance's facts on an answer, whatever it is.
async fn sign(
    service: Arc<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let call = request.headers().get(CALL).cloned();
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in &service.identity {
        headers.insert(name.clone(), value.clone());
    }
    if !headers.contains_key(COLD_START) {
        turn_headers(headers, service.instance.bystander());
    }
    if let Some(call) = call {
        headers.insert(CALL, call);
    }
    if service.is_draining() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn turn_headers(headers: &mut header::HeaderMap, turn: Turn) {
    headers.insert(REQUESTS_SERVED, HeaderValue::from(turn.requests_served));
    headers.insert(COLD_START, HeaderValue::from_static(if turn.cold_start { "true" } else { "false" }));
}

async fn invoke(request: HttpRequest, payload: web::Payload, service: web::Data<Service>) -> HttpResponse {
    let _in_flight = service.telemetry.enter();
    let outcome = compute(&request, payload, &service).await;
    let turn = service.instance.take_turn();
    let mut response = match outcome {
        Ok(computed) => computed.response(&service.instance, turn),
        Err(problem) => problem.response(),
    };
    turn_headers(response.headers_mut(), turn);
    service.telemetry.answered(response.status().as_u16());
    response
}

/// An answer before it has its turn.
struct Computed {
    answer: Answer,
    /// Stages in order, from the queue to the total.
    stages: Vec<(&'static str, Duration)>,
    /// The event of it, where events are wanted.
    event: Option<Receipt>,
}

async fn compute(
    request: &HttpRequest,
    payload: web::Payload,
    service: &Service,
) -> Result<Computed, Problem> {
    let may_be_empty = service.workload.takes_empty_bodies();
    let sent = body::read(request, payload, service.max_body_bytes, may_be_empty).await?;
    let received_at = Instant::now();
    let query = Query::parse(request.query_string())?;
    let (input, mut transfer) = service.storage.resolve(sent, service.max_body_bytes).await?;
    let done = service
        .pool
        .submit(input, query)?
        .await
        .map_err(|_| Problem::Internal("the inference threads are gone".into()))?;
    let mut answer = done.result?;
    let mut stages = vec![("queue", done.queued)];
    stages.append(&mut answer.stages);
    if let Some(transfer) = &mut transfer {
        transfer.write_back(&service.storage, &answer).await?;
        transfer.tell(&mut answer);
        transfer.count(&service.telemetry);
        let (download, upload) = transfer.stages();
        stages.insert(0, ("download", download));
        stages.extend(upload.map(|upload| ("upload", upload)));
    }
    let call = request.headers().get(CALL).and_then(|call| call.to_str().ok());
    let event = service.events.emit(&answer, call).await;
    stages.extend(event.as_ref().and_then(|event| event.waited).map(|waited| ("event", waited)));
    stages.push(("total", received_at.elapsed()));
    for (stage, duration) in &stages {
        service.telemetry.stage(stage, *duration);
    }
    Ok(Computed { answer, stages, event })
}

impl Computed {
    fn response(self, instance: &Instance, turn: Turn) -> HttpResponse {
        let timings = self.stages.iter().map(|(stage, duration)| (*stage, milliseconds(*duration)));
        let server_timing: Vec<_> =
            timings.clone().map(|(stage, ms)| format!("{stage};dur={ms:.3}")).collect();
        let timing_ms: Map<String, Value> =
            timings.map(|(stage, ms)| (stage.to_owned(), ms.into())).collect();
        let Answer { mut body, document, headers, .. } = self.answer;
        let mut response = HttpResponse::Ok();
        response.insert_header((SERVER_TIMING, server_timing.join(", ")));
        for header in headers {
            response.insert_header(header);
        }
        if let Some(event) = &self.event {
            response.insert_header((EVENT_ID, event.id.as_str()));
            response.insert_header((EVENT_FATE, event.word()));
        }
        if let Some(document) = document {
            return response.content_type(document.content_type).body(document.bytes);
        }
        body.insert("timing_ms".into(), timing_ms.into());
        body.insert("instance".into(), json!(instance.facts(turn)));
        response.json(body)
    }
}

/// A page that the workload offers, or nothing.
async fn page(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    use actix_web::http::Method;
    let path = request.path();
    let page = || match Query::parse(request.query_string()) {
        Ok(query) => service.workload.page(path, &query),
        Err(error) => Some(Err(error)),
    };
    let found = if matches!(*request.method(), Method::GET | Method::HEAD) { page() } else { None };
    match found {
        Some(Ok(page)) => HttpResponse::Ok().json(page),
        Some(Err(error)) => Problem::from(error).response(),
        None => Problem::NotFound(path.to_owned()).response(),
    }
}

/// Never behind the inference threads: a busy instance is a healthy one.
async fn health(service: web::Data<Service>) -> HttpResponse {
    if service.is_draining() {
        return Problem::ShuttingDown.response();
    }
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn metrics(service: web::Data<Service>) -> HttpResponse {
    match service.telemetry.text(service.pool.queue_length()) {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => Problem::Internal(format!("the metrics cannot be written: {error}")).response(),
    }
}

async fn index(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "workload": service.workload.name(),
        "uses": service.workload.about(),
        "limits": {
            "inference_threads": service.pool.threads(),
            "queue": service.queue_limit,
            "body_bytes": service.max_body_bytes,
            "pixels": service.max_pixels,
        },
        "references": { "content_type": MEDIA_TYPE, "buckets": service.storage.buckets() },
        "paths": {
            "POST /predict": "the input as the body, or as the field 'file' of a multipart form",
            "POST /": "the same",
            "GET /": "this page",
            "GET /health": "200 while the instance takes work; also /healthz, /_/health, /_/ready",
            "GET /metrics": "Prometheus text",
        },
    }))
}

/// The instance's facts are visible ASCII by construction; anything else would be left out.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
