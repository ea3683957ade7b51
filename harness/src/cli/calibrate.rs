//! `harness calibrate`: a target of known behaviour, each driver in turn, and the truth beside them.

mod measure;
mod output;

use crate::screen::{out, show};
use std::time::Duration;

use super::{CliError, Exit, experiment_args::Output};
use crate::drive::{drivers::Driver, known_target::Behaviour};

/// How long each driver drives each behaviour.
const DURATION: Duration = Duration::from_secs(30);

/// The same with `--quick`.
const QUICK: Duration = Duration::from_secs(9);

/// The longest period of stalls, and the fewest of them in a measurement, where the user names none.
const STALL_PERIOD: Duration = Duration::from_secs(10);
const STALL_PERIODS: u32 = 3;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness calibrate
  harness calibrate --quick
  harness calibrate --behaviour stalls --behaviour queue:5ms --drivers native,wrk --duration 60s

It starts a target on the loopback address whose response times are known by formula, and drives it
with our own open and closed loop, and with goose and wrk where they are there. PASS: each figure of
our open loop is within 1 % of the truth, or within its sampling error (99.9 %), where that is larger.
Sending, waking up and receiving take about 0.1 ms a request, on some machines more: service times must
be far above that for 1 % of them to mean anything, as the default ones are.

Exit code: 0 our open loop tells the truth, 1 failed or interrupted, 2 bad usage, 3 it does not.")]
pub struct Args {
    /// Only these: a name, or a law as `harness null-target --behaviour` takes it; may be repeated
    #[arg(long = "behaviour", value_name = "LAW")]
    behaviours: Vec<String>,
    /// Only these drivers [default: all that are there]
    #[arg(long, value_enum, value_delimiter = ',')]
    drivers: Vec<Driver>,
    /// How long each driver drives each behaviour, whole seconds [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "quick")]
    duration: Option<Duration>,
    /// 9 s each: shows what hides, but is too short for the 99.9th percentile
    #[arg(long)]
    quick: bool,
    /// Open loop: requests a second; a queue gets half of what it can serve
    #[arg(long, value_name = "N", default_value_t = 500.0)]
    rate: f64,
    /// Closed loops: connections side by side
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Seed of arrivals and service times
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Validated arguments.
#[derive(Debug, Clone, PartialEq)]
struct Request {
    behaviours: Vec<Behaviour>,
    drivers: Vec<Driver>,
    /// Drivers that are not there, with the remedy.
    missing: Vec<String>,
    duration: Duration,
    rate: f64,
    connections: u32,
    seed: u64,
    quiet: bool,
}

fn usage<T>(message: impl Into<String>) -> Result<T, CliError> {
    Err(CliError::Usage(message.into()))
}

impl Request {
    fn new(args: &Args) -> Result<Self, CliError> {
        let duration = args.duration.unwrap_or(if args.quick { QUICK } else { DURATION });
        if duration < Duration::from_secs(2) || duration.subsec_nanos() != 0 {
            return usage("--duration must be whole seconds, at least 2s: goose and wrk know no others");
        }
        if !(args.rate > 0.0 && args.rate <= 100_000.0) {
            return usage("--rate must be a number above 0, at most 100000 requests a second");
        }
        let all = Behaviour::NAMES.map(str::to_owned);
        let named = if args.behaviours.is_empty() { &all[..] } else { &args.behaviours };
        let behaviours = named.iter().map(|text| behaviour(text, duration)).collect::<Result<_, _>>()?;
        let mut missing = Vec::new();
        let mut drivers = args.drivers.clone();
        if drivers.is_empty() {
            for driver in Driver::ALL {
                match driver.available() {
                    Ok(()) => drivers.push(driver),
                    Err(error) => missing.push(format!("Without {}: {error}.", driver.name())),
                }
            }
        }
        for driver in &drivers {
            driver.available()?;
        }
        Ok(Self {
            behaviours,
            drivers,
            missing,
            duration,
            rate: args.rate,
            connections: args.connections,
            seed: args.seed,
            quiet: args.quiet,
        })
    }

