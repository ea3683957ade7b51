//! `harness null-target`: what is measured against it is the measuring tool itself.

use std::{io::Write, time::Duration};

use anyhow::Context;

use super::{CliError, Exit};
use crate::drive::null_target::{NullOptions, spawn};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness null-target --port 8080
  harness null-target --delay-us 5000 --body-bytes 400

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
}

/// Runs it until SIGINT or SIGTERM.
#[expect(clippy::needless_pass_by_value, reason = "all commands take their arguments alike")]
pub fn run(args: Args) -> Result<Exit, CliError> {
    let options = NullOptions {
        port: args.port,
        delay: Duration::from_micros(args.delay_us),
        threads: usize::from(args.threads),
        body_bytes: args.body_bytes as usize,
    };
    let target = spawn(&options)
        .with_context(|| format!("cannot listen on port {}; choose another one, or --port 0", args.port))?;
    // Flushed at once: scripts wait for this line.
    let mut out = std::io::stdout();
    let said = writeln!(out, "listening on {}", target.url()).and_then(|()| out.flush());
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
    Ok(Exit::Valid)
}
