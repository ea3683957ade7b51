//! From a run folder to its summary, pages and plots: at the end of a run, and offline ever after.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::RunError;
use crate::{
    analyse::{self, rows::Rows, summary::Summary, window::Window},
    reports::{self, Document, Report, histograms::Histograms},
    store::{CellMeta, RunFolder},
};

/// Pixels of a PNG for each unit of its SVG.
const PNG_SCALE: f32 = 2.0;
const WRITE: &str = "cannot write into the run's folder; free some space and call `harness report` again";

/// A run that has its report.
#[derive(Debug)]
pub struct Finished {
    /// The run's folder.
    pub folder: PathBuf,
    /// All of it in numbers.
    pub summary: Summary,
    /// The compact table for the terminal.
    pub table: String,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

/// Rebuilds everything that can be rebuilt from a run's folder.
///
/// # Errors
/// If the folder is no run, or cannot be written.
pub fn rebuild(path: &Path) -> Result<Finished, RunError> {
    let folder = RunFolder::open(path).map_err(|e| RunError::Usage(e.to_string()))?;
    publish(&folder)
}

/// Analyses a run folder and writes its summary, pages and plots.
///
/// # Errors
/// If something cannot be read or written.
pub fn publish(folder: &RunFolder) -> Result<Finished, RunError> {
    let experiment = folder.read_experiment().context("cannot read the run's experiment.toml")?;
    let environment = folder.read_environment().context("cannot read the run's environment.json")?;
    let planned = folder.read_plan().context("cannot read the run's plan.json")?;
    let mut cells = Vec::new();
    let mut digests = Vec::new();
    for cell in folder.cells().context("cannot read the run's plan")? {
        // One after another: records stay on disk, what is kept of a cell is of bounded size.
        let cell = cell.context("cannot read the run's cells")?;
        let (meta, rows) = (cell.meta.clone(), cell.records.clone());
        let analyse::Examined { mut summary, digest } = analyse::cell(cell);
        write_histograms(folder, &meta, digest.records.window, &rows)?;
        if let Some(capacity_rps) = environment["function"]["pilot_rps"][&summary.subject].as_f64() {
            summary.elasticity = analyse::elasticity::of_cell(&experiment, &digest, capacity_rps);
        }
        summary.events =
            folder.read_events(&summary.id).context("cannot read what became of a cell's events")?;
        cells.push(summary);
        digests.push(digest);
    }
    let (timelines, torn) = folder.read_timelines();
    let mut notices: Vec<String> = environment["notices"]
        .as_array()
        .map(|list| list.iter().filter_map(|n| n.as_str().map(String::from)).collect())
        .unwrap_or_default();
    notices.extend(torn.into_iter().map(|damage| format!("A time line was left out: {damage}")));
    if let Some(stopped) = folder.read_stopped().context("cannot read the run's stopped.json")? {
        notices.push(stopped.notice(&experiment));
    }
    let annotated = folder.read_annotated().context("cannot read the run's annotations.json")?;
    notices.extend(annotated.and_then(|annotated| annotated.notice(&folder.path().display().to_string())));
    let facts = analyse::RunFacts { run_id: folder.id(), notices };
    let mut summary = analyse::run(&experiment, &planned, cells, facts);
    let by_itself = analyse::itself::HarnessItself::of(&environment);
    let own = by_itself.and_then(|by_itself| by_itself.notice(&summary));
    summary.notices.extend(own);
    folder.write_summary(&summary).context("cannot write the run's summary.json")?;

    let document = Document {
        summary: &summary,
        experiment: &experiment,
        environment: &environment,
        cells: &digests,
        timelines: &timelines,
    };
    let plots = reports::plots::all(&document).context("cannot draw the plots")?;
    for plot in &plots {
        let png = reports::png::render(&plot.svg_light, PNG_SCALE).context("cannot render a plot as PNG")?;
        folder.write_file(&format!("plots/{}.svg", plot.name), plot.svg_light.as_bytes()).context(WRITE)?;
        folder.write_file(&format!("plots/{}.png", plot.name), &png).context(WRITE)?;
    }
    for report in Report::ALL {
        let page = report.render(&document, &plots);
        folder.write_file(report.file_name(), page.as_bytes()).context(WRITE)?;
    }
    let table = reports::terminal::table(&document, terminal_width());
    Ok(Finished { folder: folder.path().to_path_buf(), summary, table, interrupted: false })
}

/// What the trials up to this one yielded, while the run goes on.
///
/// # Errors
/// If something cannot be read.
pub fn until(folder: &RunFolder, trial: u32) -> anyhow::Result<Summary> {
    let mut experiment = folder.read_experiment()?;
    let mut planned = folder.read_plan()?;
    experiment.trials = trial;
    planned.retain(|cell| cell.trial <= trial);
    let mut cells = Vec::new();
    for cell in folder.cells()? {
        let cell = cell?;
        if cell.meta.cell.trial <= trial {
            cells.push(analyse::cell(cell).summary);
        }
    }
    let facts = analyse::RunFacts { run_id: folder.id(), notices: Vec::new() };
    Ok(analyse::run(&experiment, &planned, cells, facts))
}

/// Writes a cell's response times for HdrHistogram's tools.
fn write_histograms(
    folder: &RunFolder,
    meta: &CellMeta,
    window: Window,
    rows: &impl Rows,
) -> anyhow::Result<()> {
    let mut histograms = Histograms::new(window);
    // What is damaged was named when the cell was summed up.
    rows.scan(&mut |batch| batch.iter().for_each(|record| histograms.take(record)));
    for (name, text) in histograms.files(meta).map_err(anyhow::Error::msg)? {
        folder.write_file(&format!("cells/{}/{name}", meta.cell.id), text.as_bytes()).context(WRITE)?;
    }
    Ok(())
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100)
}
