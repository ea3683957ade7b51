//! `harness goose-driver`: the process that runs goose, and nothing else.

use super::{CliError, Exit};
use crate::drive::drivers;

impl From<drivers::DriverError> for CliError {
    fn from(error: drivers::DriverError) -> Self {
        if error.is_usage() { Self::Usage(error.to_string()) } else { Self::Failed(error.into()) }
    }
}

/// Runs it.
pub fn run() -> Result<Exit, CliError> {
    drivers::serve_goose()?;
    Ok(Exit::Valid)
}
