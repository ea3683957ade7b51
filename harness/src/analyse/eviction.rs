//! How long an idle instance lives: from a trial's last answer until no replica was ready.

use serde::{Deserialize, Serialize};

use super::summary::Problem;

/// What became of an idle instance in one trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Eviction {
    /// From the last answer until no replica was ready, seconds; for as long as it was watched where
    /// one was still there.
    pub idle_life_s: f64,
    /// Whether a replica was still there when the wait ended: the idle life is longer than that.
    pub at_least: bool,
    /// From the last answer until the platform had taken its last replica away, processes that were
    /// ending included; none where that was not seen or cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_s: Option<f64>,
    /// Why it stays: a platform that keeps a replica says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How finely the end was seen, seconds.
    pub resolution_s: f64,
    /// Why there is no figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Eviction {
    /// The trial's value, seconds; a lower bound where [`Eviction::at_least`] says so.
    pub fn value_s(&self) -> Option<f64> {
        self.failed.is_none().then_some(self.idle_life_s)
    }

    /// Why the trial does not count.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |why: &String| Problem {
            reason: format!("The idle life was not measured: {why}."),
            remedy: "Remove the cause, and run the experiment again.".to_owned(),
        };
        self.failed.iter().map(problem).collect()
    }

    /// What must be known of it.
    pub fn remarks(&self) -> Vec<String> {
        self.limit.iter().map(|limit| format!("limit of the platform: {limit}.")).collect()
    }

    /// The result in a few words.
    pub fn line(&self) -> String {
        match (&self.failed, self.at_least) {
            (Some(why), _) => format!("not measured: {why}"),
            (None, true) => format!("still there after {:.0} s of silence", self.idle_life_s),
            (None, false) => format!("no replica was ready after {:.1} s of silence", self.idle_life_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_failed_has_no_value_and_one_that_ended_has_a_bound() {
        let bound = Eviction { idle_life_s: 120.0, at_least: true, ..Eviction::default() };
        assert_eq!(bound.value_s(), Some(120.0));
        let failed = Eviction { failed: Some("no answer".into()), ..bound };
        assert_eq!(failed.value_s(), None);
    }
}
