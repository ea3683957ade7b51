//! Code grading: a program goes out, its verdict has to come back.

use anyhow::bail;
use models::Places;

use super::Requests;
use crate::experiment::Experiment;

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME_C: &str = "grade-c";
/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME_PYTHON: &str = "grade-python";

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub fn requests(
    _kind: super::Kind,
    _experiment: &Experiment,
    _places: &Places,
    _say: &dyn Fn(&str),
) -> anyhow::Result<Requests> {
    bail!("not built yet")
}
