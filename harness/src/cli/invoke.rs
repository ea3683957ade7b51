//! `harness invoke`: calls one function and shows what came back; proves a cold start.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    CliError, Exit,
    cluster_args::ClusterArgs,
    deploy::FUNCTION_NAME,
    experiment_args::Output,
    invoke_async::{self, AsyncArgs},
    load::{names_no_path, payload as body},
};
use crate::{
    admin::{
        BY_HAND,
        asked::{self, About, Asked},
        invoke::{self, Answer, ColdStart, Question},
    },
    drive::Endpoint,
    interrupt::Interrupt,
    platforms::{
        AnyPlatform, Ground, Platform, PlatformKind,
        cluster::{ClusterChoice, RunLabel},
    },
    record::Outcome,
    screen::{note, out, show},
    workloads::{JudgeSpec, Kind, Size, null},
};

/// Lines of an answer that are shown.
const LINES: usize = 10;

/// How many characters of a line of it: a compiler's text may be one line of JSON.
const CHARACTERS: usize = 500;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness invoke knative                              one request of whatever the function 'classify' serves
  harness invoke knative --name pdf --workload pdf    without asking it first; the answer is checked
  harness invoke openfaas --body cat.jpg --count 5
  harness invoke openfaas --async --callback-host 10.0.0.7   through the queue, until the call-back
  harness invoke knative --cold                       wait for zero replicas, then prove a cold start
  harness invoke http://127.0.0.1:8080/predict?top=2 --body cat.jpg

Without --workload and --body the function is asked what it serves (which wakes one that sleeps).

Exit code: 0 every request was answered, and rightly where its answer is known, 1 not, or no cold start was
proved, 2 bad usage.")]
pub struct Args {
    /// Platform with a deployed function, or a URL
    #[arg(value_name = "PLATFORM|URL", value_parser = target)]
    target: Target,
    /// Name of the function
    #[arg(long, value_name = "NAME", default_value = FUNCTION_NAME)]
    name: String,
    /// Path and query of the invocation, on a platform [default: the workload's; with --body /predict]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// What is sent [default: a request of the workload]
    #[arg(long, value_name = "FILE", conflicts_with = "workload")]
    body: Option<PathBuf>,
    /// Send what this workload takes, and check the answers [default: what the function says that it serves]
    #[arg(long, value_name = "NAME")]
    workload: Option<Kind>,
    /// How much work the request is
    #[arg(long, value_name = "SIZE", value_enum, default_value = "test", conflicts_with = "body")]
    size: Size,
    /// HTTP method; with GET and HEAD nothing is sent unless --body is given
    #[arg(long, value_name = "METHOD", default_value = "POST")]
    method: String,
    /// Requests, one after another; with --cold so many cold starts
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// Wait until the function has no replica, then send one request (platforms that scale to zero)
    #[arg(long)]
    cold: bool,
    /// How long to wait for zero replicas
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5m")]
    zero_timeout: Duration,
    /// Deadline of each request
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    timeout: Duration,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    calls: AsyncArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Platform(PlatformKind),
    Url(String),
}

