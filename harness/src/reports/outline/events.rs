//! What became of the events: how many each side counted, and whether the counts agree.

use super::{Block, Row, Table, Tone};
use crate::{
    analyse::{
        events::{BrokerCounts, CellEvents, FunctionCounts},
        quantiles,
        summary::CellSummary,
    },
    experiment::LoadPoint,
    reports::{Document, format},
};

/// The section; none where no cell had events.
pub(super) fn blocks(document: &Document) -> Option<Vec<Block>> {
    let tables: Vec<Block> =
        document.experiment.load.iter().filter_map(|load| table(document, load)).map(Block::Table).collect();
    if tables.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Text(
        "Each correct answer becomes one CloudEvent, which the function posts to a broker and the broker to a \
         logger. Counts are of whole cells, warm-up included, and come from the generator, the functions, the broker \
         and the logger, each for itself; what is on its way when a cell ends has time to arrive."
            .to_owned(),
    )];
    blocks.extend(tables);
    let remarks = remarks(document);
    if !remarks.is_empty() {
        blocks.push(Block::List(remarks));
    }
    Some(blocks)
}

fn with_events<'a>(
    document: &Document<'a>,
    subject: &str,
    load: &str,
) -> Vec<(&'a CellSummary, &'a CellEvents)> {
    let cells = document.summaries(subject, load).into_iter();
    cells.filter_map(|cell| Some((cell, cell.events.as_ref()?))).collect()
}

fn table(document: &Document, load: &LoadPoint) -> Option<Table> {
    let mut rows = Vec::new();
    for subject in &document.summary.subjects {
        let cells = with_events(document, subject, &load.name);
        let Some((_, first)) = cells.first() else { continue };
        let sum = |of: &dyn Fn(&CellEvents) -> Option<u64>| -> Option<u64> {
            cells.iter().map(|(_, events)| of(events)).sum()
        };
        let shown = |count: Option<u64>| count.map_or_else(|| format::NONE.to_owned(), format::count);
        let function = |of: fn(&FunctionCounts) -> u64| shown(sum(&|e| e.function.as_ref().map(of)));
        let broker = |of: fn(&BrokerCounts) -> u64| shown(sum(&|e| e.broker.as_ref().map(of)));
        let missing: Option<i64> = cells.iter().map(|(_, events)| events.missing()).sum();
        let time = |of: fn(&CellEvents) -> Option<f64>| {
            format::maybe(quantiles::complete(cells.iter().filter_map(|(_, events)| of(events))).p50)
        };
        let mut row = Row::new([
            format!("{subject} ({})", first.mode).into(),
            shown(sum(&|e| Some(e.answers))).into(),
            function(|f| f.emitted).into(),
            function(FunctionCounts::lost).into(),
            function(|f| f.retried).into(),
            broker(|b| b.accepted).into(),
            broker(|b| b.lost + b.queued).into(),
            shown(sum(&|e| e.logged)).into(),
            shown(sum(&|e| Some(e.duplicates))).into(),
            missing.map_or_else(|| format::NONE.to_owned(), |n| n.to_string()).into(),
            time(|e| e.delivery_ms.p50).into(),
            time(|e| e.delivery_ms.p99).into(),
        ]);
        if missing != Some(0) {
            row.tone = Tone::Marked;
        }
        rows.push(row);
    }
    let caption = format!(
        "{}: events of all trials. Dropped and retried: by the function; lost: by the broker. Missing: correct \
         answers whose event is neither at the logger nor counted as dropped or lost; below 0, events of answers that \
         the generator did not count as correct. Delivery: from the answer until the logger had taken its event, \
         medians over trials.",
        load.name
    );
    let columns = [
        "Subject (mode)",
        "Correct answers",
        "Emitted",
        "Dropped",
        "Retried",
        "At the broker",
        "Lost",
        "At the logger",
        "Duplicates",
        "Missing",
        "Delivery p50 (ms)",
        "Delivery p99 (ms)",
    ];
    let columns = columns.map(str::to_owned).into();
    (!rows.is_empty()).then_some(Table { caption, columns, rows, numeric: true })
}

/// What does not agree, and what was said of counts, cell by cell.
fn remarks(document: &Document) -> Vec<String> {
    let mut out = Vec::new();
    for cell in &document.summary.cells {
        let Some(events) = &cell.events else { continue };
        if events.missing() != Some(0) {
            out.push(format!("{}: {}", cell.id, events.reconciled()));
        }
        out.extend(events.remarks.iter().map(|remark| format!("{}: {remark}.", cell.id)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::{fixture::Run, markdown};

    #[test]
    fn the_section_adds_up_the_trials_and_marks_what_is_missing() {
        let mut run = Run::new(&["knative", "openfaas"]);
        let load = run.experiment.load[0].name.clone();
        for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == load) {
            let is_whole = cell.subject == "knative";
            cell.events = Some(CellEvents {
                mode: "background".to_owned(),
                answers: 100,
                function: Some(FunctionCounts {
                    emitted: 100,
                    delivered: 98,
                    retried: 3,
                    dropped: [("buffer-full".to_owned(), 2)].into(),
                }),
                broker: Some(BrokerCounts { accepted: 98, delivered: 98, ..BrokerCounts::default() }),
                logged: Some(if is_whole { 99 } else { 97 }),
                duplicates: 1,
                delivery_ms: quantiles::complete([1.0, 2.0, 3.0]),
                remarks: Vec::new(),
            });
        }
        let cells =
            run.summary.cells.iter().filter(|cell| cell.events.is_some() && cell.subject == "knative");
        let trials = cells.count();
        let page = markdown::render(&run.document(), &[]);
        let rows: Vec<&str> = page.lines().filter(|line| line.contains("(background)")).collect();
        let all = |n: usize| format::count((n * trials) as u64);
        for (row, missing) in rows.iter().zip([0, 2]) {
            assert!(row.contains(&format!("| {} | {} | {} |", all(100), all(100), all(2))), "{row}");
            assert!(row.contains(&format!("| {} | 2.00 | 3.00 |", missing * trials)), "{row}");
        }
        assert_eq!(rows.len(), 2, "{page}");
        assert_eq!(page.matches("2 have no event at the logger").count(), trials, "openfaas alone is named");
    }

    #[test]
    fn a_run_without_events_has_no_section() {
        assert!(blocks(&Run::new(&["knative"]).document()).is_none());
    }
}
