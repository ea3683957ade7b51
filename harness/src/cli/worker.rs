//! `harness worker`: one of several load generators. The harness starts it itself, as a process of
//! this machine or in a pod (`--load-from`).

use std::{os::fd::AsFd, time::Duration};

use anyhow::Context;
use tokio::{
    net::{TcpListener, unix::pipe},
    time::Instant,
};

use super::{CliError, Exit};
use crate::{
    drive::distributed::{Served, Worker, clock::SteadyClock},
    interrupt::Interrupt,
    platforms::cluster::workers::manifest::TOKEN_VARIABLE,
    screen::note,
    secret::Secret,
    workloads::judge_of,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Listen here for the coordinator, who must know the token in HARNESS_WORKER_TOKEN, instead of
    /// talking to it over standard input and output
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// End when no coordinator has come for so long
    #[arg(long, value_name = "TIME", default_value = "30min", value_parser = humantime::parse_duration, requires = "listen")]
    idle_limit: Duration,
    /// For tests: be wrong about the time by so many milliseconds
    #[arg(
        long,
        hide = true,
        env = "HARNESS_WORKER_CLOCK_AHEAD_MS",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    clock_ahead_ms: i64,
}

/// Runs it.
#[allow(clippy::needless_pass_by_value, reason = "all commands have this signature")]
pub fn run(args: Args) -> Result<Exit, CliError> {
    let clock = SteadyClock::read_ahead(args.clock_ahead_ms);
    super::block_on(async {
        // In a container it is process 1, which no signal ends by itself.
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        tokio::select! {
            done = serve(&args, clock) => done,
            () = interrupt.raised() => Ok(()),
        }
    })?;
    Ok(Exit::Valid)
}

async fn serve(args: &Args, clock: SteadyClock) -> Result<(), CliError> {
    match args.listen {
        None => {
            let worker = Worker::new(clock, judge_of, Secret::new(""));
            let (input, output) = pipes().context(
                "`harness worker` talks to a harness over pipes on its standard input and output; \
                 use `--load-from local --workers N` instead of starting it yourself",
            )?;
            worker.serve(input, output).await.context("the line to the coordinator broke")?;
        }
        Some(address) => {
            let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
            let token = token.ok_or_else(|| {
                CliError::Usage(format!(
                    "--listen needs a token in {TOKEN_VARIABLE}: anybody could drive load else"
                ))
            })?;
            let worker = Worker::new(clock, judge_of, Secret::new(token));
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}; choose another --listen"))?;
            listen(&listener, &worker, args.idle_limit).await?;
        }
    }
    Ok(())
}

/// The pipes that a harness started it with, readable and writable without threads of their own.
fn pipes() -> std::io::Result<(pipe::Receiver, pipe::Sender)> {
    let input = pipe::Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(std::io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok((input, output))
}

/// Serves one after the other, until none has come for so long.
async fn listen(listener: &TcpListener, worker: &Worker, idle_limit: Duration) -> anyhow::Result<()> {
    let mut deadline = Instant::now() + idle_limit;
    while let Ok(accepted) = tokio::time::timeout_at(deadline, listener.accept()).await {
        let (stream, _) = accepted?;
        stream.set_nodelay(true)?;
        let (input, output) = stream.into_split();
        // A broken line is the end of that coordinator, not of the worker.
        if let Ok(Served::Coordinator) | Err(_) = worker.serve(input, output).await {
            deadline = Instant::now() + idle_limit;
        }
    }
    note!("no coordinator for {}: the worker ends", humantime::format_duration(idle_limit));
    Ok(())
}
