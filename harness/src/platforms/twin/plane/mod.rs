//! The data plane process: `harness twin-plane`. One per platform and deployment.
//!
//! It opens the platform's entry on a free port of the loopback interface, starts the replicas,
//! scales them by the platform's rules, and obeys the commands of [`super::protocol`]. It and its
//! replicas form one process group, so that none of them outlives the harness: when standard input
//! ends, the whole group is killed.

mod activator;
pub mod fake;
pub(super) mod http;
mod knative;
mod openfaas;
mod probe;
mod process;
mod queue_proxy;
mod replicas;
pub mod usage;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, getpgrp, setpgid},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
};

pub use knative::{PROBE as KNATIVE_PROBE, host_of};
pub use openfaas::PROBE as OPENFAAS_PROBE;
pub use probe::Probe;

use self::{http::Upstream, queue_proxy::QueueProxy, replicas::Replicas};
use super::{
    placement,
    protocol::{Command, Event, FunctionProcess, PlaneConfig, PlaneState, RevisionProcess, Rules},
};
use crate::scaling::{
    knative::{Kpa, KpaConfig},
    openfaas::CeAutoscaler,
};

/// Grace between SIGTERM and SIGKILL when the whole deployment goes. Short, because its load is over.
pub const STOP_GRACE: Duration = Duration::from_secs(3);

/// Runs a data plane until it is told to stop or its standard input ends.
///
/// `config` is the configuration as JSON; with none it is the first line of standard input.
///
/// # Errors
/// When the configuration cannot be read or no port is free.
pub fn run(config: Option<&str>) -> anyhow::Result<()> {
    // A group of its own; fails only for a session leader, which leads its group anyway.
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    let mut input = BufReader::new(std::io::stdin());
    let mut first_line = String::new();
    let config = if let Some(config) = config {
        config
    } else {
        input.read_line(&mut first_line).context("standard input cannot be read")?;
        &first_line
    };
    let config: PlaneConfig = serde_json::from_str(config).context("the configuration is not understood")?;
    // Before any thread or process is started, so that all inherit it.
    if let Err(error) = placement::confine(&config.cores) {
        eprintln!("the data plane could not be kept on cores {:?}: {error}", config.cores);
    }
    let (commands, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || obey(input, &commands));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.cores.len().clamp(1, 8))
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, orders))?;
    Ok(())
}

/// Reads commands; at the end of the input, which is the end of the harness, ends everything.
fn obey(input: impl Read, commands: &mpsc::UnboundedSender<Command>) {
    for line in BufReader::new(input).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(command) => drop(commands.send(command)),
            Err(error) => eprintln!("command not understood: {error}"),
        }
    }
    let _ = killpg(getpgrp(), Signal::SIGKILL);
    std::process::exit(1);
}

/// Writes one event. Nobody to read it is no reason to stop: the end of the input is.
fn report(event: &Event) {
    let Ok(mut line) = serde_json::to_string(event) else { return };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// Either platform's autoscaler.
enum Autoscaler {
    /// One a revision.
    Knative(Vec<Arc<knative::Autoscaler>>),
    OpenFaas(Arc<openfaas::Autoscaler>),
}

impl Autoscaler {
    fn state(&self) -> PlaneState {
        match self {
            Self::Knative(revisions) => knative::together(revisions.iter().map(|one| one.state())),
            Self::OpenFaas(autoscaler) => autoscaler.state(),
        }
    }
}

async fn serve(config: PlaneConfig, mut orders: mpsc::UnboundedReceiver<Command>) -> anyhow::Result<()> {
    let (entry, address) = listen().await?;
    let (replicas, autoscaler) = match config.rules.clone() {
        Rules::Knative(kpa) => serve_knative(&config, &kpa, entry).await?,
        Rules::OpenFaas { alert, scrape_in, evaluation_in } => {
            let policy = CeAutoscaler::new(alert, Duration::ZERO, scrape_in, evaluation_in);
            let (replicas, autoscaler) = serve_openfaas(&config, policy, entry).await?;
            (vec![replicas], autoscaler)
        }
    };
    report(&Event::Listening { address });
    let (tell, mut changes) = mpsc::unbounded_channel();
    for replicas in &replicas {
        let (mut ready, tell) = (replicas.ready(), tell.clone());
        tokio::spawn(async move { while ready.changed().await.is_ok() && tell.send(()).is_ok() {} });
    }
    let mut last_id = 0;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Command::State { id }) => last_id = id,
                Some(Command::Stop) | None => break,
            },
            _ = changes.recv() => {}
        }
        report(&Event::State { id: last_id, state: autoscaler.state() });
    }
    futures_util::future::join_all(replicas.iter().map(|replicas| replicas.stop(STOP_GRACE))).await;
    report(&Event::State { id: last_id, state: autoscaler.state() });
    report(&Event::Stopped);
    Ok(())
}

