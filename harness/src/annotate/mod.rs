//! A run's cells as annotations in Grafana: each is a shaded span over whatever a dashboard shows.
//!
//! An annotation carries the run's name as a tag of its own, by which dashboards choose a run, and the
//! cell's as `cell:ID`, by which what is there already is found again.

mod grafana;
mod spans;

use serde::{Deserialize, Serialize};

pub use grafana::{Grafana, GrafanaError};
pub use spans::{Annotator, send_missing};

use crate::{
    analyse::rows::Rows,
    experiment::{Experiment, Site},
    store::{CellData, CellState},
};

/// Tag of everything that the testbed puts into Grafana; its dashboards ask for it.
pub const TESTBED: &str = "serverless-testbed";
/// Before a cell's name in a tag.
const CELL: &str = "cell:";

/// An annotation, as `POST /api/annotations` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// Its beginning, ms since the Unix epoch.
    pub time: u64,
    /// Its end.
    pub time_end: u64,
    /// By which it is found.
    pub tags: Vec<String>,
    /// What is shown at it.
    pub text: String,
}

/// What became of a run's annotations; kept in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotated {
    /// Grafana's address.
    pub grafana: String,
    /// Cells that have one there.
    pub shown: usize,
    /// Cells that lack theirs.
    pub missing: usize,
    /// Why they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Annotated {
    /// What a report has to say of it.
    pub fn notice(&self, run: &str) -> Option<String> {
        (self.missing > 0).then(|| {
            format!(
                "{} of {} cells have no annotation in Grafana: {}. `harness annotate {run} --grafana {}` sends them.",
                self.missing,
                self.missing + self.shown,
                self.why.as_deref().unwrap_or("the run ended before"),
                self.grafana
            )
        })
    }
}

/// The annotation of a cell that was played to its end; none of another.
pub fn of_cell<R: Rows>(run: &str, e: &Experiment, data: &CellData<R>) -> Option<Annotation> {
    let meta = &data.meta;
    if meta.state != CellState::Done {
        return None;
    }
    let (cell, site) = (&meta.cell, if e.on == Site::Twin { "twin" } else { "cluster" });
    let time = meta.started_unix_ns / 1_000_000;
    let workload = if e.function.own.is_some() { "own function" } else { &e.function.workload };
    let place = if e.on == Site::Twin { ", on the twin, not a cluster" } else { "" };
    Some(Annotation {
        time,
        time_end: time + elapsed_ns(data)? / 1_000_000,
        tags: vec![
            TESTBED.to_owned(),
            run.to_owned(),
            format!("platform:{}", cell.platform.name()),
            format!("subject:{}", cell.subject),
            format!("workload:{workload}"),
            format!("trial:{}", cell.trial),
            format!("on:{site}"),
            format!("{CELL}{}", cell.id),
        ],
        text: format!(
            "{}: {workload} on {}, trial {} of run {run}{place}",
            cell.load.name, cell.subject, cell.trial
        ),
    })
}

/// How long a cell took: by its generator, else (a procedure, which plays several loads) until the last
/// that was seen of it.
fn elapsed_ns<R: Rows>(data: &CellData<R>) -> Option<u64> {
    if let Some(audit) = &data.meta.audit {
        return Some(audit.elapsed_ns);
    }
    let mut last = data.samples.iter().map(|sample| sample.at_ns).max();
    // What is damaged is told of in the report.
    data.records.scan(&mut |batch| last = last.max(batch.iter().map(|record| record.done_ns).max()));
    last
}

/// The cell that an annotation with these tags is of.
fn cell_of(tags: &[String]) -> Option<&str> {
    tags.iter().find_map(|tag| tag.strip_prefix(CELL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::testing::CellBuilder;

    /// A cell of 12.5 s.
    fn played(started_unix_ms: u64) -> CellData {
        let mut data = CellBuilder::open(10.0).build();
        data.meta.started_unix_ns = started_unix_ms * 1_000_000;
        data
    }

    #[test]
    fn a_cell_is_a_span_from_its_start_to_its_end_with_tags_that_find_it() {
        let data = played(1_700_000_000_000);
        let annotation = of_cell("friday", &Experiment::default_on(Site::Twin), &data).unwrap();
        assert_eq!((annotation.time, annotation.time_end), (1_700_000_000_000, 1_700_000_012_500));
        let cell = &data.meta.cell;
        assert_eq!(cell_of(&annotation.tags), Some(cell.id.as_str()));
        for tag in [TESTBED, "friday", "workload:classify", "on:twin", &format!("trial:{}", cell.trial)] {
            assert!(annotation.tags.iter().any(|have| have == tag), "{tag}");
        }
        assert!(
            annotation.text.ends_with("of run friday, on the twin, not a cluster"),
            "{}",
            annotation.text
        );
        // The field names of Grafana's API.
        let sent = serde_json::to_value(&annotation).unwrap();
        let mut names: Vec<&String> = sent.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["tags", "text", "time", "timeEnd"]);
    }

    #[test]
    fn what_was_not_played_to_its_end_is_no_span_and_a_procedure_ends_with_what_was_seen_last() {
        let e = Experiment::default_on(Site::Cluster);
        let mut data = played(5_000);
        data.meta.audit = None;
        data.samples.clear();
        let records = std::mem::take(&mut data.records);
        assert_eq!(of_cell("r", &e, &data), None, "nobody knows when it ended");
        data.records = records[..1].to_vec();
        data.records[0].done_ns = 7_000_000_000;
        assert_eq!(of_cell("r", &e, &data).unwrap().time_end, 12_000);
        data.meta.state = CellState::Interrupted;
        assert_eq!(of_cell("r", &e, &data), None);
    }

    #[test]
    fn a_report_speaks_of_annotations_only_where_some_are_missing() {
        let mut annotated =
            Annotated { grafana: "http://g".into(), shown: 3, missing: 0, why: Some("refused".into()) };
        assert_eq!(annotated.notice("runs/r"), None);
        annotated.missing = 2;
        insta::assert_snapshot!(annotated.notice("runs/r").unwrap(), @"2 of 5 cells have no annotation in Grafana: refused. `harness annotate runs/r --grafana http://g` sends them.");
    }
}
