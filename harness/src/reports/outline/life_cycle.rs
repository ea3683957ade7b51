//! The tables of the questions about life cycles: scaling, cold starts, eviction.

use super::{Block, Entry, Row, Table};
use crate::{
    analyse::{
        cold::{Class, ColdStarts},
        elasticity::{Elasticity, Waited},
        eviction::Eviction,
        summary::CellSummary,
    },
    experiment::LoadPoint,
    reports::{Document, format},
};

/// What is to be said of a load point; nothing where its cells have nothing of the kind.
pub(super) fn blocks(document: &Document, load: &LoadPoint) -> Vec<Block> {
    let mut blocks = Vec::new();
    blocks.extend(elasticity(document, &load.name).map(Block::Table));
    blocks.extend(cold(document, &load.name).map(Block::Table));
    blocks.extend(eviction(document, &load.name).map(Block::Table));
    let limits = limits(document, &load.name);
    if !limits.is_empty() {
        blocks.push(Block::Text("What a platform cannot do, and is therefore not measured:".to_owned()));
        blocks.push(Block::List(limits));
    }
    blocks
}

/// One subject's VALID cells that hold something, with their trials.
fn held<'a, T>(
    document: &Document<'a>,
    subject: &str,
    load: &str,
    of: impl Fn(&'a CellSummary) -> Option<&'a T>,
) -> Vec<(&'a CellSummary, &'a T)> {
    document.valid(subject, load).into_iter().filter_map(|cell| Some((cell, of(cell)?))).collect()
}

fn table(caption: &str, columns: &[&str], rows: Vec<Row>) -> Option<Table> {
    (!rows.is_empty()).then(|| Table {
        caption: caption.to_owned(),
        columns: columns.iter().map(|title| (*title).to_owned()).collect(),
        rows,
        numeric: true,
    })
}

/// Median with the smallest and the largest under it.
fn spread(mut values: Vec<f64>, show: impl Fn(f64) -> String) -> Entry {
    values.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (values.first().copied(), values.last().copied()) else {
        return format::NONE.into();
    };
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    Entry::with(show(median), range(&show(low), &show(high)))
}

fn range(low: &str, high: &str) -> String {
    if low == high { String::new() } else { format!("{low}–{high}") }
}

fn elasticity(document: &Document, load: &str) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let found = held(document, subject, load, |cell| cell.elasticity.as_ref());
        if found.is_empty() {
            continue;
        }
        let of = |value: fn(&Elasticity) -> f64| found.iter().map(|(_, e)| value(e)).collect::<Vec<_>>();
        let waited = |value: fn(&Elasticity) -> Option<Waited>| {
            waits(found.iter().filter_map(|(_, e)| value(e)).collect())
        };
        rows.push(Row::new([
            Entry::with(subject, format!("one replica: {}/s", format::number(found[0].1.capacity_rps))),
            waited(|e| e.first_added),
            waited(|e| e.enough),
            spread(of(|e| e.under_accuracy), format::percent),
            spread(of(|e| e.under_time), format::percent),
            spread(of(|e| e.over_accuracy), format::percent),
            spread(of(|e| e.over_time), format::percent),
            spread(of(|e| e.replica_s), format::number),
            spread(of(|e| e.needed_replica_s), format::number),
        ]));
    }
    table(
        "How the replicas followed the load: medians over the VALID trials, with the smallest and the largest. Needed \
         is the offered rate over what one replica served in the pilot, rounded up. Accuracy: mean shortfall or \
         surplus as a share of what was needed; timeshare: share of the time with too few or too many (SPEC Research \
         Group's elasticity metrics, Herbst et al. 2018). Times count from the largest rise of the load and end when \
         it falls again; > marks one that had not happened by then.",
        &[
            "Subject",
            "To the first added replica (s)",
            "To enough replicas (s)",
            "Under-provisioning, accuracy",
            "Timeshare",
            "Over-provisioning, accuracy",
            "Timeshare",
            "Ready (replica-s)",
            "Needed (replica-s)",
        ],
        rows,
    )
}

