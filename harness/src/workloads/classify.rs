//! Image classification: a picture goes out, its expected top class has to come back.

use hyper::HeaderMap;
use serde::Deserialize;

use super::judge_spec::JudgeSpec;
use crate::{
    drive::{Judge, Judgement, answer::StatusJudge},
    record::Outcome,
};

/// Path and query of an invocation that asks for this many classes.
pub fn path(top: u32) -> String {
    format!("/predict?top={top}")
}

/// An answer has the expected top class of its picture, or it is wrong.
#[derive(Debug, Clone)]
pub struct ClassifyJudge {
    /// WordNet id of the expected top class, by payload.
    pub expected: Vec<String>,
}

impl Judge for ClassifyJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok {
            let right = top_class(body).is_some_and(|top| self.expected.get(payload) == Some(&top));
            if !right {
                judgement.outcome = Outcome::WrongAnswer;
            }
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Classes { expected: self.expected.clone() }.value()
    }
}

/// The WordNet id of the first prediction in an answer's body; none if it is not such an answer.
pub fn top_class(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        predictions: Vec<Prediction>,
    }
    #[derive(Deserialize)]
    struct Prediction {
        class_id: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    answer.predictions.into_iter().next().map(|p| p.class_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, body: &str) -> Outcome {
        let judge = ClassifyJudge { expected: vec!["n1".into(), "n2".into()] };
        judge.judge(1, status, &HeaderMap::new(), body.as_bytes()).outcome
    }

    #[test]
    fn the_expected_class_of_the_payload_is_ok_and_another_is_wrong() {
        assert_eq!(outcome(200, r#"{"predictions":[{"class_id":"n2"},{"class_id":"n1"}]}"#), Outcome::Ok);
        assert_eq!(outcome(200, r#"{"predictions":[{"class_id":"n1"}]}"#), Outcome::WrongAnswer);
    }

    #[test]
    fn a_success_status_without_predictions_is_wrong() {
        assert_eq!(outcome(200, r#"{"predictions":[]}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(200, "<html>"), Outcome::WrongAnswer);
    }

    #[test]
    fn an_error_status_stays_what_it_is() {
        assert_eq!(outcome(502, ""), Outcome::Platform);
        assert_eq!(outcome(429, ""), Outcome::Overload);
    }
}
