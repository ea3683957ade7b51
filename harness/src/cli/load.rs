//! `harness load`: drives load at any HTTP endpoint, and says what it did.

mod external;
mod output;
mod play;
mod request;
mod source;
mod what;

use crate::screen::{out, show};
use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

pub(super) use request::{names_no_path, payload};

use super::{
    CliError, Exit, experiment_args::Output, load_from_args::LoadFromArgs, screen_args::ScreenArgs,
    verdict_args,
};
use crate::experiment::Threshold;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness load http://127.0.0.1:8080/ --rate 100 --duration 30s
  harness load http://127.0.0.1:8080/predict --body cat.jpg --rate 20 --arrivals poisson
  harness load http://127.0.0.1:8080/ --connections 8 --requests 10000 --output json
  harness load http://127.0.0.1:8080/ --rate 100 --threshold 'p99<500ms' --threshold 'failures<1%'
  harness load http://127.0.0.1:8080/ --connections 8 --driver wrk
  harness load http://127.0.0.1:8080/ --shape \"kind = 'square', low = 5, high = 50, period = '10s'\"
  harness load http://127.0.0.1:8080/ --shape \"kind = 'azure-minutes', file = 'day1.csv', time-scale = 60\"
  harness load http://10.0.0.9/ --rate 60000 --workers 3              three processes, one result

--rate is an open loop: requests are sent at their times, whatever the answers do, and the response
time counts from the intended time. --connections is a closed loop, as wrk's: each connection sends
its next request after its last answer, so a stall delays few requests and hides from percentiles.

Exit code: 0 a valid result, 1 failed or interrupted, 2 bad usage, 3 finished but INVALID
(--allow-invalid: 0), 4 finished and a threshold does not hold (3 goes before 4).")]
pub struct Args {
    /// Where to: http:// or https://, with path and query
    url: String,
    /// Open loop: requests a second
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// How the requests of --rate arrive [default: constant]
    #[arg(long, value_enum)]
    arrivals: Option<ArrivalsArg>,
    /// Closed loop: connections side by side
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Closed loop: pause between an answer and the next request
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    think_time: Option<Duration>,
    /// How long to measure [default: 10s, unless --requests is given]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// How many requests to send
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Load before the measured time, not counted [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    warmup: Option<Duration>,
    /// Deadline of each request, from its actual send
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// HTTP method [default: GET, or POST with --body]
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// A header of each request, for example 'Host: f.example.com'; may be repeated
    #[arg(long = "header", short = 'H', value_name = "K: V")]
    headers: Vec<String>,
    /// File to send as body of each request, or a folder of files of which each request draws one
    #[arg(long, value_name = "FILE|DIR")]
    body: Option<PathBuf>,
    /// Seed of everything random: arrivals, bodies, endpoints
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Keep the records (Arrow stream and Parquet) and the result in this new folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Bind the load generator's thread to this core
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
    /// A condition on the figures, for example 'p99<500ms'; exit code 4 if it does not hold; may be repeated
    #[arg(long = "threshold", value_name = "CONDITION")]
    thresholds: Vec<Threshold>,
    #[command(flatten)]
    what: what::WhatArgs,
    #[command(flatten)]
    connection: super::connection_args::ConnectionArgs,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    external: external::DriverArg,
    #[command(flatten)]
    load_from: LoadFromArgs,
    /// Context of the kubeconfig, with --load-from cluster [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace for workers on a cluster [default: testbed]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// How requests of an open loop arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ArrivalsArg {
    /// Equal distances
    Constant,
    /// Exponential distances, as of many independent users
    Poisson,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, CliError> {
    let screen = args.screen;
    if args.external.is_external() {
        if !args.thresholds.is_empty() {
            return Err(CliError::Usage(
                "--threshold judges what the harness itself measured; leave it out, or leave --driver out"
                    .into(),
            ));
        }
        return external::run(args).map(|exit| screen.exit(exit));
    }
    let request = request::Request::new(args)?;
    let result = play::play(&request)?;
    match request.output {
        Output::Text => show!("{}", output::text(&request, &result)),
        Output::Json => out!("{}", output::json(&request, &result)),
    }
    if output::nothing_connected(&result.counts) {
        return Err(CliError::Failed(anyhow::anyhow!(
            "no request got an answer from {}; check that it runs, the address and the port",
            request.endpoint.url
        )));
    }
    Ok(match (result.audit.interrupted, result.validity.is_valid()) {
        (true, _) => Exit::Failed,
        (false, valid) => {
            let met = result.thresholds.iter().all(|found| found.met);
            verdict_args::forgiven(verdict_args::exit(valid, met), screen, met)
        }
    })
}
