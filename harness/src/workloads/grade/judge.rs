//! Whether a submission came to the verdict that it has to come to.

use hyper::HeaderMap;
use serde::Deserialize;

use crate::{
    drive::{Judge, Judgement, answer::StatusJudge},
    record::Outcome,
    workloads::JudgeSpec,
};

/// An answer has the verdict of its submission, or it is wrong.
#[derive(Debug, Clone)]
pub struct VerdictJudge {
    /// As the function spells them, by payload.
    pub expected: Vec<String>,
}

impl Judge for VerdictJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        #[derive(Deserialize)]
        struct Answer {
            verdict: String,
        }
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok {
            let answer = serde_json::from_slice::<Answer>(body).ok();
            let right = answer.is_some_and(|answer| self.expected.get(payload) == Some(&answer.verdict));
            if !right {
                judgement.outcome = Outcome::WrongAnswer;
            }
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Verdicts { expected: self.expected.clone() }.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_verdict_none_and_one_for_an_unknown_payload_are_wrong() {
        let judge = VerdictJudge { expected: vec!["accepted".into(), "time_limit".into()] };
        let outcome = |payload, status, body: &str| {
            judge.judge(payload, status, &HeaderMap::new(), body.as_bytes()).outcome
        };
        assert_eq!(outcome(0, 200, r#"{"verdict":"accepted","tests":[]}"#), Outcome::Ok);
        assert_eq!(outcome(1, 200, r#"{"verdict":"time_limit"}"#), Outcome::Ok);
        assert_eq!(outcome(1, 200, r#"{"verdict":"accepted"}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(0, 200, "accepted"), Outcome::WrongAnswer);
        assert_eq!(outcome(2, 200, r#"{"verdict":"accepted"}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(0, 429, ""), Outcome::Overload);
    }
}