/// Waits of which some may not have ended: the median, marked where it lies among those.
fn waits(mut waits: Vec<Waited>) -> Entry {
    waits.sort_by(|a, b| a.s.total_cmp(&b.s).then(a.at_least.cmp(&b.at_least)));
    let show = |wait: &Waited| format!("{}{}", if wait.at_least { "> " } else { "" }, format::number(wait.s));
    let Some(middle) = waits.get(waits.len() / 2) else { return format::NONE.into() };
    let (low, high) = (&waits[0], &waits[waits.len() - 1]);
    Entry::with(show(middle), range(&show(low), &show(high)))
}

fn cold(document: &Document, load: &str) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let found = held(document, subject, load, CellSummary::cold_start);
        if found.is_empty() {
            continue;
        }
        let all =
            |of: fn(&ColdStarts) -> Option<f64>| found.iter().filter_map(|(_, c)| of(c)).collect::<Vec<_>>();
        let starts: Vec<f64> =
            found.iter().flat_map(|(_, c)| c.proved().map(|start| start.response_ms)).collect();
        let zero: Vec<f64> =
            found.iter().flat_map(|(_, c)| c.proved().map(|start| start.zero.waited.as_secs_f64())).collect();
        let count = |class| found.iter().map(|(_, c)| c.count(class)).sum::<usize>() as u64;
        rows.push(Row::new([
            subject.as_str().into(),
            format::count(count(Class::Cold)).into(),
            spread(starts, format::number),
            spread(all(ColdStarts::median_ms), format::number),
            spread(all(ColdStarts::warm_median_ms), format::number),
            format::count(count(Class::Queued)).into(),
            format::count(count(Class::Warm) + count(Class::Unproved)).into(),
            spread(zero, format::number),
            spread(
                found.iter().map(|(cell, _)| cell.ready_after_ms).filter(|ms| *ms > 0.0).collect(),
                format::number,
            ),
        ]));
    }
    table(
        "Cold starts from zero: no replica was left, and the answer was a new process's first. Times are medians from \
         the intended send to the answer, with the smallest and the largest. Queued: a new process answered another \
         request first. A fresh deployment counts from the deploy call to the first answer; it is another thing (the \
         platform's objects are made, the route is set up) and is compared with nothing here.",
        &[
            "Subject",
            "Proved starts",
            "Each start (ms)",
            "Median of a trial (ms)",
            "The same request warm (ms)",
            "Queued",
            "Not proved",
            "Wait for zero (s)",
            "Fresh deployment (ms)",
        ],
        rows,
    )
}

fn eviction(document: &Document, load: &str) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let found = held(document, subject, load, CellSummary::eviction);
        if found.is_empty() {
            continue;
        }
        let life = |e: &Eviction| Some(Waited { s: e.value_s()?, at_least: e.at_least });
        let stayed = found.iter().filter(|(_, e)| e.at_least).count();
        rows.push(Row::new([
            subject.as_str().into(),
            format::count(found.len() as u64).into(),
            waits(found.iter().filter_map(|(_, e)| life(e)).collect()),
            spread(found.iter().filter_map(|(_, e)| e.gone_s).collect(), format::number),
            format::count(stayed as u64).into(),
        ]));
    }
    table(
        "Life of an idle instance: from the last answer until no replica was ready, and until its process had ended; \
         medians over the VALID trials, with the smallest and the largest. > marks a replica that was still there \
         when the wait ended.",
        &["Subject", "Trials", "No replica ready after (s)", "Process gone after (s)", "Still there"],
        rows,
    )
}

/// What platforms said that they cannot do, each once.
fn limits(document: &Document, load: &str) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for subject in &document.summary.subjects {
        for cell in document.summaries(subject, load) {
            let cold = cell.cold_start().and_then(|cold| cold.limit.as_deref());
            let cold = cold.map(|limit| {
                format!(
                    "{subject}: {limit}. It keeps a replica, so it has no cold start from zero; its cold start is a \
                     deployment, or a scale-up. The first answer of a fresh deployment is in its column."
                )
            });
            let kept = cell.eviction().and_then(|eviction| eviction.limit.as_deref());
            let kept =
                kept.map(|limit| format!("{subject}: {limit}. An idle instance lives until it is removed."));
            for sentence in cold.into_iter().chain(kept) {
                if !said.contains(&sentence) {
                    said.push(sentence);
                }
            }
        }
    }
    said
}
