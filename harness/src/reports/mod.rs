//! Stage 6, pure: from a summary and its cells to pages and plots.
//!
//! ```text
//! Document ─► plots::all ─► [Plot] ─► outline::sections ─► markdown | html     (the caller writes the files)
//!                             └─────► png
//! ```
//! What a report says, and in which order, is decided once, in [`outline`]; Markdown and HTML only
//! differ in how they spell it. To add a kind of report, write a file beside these and its arm in
//! [`Report`]; the compiler lists what was forgotten.

pub mod format;
pub mod histograms;
pub mod html;
pub mod markdown;
pub mod outline;
pub mod plots;
pub mod png;
pub mod terminal;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod life_cycle_tests;
#[cfg(test)]
mod questions_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use plots::Plot;

use crate::{
    analyse::{
        CellDigest,
        lives::{self, ReplicaLife},
        summary::{CellSummary, Summary},
    },
    collect::timeline::{FirstAnswers, Timeline},
    experiment::Experiment,
};

/// The twin's label, on every page and plot that it produces.
pub const TWIN_BANNER: &str = "This is the twin, an embedded stand-in on one machine. Its figures say nothing about \
                               a real cluster, and replicas add no capacity on a small machine.";

/// Everything a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The run in numbers.
    pub summary: &'a Summary,
    /// What was planned.
    pub experiment: &'a Experiment,
    /// `environment.json`: versions, hardware, digests.
    pub environment: &'a Value,
    /// The cells that left anything on disk, for the plots and their metadata.
    pub cells: &'a [CellDigest],
    /// What was watched of the deployments' replicas, by deployment (`t01-knative`).
    pub timelines: &'a BTreeMap<String, Timeline>,
}

/// A cell of the plan that left no measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCell<'a> {
    /// Trial, from 1.
    pub trial: u32,
    /// Label of the subject.
    pub subject: &'a str,
    /// Name of the load point.
    pub load: &'a str,
}

