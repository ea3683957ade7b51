//! The section on the life of the replicas: where starts spend their time, and what went wrong.

use super::{Block, Entry, Row, Table};
use crate::{
    analyse::lives::{self, ReplicaLife, StartSummary},
    collect::timeline::Phase,
    reports::{Document, format},
};

/// How many troubles of one subject are listed.
const MOST_TROUBLES: usize = 8;

/// What the section says, plots apart; none if nothing was watched.
pub(super) fn blocks(document: &Document) -> Option<Vec<Block>> {
    if document.timelines.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    let mut remarks = Vec::new();
    for subject in &document.summary.subjects {
        let trials = document.lives(subject);
        let all = trials.iter().flat_map(|(_, lives)| lives);
        rows.extend(lives::starts(all).iter().map(|summary| row(subject, summary)));
        remarks.extend(troubles(subject, &trials));
    }
    let gaps = document.timelines.iter();
    let gaps = gaps.flat_map(|(id, timeline)| timeline.gaps.iter().map(move |gap| format!("{id}: {gap}")));
    let gaps: Vec<String> = gaps.collect();
    let mut blocks = vec![
        Block::Text(
            "From the deploy call, or from the decision to add a replica, to its first answer. Times are those at \
             which this machine heard of a change by watching, a little after the fact; where only the cluster told, \
             by its clock in whole seconds, corrected by the difference of the clocks."
                .to_owned(),
        ),
        Block::Table(table(rows)),
    ];
    blocks.extend(clocks(document).map(Block::Text));
    for (title, list) in [("What went wrong on the way:", remarks), ("What could not be watched:", gaps)] {
        if !list.is_empty() {
            blocks.push(Block::Text(title.to_owned()));
            blocks.push(Block::List(list));
        }
    }
    Some(blocks)
}

fn table(rows: Vec<Row>) -> Table {
    let stages = Phase::START.iter().skip(1).map(|phase| format!("to {}", phase.title()));
    let columns = ["Subject and start", "Starts", "Whole"].map(str::to_owned).into_iter().chain(stages);
    Table {
        caption: "Medians over replicas and trials, ms, with the shortest and the longest. A deployment counts from \
                  the deploy call to the first answer; a further replica until it is ready; a \
                  cold start from zero counts from the intended send of its request to the answer; a start under load \
                  (scaling up, mostly) to its first answer. A dash: nobody told of that phase, and the next \
                  stage holds it."
            .to_owned(),
        columns: columns.collect(),
        rows,
        numeric: true,
    }
}

fn row(subject: &str, summary: &StartSummary) -> Row {
    let stage = |to: &Phase| {
        let found = summary.stages.iter().filter(|stage| stage.to == *to).max_by_key(|stage| stage.starts);
        found.map_or_else(
            || format::NONE.into(),
            |s| {
                let (low, high) = (format::number(s.low_ms), format::number(s.high_ms));
                let range = if low == high { String::new() } else { format!("{low}–{high}") };
                Entry::with(format::number(s.median_ms), range)
            },
        )
    };
    let entries = [
        Entry::with(subject, summary.start.title()),
        format::count(summary.starts as u64).into(),
        format::number(summary.median_ms).into(),
    ];
    Row {
        entries: entries.into_iter().chain(Phase::START.iter().skip(1).map(stage)).collect(),
        ..Row::default()
    }
}

fn troubles(subject: &str, trials: &[(u32, Vec<ReplicaLife>)]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (trial, lives) in trials {
        for life in lives {
            let never = life.phases.contains_key(&Phase::Gone) && !life.phases.contains_key(&Phase::Ready);
            let never = never.then(|| "never became ready".to_owned());
            let place = format!("{subject}, trial {trial}, {}", life.replica);
            let told = life.troubles.iter().chain(&never);
            found.extend(told.map(|trouble| format!("{place}: {trouble}")));
        }
    }
    let more = found.len().saturating_sub(MOST_TROUBLES);
    found.truncate(MOST_TROUBLES);
    if more > 0 {
        found.push(format!("{subject}: {} more, in deployments/*.json", format::count(more as u64)));
    }
    found
}

/// How far the two clocks were apart.
fn clocks(document: &Document) -> Option<String> {
    let offsets = document.timelines.values().filter_map(|timeline| timeline.clock);
    let widest = offsets.max_by(|a, b| a.middle_ms().abs().total_cmp(&b.middle_ms().abs()))?;
    Some(format!("The clocks, at their furthest: {}.", widest.words()))
}
