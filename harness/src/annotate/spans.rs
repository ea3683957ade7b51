//! Sends annotations: of a run while it goes on, and of whatever a run's folder holds.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::{Annotated, Grafana, GrafanaError, of_cell};
use crate::{
    experiment::{Cell, Experiment},
    store::{RunFolder, StoreError},
};

/// Annotates a run while it goes on. Grafana may fail at any time: the run does not.
#[derive(Debug)]
pub struct Annotator<'a> {
    grafana: &'a Grafana,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    /// Cells whose annotation got there.
    sent: BTreeSet<String>,
    /// Whether one did not. Nothing is tried again before the run's end: a run must not wait for a Grafana
    /// that is gone, deployment after deployment.
    has_failed: bool,
}

impl<'a> Annotator<'a> {
    /// One for a run.
    pub fn new(grafana: &'a Grafana) -> Self {
        Self { grafana, so_far: Mutex::default() }
    }

    fn so_far<T>(&self, of: impl FnOnce(&mut SoFar) -> T) -> T {
        of(&mut self.so_far.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends the annotations of cells that have just been measured. The first failure is said, once.
    pub async fn cells(&self, folder: &RunFolder, e: &Experiment, cells: &[Cell], say: &dyn Fn(&str)) {
        for cell in cells {
            if self.so_far(|so_far| so_far.has_failed) {
                return;
            }
            // What cannot be read now is tried again at the end, from the same folder.
            let annotation = folder.cell(cell).ok().and_then(|data| of_cell(&folder.id(), e, &data));
            let Some(annotation) = annotation else { continue };
            match self.grafana.add(&annotation).await {
                Ok(()) => _ = self.so_far(|so_far| so_far.sent.insert(cell.id.clone())),
                Err(error) => {
                    self.so_far(|so_far| so_far.has_failed = true);
                    say(&format!(
                        "note: no annotation in Grafana: {error}; the run goes on, and tries again at its end"
                    ));
                }
            }
        }
    }

    /// Sends what did not get there, and notes in the run's folder what still did not: its report says so.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub async fn finish(&self, folder: &RunFolder) -> Result<(), StoreError> {
        let sent = self.so_far(|so_far| so_far.sent.clone());
        folder.write_annotated(&send_missing(self.grafana, folder, &sent).await?.annotated)
    }
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Annotations that were not there before.
    pub new: usize,
    /// How things stand now.
    pub annotated: Annotated,
}

/// Sends the annotations of a run's cells that Grafana does not have yet, and says how things stand: what
/// Grafana does not take is missing, with the reason. `known` are cells that are there.
///
/// # Errors
/// If the folder cannot be read.
pub async fn send_missing(
    grafana: &Grafana,
    folder: &RunFolder,
    known: &BTreeSet<String>,
) -> Result<Sent, StoreError> {
    let (run, experiment) = (folder.id(), folder.read_experiment()?);
    let mut annotations = Vec::new();
    for cell in folder.cells()? {
        let data = cell?;
        annotations.extend(of_cell(&run, &experiment, &data).map(|span| (data.meta.cell.id.clone(), span)));
    }
    let all = annotations.len();
    annotations.retain(|(id, _)| !known.contains(id));
    let (mut shown, mut new) = (all - annotations.len(), 0);
    let mut send = async || -> Result<(), GrafanaError> {
        if annotations.is_empty() {
            return Ok(());
        }
        let there = grafana.cells(&run).await?;
        annotations.retain(|(id, _)| !there.contains(id));
        shown = all - annotations.len();
        for (_, annotation) in &annotations {
            grafana.add(annotation).await?;
            shown += 1;
            new += 1;
        }
        Ok(())
    };
    let why = send().await.err().map(|error| error.to_string());
    let annotated = Annotated { grafana: grafana.url().to_owned(), shown, missing: all - shown, why };
    Ok(Sent { new, annotated })
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Mutex};

    use serde_json::json;

    use super::*;
    use crate::{
        analyse::testing::{self, CellBuilder},
        replay::{Exchange, Replay},
        store::CellState,
    };

    const API: &str = "/api/annotations";

    fn added() -> Exchange {
        Exchange::new("POST", API, 200, json!({ "id": 1, "message": "Annotation added" }))
    }

    fn there(cells: &[&str]) -> Exchange {
        let one =
            |cell: &&str| json!({ "id": 1, "tags": ["serverless-testbed", "run", format!("cell:{cell}")] });
        Exchange::new("GET", API, 200, cells.iter().map(one).collect())
    }

