//! A tiny function for tests of the data planes: it honours the contract of the real one (`PORT`,
//! `BIND`, instance headers, health paths, SIGTERM) and does nothing but wait.
//!
//! Its environment: `SERVICE_MS` (time per request; `?ms=N` overrides it), `START_MS` (time until it
//! listens), `CRASH` (a line to say on standard error before ending at once). `/exit` ends it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{Request, StatusCode, body::Incoming};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::http::{self, Answer};

struct Fake {
    instance: String,
    boot_id: String,
    service_ms: u64,
    served: AtomicU64,
    in_flight: AtomicU64,
    ending: AtomicBool,
}

/// Runs it until SIGTERM.
///
/// # Errors
/// When its environment makes no sense or its port is taken.
pub fn run() -> anyhow::Result<()> {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    std::thread::sleep(Duration::from_millis(number("START_MS")));
    if !text("CRASH").is_empty() {
        anyhow::bail!("{}", text("CRASH"));
    }
    let address = SocketAddr::new(text("BIND").parse::<IpAddr>()?, text("PORT").parse()?);
    let fake = Arc::new(Fake {
        instance: text("INSTANCE_ID"),
        boot_id: http::random_uuid(),
        service_ms: number("SERVICE_MS"),
        served: AtomicU64::new(0),
        in_flight: AtomicU64::new(0),
        ending: AtomicBool::new(false),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let mut term = signal(SignalKind::terminate())?;
        let serving = Arc::clone(&fake);
        tokio::spawn(http::serve(listener, move |request, _| answer(Arc::clone(&serving), request)));
        term.recv().await;
        fake.ending.store(true, Ordering::SeqCst);
        while fake.in_flight.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
}

async fn answer(fake: Arc<Fake>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let health = ["/health", "/healthz", "/_/health", "/_/ready"].contains(&path.as_str());
    let mut status = StatusCode::OK;
    if health {
        if fake.ending.load(Ordering::SeqCst) {
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
    } else if path == "/exit" {
        std::process::exit(7);
    } else {
        fake.in_flight.fetch_add(1, Ordering::SeqCst);
        fake.served.fetch_add(1, Ordering::SeqCst);
        let asked = request.uri().query().and_then(|query| query.strip_prefix("ms=")?.parse().ok());
        tokio::time::sleep(Duration::from_millis(asked.unwrap_or(fake.service_ms))).await;
        fake.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("");
    let mut response = http::text(status, format!("{} {path} for {host}\n", request.method()));
    let headers = response.headers_mut();
    let served = fake.served.load(Ordering::SeqCst);
    http::set(headers, "x-instance-id", &fake.instance);
    http::set(headers, "x-boot-id", &fake.boot_id);
    http::set(headers, "x-cold-start", if served <= 1 { "true" } else { "false" });
    http::set(headers, "x-requests-served", &served.to_string());
    Ok(response)
}