fn target(text: &str) -> Result<Target, String> {
    if text.contains("://") {
        return Ok(Target::Url(text.to_owned()));
    }
    PlatformKind::from_str(text, false).map(Target::Platform).map_err(|_| {
        format!(
            "'{text}' is neither a platform ({}) nor a URL",
            PlatformKind::ALL.map(PlatformKind::name).join(", ")
        )
    })
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if args.cold && !matches!(args.target, Target::Platform(_)) {
        return Err(CliError::Usage("--cold needs a platform: a URL does not show its replicas".into()));
    }
    if args.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        return Err(CliError::Usage("--path must begin with /; write for example /predict?top=5".into()));
    }
    let Ok(method) = hyper::Method::from_bytes(args.method.to_ascii_uppercase().as_bytes()) else {
        return Err(CliError::Usage(format!(
            "--method '{}' is no HTTP method; write for example POST",
            args.method
        )));
    };
    if args.calls.asynchronous && (args.target != Target::Platform(PlatformKind::OpenFaas) || args.cold) {
        return Err(CliError::Usage("--async is for `harness invoke openfaas`, without --cold".into()));
    }
    let sends_nothing = args.body.is_none() && matches!(method, hyper::Method::GET | hyper::Method::HEAD);
    // A file that cannot be read is said before a cluster is looked for.
    let given = if args.body.is_some() || sends_nothing { Some(body(args.body.as_deref())?) } else { None };
    super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        let (platform, endpoint) = match &args.target {
            Target::Url(url) => (None, Endpoint { url: url.clone(), headers: Vec::new() }),
            Target::Platform(kind) => {
                let (platform, endpoint) = found(*kind, args).await?;
                (Some(platform), endpoint)
            }
        };
        let asked = match given {
            Some(payload) => Asked { path: null::PATH.to_owned(), payload, expected: JudgeSpec::Status },
            None => asked_for(args, &endpoint, &interrupt).await?,
        };
        if args.calls.asynchronous {
            let wanted = invoke_async::Wanted {
                name: &args.name,
                payload: asked.payload,
                count: args.count,
                timeout: args.timeout,
                output: args.output,
            };
            return invoke_async::run(wanted, &args.calls, &args.cluster).await;
        }
        let endpoint = aimed(endpoint, &args.target, args.path.as_deref().unwrap_or(&asked.path));
        let Asked { payload, expected, .. } = asked;
        let question = Question { endpoint, method, payload, expected, timeout: args.timeout };
        note!("{} {}", question.method, question.endpoint.url);
        match platform.filter(|_| args.cold) {
            Some(platform) => cold(&platform, &question, args, &interrupt).await,
            None => warm(&question, args, interrupt).await,
        }
    })
}

/// A function that is there already.
async fn found(kind: PlatformKind, args: &Args) -> Result<(AnyPlatform, Endpoint), CliError> {
    let cluster = args.cluster.connect(ClusterChoice::default(), RunLabel::new(BY_HAND)).await?;
    note!("{}", cluster.describe());
    let mut platform = Ground::Cluster(cluster.into()).platform(kind);
    let Some(deployed) = platform.find(&args.name).await? else {
        return Err(anyhow::anyhow!(
            "there is no function '{}' on {}; deploy it with `harness deploy {} --image REF`, or name another with --name",
            args.name,
            kind.name(),
            kind.name()
        )
        .into());
    };
    let endpoint = deployed.endpoints.into_iter().next().context("the platform named no endpoint")?;
    Ok((platform, endpoint))
}

/// A request of the workload that was named, or that the function says it serves.
async fn asked_for(args: &Args, endpoint: &Endpoint, interrupt: &Interrupt) -> Result<Asked, CliError> {
    let about = match args.workload {
        Some(workload) => About { workload, model: None },
        None => asked::about(endpoint, args.timeout, interrupt.clone()).await?,
    };
    let say = |line: &str| note!("{line}");
    let asked = asked::request(&about, args.size, &models::Places::from_env(), &say)?;
    note!("{}: {}", about.workload, asked.payload.name);
    Ok(asked)
}

/// The address of an invocation: URLs that name a path are taken as they are.
fn aimed(mut endpoint: Endpoint, target: &Target, path: &str) -> Endpoint {
    let takes_path = match target {
        Target::Platform(kind) => *kind != PlatformKind::Endpoint,
        Target::Url(url) => names_no_path(url),
    };
    if takes_path {
        endpoint.url = format!("{}{path}", endpoint.url.trim_end_matches('/'));
    }
    endpoint
}

async fn warm(question: &Question, args: &Args, interrupt: Interrupt) -> Result<Exit, CliError> {
    let answers = invoke::ask(question, args.count, interrupt).await?;
    match args.output {
        Output::Text => {
            for answer in &answers {
                show!("{}", line(answer));
            }
            if let Some(last) = answers.last() {
                show!("{}", shown(&last.body));
            }
        }
        Output::Json => {
            out!("{}", super::json(&answers.iter().map(as_json).collect::<Vec<_>>()));
        }
    }
    let all = answers.len() as u64 == args.count && answers.iter().all(|a| a.record.outcome == Outcome::Ok);
    Ok(if all { Exit::Valid } else { Exit::Failed })
}

