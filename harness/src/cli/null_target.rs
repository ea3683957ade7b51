//! `harness null-target`.

use super::{CliError, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> Result<Exit, CliError> {
    Err(CliError::Usage("not built yet".into()))
}
