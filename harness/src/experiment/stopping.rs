//! When a run may end before its last trial.

use serde::{Deserialize, Serialize};

use super::{Experiment, file::Checks};

/// More looks than this would leave each with less than half a per cent.
const MOST_LOOKS: u32 = 10;

/// Optional stop: after some trials the run looks at its intervals and ends if they are narrow
/// enough. Each look costs confidence, which is paid by the correction that the analysis states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StopRule {
    /// Half-width of a ratio's interval, relative to the ratio, at which it is narrow enough (0.05).
    pub half_width: f64,
    /// Trials before the first look.
    pub first_look: u32,
    /// Trials between looks.
    pub every: u32,
}

impl StopRule {
    /// Looks after half and three quarters of the trials, and at their end: each look costs
    /// confidence, so there are few.
    pub fn for_trials(half_width: f64, trials: u32) -> Self {
        Self { half_width, first_look: trials.div_ceil(2).max(1), every: trials.div_ceil(4).max(1) }
    }
}

/// Stop rules that make no sense.
pub(super) fn problems(list: &mut Checks, experiment: &Experiment) {
    let Some(rule) = experiment.stop_early else { return };
    let path = |key| ["stop-early", key];
    list.check(
        rule.half_width > 0.0 && rule.half_width < 1.0,
        &path("half-width"),
        "must be above 0 and below 1, for example 0.05",
    );
    list.check(
        (2..experiment.trials.max(1)).contains(&rule.first_look),
        &path("first-look"),
        &format!(
            "{} is not between 2 and the trials ({}) less one; raise the trials, or leave the stop rule out",
            rule.first_look, experiment.trials
        ),
    );
    list.check(rule.every >= 1, &path("every"), "must be at least 1");
    let looks = experiment.trials.saturating_sub(rule.first_look).div_ceil(rule.every.max(1)) + 1;
    list.check(
        looks <= MOST_LOOKS,
        &path("every"),
        &format!("makes {looks} looks, which share 5 %; look at most {MOST_LOOKS} times"),
    );
    list.check(
        experiment.subjects.len() > 1,
        &["stop-early"],
        "looks at ratios, so it needs two platforms; leave it out",
    );
}

#[cfg(test)]
mod tests {
    use crate::experiment::{Experiment, StopRule, parse, validate};

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_with_its_place() {
        let said = |rule: &str| {
            parse(&format!("trials = 20\n[stop-early]\n{rule}"), "x.toml").unwrap_err().to_string()
        };
        assert!(
            said("half-width = 0.0\nfirst-look = 10\nevery = 5")
                .starts_with("x.toml:3:14: stop-early.half-width")
        );
        assert!(
            said("half-width = 0.1\nfirst-look = 20\nevery = 5").contains("between 2 and the trials (20)")
        );
        assert!(said("half-width = 0.1\nfirst-look = 5\nevery = 1").contains("makes 16 looks"));
    }

    #[test]
    fn the_usual_rule_looks_three_times() {
        for trials in [5, 8, 10, 20, 30] {
            let mut experiment = Experiment { trials, ..Experiment::default() };
            experiment.stop_early = Some(StopRule::for_trials(0.05, trials));
            let looks = crate::analyse::sequential::looks(&experiment);
            assert!((2..=3).contains(&looks.len()) && looks.last() == Some(&trials), "{trials}: {looks:?}");
            if let Err(error) = validate(&experiment) {
                assert!(!error.to_string().contains("stop-early"), "{error}");
            }
        }
    }
}
