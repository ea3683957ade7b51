//! Where the time goes inside the function, with the transfers from and to the object storage apart.

use super::{Entry, Row, Table};
use crate::{
    analyse::{inside::STAGES, quantiles},
    reports::{Document, format},
};

/// Medians of the function's own stages, a row a subject and load point; none where answers told none.
pub(super) fn table(document: &Document) -> Option<Table> {
    let mut rows = Vec::new();
    for load in document.experiment.load.iter().filter(|load| load.procedure.is_play()) {
        for subject in &document.summary.subjects {
            let cells = document.valid(subject, &load.name);
            if cells.iter().all(|cell| cell.inside_ms.is_empty()) {
                continue;
            }
            let median = |stage: &str| -> Entry {
                let found =
                    quantiles::complete(cells.iter().filter_map(|cell| cell.inside_ms.get(stage).copied()))
                        .p50;
                // A transfer that never was is no fast one.
                format::maybe(found.filter(|ms| *ms > 0.0 || !matches!(stage, "download" | "upload"))).into()
            };
            let mut entries = vec![load.name.as_str().into(), subject.as_str().into()];
            entries.extend(STAGES.map(median));
            rows.push(Row { entries, ..Row::default() });
        }
    }
    let columns =
        ["Load point", "Subject", "Queue (ms)", "Download (ms)", "Work (ms)", "Upload (ms)", "Total (ms)"];
    let caption = "What the function says of itself: medians over the VALID trials of each trial's median, correct \
                   answers alone. Queue: waiting for a thread. Download, upload: from and to the object storage, \
                   where inputs come by reference. Work: the workload itself. Medians of stages do not add up to the \
                   total's.";
    let columns = columns.map(str::to_owned).into();
    (!rows.is_empty()).then(|| Table { caption: caption.to_owned(), columns, rows, numeric: true })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reports::fixture::Run;

    #[test]
    fn a_transfer_that_never_was_is_no_fast_one() {
        let mut run = Run::without_failures(&["knative", "openfaas"]);
        run.summary.cells.iter_mut().for_each(|cell| cell.inside_ms.clear());
        assert_eq!(table(&run.document()), None, "answers that told nothing make no table");
        for (number, cell) in run.summary.cells.iter_mut().enumerate() {
            let stages = [0.1, if number % 2 == 0 { 0.0 } else { 3.0 }, 9.0, 0.0, 12.1];
            cell.inside_ms = STAGES.iter().map(|s| (*s).to_owned()).zip(stages).collect::<BTreeMap<_, _>>();
        }
        let table = table(&run.document()).unwrap();
        let upload: Vec<&str> = table.rows.iter().map(|row| row.entries[5].main.as_str()).collect();
        assert!(upload.iter().all(|entry| *entry == format::NONE), "{upload:?}");
        assert!(table.rows.iter().any(|row| row.entries[4].main == format::number(9.0)), "{table:?}");
    }
}
