//! `harness null-target`: what is measured against it is the measuring tool itself.

use std::{fmt::Write as _, io::Write, path::PathBuf, time::Duration};

use anyhow::Context;

use super::{CliError, Exit};
use crate::drive::{
    known_target::{self, Behaviour, KnownOptions, Served},
    null_target::{NullOptions, spawn},
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness null-target --port 8080
  harness null-target --delay-us 5000 --body-bytes 400
  harness null-target --behaviour exponential:20ms --seed 7 --record served.csv
  harness null-target --behaviour stalls:20ms:1s:10s

Behaviours, whose true percentiles `harness calibrate` knows: constant:TIME, exponential:MEAN,
bimodal:FAST:SLOW:SHARE, pareto:SHORTEST:LONGEST:SHAPE, queue:MEAN (one server, exponential service),
stalls:TIME:STALL:PERIOD. A name alone takes the numbers of `harness calibrate`.

It prints `listening on URL` first, answers every request with 200, and ends on Ctrl-C.")]
pub struct Args {
    /// Port on the loopback address; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Wait this long before each answer, microseconds
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// Threads that serve
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Bytes of each answer's body
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=1 << 30))]
    body_bytes: u32,
    /// Answer after times of a known law instead, for example exponential:20ms
    #[arg(long, value_name = "LAW", conflicts_with_all = ["delay_us", "threads"])]
    behaviour: Option<Behaviour>,
    /// Seed of the times of --behaviour
    #[arg(long, value_name = "N", default_value_t = 1, requires = "behaviour")]
    seed: u64,
    /// Write what each request really took to this CSV file, at the end
    #[arg(long, value_name = "FILE", requires = "behaviour")]
    record: Option<PathBuf>,
}

/// Either target; both stop when dropped.
enum Target {
    Null(crate::drive::null_target::NullTarget),
    Known(known_target::KnownTarget),
}

/// Runs it until SIGINT or SIGTERM.
#[expect(clippy::needless_pass_by_value, reason = "all commands take their arguments alike")]
pub fn run(args: Args) -> Result<Exit, CliError> {
    let body_bytes = args.body_bytes as usize;
    let port = args.port;
    let started = match args.behaviour {
        None => {
            let (delay, threads) = (Duration::from_micros(args.delay_us), usize::from(args.threads));
            let started = spawn(&NullOptions { port, delay, threads, body_bytes });
            started.map(Target::Null).map_err(anyhow::Error::from)
        }
        Some(behaviour) => {
            let options = KnownOptions { port, behaviour, seed: args.seed, body_bytes, core: None };
            known_target::spawn(options).map(Target::Known).map_err(anyhow::Error::from)
        }
    };
    let target =
        started.with_context(|| format!("cannot listen on port {port}; choose another one, or --port 0"))?;
    let url = match &target {
        Target::Null(target) => target.url(),
        Target::Known(target) => target.url(),
    };
    // Flushed at once: scripts wait for this line.
    let mut out = std::io::stdout();
    let said = writeln!(out, "listening on {url}").and_then(|()| out.flush());
    said.context("cannot print the address")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start: free memory or open files")?;
    runtime
        .block_on(async {
            let interrupt = crate::interrupt::Interrupt::on_signals()?;
            interrupt.raised().await;
            Ok::<_, std::io::Error>(())
        })
        .context("cannot listen for signals")?;
    if let (Target::Known(target), Some(file)) = (&target, &args.record) {
        std::fs::write(file, csv(&target.take_served()))
            .with_context(|| format!("{} cannot be written; choose another file", file.display()))?;
    }
    Ok(Exit::Valid)
}

/// The target's own record; nanoseconds since its start.
fn csv(served: &[Served]) -> String {
    let mut text = String::from("arrived_ns,service_ns,due_ns,answered_ns\n");
    for Served { arrived_ns, service_ns, due_ns, answered_ns } in served {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{arrived_ns},{service_ns},{due_ns},{answered_ns}");
    }
    text
}