impl<'a> Document<'a> {
    /// Summaries of one subject's cells at one load point, by trial.
    pub fn summaries(&self, subject: &str, load: &str) -> Vec<&'a CellSummary> {
        let mut found: Vec<_> =
            self.summary.cells.iter().filter(|cell| cell.subject == subject && cell.load == load).collect();
        found.sort_by_key(|cell| cell.trial);
        found
    }

    /// The VALID ones of [`Document::summaries`]; only they count in tables and verdicts.
    pub fn valid(&self, subject: &str, load: &str) -> Vec<&'a CellSummary> {
        self.summaries(subject, load).into_iter().filter(|cell| cell.validity.is_valid()).collect()
    }

    /// Raw data of one subject's cells at one load point by trial, each with whether it is VALID.
    /// A cell without a summary does not count as VALID.
    pub fn data(&self, subject: &str, load: &str) -> Vec<(&'a CellDigest, bool)> {
        let mut found: Vec<_> = self
            .cells
            .iter()
            .filter(|data| data.meta.cell.subject == subject && data.meta.cell.load.name == load)
            .map(|data| (data, self.is_valid(&data.meta.cell.id)))
            .collect();
        found.sort_by_key(|(data, _)| data.meta.cell.trial);
        found
    }

    /// Lives of one subject's replicas, by trial; first answers come from the cells' records. A trial
    /// of a resumed run may have two deployments; one that was reused holds all trials.
    pub fn lives(&self, subject: &str) -> Vec<(u32, Vec<ReplicaLife>)> {
        let trials = 1..=self.experiment.trials;
        let deployments = trials.flat_map(|trial| {
            let id = deployment_id(trial, subject);
            let further = format!("{id}+");
            let of_trial = move |found: &str| found == id || found.starts_with(&further);
            self.timelines.iter().filter(move |(found, _)| of_trial(found)).map(move |(_, t)| (trial, t))
        });
        let found = deployments.map(|(trial, timeline)| {
            let cells = self.cells.iter().filter(|data| {
                let cell = &data.meta.cell;
                cell.subject == subject && (self.experiment.reuse_deployments || cell.trial == trial)
            });
            let mut answers = FirstAnswers::default();
            cells.for_each(|cell| answers.merge(&cell.records.answers));
            let timeline = lives::with_answers(timeline, &answers);
            let mut lives = lives::phases(&timeline);
            let of_deployment = |cell: &&CellSummary| {
                cell.subject == subject && (self.experiment.reuse_deployments || cell.trial == trial)
            };
            let cold = self.summary.cells.iter().filter(of_deployment).filter_map(CellSummary::cold_start);
            cold.for_each(|found| found.mark(&mut lives, timeline.started_unix_ns));
            (trial, lives)
        });
        found.collect()
    }

    /// The trial that stands for a subject at a load point where only one can be shown: of those that
    /// others measured as well, the median by goodput; VALID ones first.
    pub fn median_observed(&self, subject: &str, load: &str) -> Option<(&'a CellDigest, bool)> {
        let mut found: Vec<_> = self.data(subject, load);
        found.retain(|(data, _)| data.series.as_ref().is_some_and(|series| !series.series.is_empty()));
        if found.iter().any(|(_, valid)| *valid) {
            found.retain(|(_, valid)| *valid);
        }
        let goodput = |data: &CellDigest| {
            let of = |cell: &&CellSummary| cell.id == data.meta.cell.id;
            self.summary.cells.iter().find(of).map_or(0.0, |cell| cell.goodput_rps)
        };
        found.sort_by(|a, b| goodput(a.0).total_cmp(&goodput(b.0)));
        found.get(found.len().saturating_sub(1) / 2).copied()
    }

    /// Cells of the plan that left no measurement, in the plan's order.
    pub fn missing(&self) -> Vec<MissingCell<'a>> {
        let data =
            self.cells.iter().map(|data| &data.meta.cell).map(|c| (c.trial, &*c.subject, &*c.load.name));
        let measured = self.summary.cells.iter().filter(|cell| !self.is_missing(cell));
        let measured = measured.map(|c| (c.trial, &*c.subject, &*c.load));
        let there: BTreeSet<(u32, &str, &str)> = data.chain(measured).collect();
        let plan = (1..=self.experiment.trials).flat_map(|trial| {
            let loads = move |subject: &'a str| {
                self.experiment.load.iter().map(move |load| MissingCell { trial, subject, load: &load.name })
            };
            self.experiment.subjects.iter().flat_map(move |subject| loads(&subject.label))
        });
        plan.filter(|cell| !there.contains(&(cell.trial, cell.subject, cell.load))).collect()
    }

    /// Whether this entry of the summary stands for a cell that left nothing.
    pub fn is_missing(&self, cell: &CellSummary) -> bool {
        cell.requests == 0 && !self.cells.iter().any(|data| data.meta.cell.id == cell.id)
    }

    /// Cells in the plan.
    pub fn planned_cells(&self) -> usize {
        self.experiment.subjects.len() * self.experiment.load.len() * self.experiment.trials as usize
    }

    fn is_valid(&self, cell_id: &str) -> bool {
        self.summary.cells.iter().any(|cell| cell.id == cell_id && cell.validity.is_valid())
    }

    fn position(&self, subject: &str) -> usize {
        self.summary.subjects.iter().position(|label| label == subject).unwrap_or(0)
    }
}

/// Names one subject's deployment of one trial: `t01-knative`.
pub fn deployment_id(trial: u32, subject: &str) -> String {
    format!("t{trial:02}-{subject}")
}

/// The kinds of written reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// One Markdown file that links the plots.
    Markdown,
    /// One HTML file that holds everything.
    Html,
}

impl Report {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Markdown, Self::Html];

    /// Its file in the run folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Markdown => "report.md",
            Self::Html => "report.html",
        }
    }

    /// The file's content.
    pub fn render(self, document: &Document, plots: &[Plot]) -> String {
        match self {
            Self::Markdown => markdown::render(document, plots),
            Self::Html => html::render(document, plots),
        }
    }
}