    /// Rate of the open loop: a queue gets half of what it can serve.
    fn rate_of(&self, behaviour: &Behaviour) -> f64 {
        match behaviour {
            Behaviour::Queue { mean } => 0.5 / mean.as_secs_f64(),
            _ => self.rate,
        }
    }
}

/// A behaviour by its text; stalls come in whole periods, else their share would not be the true one.
fn behaviour(text: &str, duration: Duration) -> Result<Behaviour, CliError> {
    let behaviour: Behaviour =
        text.parse().map_err(|error| CliError::Usage(format!("--behaviour: {error}")))?;
    let Behaviour::Stalls { time, every, .. } = behaviour else { return Ok(behaviour) };
    if text == behaviour.name() {
        let periods = (duration.as_secs_f64() / STALL_PERIOD.as_secs_f64()).ceil() as u32;
        let every = Duration::from_millis((duration / periods.max(STALL_PERIODS)).as_millis() as u64);
        return Ok(Behaviour::Stalls { time, stall: every / 10, every });
    }
    if !duration.as_nanos().is_multiple_of(every.as_nanos()) {
        return usage(format!(
            "--duration {} is not a whole number of the {} between stalls; choose another one",
            humantime::format_duration(duration),
            humantime::format_duration(every)
        ));
    }
    Ok(behaviour)
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let request = Request::new(args)?;
    let mut measured = measure::measure(&request)?;
    if let Some(error) = measured.failure.take_if(|_| measured.calibrations.is_empty()) {
        return Err(error);
    }
    match args.output {
        Output::Text => show!("{}", output::text(&request, &measured)),
        Output::Json => out!("{}", output::json(&request, &measured)),
    }
    if let Some(error) = measured.failure {
        return Err(error);
    }
    Ok(match (measured.interrupted, measured.passed()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Valid,
        (false, false) => Exit::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn request(flags: &str) -> Result<Request, String> {
        let words = ["calibrate"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        Request::new(&line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_are_one_line_with_the_remedy() {
        let messages: Vec<String> = [
            "--duration 1500ms",
            "--duration 1s",
            "--rate 0",
            "--rate NaN",
            "--behaviour gauss",
            "--behaviour stalls:5ms:1s:7s --duration 10s",
        ]
        .into_iter()
        .map(|flags| format!("[{flags}]\n  {}", request(flags).unwrap_err()))
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        [--duration 1500ms]
          --duration must be whole seconds, at least 2s: goose and wrk know no others
        [--duration 1s]
          --duration must be whole seconds, at least 2s: goose and wrk know no others
        [--rate 0]
          --rate must be a number above 0, at most 100000 requests a second
        [--rate NaN]
          --rate must be a number above 0, at most 100000 requests a second
        [--behaviour gauss]
          --behaviour: the behaviour 'gauss' is not known; write constant:100ms, exponential:20ms, bimodal:50ms:250ms:0.05 (fast, slow, share of the slow), pareto:5ms:1s:1.2 (shortest, longest, shape), queue:2ms or stalls:20ms:1s:10s (time, stall, period)
        [--behaviour stalls:5ms:1s:7s --duration 10s]
          --duration 10s is not a whole number of the 7s between stalls; choose another one
        ");
    }

    #[test]
    fn by_default_every_behaviour_is_there_and_stalls_fill_whole_periods() {
        let texts = |flags: &str| -> Vec<String> {
            request(flags).unwrap().behaviours.iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts("--drivers native").len(), 6);
        assert_eq!(texts("--drivers native")[5], "stalls:20ms:1s:10s");
        assert_eq!(texts("--drivers native --quick")[5], "stalls:20ms:300ms:3s");
        assert_eq!(texts("--drivers native --duration 60s --behaviour stalls"), ["stalls:20ms:1s:10s"]);
        assert_eq!(texts("--drivers native --behaviour stalls:1ms:1s:3s"), ["stalls:1ms:1s:3s"]);
    }

    #[test]
    fn a_queue_gets_half_of_what_it_can_serve() {
        let request = request("--drivers native --rate 900").unwrap();
        let rate = |behaviour: &str| request.rate_of(&behaviour.parse().unwrap()).round() as u32;
        assert_eq!((rate("queue:4ms"), rate("constant")), (125, 900));
    }
}
