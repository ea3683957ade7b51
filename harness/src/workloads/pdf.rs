//! HTML to PDF: a page goes out, a PDF with its text has to come back.

use anyhow::bail;
use models::Places;

use super::Requests;
use crate::experiment::Experiment;

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME: &str = "pdf";

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub fn requests(_experiment: &Experiment, _places: &Places, _say: &dyn Fn(&str)) -> anyhow::Result<Requests> {
    bail!("not built yet")
}
