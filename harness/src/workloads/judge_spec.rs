//! Judges as data, so that a generator in another process judges answers as this one would.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    caption::CaptionJudge,
    classify::ClassifyJudge,
    grade::VerdictJudge,
    logger::EventJudge,
    null::NullJudge,
    own::OwnJudge,
    pdf::{self, PdfJudge},
};
use crate::drive::{Judge, answer::StatusJudge};

/// What each judge has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judge", rename_all = "snake_case")]
pub enum JudgeSpec {
    /// The status alone.
    Status,
    /// The top class of each payload.
    Classes {
        /// WordNet ids, by payload.
        expected: Vec<String>,
    },
    /// The caption of each payload.
    Captions {
        /// The sentences, by payload; none: any.
        expected: Vec<Option<String>>,
    },
    /// Length and checksum of each payload.
    Checksum {
        /// Both, by payload.
        expected: Vec<(u64, String)>,
    },
    /// Id of each event.
    Events {
        /// Ids, by payload.
        ids: Vec<String>,
    },
    /// The verdict on each submission.
    Verdicts {
        /// As the function spells them, by payload.
        expected: Vec<String>,
    },
    /// A text in the answer.
    Contains {
        /// The text; none: any success counts.
        text: Option<String>,
    },
    /// Pages and words of each payload's PDF.
    Pdf {
        /// Both, by payload.
        expected: Vec<pdf::Expected>,
    },
}

impl JudgeSpec {
    /// As JSON, for [`Judge::spec`].
    pub fn value(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// The judge that knows this.
    pub fn judge(&self) -> Arc<dyn Judge> {
        match self.clone() {
            // It writes its spec without this type: `drive` knows no workloads.
            Self::Status => Arc::new(StatusJudge),
            Self::Classes { expected } => Arc::new(ClassifyJudge { expected }),
            Self::Captions { expected } => Arc::new(CaptionJudge { expected }),
            Self::Checksum { expected } => Arc::new(NullJudge { expected }),
            Self::Events { ids } => Arc::new(EventJudge { ids }),
            Self::Verdicts { expected } => Arc::new(VerdictJudge { expected }),
            Self::Contains { text } => Arc::new(OwnJudge { contains: text }),
            Self::Pdf { expected } => Arc::new(PdfJudge { expected, reads_text: false }),
        }
    }

    /// The judge for an answer before the run, where it may take its time.
    pub fn thorough_judge(&self) -> Arc<dyn Judge> {
        match self.clone() {
            Self::Pdf { expected } => Arc::new(PdfJudge { expected, reads_text: true }),
            other => other.judge(),
        }
    }
}

/// The judge again of what its [`Judge::spec`] says.
///
/// # Errors
/// In words, if this harness knows no such judge.
pub fn judge_of(spec: &Value) -> Result<Arc<dyn Judge>, String> {
    let spec = JudgeSpec::deserialize(spec).map_err(|error| {
        format!("this harness knows no such judge ({error}); use the same version everywhere")
    })?;
    Ok(spec.judge())
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;
    use crate::record::Outcome;

    #[test]
    fn every_judge_judges_the_same_in_another_process() {
        let pdf = |pages| pdf::Expected { pages, words: vec!["a".into()] };
        let judges: [Arc<dyn Judge>; 8] = [
            Arc::new(StatusJudge),
            Arc::new(ClassifyJudge { expected: vec!["n1".into(), "n2".into()] }),
            Arc::new(OwnJudge { contains: Some("n2".into()) }),
            Arc::new(OwnJudge { contains: None }),
            Arc::new(CaptionJudge { expected: vec![None, Some("n2".into())] }),
            Arc::new(NullJudge { expected: vec![(1, "a".into()), (2, "b".into())] }),
            Arc::new(PdfJudge { expected: vec![pdf(1), pdf(2)], reads_text: false }),
            Arc::new(VerdictJudge { expected: vec!["accepted".into(), "time_limit".into()] }),
        ];
        let answers = [
            "{\"predictions\":[{\"class_id\":\"n2\"}]}",
            "n2",
            "{}",
            "{\"bytes\":2,\"checksum\":\"b\"}",
            "{\"verdict\":\"time_limit\"}",
            "{\"caption\":\"n2\"}",
        ];
        let verdicts = |judge: &Arc<dyn Judge>| -> Vec<Outcome> {
            let of =
                |status: u16, body: &&str| judge.judge(1, status, &HeaderMap::new(), body.as_bytes()).outcome;
            [200, 429, 500]
                .into_iter()
                .flat_map(|status| answers.iter().map(move |body| of(status, body)))
                .collect()
        };
        let mut seen = Vec::new();
        for judge in &judges {
            let spec = judge.spec().unwrap();
            // Through text, as it travels.
            let spec = serde_json::from_str(&spec.to_string()).unwrap();
            assert_eq!(verdicts(&judge_of(&spec).unwrap()), verdicts(judge), "{spec}");
            seen.push(verdicts(judge));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 7, "the answers tell the judges apart, but for the two that take any success");
    }

    #[test]
    fn a_judge_of_another_version_is_refused() {
        assert!(judge_of(&serde_json::json!({ "judge": "oracle" })).is_err());
        assert!(judge_of(&Value::Null).is_err());
    }
}
