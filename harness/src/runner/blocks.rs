//! The order of a run: deployment after deployment, and after each block of trials a look whether it
//! may end.

use std::sync::PoisonError;

use anyhow::Context;

use super::{measure::Run, pilot, prepare::Prepared, progress::Progress, publish};
use crate::{
    analyse::sequential,
    experiment::{Cell, Stopped, deployments},
    platforms::{AnyPlatform, Deployed, FunctionSpec, Platform},
};

impl Run<'_> {
    /// Measures cells in their order, until the end, an interrupt, or the rule that ends a run early.
    pub async fn all(&self, cells: &[Cell], progress: &mut Progress) {
        let mut last = 0;
        for group in deployments(cells, self.experiment.reuse_deployments) {
            let trial = group[0].trial;
            // Also at the start of what is left of a run, which may have been stopped before its look.
            if trial > last.max(1) && self.ends_after(trial - 1, progress) {
                break;
            }
            if self.interrupt.is_raised() {
                break;
            }
            last = trial;
            self.deployment(group, progress).await;
        }
    }

    /// Whether the run ends after this trial, which all subjects have behind them; it is then noted
    /// in the run's folder. What goes wrong costs trials that were planned anyway.
    fn ends_after(&self, trial: u32, progress: &Progress) -> bool {
        let e = self.experiment;
        let due = e.stop_early.is_some_and(|rule| rule.looks_after(trial, e.trials));
        if !due || self.interrupt.is_raised() {
            return false;
        }
        progress.now(&format!("trial {trial} is over: looking at the intervals"));
        let look = || {
            let summary = publish::until(self.folder, trial)?;
            let Some(why) = sequential::enough(e, &summary) else { return anyhow::Ok(None) };
            let stopped = Stopped { after_trial: trial, why };
            self.folder.write_stopped(&stopped)?;
            Ok(Some(stopped))
        };
        match look() {
            Ok(None) => false,
            Ok(Some(stopped)) => {
                progress.say(&format!("no more trials after {trial} of {}: {}", e.trials, stopped.why));
                true
            }
            Err(error) => {
                progress
                    .say(&format!("error: whether the run may end could not be told, it goes on: {error:#}"));
                false
            }
        }
    }

    /// Deploys the function; where no pilot has asked a subject for its answers, its first deployment
    /// is asked, and refused if they are not those that are expected.
    pub(super) async fn deploy(
        &self,
        platform: &mut AnyPlatform,
        spec: &FunctionSpec,
        subject: &str,
    ) -> anyhow::Result<Deployed> {
        let deployed = platform.deploy(spec).await?;
        let asked = |asked: bool| {
            let mut subjects = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked { subjects.insert(subject.to_owned()) } else { subjects.contains(subject) }
        };
        if !asked(false) {
            let endpoint = deployed.endpoints.first().context("the platform named no endpoint")?;
            let Prepared { sent, by_load, method, .. } = self.prepared;
            for sent in std::iter::once(sent).chain(by_load.values()) {
                let answered = pilot::ask_each(endpoint, method, sent, self.experiment.timeout).await?;
                pilot::check_expected(sent, &answered, subject)?;
            }
            asked(true);
        }
        Ok(deployed)
    }
}