async fn cold(
    platform: &AnyPlatform,
    question: &Question,
    args: &Args,
    interrupt: &Interrupt,
) -> Result<Exit, CliError> {
    let mut seen = BTreeSet::new();
    let mut proved = Vec::new();
    for _ in 0..args.count {
        note!("waiting for zero replicas");
        let limit = args.zero_timeout;
        let start = tokio::select! {
            start = invoke::cold_start(platform, question, &mut seen, limit, interrupt) => start?,
            () = interrupt.raised() => return Err(anyhow::anyhow!("interrupted").into()),
        };
        if args.output == Output::Text {
            show!("{}", proof(&start));
        }
        proved.push(start);
    }
    match (args.output, proved.last()) {
        (Output::Text, Some(last)) => show!("{}", shown(&last.answer.body)),
        (Output::Text, None) => {}
        (Output::Json, _) => {
            let as_json = |start: &ColdStart| json!({ "zero": start.zero, "answer": as_json(&start.answer) });
            out!("{}", super::json(&proved.iter().map(as_json).collect::<Vec<_>>()));
        }
    }
    Ok(Exit::Valid)
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// One answer in a line or two.
fn line(answer: &Answer) -> String {
    let record = &answer.record;
    if matches!(record.outcome, Outcome::Connect | Outcome::Timeout) {
        let what =
            if record.outcome == Outcome::Timeout { "no answer in time" } else { "no connection, or closed" };
        return format!("{what} after {:.1} ms\n", ms(record.service_ns()));
    }
    let mut text = format!("{} in {:.1} ms", record.status, ms(record.service_ns()));
    let connecting = record.connected_ns.map_or(0, |at| at.saturating_sub(record.sent_ns));
    if connecting > 0 {
        // Writing to a String cannot fail.
        _ = write!(text, " ({:.1} ms of it connecting)", ms(connecting));
    }
    match answer.instance() {
        Some((instance, boot)) => {
            let temperature = if record.cold { "COLD: its first answer" } else { "warm" };
            _ = write!(text, " from {instance} (boot {boot}), {temperature}");
        }
        None if record.outcome == Outcome::Platform => {
            text.push_str(" from the platform, not from the function");
        }
        None => {}
    }
    if record.outcome == Outcome::WrongAnswer {
        text.push_str(", WRONG: not the answer that is expected");
    }
    if let Some(server) = &record.server {
        let stages = [
            ("queue", server.queue_us),
            ("download", server.download_us),
            ("decode", server.decode_us),
            ("preprocess", server.preprocess_us),
            ("inference", server.inference_us),
            ("upload", server.upload_us),
            ("total", server.total_us),
        ];
        // Transfers are there only where inputs came by reference.
        let told = stages.into_iter().filter(|(name, us)| *us > 0 || !name.ends_with("load"));
        let stages: Vec<String> =
            told.map(|(name, us)| format!("{name} {:.1}", f64::from(us) / 1e3)).collect();
        _ = write!(text, "\n  in the function, ms: {}", stages.join(", "));
    }
    text + "\n"
}

/// A cold start with its proof.
fn proof(start: &ColdStart) -> String {
    let zero = &start.zero;
    let gone = match zero.gone.as_slice() {
        [] => "no pod was there".to_owned(),
        gone => format!("gone: {}", gone.join(", ")),
    };
    format!(
        "zero replicas after {:.1} s ({gone}; {})\ncold start proved: no pod was left, and the boot id was not seen before\n{}",
        zero.waited.as_secs_f64(),
        zero.autoscaler,
        line(&start.answer)
    )
}

/// The beginning of an answer: predictions as a list, anything else as it is.
fn shown(body: &[u8]) -> String {
    if let Some(list) = predictions(body) {
        return list;
    }
    let Ok(text) = std::str::from_utf8(body) else { return format!("  ({} bytes, no text)\n", body.len()) };
    let mut out = String::new();
    for line in text.lines().take(LINES) {
        let more = line.chars().count().saturating_sub(CHARACTERS);
        let cut: String = line.chars().take(CHARACTERS).collect();
        // Writing to a String cannot fail.
        _ = if more == 0 {
            writeln!(out, "  {line}")
        } else {
            writeln!(out, "  {cut} ... ({more} more characters)")
        };
    }
    let more = text.lines().count().saturating_sub(LINES);
    if more > 0 {
        _ = writeln!(out, "  ({more} more lines)");
    }
    out
}

fn predictions(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let list = answer["predictions"].as_array()?;
    let one = |(i, p): (usize, &Value)| {
        let label = p["label"].as_str().or_else(|| p["class_id"].as_str())?;
        Some(format!("  {}. {label} ({:.1} %)\n", i + 1, p["confidence"].as_f64()? * 100.0))
    };
    list.iter().enumerate().map(one).collect()
}

fn as_json(answer: &Answer) -> Value {
    let record = &answer.record;
    let (instance, boot) = answer.instance().unzip();
    json!({
        "status": record.status,
        "outcome": record.outcome,
        "latency_ms": ms(record.service_ns()),
        "connect_ms": record.connected_ns.map(|at| ms(at.saturating_sub(record.sent_ns))),
        "first_byte_ms": record.first_byte_ns.map(|at| ms(at.saturating_sub(record.sent_ns))),
        "instance": instance,
        "boot_id": boot,
        "cold": record.cold,
        "stages_ms": record.server.map(|s| json!({
            "queue": f64::from(s.queue_us) / 1e3, "decode": f64::from(s.decode_us) / 1e3,
            "preprocess": f64::from(s.preprocess_us) / 1e3, "inference": f64::from(s.inference_us) / 1e3,
            "download": f64::from(s.download_us) / 1e3, "upload": f64::from(s.upload_us) / 1e3,
            "total": f64::from(s.total_us) / 1e3 })),
        "body": String::from_utf8_lossy(&answer.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_a_list_and_anything_else_is_shown_as_it_is() {
        let body =
            br#"{"predictions":[{"label":"tabby","confidence":0.713},{"label":"lynx","confidence":0.02}]}"#;
        assert_eq!(shown(body), "  1. tabby (71.3 %)\n  2. lynx (2.0 %)\n");
        assert_eq!(shown(b"404 page not found\n"), "  404 page not found\n");
        assert_eq!(shown(&[0xff, 0xfe]), "  (2 bytes, no text)\n");
        let wide = "x".repeat(CHARACTERS + 7);
        assert!(shown(wide.as_bytes()).ends_with("x ... (7 more characters)\n"));
        let long = (0..12).map(|i| i.to_string()).collect::<Vec<_>>().join("\n");
        assert!(shown(long.as_bytes()).ends_with("  9\n  (2 more lines)\n"));
    }

    #[test]
    fn a_url_that_names_a_path_is_taken_as_it_is_and_any_other_gets_the_workloads() {
        let at = |text: &str| {
            let endpoint = Endpoint { url: text.into(), headers: Vec::new() };
            aimed(endpoint, &target(text).unwrap(), "/predict?beams=1").url
        };
        assert_eq!(at("http://h:1"), "http://h:1/predict?beams=1");
        assert_eq!(at("http://h:1/"), "http://h:1/predict?beams=1");
        assert_eq!(at("http://h:1/predict?top=2"), "http://h:1/predict?top=2");
        let base = Endpoint { url: "http://gateway/function/f".into(), headers: Vec::new() };
        let on = aimed(base, &Target::Platform(PlatformKind::OpenFaas), "/predict");
        assert_eq!(on.url, "http://gateway/function/f/predict");
    }

    #[test]
    fn a_target_is_a_platform_or_a_url() {
        assert_eq!(target("knative"), Ok(Target::Platform(PlatformKind::Knative)));
        assert_eq!(target("http://h/x"), Ok(Target::Url("http://h/x".into())));
        assert!(target("lambda").unwrap_err().contains("neither a platform (knative, openfaas"));
    }
}