    /// A run of so many cells, all measured.
    fn run_of(dir: &Path, trials: u32) -> (RunFolder, Vec<Cell>) {
        let folder = RunFolder::create(dir, "run").unwrap();
        let built: Vec<_> =
            (1..=trials).map(|t| CellBuilder::open(10.0).of("knative", t).build().meta).collect();
        let cells: Vec<Cell> = built.iter().map(|meta| meta.cell.clone()).collect();
        folder.write_experiment(&testing::experiment(trials, vec![cells[0].load.clone()])).unwrap();
        folder.write_plan(&cells).unwrap();
        for meta in built {
            let audit = meta.audit.clone();
            folder.cell_writer(meta).unwrap().finish(audit, CellState::Done).unwrap();
        }
        (folder, cells)
    }

    fn posts(server: &Replay) -> usize {
        server.asked().iter().filter(|asked| asked.method == "POST").count()
    }

    #[tokio::test]
    async fn what_is_there_already_is_not_sent_again() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, cells) = run_of(dir.path(), 3);
        let server = Replay::start([there(&[&cells[1].id]), added()]).await;
        let grafana = Grafana::new(&server.url(), None).unwrap();
        let sent = send_missing(&grafana, &folder, &BTreeSet::new()).await.unwrap();
        assert_eq!((sent.new, sent.annotated.shown, sent.annotated.missing), (2, 3, 0));
        assert_eq!(posts(&server), 2);

        let all: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        let whole = Replay::start([there(&all)]).await;
        let grafana = Grafana::new(&whole.url(), None).unwrap();
        assert_eq!(send_missing(&grafana, &folder, &BTreeSet::new()).await.unwrap().new, 0);
        assert_eq!(posts(&whole), 0);
    }

    #[tokio::test]
    async fn a_grafana_that_fails_stops_nothing_is_said_once_and_gets_the_rest_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, cells) = run_of(dir.path(), 3);
        let experiment = folder.read_experiment().unwrap();
        let server = Replay::start([
            Exchange::hang_up("POST", API),
            there(&[]),
            Exchange::new("POST", API, 200, json!({})),
        ])
        .await;
        let grafana = Grafana::new(&server.url(), None).unwrap();
        let annotator = Annotator::new(&grafana);
        let said = Mutex::new(Vec::new());
        let say = |line: &str| said.lock().unwrap().push(line.to_owned());
        for cell in &cells {
            annotator.cells(&folder, &experiment, std::slice::from_ref(cell), &say).await;
        }
        assert_eq!(posts(&server), 1, "a Grafana that is gone is not asked again before the end");
        assert_eq!(said.lock().unwrap().len(), 1);
        annotator.finish(&folder).await.unwrap();
        assert_eq!(posts(&server), 4);
        assert_eq!(said.lock().unwrap().len(), 1);
        let annotated = folder.read_annotated().unwrap().unwrap();
        assert_eq!((annotated.shown, annotated.missing), (3, 0));
    }

    #[tokio::test]
    async fn what_was_sent_counts_as_there_even_if_grafana_does_not_say_so_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, cells) = run_of(dir.path(), 3);
        let experiment = folder.read_experiment().unwrap();
        let server =
            Replay::start([added(), Exchange::hang_up("POST", API), Exchange::hang_up("GET", API)]).await;
        let grafana = Grafana::new(&server.url(), None).unwrap();
        let annotator = Annotator::new(&grafana);
        annotator.cells(&folder, &experiment, &cells, &|_| ()).await;
        annotator.finish(&folder).await.unwrap();
        let annotated = folder.read_annotated().unwrap().unwrap();
        assert_eq!((annotated.shown, annotated.missing), (1, 2));

        let healthy = Replay::start([added()]).await;
        let grafana = Grafana::new(&healthy.url(), None).unwrap();
        let annotator = Annotator::new(&grafana);
        annotator.cells(&folder, &experiment, &cells, &|_| ()).await;
        annotator.finish(&folder).await.unwrap();
        assert_eq!(healthy.calls().len(), 3, "nothing is asked where nothing is missing");
        assert_eq!(folder.read_annotated().unwrap().unwrap().missing, 0);
    }

    #[tokio::test]
    async fn what_is_missing_at_the_end_is_in_the_runs_folder_without_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, _) = run_of(dir.path(), 2);
        let server = Replay::start([Exchange::new("GET", API, 403, json!({ "message": "Forbidden" }))]).await;
        let token = crate::secret::Secret::new("glsa_hush");
        let grafana = Grafana::new(&server.url(), Some(token)).unwrap();
        Annotator::new(&grafana).finish(&folder).await.unwrap();
        let annotated = folder.read_annotated().unwrap().unwrap();
        assert_eq!((annotated.shown, annotated.missing), (0, 2));
        assert!(annotated.why.as_ref().is_some_and(|why| why.contains("GRAFANA_TOKEN")), "{annotated:?}");
        assert!(!serde_json::to_string(&annotated).unwrap().contains("hush"));
    }
}
