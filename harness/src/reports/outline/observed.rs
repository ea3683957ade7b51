//! The section on what Prometheus or the kubelet measured beside the records: the platform's tax in
//! CPU, and what was asked for and is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Block, Entry, Row, Table};
use crate::{
    analyse::{CellDigest, observed},
    collect::series::{CellSeries, component},
    reports::{Document, format},
};

/// What the section says, plots apart; none if nobody was asked.
pub(super) fn blocks(document: &Document) -> Option<Vec<Block>> {
    let asked: Vec<(&CellDigest, &CellSeries)> =
        document.cells.iter().filter_map(|data| Some((data, data.series.as_ref()?))).collect();
    if asked.is_empty() {
        return None;
    }
    let sources: BTreeSet<&str> = asked.iter().map(|(_, series)| series.source.as_str()).collect();
    let mut blocks = vec![Block::Text(format!(
        "From {}, beside our own records. It shows what a platform takes for itself; verdicts are made from the \
         records alone.",
        sources.into_iter().collect::<Vec<_>>().join(" and ")
    ))];
    blocks.extend(tax(document).map(Block::Table));
    let remarks = by_subject(&asked, |series| series.remarks.clone());
    if !remarks.is_empty() {
        blocks.push(Block::List(remarks));
    }
    let missing = by_subject(&asked, |series| {
        series.missing.iter().map(|m| format!("{} ({}): {}.", m.name, m.title, m.remedy)).collect()
    });
    if !missing.is_empty() {
        blocks.push(Block::Text("Asked for and not there, with what would provide it:".to_owned()));
        blocks.push(Block::List(missing));
    }
    Some(blocks)
}

/// Sentences about the cells, each once for all subjects that it is said of.
fn by_subject(asked: &[(&CellDigest, &CellSeries)], of: impl Fn(&CellSeries) -> Vec<String>) -> Vec<String> {
    let mut said: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (data, series) in asked {
        for sentence in of(series) {
            said.entry(sentence).or_default().insert(&data.meta.cell.subject);
        }
    }
    let line = |(sentence, subjects): (String, BTreeSet<&str>)| {
        format!("{}: {sentence}", subjects.into_iter().collect::<Vec<_>>().join(", "))
    };
    said.into_iter().map(line).collect()
}

/// Cores of one cell by component, and its correct answers a second.
struct Taxed {
    cores: BTreeMap<String, f64>,
    goodput_rps: f64,
}

/// CPU by component, medians over the VALID trials; none if nobody knows any.
fn tax(document: &Document) -> Option<Table> {
    let mut sides: Vec<(String, Vec<Taxed>)> = Vec::new();
    for load in &document.experiment.load {
        for subject in &document.summary.subjects {
            let valid = document.data(subject, &load.name).into_iter().filter(|(_, valid)| *valid);
            let taxed: Vec<Taxed> = valid.filter_map(|(data, _)| taxed(document, data)).collect();
            if !taxed.is_empty() {
                sides.push((format!("{}: {subject}", load.name), taxed));
            }
        }
    }
    let all = || sides.iter().flat_map(|(_, cells)| cells);
    let known: Vec<&str> = std::iter::once(component::FUNCTION)
        .chain(component::DATA_PLANE)
        .filter(|c| all().any(|cell| cell.cores.contains_key(*c)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let rows = sides.iter().map(|(title, cells)| {
        let median = |of: &dyn Fn(&Taxed) -> Option<f64>| median(cells.iter().filter_map(of).collect());
        let mut entries: Vec<Entry> = vec![title.as_str().into()];
        entries
            .extend(known.iter().map(|c| format::maybe(median(&|cell| cell.cores.get(*c).copied())).into()));
        entries.push(format::maybe(median(&Taxed::plane)).into());
        entries.push(
            format::maybe(median(&|cell| {
                Some(cell.plane()? * 1e3 / cell.goodput_rps).filter(|v| v.is_finite())
            }))
            .into(),
        );
        Row { entries, ..Row::default() }
    });
    let rows = rows.collect();
    let columns = ["Load point and subject"].into_iter().chain(known.iter().copied());
    let columns = columns.chain(["platform together", "platform, CPU ms a correct answer"]);
    Some(Table {
        caption: "The platform's tax: CPU in cores over the measured interval, median over the VALID trials. Ingress, \
                  gateway and activator are counted whole, with what they do when idle. A dash: nobody measured it, or \
                  the platform has none."
            .to_owned(),
        columns: columns.map(str::to_owned).collect(),
        rows,
        numeric: true,
    })
}

fn taxed(document: &Document, data: &CellDigest) -> Option<Taxed> {
    let window = data.records.window;
    let used = observed::cpu_seconds(data.series.as_ref()?, &window);
    let summary = document.summary.cells.iter().find(|cell| cell.id == data.meta.cell.id)?;
    let seconds = window.seconds();
    (seconds > 0.0 && !used.is_empty()).then(|| Taxed {
        cores: used.into_iter().map(|(component, used)| (component, used / seconds)).collect(),
        goodput_rps: summary.goodput_rps,
    })
}

impl Taxed {
    fn plane(&self) -> Option<f64> {
        component::DATA_PLANE.iter().filter_map(|c| self.cores.get(*c)).copied().reduce(|a, b| a + b)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
