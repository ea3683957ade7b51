//! Calls one function a few times and keeps the whole answers; proves a cold start.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;

use crate::{
    drive::{self, Endpoint, Judge, Judgement, Load, Payload, Plan, PlayOptions, SinkError},
    interrupt::Interrupt,
    platforms::{AnyPlatform, Platform, ZeroProof},
    record::{Outcome, Record},
    workloads::JudgeSpec,
};

/// What is sent.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where to.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: hyper::Method,
    /// The body.
    pub payload: Payload,
    /// What counts as a right answer.
    pub expected: JudgeSpec,
    /// Deadline of each request.
    pub timeout: Duration,
}

/// What came back, if anything did.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When and how.
    pub record: Record,
    /// The body's beginning; empty where nothing came back.
    pub body: Bytes,
}

impl Answer {
    /// Name and boot id of the instance, where the answer named one.
    pub fn instance(&self) -> Option<(&str, &str)> {
        self.record.instance.as_deref()?.split_once('/')
    }
}

/// Sends the question so many times, one after another on one connection.
///
/// # Errors
/// If the address cannot be used. Requests that fail are answers.
pub async fn ask(question: &Question, count: u64, interrupt: Interrupt) -> anyhow::Result<Vec<Answer>> {
    let listener = Arc::new(Listener { bodies: Mutex::default(), judge: question.expected.thorough_judge() });
    let plan = Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: None, requests: Some(count) };
    let payloads = Arc::new([question.payload.clone()]);
    let load = Load {
        method: question.method.clone(),
        timeout: question.timeout,
        drain: question.timeout,
        ..Load::new(plan, vec![question.endpoint.clone()], payloads, listener.clone())
    };
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = kept.clone();
    let keep = move |rows: &[Record]| -> Result<(), SinkError> {
        sink.lock().map_err(|_| "a thread panicked")?.extend_from_slice(rows);
        Ok(())
    };
    drive::play(load, PlayOptions::default(), keep, interrupt).await?;
    let records: Vec<Record> = std::mem::take(&mut *kept.lock().map_err(|_| anyhow!("a thread panicked"))?);
    let mut bodies = std::mem::take(&mut *listener.bodies.lock().map_err(|_| anyhow!("a thread panicked"))?);
    // On one connection answers come in the order of the requests; unanswered ones have no body.
    let answer = |record: Record| {
        let unanswered = matches!(record.outcome, Outcome::Connect | Outcome::Timeout);
        let body = if unanswered { Bytes::new() } else { bodies.pop_front().unwrap_or_default() };
        Answer { record, body }
    };
    Ok(records.into_iter().map(answer).collect())
}

/// Keeps bodies, beside a judge.
struct Listener {
    bodies: Mutex<VecDeque<Bytes>>,
    judge: Arc<dyn Judge>,
}

