//! When a run may end before its last trial, and what is left of its plan then.

use serde::{Deserialize, Serialize};

use super::{Cell, Experiment, file::Checks};

/// More looks than this would leave each with less than half a per cent.
const MOST_LOOKS: u32 = 10;

/// Optional stop: after some trials the run looks at its intervals and ends if they are narrow
/// enough. Each look costs confidence, which is paid by the correction that the analysis states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StopRule {
    /// Half-width of a ratio's interval, relative to the ratio, at which it is narrow enough (0.05).
    pub half_width: f64,
    /// Trials before the first look.
    pub first_look: u32,
    /// Trials between looks.
    pub every: u32,
}

impl Default for StopRule {
    fn default() -> Self {
        Self { half_width: 0.05, first_look: 5, every: 5 }
    }
}

impl StopRule {
    /// Looks after half and three quarters of the trials, and at their end: each look costs
    /// confidence, so there are few.
    pub fn for_trials(half_width: f64, trials: u32) -> Self {
        Self { half_width, first_look: trials.div_ceil(2).max(1), every: trials.div_ceil(4).max(1) }
    }

    /// Whether the run looks at its intervals after this trial. After the last one there is nothing
    /// left to save.
    pub fn looks_after(&self, trial: u32, trials: u32) -> bool {
        let since = trial.checked_sub(self.first_look);
        trial < trials && since.is_some_and(|since| since.is_multiple_of(self.every.max(1)))
    }
}

/// How a run ended before its last trial; kept in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Last trial that was measured.
    pub after_trial: u32,
    /// Why no more were needed, one sentence.
    pub why: String,
}

impl Stopped {
    /// The experiment as it was carried out.
    pub fn end(&self, experiment: &mut Experiment) {
        if self.after_trial < experiment.trials {
            experiment.planned_trials = Some(experiment.trials);
            experiment.trials = self.after_trial;
        }
    }

    /// The cells that were to be measured until then.
    pub fn cut(&self, plan: &mut Vec<Cell>) {
        plan.retain(|cell| cell.trial <= self.after_trial);
    }

    /// For the report.
    pub fn notice(&self, experiment: &Experiment) -> String {
        format!(
            "The run ended after trial {} of at most {}, by the rule that was set before it: {}",
            self.after_trial,
            experiment.most_trials(),
            self.why
        )
    }
}

/// What makes no sense in an experiment's rule.
pub(super) fn problems(list: &mut Checks, e: &Experiment) {
    let Some(rule) = &e.stop_early else { return };
    list.check(
        rule.half_width > 0.0 && rule.half_width < 1.0,
        &["stop-early", "half-width"],
        "must be between 0 and 1, for example 0.05 for 5 %",
    );
    list.check(
        rule.first_look >= 2,
        &["stop-early", "first-look"],
        "must be at least 2: one trial has no interval",
    );
    list.check(rule.every >= 1, &["stop-early", "every"], "must be at least 1");
    let looks = e.trials.saturating_sub(rule.first_look).div_ceil(rule.every.max(1)) + 1;
    list.check(
        looks <= MOST_LOOKS,
        &["stop-early", "every"],
        &format!("makes {looks} looks, which share 5 %; look at most {MOST_LOOKS} times"),
    );
    list.check(
        !e.reuse_deployments,
        &["stop-early"],
        "it looks after each trial of all platforms, and with reuse-deployments they come one after the other; \
         leave one of the two out",
    );
}

/// What a file may leave to the flags, and the whole experiment may not.
pub(super) fn missing(list: &mut Checks, e: &Experiment) {
    let Some(rule) = &e.stop_early else { return };
    list.check(
        !e.pairs().is_empty(),
        &["stop-early"],
        "there is nothing to compare, so no interval can be narrow enough; leave it out, or name a second platform",
    );
    list.check(
        rule.first_look < e.trials,
        &["stop-early"],
        &format!(
            "the first look comes after trial {} and the plan ends with trial {}; raise --trials, the most that are run",
            rule.first_look, e.trials
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{expand, parse, validate};

    #[test]
    fn looks_come_from_the_first_one_on_at_their_distance_and_not_after_the_last_trial() {
        let looks = |rule: StopRule, trials| {
            (1..=trials).filter(|&t| rule.looks_after(t, trials)).collect::<Vec<_>>()
        };
        assert_eq!(looks(StopRule { every: 1, ..StopRule::default() }, 8), [5, 6, 7]);
        assert_eq!(looks(StopRule { first_look: 4, every: 3, ..StopRule::default() }, 12), [4, 7, 10]);
        assert_eq!(looks(StopRule::default(), 5), [] as [u32; 0]);
    }

    #[test]
    fn the_usual_rule_looks_three_times() {
        for trials in [5, 8, 10, 20, 30] {
            let mut experiment = Experiment { trials, ..Experiment::default() };
            experiment.stop_early = Some(StopRule::for_trials(0.05, trials));
            let looks = crate::analyse::sequential::looks(&experiment);
            assert!((2..=3).contains(&looks.len()) && looks.last() == Some(&trials), "{trials}: {looks:?}");
            assert!(validate(&experiment).is_ok(), "{trials}");
        }
    }

    #[test]
    fn a_run_that_ended_early_has_a_shorter_plan_and_still_knows_the_longer_one() {
        let mut e = Experiment { trials: 9, ..Experiment::default() };
        let mut plan = expand(&e);
        let stopped = Stopped { after_trial: 6, why: "all is known.".into() };
        stopped.cut(&mut plan);
        stopped.end(&mut e);
        assert_eq!((plan.len(), e.trials, e.most_trials()), (6 * 4, 6, 9));
        assert_eq!(plan, expand(&e), "the cells of the trials that were run");
        assert!(stopped.notice(&e).contains("after trial 6 of at most 9"), "{}", stopped.notice(&e));
    }

    #[test]
    fn rules_that_can_never_stop_a_run_are_refused() {
        let message = |text: &str| {
            let checked = parse(text, "x").and_then(|e| validate(&e));
            checked.map_or_else(|e| e.to_string(), |()| "accepted".into())
        };
        insta::assert_snapshot!(
            [
                "trials = 9\n[stop-early]\nhalf-width = 5.0",
                "trials = 9\n[stop-early]\nfirst-look = 1",
                "trials = 5\n[stop-early]",
                "trials = 9\nplatforms = ['knative']\n[stop-early]",
                "trials = 9\nreuse-deployments = true\n[stop-early]",
                "trials = 30\n[stop-early]\nevery = 1",
                "trials = 9\n[stop-early]\nhalf-width = 0.1",
            ]
            .map(message)
            .join("\n"),
            @r"
            x:3:14: stop-early.half-width: must be between 0 and 1, for example 0.05 for 5 %
            x:3:14: stop-early.first-look: must be at least 2: one trial has no interval
            stop-early: the first look comes after trial 5 and the plan ends with trial 5; raise --trials, the most that are run
            stop-early: there is nothing to compare, so no interval can be narrow enough; leave it out, or name a second platform
            x:3:1: stop-early: it looks after each trial of all platforms, and with reuse-deployments they come one after the other; leave one of the two out
            x:3:9: stop-early.every: makes 26 looks, which share 5 %; look at most 10 times
            accepted
            "
        );
        let e = Experiment { trials: 9, stop_early: Some(StopRule::default()), ..Experiment::default() };
        assert!(validate(&e).is_ok());
    }
}
