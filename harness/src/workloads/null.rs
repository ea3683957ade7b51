//! A function that does nothing: bytes go out, their number and checksum have to come back.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::HeaderMap;
use rand::{Rng as _, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use super::{Requests, judge_spec::JudgeSpec};
use crate::{
    drive::{Judge, Judgement, Payload, answer::StatusJudge},
    record::Outcome,
};

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME: &str = "null";
/// Path of an invocation.
pub const PATH: &str = "/predict";

/// Body where nobody chooses others, bytes.
pub const USUAL_BYTES: u64 = 1 << 10;

/// What is sent where nobody chooses sizes.
pub fn requests(seed: u64) -> Requests {
    let payloads = payloads(&[USUAL_BYTES], seed);
    Requests {
        path: PATH.to_owned(),
        expected: JudgeSpec::Checksum { expected: NullJudge::of(&payloads).expected },
        payloads,
        env: BTreeMap::new(),
        notices: Vec::new(),
        facts: serde_json::Value::Null,
    }
}

/// Bodies of these sizes, of random bytes that follow from the seed: nothing on the way can shrink them.
pub fn payloads(bytes: &[u64], seed: u64) -> Vec<Payload> {
    let one = |(i, &size): (usize, &u64)| {
        let mut body = vec![0; size as usize];
        StdRng::seed_from_u64(seed.wrapping_add(i as u64)).fill_bytes(&mut body);
        Payload {
            name: format!("{size} bytes"),
            content_type: "application/octet-stream".into(),
            body: Bytes::from(body),
        }
    };
    bytes.iter().enumerate().map(one).collect()
}

/// The checksum that the function answers with: FNV-1a (Fowler, Noll and Vo) over 64-bit words, the
/// first byte lowest, the last word filled with zeros.
pub fn checksum(body: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// An answer has the length and the checksum of its body, or it is wrong.
#[derive(Debug, Clone)]
pub struct NullJudge {
    /// Length and checksum, by payload.
    pub(super) expected: Vec<(u64, String)>,
}

impl NullJudge {
    /// The judge of answers to these payloads.
    pub fn of(payloads: &[Payload]) -> Self {
        let expected = |p: &Payload| (p.body.len() as u64, format!("{:016x}", checksum(&p.body)));
        Self { expected: payloads.iter().map(expected).collect() }
    }
}

impl Judge for NullJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        #[derive(Deserialize)]
        struct Answer {
            bytes: u64,
            checksum: String,
        }
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok {
            let answer = serde_json::from_slice::<Answer>(body).ok().map(|a| (a.bytes, a.checksum));
            if answer.is_none() || answer.as_ref() != self.expected.get(payload) {
                judgement.outcome = Outcome::WrongAnswer;
            }
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Checksum { expected: self.expected.clone() }.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_sizes_are_as_asked() {
        let (one, again, other) = (payloads(&[1, 4096], 7), payloads(&[1, 4096], 7), payloads(&[1, 4096], 8));
        assert_eq!(one, again);
        assert_ne!(one[1].body, other[1].body);
        assert_eq!(one.iter().map(|p| p.body.len()).collect::<Vec<_>>(), [1, 4096]);
    }

    #[test]
    fn an_answer_of_another_length_or_checksum_is_wrong() {
        let sent = payloads(&[9, 10], 7);
        let judge = NullJudge::of(&sent);
        let outcome =
            |status, body: String| judge.judge(1, status, &HeaderMap::new(), body.as_bytes()).outcome;
        let answer = |bytes: u64, sum: u64| format!(r#"{{"bytes":{bytes},"checksum":"{sum:016x}"}}"#);
        let right = checksum(&sent[1].body);
        assert_eq!(outcome(200, answer(10, right)), Outcome::Ok);
        assert_eq!(outcome(200, answer(9, right)), Outcome::WrongAnswer);
        assert_eq!(outcome(200, answer(10, right ^ 1)), Outcome::WrongAnswer);
        assert_eq!(outcome(200, "{}".into()), Outcome::WrongAnswer);
        assert_eq!(outcome(502, String::new()), Outcome::Platform);
    }

    #[test]
    fn the_checksum_is_the_functions() {
        // The same figures stand in the function's test.
        assert_eq!(format!("{:016x}", checksum(b"")), "cbf29ce484222325");
        assert_eq!(format!("{:016x}", checksum(b"a")), "af63dc4c8601ec8c");
        assert_eq!(format!("{:016x}", checksum(b"testbeds!")), "9775a3571affdde6");
    }
}