impl Judge for Listener {
    fn judge(&self, payload: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement {
        if let Ok(mut bodies) = self.bodies.lock() {
            bodies.push_back(Bytes::copy_from_slice(body));
        }
        self.judge.judge(payload, status, headers, body)
    }
}

/// A cold start that is proved.
#[derive(Debug, Clone)]
pub struct ColdStart {
    /// Nothing was left before it.
    pub zero: ZeroProof,
    /// The first answer after it.
    pub answer: Answer,
}

/// Waits for zero replicas, sends one request and proves that it started a new process: no pod was
/// left, and the answer's boot id was not seen before. `seen` collects boot ids.
///
/// # Errors
/// If zero is not reached within the limit, or the answer proves nothing.
pub async fn cold_start(
    platform: &AnyPlatform,
    question: &Question,
    seen: &mut BTreeSet<String>,
    limit: Duration,
    interrupt: &Interrupt,
) -> anyhow::Result<ColdStart> {
    // Whoever is alive now shows the boot id that must not come back.
    if platform.observe().await.is_ok_and(|sample| sample.ready > 0) {
        for answer in ask(question, 1, interrupt.clone()).await? {
            seen.extend(answer.instance().map(|(_, boot)| boot.to_owned()));
        }
    }
    let zero = platform.wait_for_zero(limit).await?;
    let answers = ask(question, 1, interrupt.clone()).await?;
    let answer = answers.into_iter().next().context("interrupted before the request was sent")?;
    prove(&zero, &answer, seen)?;
    seen.extend(answer.instance().map(|(_, boot)| boot.to_owned()));
    Ok(ColdStart { zero, answer })
}

/// Whether an answer after zero replicas comes from a process that started for it.
fn prove(zero: &ZeroProof, answer: &Answer, seen: &BTreeSet<String>) -> anyhow::Result<()> {
    let record = &answer.record;
    if record.outcome != Outcome::Ok {
        bail!(
            "no cold start is proved: the request after zero ended as {} (status {})",
            record.outcome.name(),
            record.status
        );
    }
    let Some((instance, boot)) = answer.instance() else {
        bail!(
            "no cold start is proved: the answer names no instance (X-Boot-Id); only the testbed's own function does"
        );
    };
    if seen.contains(boot) || zero.gone.iter().any(|gone| gone == instance) {
        bail!("no cold start: {instance} (boot {boot}) answered before; something kept it alive");
    }
    if !record.cold {
        bail!(
            "no cold start is proved: {instance} had answered another request first; send nothing else meanwhile"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(instance: Option<&str>, cold: bool, outcome: Outcome) -> Answer {
        let record = Record {
            call_id: 0,
            scheduled_ns: 0,
            sent_ns: 0,
            connected_ns: None,
            first_byte_ns: None,
            done_ns: 1,
            status: 200,
            outcome,
            bytes_sent: 0,
            bytes_received: 0,
            payload: 0,
            endpoint: 0,
            connection: 0,
            instance: instance.map(Into::into),
            cold,
            server: None,
        };
        Answer { record, body: Bytes::new() }
    }

    #[test]
    fn a_cold_start_is_proved_by_a_boot_id_that_was_not_seen_before() {
        let zero = ZeroProof {
            waited: Duration::from_secs(9),
            gone: vec!["pod-1".into()],
            autoscaler: "actualScale 0".into(),
        };
        let seen = BTreeSet::from(["b1".to_owned()]);
        let verdict = |answer: Answer| prove(&zero, &answer, &seen).map_err(|error| error.to_string());
        assert_eq!(verdict(answer(Some("pod-2/b2"), true, Outcome::Ok)), Ok(()));
        for (given, why) in [
            (answer(Some("pod-2/b1"), true, Outcome::Ok), "answered before"),
            (answer(Some("pod-1/b2"), true, Outcome::Ok), "answered before"),
            (answer(Some("pod-2/b2"), false, Outcome::Ok), "another request first"),
            (answer(None, true, Outcome::Ok), "names no instance"),
            (answer(Some("pod-2/b2"), true, Outcome::Timeout), "ended as timeout"),
        ] {
            assert!(verdict(given).unwrap_err().contains(why), "{why}");
        }
    }

    #[tokio::test]
    async fn answers_keep_their_bodies_and_what_is_unanswered_has_none() {
        use crate::replay::{Exchange, Replay};
        let body = serde_json::json!({ "n": 1 });
        let server = Replay::start([Exchange::new("POST", "/run", 200, body)]).await;
        let question = |url: String| Question {
            endpoint: Endpoint { url, headers: Vec::new() },
            method: hyper::Method::POST,
            payload: Payload { name: "x".into(), content_type: "text/plain".into(), body: "hi".into() },
            expected: JudgeSpec::Contains { text: Some("1".into()) },
            timeout: Duration::from_secs(5),
        };
        let asked = ask(&question(format!("{}/run", server.url())), 2, Interrupt::never()).await.unwrap();
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|a| a.record.status == 200 && &a.body[..] == br#"{"n":1}"#));
        assert_eq!(server.calls(), ["POST /run", "POST /run"]);
        let strict = Question {
            expected: JudgeSpec::Contains { text: Some("2".into()) },
            ..question(format!("{}/run", server.url()))
        };
        let wrong = ask(&strict, 1, Interrupt::never()).await.unwrap();
        assert_eq!((wrong[0].record.outcome, &wrong[0].body[..]), (Outcome::WrongAnswer, &br#"{"n":1}"#[..]));

        let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let refused = ask(&question(format!("http://{closed}/")), 1, Interrupt::never()).await.unwrap();
        assert_eq!(refused[0].record.outcome, Outcome::Connect);
        assert!(refused[0].body.is_empty());
    }
}