/// Each revision has its own replicas, activator and autoscaler, as on a cluster; the ingress splits
/// the traffic between them.
async fn serve_knative(
    config: &PlaneConfig,
    kpa: &KpaConfig,
    entry: TcpListener,
) -> anyhow::Result<(Vec<Replicas>, Autoscaler)> {
    let (container_concurrency, request_timeout) = (config.container_concurrency, config.request_timeout);
    let (mut all, mut routes, mut autoscalers) = (Vec::new(), Vec::new(), Vec::new());
    for (function, percent) in processes(config) {
        let queue_proxy = QueueProxy { container_concurrency, request_timeout };
        let replicas = Replicas::new(function, KNATIVE_PROBE, Some(queue_proxy), report);
        let poke = Arc::new(Notify::new());
        let activator = activator::Activator::new(container_concurrency, request_timeout, Arc::clone(&poke));
        let (activator_entry, activator_address) = listen().await?;
        let route =
            Arc::new(knative::Route::new(percent, Upstream::new(activator_address), replicas.ready()));
        let policy = Kpa::new(kpa.clone(), Duration::ZERO);
        let autoscaler = knative::Autoscaler::new(policy, Arc::clone(&route), replicas.clone());
        tokio::spawn(Arc::clone(&autoscaler).run(poke));
        let mut ready = replicas.ready();
        let kept_up_to_date = Arc::clone(&activator);
        tokio::spawn(async move {
            loop {
                let pods = Arc::clone(&ready.borrow_and_update());
                kept_up_to_date.set_pods(&pods);
                if ready.changed().await.is_err() {
                    return;
                }
            }
        });
        let handle = move |request, _| Arc::clone(&activator).handle(request);
        tokio::spawn(http::serve(activator_entry, handle));
        all.push(replicas);
        routes.push(route);
        autoscalers.push(autoscaler);
    }
    let ingress = Arc::new(knative::Ingress::new(&config.function.name, routes));
    tokio::spawn(http::serve(entry, move |request, _| Arc::clone(&ingress).handle(request)));
    Ok((all, Autoscaler::Knative(autoscalers)))
}

/// What runs as replicas, and its share of the traffic, percent.
fn processes(config: &PlaneConfig) -> Vec<(FunctionProcess, u8)> {
    if config.revisions.is_empty() {
        return vec![(config.function.clone(), 100)];
    }
    let revisions = config.revisions.iter();
    let process = |revision: &RevisionProcess| {
        let mut function = config.function.clone();
        function.name.clone_from(&revision.name);
        function.env.extend(revision.env.clone());
        (function, revision.percent)
    };
    revisions.map(process).collect()
}

async fn serve_openfaas(
    config: &PlaneConfig,
    policy: CeAutoscaler,
    entry: TcpListener,
) -> anyhow::Result<(Replicas, Autoscaler)> {
    let name = &config.function.name;
    let replicas = Replicas::new(config.function.clone(), OPENFAAS_PROBE, None, report);
    let (provider_entry, provider_address) = listen().await?;
    let provider = Arc::new(openfaas::Provider::new(name, replicas.ready()));
    let gateway = Arc::new(openfaas::Gateway::new(
        name,
        Upstream::new(provider_address),
        config.request_timeout,
        replicas.ready(),
    ));
    let autoscaler = openfaas::Autoscaler::new(&policy, Arc::clone(&gateway), replicas.clone());
    tokio::spawn(Arc::clone(&autoscaler).run(policy));
    tokio::spawn(http::serve(provider_entry, move |request, _| Arc::clone(&provider).handle(request)));
    tokio::spawn(http::serve(entry, move |request, _| Arc::clone(&gateway).handle(request)));
    Ok((replicas, Autoscaler::OpenFaas(autoscaler)))
}

async fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("no free port on the loopback interface")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
