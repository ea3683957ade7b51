//! Going on with a run that was stopped: by Ctrl-C, a kill, or a power cut.
//!
//! Its plan, rates and expected answers are those that it began with; whatever would mix two things
//! in one figure is refused ([`same`]). Cells that cannot count because they were cut off, or could
//! not be measured at all, are kept aside and measured again; INVALID ones of any other kind stay as
//! they are: choosing among measured figures would bend them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{RunError, prepare::Prepared, same, sent::Sent};
use crate::{
    admin::{
        clean,
        inventory::{self, Kind, Owner, Thing},
    },
    analyse::itself,
    experiment::{Cell, Experiment},
    platforms::cluster::Cluster,
    reports::{deployment_id, format},
    store::{CellProgress, RunFolder},
};

/// How long the removal of what the stopped run left on a cluster may take.
const CLEAN_LIMIT: Duration = Duration::from_mins(6);

/// What a stopped run has and has not.
#[derive(Debug)]
pub struct Left {
    /// Its folder.
    pub folder: RunFolder,
    /// The effective experiment, rates settled.
    pub experiment: Experiment,
    /// The cells that are to be measured, in the order of the plan.
    pub cells: Vec<Cell>,
    /// Cells in the plan.
    pub total: usize,
    environment: Value,
    /// Those of `cells` that were begun, and why they cannot count.
    torn: BTreeMap<String, String>,
    /// Deployments (`t01-knative`) of which some cells are there and some are to be measured.
    split: BTreeSet<String>,
}

impl Left {
    /// Looks through a run's folder; changes nothing.
    ///
    /// # Errors
    /// If it is no run that can be gone on with.
    pub fn of(path: &Path) -> Result<Self, RunError> {
        let usage = |error: crate::store::StoreError| RunError::Usage(error.to_string());
        let folder = RunFolder::open(path).map_err(|error| {
            if path.is_dir() {
                return RunError::Usage(format!(
                    "{} has no plan.json: nothing was measured in it yet, so there is nothing to go on with; start \
                     the run anew",
                    path.display()
                ));
            }
            usage(error)
        })?;
        let experiment = folder.read_experiment().map_err(usage)?;
        let environment = folder.read_environment().map_err(usage)?;
        let plan = folder.read_plan().map_err(usage)?;
        let total = plan.len();
        let (mut cells, mut torn, mut whole) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for cell in plan {
            let deployment = deployment_of(&experiment, &cell);
            match folder.progress(&cell).map_err(usage)? {
                CellProgress::Whole => {
                    whole.insert(deployment);
                    continue;
                }
                CellProgress::Missing => {}
                CellProgress::Torn(why) => _ = torn.insert(cell.id.clone(), why),
            }
            cells.push(cell);
        }
        let again: BTreeSet<String> = cells.iter().map(|cell| deployment_of(&experiment, cell)).collect();
        let split = again.intersection(&whole).cloned().collect();
        Ok(Self { folder, experiment, cells, total, environment, torn, split })
    }

    /// What is left, in words.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "going on with {}: {} of {} are left",
            self.folder.path().display(),
            self.cells.len(),
            format::plural(self.total, "cell")
        );
        for (cell, why) in &self.torn {
            // Writing to a String cannot fail.
            _ = write!(text, "\n  {cell} is measured again: {why}");
        }
        text
    }

    /// Takes the run up again: what was expected then is expected now, torn cells are set aside, and
    /// its environment tells that it was resumed. `now` is the environment as it is now.
    ///
    /// # Errors
    /// If what is there now is not what the run began with, or the disk refuses.
    pub fn take_up(&self, prepared: &mut Prepared, now: &Value) -> Result<Vec<String>, RunError> {
        let mut notices = same::differences(&self.environment, now)
            .map_err(|why| RunError::Usage(format!("this run cannot go on here: {why}")))?;
        expect_again(&mut prepared.sent, &self.environment["expected"])?;
        for (load, sent) in &mut prepared.by_load {
            expect_again(sent, &self.environment["expected_of_load_points"][load])?;
        }
        for cell in self.torn.keys() {
            self.folder.set_aside(cell).context("cannot keep a torn cell aside")?;
        }
        notices.insert(0, self.notice(&now["started_at"]));
        let mut environment = self.environment.clone();
        append(&mut environment["notices"], notices.iter().map(|notice| json!(notice)));
        // What is true of this machine now may not have been then.
        let known = environment["notices"].as_array().cloned().unwrap_or_default();
        let new = prepared.notices.iter().map(|n| json!(n)).filter(|n| !known.contains(n));
        append(&mut environment["notices"], new);
        let resumed = json!({
            "at": now["started_at"], "cells": self.cells.len(), "command": now["command"],
            "set_aside": self.torn.keys().collect::<Vec<_>>(), itself::KEY: now[itself::KEY],
        });
        append(&mut environment["resumed"], [resumed]);
        self.folder.write_environment(&environment).context("cannot write into the run's folder")?;
        Ok(notices)
    }

    fn notice(&self, at: &Value) -> String {
        let mut text = format!(
            "The run was stopped and resumed at {}: {} of {} were measured from then on.",
            at.as_str().unwrap_or("an unknown time"),
            self.cells.len(),
            format::plural(self.total, "cell")
        );
        if !self.split.is_empty() {
            let list: Vec<&str> = self.split.iter().map(String::as_str).collect();
            _ = write!(
                text,
                " The cells of {} lie on two deployments each: those that were measured before, and a fresh one.",
                list.join(", ")
            );
        }
        text
    }
}

/// Names the deployment that a cell belongs to.
fn deployment_of(experiment: &Experiment, cell: &Cell) -> String {
    if experiment.reuse_deployments { cell.subject.clone() } else { deployment_id(cell.trial, &cell.subject) }
}

fn append(list: &mut Value, items: impl IntoIterator<Item = Value>) {
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.extend(items);
    }
}

/// The answers that the first part of the run was judged by, also where no independent engine named them.
fn expect_again(sent: &mut Sent, settled: &Value) -> anyhow::Result<()> {
    let Some(answers) = sent.expected.answers_mut() else { return Ok(()) };
    for (answer, payload) in answers.iter_mut().zip(sent.payloads.iter()) {
        let Some(before) = settled[&payload.name].as_str() else { continue };
        if answer.as_deref().is_some_and(|now| now != before) {
            bail!(
                "the expected answer to {} is another one now than when the run began; start a new run",
                payload.name
            );
        }
        *answer = Some(before.to_owned());
    }
    Ok(())
}

/// Removes what the stopped run left on a cluster; its namespace stays, the run goes on in it.
///
/// # Errors
/// If the cluster does not answer, or something cannot be removed.
pub async fn clean_up(cluster: &Cluster, say: &dyn Fn(&str)) -> Result<(), RunError> {
    let owner = Owner::Run(cluster.run.clone());
    let found =
        inventory::take(cluster, &owner).await.context("cannot look for what the stopped run left")?;
    let things: Vec<Thing> = found.things.into_iter().filter(|thing| thing.kind != Kind::Namespace).collect();
    if things.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = things.iter().map(Thing::describe).collect();
    say(&format!("removing what the stopped run left: {}", names.join(", ")));
    let outcome = clean::remove(cluster, &things, CLEAN_LIMIT, say).await;
    if outcome.left.is_empty() {
        return Ok(());
    }
    Err(RunError::Failed(anyhow::anyhow!(
        "what the stopped run left could not be removed ({}); call `harness clean`, then resume again",
        outcome.left.join("; ")
    )))
}

/// Now, as the environment writes it.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
