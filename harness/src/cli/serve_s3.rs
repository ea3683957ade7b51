//! `harness serve-s3`: the twin's object storage (the harness starts it itself).

use super::{CliError, Exit};
use crate::platforms::twin::s3;

/// Runs it.
pub fn run() -> Result<Exit, CliError> {
    s3::run()?;
    Ok(Exit::Valid)
}
