//! The event logger: an event goes out, its id has to come back with a number.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use models::Places;
use rand::{Rng as _, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{JudgeSpec, Requests, Size, null};
use crate::{
    drive::{Judge, Judgement, Payload, answer::StatusJudge},
    experiment::Experiment,
    record::Outcome,
};

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME: &str = "logger";
/// Media type of an event in structured mode: all of it is the body, so that no headers are needed.
const STRUCTURED: &str = "application/cloudevents+json";
/// Different events; they are sent over and over.
const EVENTS: usize = 16;
/// Number of the event at the logger.
const NUMBER: &str = "x-event-number";
/// Id of the event, as it came.
const ID: &str = "x-event-id";

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// Never; the others do, if something is missing.
pub fn requests(experiment: &Experiment, _places: &Places, _say: &dyn Fn(&str)) -> anyhow::Result<Requests> {
    let payloads = events(experiment.function.size, experiment.seed);
    Ok(Requests {
        path: null::PATH.to_owned(),
        expected: JudgeSpec::Events { ids: (0..EVENTS).map(|n| id(experiment.seed, n)).collect() },
        env: BTreeMap::new(),
        notices: vec![format!(
            "The same {EVENTS} events are sent over and over: all but the first of each are duplicates to the logger, \
             which keeps and marks them."
        )],
        facts: json!({
            "events": EVENTS,
            "mode": "structured",
            "bytes": payloads.first().map(|payload| payload.body.len()),
        }),
        payloads,
    })
}

/// Length of the data of an event, bytes: a notification, a usual record, half of what every
/// intermediary has to forward.
fn data_bytes(size: Size) -> usize {
    match size {
        Size::Test => 128,
        Size::Small => 2 << 10,
        Size::Large => 32 << 10,
    }
}

fn id(seed: u64, n: usize) -> String {
    format!("{seed}-{n}")
}

fn events(size: Size, seed: u64) -> Vec<Payload> {
    let one = |n: usize| {
        // Two digits a byte; nothing on the way can shrink them by much.
        let mut bytes = vec![0; data_bytes(size) / 2];
        StdRng::seed_from_u64(seed.wrapping_add(n as u64)).fill_bytes(&mut bytes);
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let digits: String = nibbles.filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect();
        let event = json!({
            "specversion": "1.0",
            "id": id(seed, n),
            "source": "/testbed/harness",
            "type": "testbed.sample",
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": { "digits": digits },
        });
        Payload {
            name: format!("event {n}"),
            content_type: STRUCTURED.to_owned(),
            body: event.to_string().into(),
        }
    };
    (0..EVENTS).map(one).collect()
}

/// A right answer names the event's id and its number at the logger.
#[derive(Debug, Clone)]
pub struct EventJudge {
    /// Ids, by payload.
    pub(super) ids: Vec<String>,
}

impl Judge for EventJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok {
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let has_number = text(NUMBER).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 0);
            let has_id = text(ID).is_some() && text(ID) == self.ids.get(payload).map(String::as_str);
            if !(has_number && has_id) {
                judgement.outcome = Outcome::WrongAnswer;
            }
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Events { ids: self.ids.clone() }.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_an_event_of_about_so_many_bytes_that_follows_from_the_seed() {
        for size in [Size::Test, Size::Small, Size::Large] {
            let made = events(size, 7);
            assert_eq!(made, events(size, 7));
            assert_ne!(made, events(size, 8));
            for payload in &made {
                let event: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
                for name in ["id", "source", "type"] {
                    assert!(event[name].as_str().is_some_and(|value| !value.is_empty()), "{name}");
                }
                assert_eq!(event["specversion"], "1.0");
                assert!((data_bytes(size)..data_bytes(size) + 250).contains(&payload.body.len()));
                assert!(payload.body.len() < 64 << 10, "every intermediary has to forward it");
            }
        }
    }

    #[test]
    fn an_answer_without_a_number_or_with_another_id_is_wrong() {
        let judge = EventJudge { ids: vec!["7-0".into(), "7-1".into()] };
        let outcome = |status, number: &str, id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(NUMBER, number.parse().unwrap());
            headers.insert(ID, id.parse().unwrap());
            judge.judge(1, status, &headers, b"").outcome
        };
        assert_eq!(outcome(200, "3", "7-1"), Outcome::Ok);
        assert_eq!(outcome(200, "3", "7-0"), Outcome::WrongAnswer);
        assert_eq!(outcome(200, "0", "7-1"), Outcome::WrongAnswer);
        assert_eq!(outcome(200, "many", "7-1"), Outcome::WrongAnswer);
        assert_ne!(outcome(503, "3", "7-1"), Outcome::Ok);
        assert_eq!(judge.judge(0, 200, &HeaderMap::new(), b"").outcome, Outcome::WrongAnswer);
        let again = super::super::judge_of(&judge.spec().unwrap()).unwrap();
        assert_eq!(again.spec(), judge.spec());
    }
}
