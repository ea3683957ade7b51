//! What a report says and in which order, as data; `markdown` and `html` spell it.

mod certainty;
mod events;
mod fairness;
mod headline;
mod inside;
mod life;
mod life_cycle;
mod method;
mod observed;
mod questions;
mod reference;
mod tables;

pub(super) use headline::{failed, is_lower_bound};
pub(super) use tables::title as outcome_title;

use crate::{
    analyse::summary::{Comparison, Verdict},
    reports::{Document, Plot, TWIN_BANNER, format, plots},
};

/// A heading and what stands under it.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Unique in a report and usable as an anchor.
    pub id: String,
    /// The heading.
    pub title: String,
    /// In order.
    pub blocks: Vec<Block>,
}

/// A piece of a section. Text is plain: nobody marks it up, so everything in it can be escaped.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Something the reader must not miss.
    Warning(String),
    /// A statement that answers a question.
    Answer {
        /// What was asked.
        question: String,
        /// The sentence.
        sentence: String,
        /// Whether it claims a difference.
        decided: bool,
    },
    /// Points.
    List(Vec<String>),
    /// Terms and what they mean.
    Terms(Vec<(String, String)>),
    /// Rows and columns.
    Table(Table),
    /// The plot with this name.
    Plot(String),
    /// Something to type.
    Command(String),
}

/// Rows and columns. The first column heads its row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Says what is in it, with units and the way values were pooled.
    pub caption: String,
    /// Column titles.
    pub columns: Vec<String>,
    /// Rows, each as wide as `columns`.
    pub rows: Vec<Row>,
    /// Whether the columns after the first hold numbers, to be set to the right.
    pub numeric: bool,
}

/// One row of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// How it stands out.
    pub tone: Tone,
}

/// How a row stands out. Never by colour alone: its words say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// It does not.
    #[default]
    Plain,
    /// Does not count: an INVALID or missing cell.
    Faded,
    /// To be looked at: sides that differ.
    Marked,
}

/// One entry of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub main: String,
    /// What belongs to it but is read second: a range, a remedy.
    pub detail: Option<String>,
}

impl Entry {
    fn with(main: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { main: main.into(), detail: (!detail.is_empty()).then_some(detail) }
    }
}

impl<T: Into<String>> From<T> for Entry {
    fn from(main: T) -> Self {
        Self { main: main.into(), detail: None }
    }
}

impl Row {
    fn new<const N: usize>(entries: [Entry; N]) -> Self {
        Self { entries: entries.into(), tone: Tone::Plain }
    }
}

/// All sections after the title, in reading order. Sections without content are left out.
pub fn sections(document: &Document, drawn: &[Plot]) -> Vec<Section> {
    let plot = |kind: plots::PlotKind, load: &str| {
        let name = kind.file_stem(load);
        drawn.iter().any(|plot| plot.name == name).then_some(Block::Plot(name))
    };
    let mut out = vec![section("answers", "Answers", answers(document))];
    out.extend(certainty::thresholds(document).map(|blocks| section("thresholds", "Thresholds", blocks)));
    for load in &document.experiment.load {
        let mut blocks = vec![Block::Text(format!("{} Load: {}.", load.question, format::load(load)))];
        if load.procedure.is_play() {
            blocks.push(Block::Table(headline::table(document, &load.name)));
        }
        blocks.extend(questions::blocks(document, load));
        blocks.extend(tables::revisions(document, &load.name).map(Block::Table));
        blocks.extend(life_cycle::blocks(document, load));
        blocks.extend(plots::PlotKind::BY_LOAD.into_iter().filter_map(|kind| plot(kind, &load.name)));
        out.push(section(&format!("load-{}", load.name), &format!("Load point {}", load.name), blocks));
    }
    out.extend(events::blocks(document).map(|blocks| section("events", "Events", blocks)));
    out.extend(reference::blocks(document).map(|blocks| section("study", "The published study", blocks)));
    out.extend(inside::table(document).map(|table| {
        section("inside", "Where the time goes inside the function", vec![Block::Table(table)])
    }));
    let mut failures = vec![Block::Table(tables::failures(document))];
    failures.extend(plot(plots::PlotKind::Failures, ""));
    out.push(section("failures", "Failures", failures));
    if !document.summary.comparisons.is_empty() {
        let mut blocks = vec![Block::Table(tables::comparisons(document))];
        blocks.extend(plot(plots::PlotKind::Ratios, ""));
        out.push(section("comparisons", "Comparisons", blocks));
    }
    if let Some(blocks) = certainty::blocks(document) {
        out.push(section("certainty", "How sure this is", blocks));
    }
    if let Some(mut blocks) = life::blocks(document) {
        blocks.splice(1..1, plot(plots::PlotKind::Phases, ""));
        blocks.extend(plot(plots::PlotKind::Lives, ""));
        out.push(section("lives", "Life of the replicas", blocks));
    }
    if let Some(mut blocks) = observed::blocks(document) {
        for load in &document.experiment.load {
            let subjects = 0..document.summary.subjects.len();
            blocks.extend(subjects.filter_map(|i| plot(plots::PlotKind::Observed(i), &load.name)));
        }
        out.push(section("observed", "What the cluster measured", blocks));
    }
    out.push(section("trials", "Trials", trials(document)));
    out.push(section("fairness", "Fairness", vec![Block::Table(fairness::table(document))]));
    out.push(section("method", "Method", method::blocks(document)));
    out.push(section("environment", "Environment", vec![Block::Table(tables::environment(document))]));
    out.push(section("repeat", "How to repeat this", method::repeat(document)));
    out
}

/// What stands above everything else: the twin's label and what was degraded.
pub fn warnings(document: &Document) -> Vec<String> {
    let mut out: Vec<String> = document.summary.twin.then(|| TWIN_BANNER.to_owned()).into_iter().collect();
    let missing = document.missing().len();
    if missing > 0 {
        out.push(format!(
            "This run is incomplete: {missing} of {} are missing (see Trials).",
            format::plural(document.planned_cells(), "cell")
        ));
    }
    out.extend(document.summary.notices.iter().cloned());
    out
}

/// One sentence for each question that was named before the run.
pub fn verdicts<'a>(document: &Document<'a>) -> Vec<&'a Comparison> {
    document.summary.comparisons.iter().filter(|comparison| comparison.primary).collect()
}

/// What to say when nothing was compared.
pub fn without_verdict(document: &Document) -> String {
    match document.summary.subjects.as_slice() {
        [] => "Nothing was measured.".to_owned(),
        [alone] => format!("Only {alone} was measured, so nothing is compared."),
        _ => "There is no verdict: the run holds too little to compare the subjects.".to_owned(),
    }
}

fn section(id: &str, title: &str, blocks: Vec<Block>) -> Section {
    Section { id: id.to_owned(), title: title.to_owned(), blocks }
}

fn answers(document: &Document) -> Vec<Block> {
    let verdicts = verdicts(document);
    if verdicts.is_empty() {
        return vec![Block::Text(without_verdict(document))];
    }
    let answer = |comparison: &&Comparison| Block::Answer {
        question: format!("{} ({})", comparison.question, comparison.load),
        sentence: comparison.sentence.clone(),
        decided: matches!(comparison.verdict, Verdict::Better { .. }),
    };
    verdicts.iter().map(answer).collect()
}

fn trials(document: &Document) -> Vec<Block> {
    let mut blocks = vec![Block::Table(tables::trials(document))];
    let remarks = tables::remarks(document);
    if !remarks.is_empty() {
        blocks.push(Block::Text("What the cells had to say:".to_owned()));
        blocks.push(Block::List(remarks));
    }
    blocks
}
