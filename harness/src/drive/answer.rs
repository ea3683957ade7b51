//! What an answer's headers say: which instance answered, whether it was its first, and how long
//! the function worked; and the judge for endpoints of which nothing else is known.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use hyper::{
    HeaderMap,
    header::{HeaderName, RETRY_AFTER},
};

use super::{Judge, Judgement};
use crate::record::{Outcome, ServerTimings};

/// Names the replica.
static INSTANCE_ID: HeaderName = HeaderName::from_static("x-instance-id");
/// Names one life of the replica: a restarted one has another.
static BOOT_ID: HeaderName = HeaderName::from_static("x-boot-id");
/// Whether this is the instance's first answer.
static COLD_START: HeaderName = HeaderName::from_static("x-cold-start");
/// Server-Timing (W3C), durations in milliseconds.
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the headers of one answer prove.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnswerFacts {
    /// Whether our function wrote the answer: its boot id is there.
    pub from_function: bool,
    /// The instance that answered, as `instance id/boot id`.
    pub instance: Option<Arc<str>>,
    /// Whether it was the instance's first answer.
    pub cold: bool,
    /// Times that the function reported.
    pub server: Option<ServerTimings>,
}

/// Reads the instance headers and `Server-Timing`. Headers that make no sense count as absent.
pub fn facts(headers: &HeaderMap) -> AnswerFacts {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let boot = text(&BOOT_ID);
    AnswerFacts {
        from_function: boot.is_some(),
        instance: boot.map(|boot| instance_name(text(&INSTANCE_ID).unwrap_or(""), boot)),
        cold: text(&COLD_START).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
        server: text(&SERVER_TIMING).and_then(server_timings),
    }
}

/// Instances' names that a thread remembers at most; more begin anew.
const MOST_NAMES: usize = 4096;

thread_local! {
    /// The names of the instances that have answered, and room for the next one.
    static NAMES: RefCell<(HashSet<Arc<str>>, String)> = RefCell::default();
}

/// `instance id/boot id`; one allocation for an instance, not one for each of its answers.
fn instance_name(instance: &str, boot: &str) -> Arc<str> {
    NAMES.with_borrow_mut(|(known, name)| {
        name.clear();
        name.extend([instance, "/", boot]);
        if let Some(known) = known.get(name.as_str()) {
            return Arc::clone(known);
        }
        if known.len() >= MOST_NAMES {
            known.clear();
        }
        let new: Arc<str> = name.as_str().into();
        known.insert(Arc::clone(&new));
        new
    })
}

/// Reads `queue;dur=0.01, decode;dur=1.9, ..., total;dur=16.6`; none without a `total`, since
/// another server's timings would otherwise pass for the function's.
fn server_timings(header: &str) -> Option<ServerTimings> {
    let mut timings = ServerTimings::default();
    let mut complete = false;
    for metric in header.split(',') {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let Some(duration_ms) =
            parts.find_map(|part| part.strip_prefix("dur=")).and_then(|text| text.parse::<f64>().ok())
        else {
            continue;
        };
        // `as` saturates, and turns what is not a number into 0.
        let us = (duration_ms * 1000.0).round() as u32;
        match name {
            "queue" => timings.queue_us = us,
            "decode" => timings.decode_us = us,
            "preprocess" => timings.preprocess_us = us,
            "inference" => timings.inference_us = us,
            "download" => timings.download_us = us,
            "upload" => timings.upload_us = us,
            "total" => {
                timings.total_us = us;
                complete = true;
            }
            _ => (),
        }
    }
    complete.then_some(timings)
}

/// The outcome that status and headers alone tell; a success still needs its content checked.
///
/// Overload is an *announced* refusal: 429, or an error with `Retry-After`. Any other status but
/// 2xx is the function's if its headers are there, and the platform's if not.
pub fn outcome_of(status: u16, headers: &HeaderMap, from_function: bool) -> Outcome {
    match status {
        200..=299 => Outcome::Ok,
        429 => Outcome::Overload,
        400..=599 if headers.contains_key(RETRY_AFTER) => Outcome::Overload,
        _ if from_function => Outcome::Function,
        _ => Outcome::Platform,
    }
}

/// Judges by status alone: for `harness load`, which knows no right answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatusJudge;

impl Judge for StatusJudge {
    fn judge(&self, _payload: usize, status: u16, headers: &HeaderMap, _body: &[u8]) -> Judgement {
        let AnswerFacts { from_function, instance, cold, server } = facts(headers);
        Judgement { outcome: outcome_of(status, headers, from_function), instance, cold, server }
    }

    fn spec(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "judge": "status" }))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_functions_headers_become_facts() {
        let read = facts(&headers(&[
            ("x-instance-id", "pod-1"),
            ("x-boot-id", "b42"),
            ("x-cold-start", "true"),
            (
                "server-timing",
                "queue;dur=0.01, decode;dur=1.9, preprocess;dur=1.1, inference;dur=13.5, total;dur=16.6",
            ),
        ]));
        let server = ServerTimings {
            queue_us: 10,
            decode_us: 1900,
            preprocess_us: 1100,
            inference_us: 13_500,
            total_us: 16_600,
            ..ServerTimings::default()
        };
        assert_eq!(
            read,
            AnswerFacts {
                from_function: true,
                instance: Some("pod-1/b42".into()),
                cold: true,
                server: Some(server)
            }
        );
    }

    #[test]
    fn answers_of_one_instance_share_its_name() {
        let name = |instance, boot| {
            facts(&headers(&[("x-instance-id", instance), ("x-boot-id", boot)])).instance.unwrap()
        };
        assert!(Arc::ptr_eq(&name("pod-1", "b1"), &name("pod-1", "b1")));
        assert_ne!(name("pod-1", "b1"), name("pod-1", "b2"));
        // However many there are, each answer gets its own instance's name.
        let texts: Vec<String> = (0..MOST_NAMES + 10).map(|number| number.to_string()).collect();
        assert!(texts.iter().all(|text| *name("pod", text) == *format!("pod/{text}")));
    }

    #[test]
    fn nonsense_headers_count_as_absent() {
        assert_eq!(facts(&headers(&[("server-timing", "cache;desc=hit, total")])), AnswerFacts::default());
        assert_eq!(facts(&headers(&[("server-timing", "db;dur=53, app;dur=47")])).server, None);
        let odd = facts(&headers(&[
            ("server-timing", "total;desc=\"a\";dur=-5, decode;dur=NaN"),
            ("x-cold-start", "1"),
        ]));
        assert_eq!(odd.server, Some(ServerTimings::default()));
        assert!(!odd.cold);
    }

    #[test]
    fn every_status_has_one_outcome() {
        let judge = |status, pairs| StatusJudge.judge(0, status, &headers(pairs), b"").outcome;
        let function: &[(&str, &str)] = &[("x-boot-id", "b")];
        assert_eq!(judge(200, &[]), Outcome::Ok);
        assert_eq!(judge(204, &[]), Outcome::Ok);
        assert_eq!(judge(429, &[]), Outcome::Overload);
        assert_eq!(judge(503, &[("retry-after", "1")]), Outcome::Overload);
        assert_eq!(judge(503, &[]), Outcome::Platform);
        assert_eq!(judge(502, &[]), Outcome::Platform);
        assert_eq!(judge(500, function), Outcome::Function);
        assert_eq!(judge(404, &[]), Outcome::Platform);
        assert_eq!(judge(301, &[("retry-after", "1")]), Outcome::Platform);
    }
}
