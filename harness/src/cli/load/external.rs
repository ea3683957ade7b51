//! `harness load --driver goose|wrk`: somebody else's driver, for comparison, and what it says.

use std::{fmt::Write, fs, sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::json;

use super::{super::CliError, Args, Exit, Output, play, request::Request};
use crate::{
    analyse::quantiles,
    drive::{
        Plan, Progress,
        drivers::{self, ClosedLoad, Driver, Latency, Word},
    },
    experiment::LoadPlace,
    interrupt::Interrupt,
    screen::{note, out, show},
    store,
};

/// How often a line of progress is printed.
const LINE_TICK: Duration = Duration::from_secs(5);

/// Which driver.
#[derive(Debug, clap::Args)]
pub(super) struct DriverArg {
    /// Who drives the load. goose and wrk are there to be compared with: closed loop only
    #[arg(long, value_enum, default_value = "native")]
    driver: Driver,
}

impl DriverArg {
    /// Whether it is not our own engine.
    pub(super) fn is_external(&self) -> bool {
        self.driver != Driver::Native
    }
}

/// Runs it.
pub(super) fn run(args: Args) -> Result<Exit, CliError> {
    let driver = args.external.driver;
    refuse_what_it_cannot(&args, driver)?;
    driver.available()?;
    let request = Request::new(args)?;
    if request.load_from.place != LoadPlace::Here {
        return Err(CliError::Usage(
            "--workers and --load-from are for the harness's own generator; leave them out with --driver"
                .into(),
        ));
    }
    let load = closed(&request)?;
    let mut file = request.save.as_deref().map(play::begin_folder).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start: free memory or open files")?;
    let word = runtime.block_on(async {
        let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
        tokio::select! {
            word = drivers::drive(driver, &load, Arc::<Progress>::default(), interrupt) => Ok::<_, CliError>(word?),
            never = show(driver, load.duration, request.quiet) => match never {},
        }
    })?;
    let json = json(driver, &load, &word);
    if let (Some(folder), Some(file), Some(records)) = (&request.save, &mut file, &word.records) {
        file.append(records).map_err(anyhow::Error::msg).context("the records were not kept; free space")?;
        let result = folder.join("load.json");
        fs::write(&result, &json)
            .with_context(|| format!("{} cannot be written; free space", result.display()))?;
        store::write_parquet(&folder.join("records.arrows"), &folder.join("records.parquet"))
            .context("the records were not converted")?;
    }
    match request.output {
        Output::Text => show!("{}", text(driver, &load, &word)),
        Output::Json => out!("{json}"),
    }
    if word.requests == word.failed() && !word.interrupted {
        return Err(CliError::Failed(anyhow::anyhow!(
            "{} got no good answer from {}; check that it runs, the address and the port",
            driver.name(),
            load.endpoint.url
        )));
    }
    Ok(if word.interrupted { Exit::Failed } else { Exit::Valid })
}

/// One line for each flag that only our own engine can follow.
fn refuse_what_it_cannot(args: &Args, driver: Driver) -> Result<(), CliError> {
    let name = driver.name();
    let usage = |message: String| Err(CliError::Usage(message));
    if args.rate.is_some() || args.arrivals.is_some() || args.what.shape.is_some() {
        return usage(format!(
            "{name} knows no open loop: each of its connections waits for its answer, so no --rate or --shape is kept when the target is slow; give --connections N, or leave --driver out"
        ));
    }
    let only_ours = [
        ("--think-time", args.think_time.is_some()),
        ("--requests", args.requests.is_some()),
        ("--warmup", args.warmup.is_some()),
        ("--and", !args.what.and.is_empty()),
        ("--new-connections", args.connection.new_connections),
        ("--pool", args.connection.pool.is_some()),
        ("--http", args.connection.http.is_some()),
    ];
    if let Some((flag, _)) = only_ours.into_iter().find(|&(_, given)| given) {
        return usage(format!("{flag} is not for --driver {name}; leave one of them out"));
    }
    if driver == Driver::Wrk && args.save.is_some() {
        return usage(
            "wrk gives no records to save; leave --save out, or use --driver goose or native".into(),
        );
    }
    Ok(())
}

/// The load as every driver takes it.
fn closed(request: &Request) -> Result<ClosedLoad, CliError> {
    let load = request.load();
    let (Plan::Closed { connections, .. }, Some(duration)) = (&load.plan, request.duration) else {
        return Err(CliError::Usage("give --connections N, and a --duration".into()));
    };
    let [payload] = &*load.payloads else {
        return Err(CliError::Usage(
            "goose and wrk send the same body each time; give one file, or one of --sizes".into(),
        ));
    };
    Ok(ClosedLoad {
        endpoint: request.endpoint.clone(),
        method: load.method.clone(),
        payload: payload.clone(),
        connections: *connections,
        duration,
        timeout: load.timeout,
        core: request.core,
    })
}

/// Shows on stderr how far it has come, for as long as it is polled.
async fn show(driver: Driver, duration: Duration, quiet: bool) -> std::convert::Infallible {
    if quiet {
        std::future::pending::<()>().await;
    }
    let mut elapsed = Duration::ZERO;
    loop {
        tokio::time::sleep(LINE_TICK).await;
        elapsed += LINE_TICK;
        let left_s = duration.saturating_sub(elapsed).as_secs();
        note!("{:>4} s: {} drives, {left_s} s left", elapsed.as_secs(), driver.name());
    }
}

/// Exact percentiles of the records that a driver gives.
fn of_records(word: &Word) -> Option<Latency> {
    let records = word.records.as_ref()?;
    let told = quantiles::complete(records.iter().map(|record| record.service_ns() as f64 / 1e6));
    let (p50, p90, p99) = (told.p50, told.p90, told.p99);
    Some(Latency { mean: told.mean, p50, p90, p99, p99_9: told.p99_9, max: told.max })
}

fn json(driver: Driver, load: &ClosedLoad, word: &Word) -> String {
    let result = json!({
        "url": load.endpoint.url,
        "driver": driver,
        "load": format!("closed loop, {} connections", load.connections),
        "window_s": word.seconds,
        "requests": word.requests,
        "achieved_rps": word.rate(),
        "failures": word.failures.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "latency_ms": word.latency_ms,
        "latency_of_records_ms": of_records(word),
        "cpu_seconds": word.cpu_seconds,
        "does_not_give": driver.does_not_give(),
        "interrupted": word.interrupted,
    });
    format!("{result:#}")
}

fn text(driver: Driver, load: &ClosedLoad, word: &Word) -> String {
    let name = driver.name();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |content: String| _ = writeln!(text, "{content}");
    let (url, connections) = (&load.endpoint.url, load.connections);
    line(format!("{url}   {name}, closed loop, {connections} connections, {:.1} s", word.seconds));
    line(format!("requests  {} ({:.1}/s)", word.requests, word.rate()));
    let failed: Vec<String> = word.failures.iter().map(|(name, count)| format!("{count} {name}")).collect();
    line(format!("failures  {}", if failed.is_empty() { "none".into() } else { failed.join(", ") }));
    let columns = ["mean", "p50", "p90", "p99", "p99.9", "max"].map(|name| format!("{name:>9}")).concat();
    line(format!("{:<12}{columns}   (ms)", ""));
    line(row(&format!("{name} says"), &word.latency_ms));
    if let Some(latency) = of_records(word) {
        line(row("its records", &latency));
    }
    let per_request_us = word.cpu_seconds * 1e6 / (word.requests.max(1) as f64);
    line(format!("CPU       {:.2} s, {per_request_us:.1} us a request", word.cpu_seconds));
    line(driver.does_not_give().into());
    line(
        "A closed loop waits for answers, so a stall shows in few requests; our own --rate shows it in all."
            .into(),
    );
    text
}

fn row(name: &str, latency: &Latency) -> String {
    let Latency { mean, p50, p90, p99, p99_9, max } = *latency;
    let cells = [mean, p50, p90, p99, p99_9, max]
        .map(|value| value.map_or(format!("{:>9}", "-"), |value| format!("{value:>9.3}")));
    format!("{name:<12}{}", cells.concat())
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

    fn args(flags: &str) -> Args {
        let words = ["load", "http://127.0.0.1:1/"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(words).unwrap().args
    }

    #[test]
    fn what_only_our_engine_can_do_is_refused_with_the_reason() {
        let messages: Vec<String> = [
            "--driver wrk --rate 5",
            "--driver goose --connections 2 --think-time 1s",
            "--driver wrk --connections 2 --requests 9",
            "--driver goose --connections 2 --warmup 1s",
            "--driver wrk --connections 2 --save x",
            "--driver wrk --connections 2 --pool 4",
            "--driver goose --shape kind='single-stream'",
        ]
        .into_iter()
        .map(|flags| {
            let args = args(flags);
            let driver = args.external.driver;
            format!("[{flags}]\n  {}", refuse_what_it_cannot(&args, driver).unwrap_err())
        })
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        [--driver wrk --rate 5]
          wrk knows no open loop: each of its connections waits for its answer, so no --rate or --shape is kept when the target is slow; give --connections N, or leave --driver out
        [--driver goose --connections 2 --think-time 1s]
          --think-time is not for --driver goose; leave one of them out
        [--driver wrk --connections 2 --requests 9]
          --requests is not for --driver wrk; leave one of them out
        [--driver goose --connections 2 --warmup 1s]
          --warmup is not for --driver goose; leave one of them out
        [--driver wrk --connections 2 --save x]
          wrk gives no records to save; leave --save out, or use --driver goose or native
        [--driver wrk --connections 2 --pool 4]
          --pool is not for --driver wrk; leave one of them out
        [--driver goose --shape kind='single-stream']
          goose knows no open loop: each of its connections waits for its answer, so no --rate or --shape is kept when the target is slow; give --connections N, or leave --driver out
        ");
    }

    #[test]
    fn flags_become_the_load_of_every_driver() {
        let flags = "--driver wrk --connections 3 --duration 2s --timeout 4s --method put -H a:b --core 1";
        let load = closed(&Request::new(args(flags)).unwrap()).unwrap();
        assert_eq!((load.connections, load.duration.as_secs(), load.timeout.as_secs()), (3, 2, 4));
        assert_eq!((load.method.as_str(), load.core), ("PUT", Some(1)));
        assert_eq!(load.endpoint.headers, [("a".to_owned(), "b".to_owned())]);
        let several = Request::new(args("--driver wrk --connections 3 --sizes 1,2")).unwrap();
        assert!(closed(&several).unwrap_err().to_string().contains("one of --sizes"));
    }

    #[test]
    fn what_a_driver_says_is_printed_with_what_it_does_not_give() {
        let load = closed(&Request::new(args("--driver wrk --connections 3")).unwrap()).unwrap();
        let word = Word {
            requests: 4000,
            failures: vec![("timeout", 3), ("status", 40)],
            seconds: 10.0,
            latency_ms: Latency { mean: Some(1.5), p50: Some(1.25), max: Some(12.0), ..Latency::default() },
            cpu_seconds: 0.1,
            ..Word::default()
        };
        insta::assert_snapshot!(text(Driver::Wrk, &load, &word), @r"
        http://127.0.0.1:1/   wrk, closed loop, 3 connections, 10.0 s
        requests  4000 (400.0/s)
        failures  3 timeout, 40 status
                         mean      p50      p90      p99    p99.9      max   (ms)
        wrk says        1.500    1.250        -        -        -   12.000
        CPU       0.10 s, 25.0 us a request
        wrk gives percentiles only: no record of a request, no lateness; a request that got no answer is in none of them, and below each latency beyond twice its mean interval it makes up samples (stats_correct).
        A closed loop waits for answers, so a stall shows in few requests; our own --rate shows it in all.
        ");
    }
}
