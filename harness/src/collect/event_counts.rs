//! What functions and the logger say of their events, asked over HTTP between two cells.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, header::HOST};
use serde::Deserialize;

use crate::{analyse::events::FunctionCounts, drive::Endpoint};

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Questions for each replica: who answers is drawn by the platform, so some are asked more than once.
const QUESTIONS_A_REPLICA: u32 = 8;
/// Counters of `/metrics`, up to their values.
const EMITTED: &str = "function_events_emitted_total";
const DELIVERED: &str = "function_events_delivered_total";
const RETRIED: &str = "function_events_retried_total";
const DROPPED: &str = "function_events_dropped_total";

/// What each replica has counted, by its boot id.
pub type ByReplica = BTreeMap<String, FunctionCounts>;

/// What the logger has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Logged {
    /// Events, duplicates included.
    pub received: u64,
    /// Events that it had got before.
    pub duplicates: u64,
}

/// Another page of a deployed function: its endpoint's URL ends in `path`, that of an invocation.
pub fn page(endpoint: &Endpoint, path: &str, page: &str) -> Endpoint {
    let base = endpoint.url.strip_suffix(path).unwrap_or(&endpoint.url);
    Endpoint { url: format!("{}{page}", base.trim_end_matches('/')), headers: endpoint.headers.clone() }
}

/// Asks `/metrics` until so many replicas have answered, a bounded number of times.
///
/// # Errors
/// In words, if nobody answers or what comes is not our function's.
pub async fn of_function(client: &Client, metrics: &Endpoint, replicas: u32) -> Result<ByReplica, String> {
    let mut found = ByReplica::new();
    for _ in 0..replicas.max(1) * QUESTIONS_A_REPLICA {
        let answer = get(client, metrics).await?;
        let boot = answer.headers().get("x-boot-id").and_then(|boot| boot.to_str().ok());
        let boot = boot.ok_or("what answers /metrics is not our function")?.to_owned();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        found.insert(boot, counts(&text).ok_or("/metrics does not tell of events")?);
        if found.len() >= replicas as usize {
            break;
        }
    }
    Ok(found)
}

/// Asks the logger's page.
///
/// # Errors
/// In words, if it does not answer or what comes makes no sense.
pub async fn of_logger(client: &Client, events: &Endpoint) -> Result<Logged, String> {
    let answer = get(client, events).await?;
    let text = answer.text().await.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("the logger's page is not understood: {error}"))
}

async fn get(client: &Client, endpoint: &Endpoint) -> Result<reqwest::Response, String> {
    let mut request = client.get(&endpoint.url).timeout(ANSWER_LIMIT);
    for (name, value) in &endpoint.headers {
        request = if name.eq_ignore_ascii_case("host") {
            request.header(HOST, value)
        } else {
            request.header(name, value)
        };
    }
    let answer = request.send().await.map_err(|error| crate::words::innermost(&error))?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        status => Err(format!("{} answered with {status}", endpoint.url)),
    }
}

/// The counters in a page of Prometheus text; none where the events' are not among them.
fn counts(text: &str) -> Option<FunctionCounts> {
    let value = |rest: &str| rest.trim().parse::<f64>().ok().map(|value| value as u64);
    let plain = |name: &str| text.lines().find_map(|line| value(line.strip_prefix(name)?.strip_prefix(' ')?));
    let reason = |line: &str| {
        let (reason, rest) = line.strip_prefix(DROPPED)?.strip_prefix("{reason=\"")?.split_once("\"}")?;
        Some((reason.to_owned(), value(rest)?))
    };
    Some(FunctionCounts {
        emitted: plain(EMITTED)?,
        delivered: plain(DELIVERED)?,
        retried: plain(RETRIED)?,
        dropped: text.lines().filter_map(reason).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP function_events_delivered_total Events that the sink took
function_events_delivered_total 7
function_events_dropped_total{reason=\"buffer-full\"} 2
function_events_dropped_total{reason=\"refused\"} 0
function_events_emitted_total 10
function_events_retried_total 4
function_requests_total{code=\"200\"} 10
";

    #[test]
    fn the_functions_counters_are_read_from_its_page() {
        let counts = counts(TEXT).unwrap();
        assert_eq!((counts.emitted, counts.delivered, counts.retried), (10, 7, 4));
        assert_eq!((counts.dropped["buffer-full"], counts.dropped["refused"], counts.open()), (2, 0, 1));
        assert_eq!(super::counts("function_requests_total 1"), None, "a function that knows no events");
    }

    #[test]
    fn a_page_replaces_the_path_of_an_invocation() {
        let of = |url: &str, path: &str| {
            page(&Endpoint { url: url.to_owned(), headers: Vec::new() }, path, "/metrics").url
        };
        assert_eq!(of("http://h:1/predict?top=5", "/predict?top=5"), "http://h:1/metrics");
        assert_eq!(of("http://h/function/f/predict", "/predict"), "http://h/function/f/metrics");
        assert_eq!(of("http://h/function/f", ""), "http://h/function/f/metrics");
        assert_eq!(of("http://h/", "/"), "http://h/metrics");
    }
}
