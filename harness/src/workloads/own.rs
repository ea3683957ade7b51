//! A user's own function: files go out, a success comes back, with a given text in it if asked for.

use hyper::HeaderMap;

use super::judge_spec::JudgeSpec;
use crate::{
    drive::{Judge, Judgement, answer::StatusJudge},
    record::Outcome,
};

/// An answer is right if its status says success and its body holds the expected text.
#[derive(Debug, Clone, Default)]
pub struct OwnJudge {
    /// Text that a right answer contains; none: any success counts.
    pub contains: Option<String>,
}

impl Judge for OwnJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        let missing = self.contains.as_ref().is_some_and(|text| !holds(body, text.as_bytes()));
        if judgement.outcome == Outcome::Ok && missing {
            judgement.outcome = Outcome::WrongAnswer;
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Contains { text: self.contains.clone() }.value()
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(contains: Option<&str>, status: u16, body: &str) -> Outcome {
        let judge = OwnJudge { contains: contains.map(str::to_owned) };
        judge.judge(0, status, &HeaderMap::new(), body.as_bytes()).outcome
    }

    #[test]
    fn a_success_without_the_expected_text_is_a_wrong_answer() {
        assert_eq!(outcome(Some("tiger"), 200, "a tiger cat"), Outcome::Ok);
        assert_eq!(outcome(Some("tiger"), 200, "a dog"), Outcome::WrongAnswer);
        assert_eq!(outcome(Some("tiger"), 200, ""), Outcome::WrongAnswer);
        assert_eq!(outcome(None, 200, ""), Outcome::Ok);
        assert_eq!(outcome(None, 500, "tiger"), Outcome::Platform);
    }
}
