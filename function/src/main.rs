//! Starts the function: settings, workload, warm-up, and only then the port.
//!
//! Exit codes: 0 after an orderly stop, 1 if it could not start, 2 if a setting is bad.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use function::config::{Config, ConfigError};
use function::instance::{Instance, ProcessStart};
use function::pool::Pool;
use function::server::{self, Service};
use function::shutdown::Signals;
use function::storage::Storage;
use function::telemetry::Telemetry;
use function::workloads::Workload;
use function::workloads::grade::jail;
use function::workloads::pdf::chromium::launcher;
use function::workloads::pdf::native::child;

fn main() -> ExitCode {
    // This binary calls itself again for what a process can only do to itself: to become a browser, to
    // bind a submitted program, to render one page. The browser's arguments need not be text.
    if let Some(ended) = launcher::entry().or_else(jail::entry).or_else(child::entry) {
        return ended;
    }
    let start = ProcessStart::now();
    match actix_web::rt::System::new().block_on(run(start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("function: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

async fn run(start: ProcessStart) -> anyhow::Result<()> {
    let config = Config::from_env()?;
    // Before the model is loaded: the first process of a container has no default handlers.
    let signals = Signals::listen().context("cannot listen for signals")?;

    let workload: Arc<dyn Workload> = config.workload.load(&config)?.into();
    workload.warm_up().context("the warm-up failed; the model and its description do not fit")?;
    let pool = Pool::start(Arc::clone(&workload), config.inference_threads, config.queue_limit)
        .context("cannot start the inference threads")?;
    let instance = Instance::ready(config.instance_id.as_deref(), &start);
    let telemetry = Telemetry::new()?;
    telemetry.show(workload.collectors())?;
    let storage = Storage::new(config.storage.as_ref())?;
    let service = Service::new(&config, Arc::clone(&workload), pool, instance, telemetry, storage);

    let address = SocketAddr::new(config.bind, config.port);
    let (server, bound) = server::bind(&service, &config)
        .with_context(|| format!("cannot listen on {address}; set PORT or BIND to a free address"))?;
    // Whoever started the function may have closed its end; that is no reason to die.
    let _ = writeln!(std::io::stdout(), "{}", service.ready_line(bound));

    let stop =
        actix_web::rt::spawn(signals.stop_in_order(Arc::clone(&service), server.handle(), config.drain));
    let ended = server.await;
    stop.abort();
    let left = service.finish_events().await;
    if left > 0 {
        eprintln!(
            "function: {left} events were not delivered when the grace time was over; they count as dropped"
        );
    }
    workload.stop();
    Ok(ended?)
}
