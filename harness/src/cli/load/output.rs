//! The result of `harness load`, for people and for scripts.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{play::Measured, request::Request};
use crate::{
    analyse::{summary::Quantiles, tally::Tally},
    experiment::Arrivals,
    record::Outcome,
    reports::format,
};

/// Whether every single request failed to get as much as a connection's worth of an answer.
pub(super) fn nothing_connected(counts: &Tally) -> bool {
    counts.requests > 0 && counts.count(Outcome::Connect) == counts.requests
}

/// Failures by outcome, those that occurred.
fn failures(counts: &Tally) -> impl Iterator<Item = (&'static str, u64)> {
    let all = Outcome::ALL.into_iter().filter(|&outcome| outcome != Outcome::Ok);
    all.map(|outcome| (outcome.name(), counts.count(outcome))).filter(|&(_, count)| count > 0)
}

/// How the load arrived, in words.
pub(super) fn arrived(request: &Request) -> String {
    let seed = match request.arrivals {
        Arrivals::Constant { .. } => String::new(),
        _ if request.arrivals.is_closed() => String::new(),
        _ => format!(", seed {}", request.seed),
    };
    format!("{}{seed}", format::arrivals(&request.arrivals))
}

/// As JSON. Times are in milliseconds, rates in requests a second.
pub(super) fn json(request: &Request, measured: &Measured) -> String {
    let Measured { counts, validity, audit, thresholds } = measured;
    let failures: serde_json::Map<String, Value> =
        failures(counts).map(|(name, count)| (name.to_owned(), count.into())).collect();
    let result = json!({
        "url": request.endpoint.url,
        "load": arrived(request),
        "window_s": counts.window_s,
        "requests": counts.requests,
        "offered_rps": counts.offered_rps,
        "achieved_rps": counts.achieved_rps,
        "goodput_rps": counts.goodput_rps,
        "failures": failures,
        "response_time_ms": counts.response_ms,
        "service_time_ms": counts.service_ms,
        "failure_time_ms": counts.failure_ms,
        "lateness_ms": counts.lateness_ms,
        "connect_ms": counts.connect_ms,
        "server_ms": counts.server_ms,
        "bytes": {
            "sent_per_s": counts.upload_bytes_per_s,
            "received_per_s": counts.download_bytes_per_s,
        },
        "instances": counts.instances,
        "cold_starts": counts.cold_starts,
        "validity": { "word": validity.word(), "problems": validity.problems },
        "generator": audit,
        "thresholds": thresholds,
    });
    format!("{result:#}")
}

/// For people: one compact table.
pub(super) fn text(request: &Request, measured: &Measured) -> String {
    let Measured { counts, validity, audit, thresholds } = measured;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |content: String| _ = writeln!(text, "{content}");
    line(format!("{}   {}, {:.1} s", request.endpoint.url, arrived(request), counts.window_s));
    let offered = counts.offered_rps.map_or(String::new(), |rate| format!("offered {rate:.1}/s, "));
    line(format!(
        "requests  {} ({offered}answered {:.1}/s, correct {:.1}/s)",
        counts.requests, counts.achieved_rps, counts.goodput_rps
    ));
    let failed: Vec<String> = failures(counts).map(|(name, count)| format!("{count} {name}")).collect();
    line(format!("failures  {}", if failed.is_empty() { "none".into() } else { failed.join(", ") }));
    line(format!(
        "{:<10}{}   (ms)",
        "",
        ["mean", "p50", "p90", "p95", "p99", "p99.9", "max"].map(|name| format!("{name:>9}")).concat()
    ));
    for (name, quantiles) in [
        ("response", &counts.response_ms),
        ("service", &counts.service_ms),
        ("failures", &counts.failure_ms),
        ("connect", &counts.connect_ms),
        ("lateness", &counts.lateness_ms),
    ] {
        if quantiles.count > 0 {
            line(row(name, quantiles));
        }
    }
    let bounds = &counts.response_ms.lower_bounds;
    if !bounds.is_empty() {
        line(format!("The response time's {} are lower bounds: they fall on time-outs.", bounds.join(", ")));
    }
    if request.arrivals.is_closed() {
        line(
            "A closed loop waits for answers, so a stall shows in few requests; --rate shows it in all."
                .into(),
        );
    }
    line(format!(
        "{}   (generator {:.0} % of one core, {} connections opened)",
        validity.word(),
        100.0 * audit.cpu_share,
        audit.connections_opened
    ));
    for problem in &validity.problems {
        line(format!("  {} {}", problem.reason, problem.remedy));
    }
    for result in thresholds {
        line(format!("threshold {}", result.line()));
    }
    text
}

fn row(name: &str, quantiles: &Quantiles) -> String {
    let Quantiles { mean, p50, p90, p95, p99, p99_9, max, .. } = *quantiles;
    let cells = [mean, p50, p90, p95, p99, p99_9, max]
        .map(|value| value.map_or(format!("{:>9}", "-"), |value| format!("{value:>9.3}")));
    format!("{name:<10}{}", cells.concat())
}
