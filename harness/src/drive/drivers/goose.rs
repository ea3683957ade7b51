//! goose 0.19 in a process of its own: this very binary, executed anew.
//!
//! goose installs a Ctrl-C handler and a global logger and stops through a switch of its process, so
//! it never runs in ours. Its coordinated-omission mitigation stays off, as it is by default: it
//! makes up samples.

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    ClosedLoad, DriverError, Word, native, process,
    protocol::{Config, Line, Summary},
};
use crate::{interrupt::Interrupt, words::one_line};

/// What goose takes longer than its duration, at most: it starts its users first and sums up afterwards.
const GRACE: Duration = Duration::from_secs(30);

fn failed(cause: impl std::fmt::Display) -> DriverError {
    DriverError::Failed { driver: "goose", cause: one_line(&cause.to_string()) }
}

/// Drives it.
pub(super) async fn drive(load: &ClosedLoad, interrupt: Interrupt) -> Result<Word, DriverError> {
    let mut headers = load.endpoint.headers.clone();
    let media_type = &load.payload.content_type;
    if !media_type.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".into(), media_type.clone()));
    }
    let config = Config {
        url: load.endpoint.url.clone(),
        method: load.method.to_string(),
        headers,
        body_bytes: load.payload.body.len(),
        users: load.connections,
        duration: load.duration,
        timeout: load.timeout,
    };
    let mut input = serde_json::to_vec(&config).map_err(failed)?;
    input.push(b'\n');
    input.extend_from_slice(&load.payload.body);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .arg("goose-driver")
        // The terminal's Ctrl-C is ours alone: a second one would end goose without a result.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = process::start("goose", command, load.core)?;
    // Held to the end: goose ends when this process does.
    let mut leash = child.stdin.take();
    if let Some(leash) = &mut leash {
        leash.write_all(&input).await.map_err(failed)?;
        leash.flush().await.map_err(failed)?;
    }
    let ended = process::finish(child, load.duration + GRACE, interrupt).await.map_err(failed)?;
    drop(leash);
    let bytes_sent = u32::try_from(load.payload.body.len()).unwrap_or(u32::MAX);
    let out = String::from_utf8_lossy(&ended.output.stdout);
    let heard = Heard::of(&out, bytes_sent);
    let Some(summary) = heard.summary else {
        let err = String::from_utf8_lossy(&ended.output.stderr);
        return Err(failed(heard.failure.unwrap_or_else(|| err.into_owned())));
    };
    Ok(Word {
        requests: summary.requests,
        failures: native::failures(&heard.records),
        seconds: load.duration.as_secs_f64(),
        latency_ms: summary.latency_ms,
        cpu_seconds: ended.cpu_seconds,
        records: Some(heard.records),
        interrupted: ended.interrupted,
    })
}

/// What the process said.
#[derive(Debug, Default)]
struct Heard {
    records: Vec<crate::record::Record>,
    summary: Option<Summary>,
    failure: Option<String>,
}

impl Heard {
    fn of(out: &str, bytes_sent: u32) -> Self {
        let mut heard = Self::default();
        for line in out.lines().filter_map(Line::parse) {
            match line {
                Line::Row(row) => heard.records.push(row.record(heard.records.len() as u64, bytes_sent)),
                Line::Summary(summary) => heard.summary = Some(summary),
                Line::Failed(cause) => heard.failure = Some(cause),
            }
        }
        heard
    }
}

/// The process that runs goose: what the hidden command `goose-driver` does.
///
/// # Errors
/// When goose is not built in, the configuration cannot be read, or goose refuses.
#[cfg_attr(not(feature = "goose"), expect(clippy::unnecessary_wraps, reason = "as with the feature"))]
pub fn serve() -> Result<(), DriverError> {
    #[cfg(feature = "goose")]
    return super::goose_child::serve().map_err(|cause| {
        println!("harness-failed {}", one_line(&cause));
        failed(cause)
    });
    #[cfg(not(feature = "goose"))]
    Err(DriverError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gooses_own_words_between_the_lines_do_not_disturb() {
        let out = "15:04:05 [INFO] launching user 1\nharness-row 3 150 200 0 2 a\nAll users launched.\n\
                   harness-row 4 0 0 1 0 b\nharness-summary {\"requests\":2,\"latency_ms\":{\"p50\":0.15}}\n";
        let heard = Heard::of(out, 9);
        assert_eq!(heard.records.len(), 2);
        assert_eq!((heard.records[1].call_id, heard.records[1].bytes_sent), (1, 9));
        assert_eq!(native::failures(&heard.records), [("connect", 1)]);
        let summary = heard.summary.unwrap();
        assert_eq!((summary.requests, summary.latency_ms.p50, summary.latency_ms.p99), (2, Some(0.15), None));
        assert_eq!(heard.failure, None);
    }
}
