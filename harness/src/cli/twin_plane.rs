//! `harness twin-plane`: the data plane process of the twin, and a fake function for its tests.

use super::{CliError, Exit};
use crate::platforms::twin::plane;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration (JSON) of the plane; `-` is the first line of standard input. Standard input
    /// stays the plane's leash: when it ends, the plane and its replicas end.
    #[arg(long, value_name = "FILE", default_value = "-")]
    config: String,
    /// Serve the fake function of the twin's tests instead.
    #[arg(long)]
    fake_function: bool,
}

/// Runs it.
#[allow(clippy::needless_pass_by_value, reason = "all commands have this signature")]
pub fn run(args: Args) -> Result<Exit, CliError> {
    if args.fake_function {
        plane::fake::run()?;
        return Ok(Exit::Valid);
    }
    let config = match args.config.as_str() {
        "-" => None,
        file => Some(std::fs::read_to_string(file).map_err(|error| {
            CliError::Usage(format!("{file} cannot be read ({error}); name a plane's JSON configuration"))
        })?),
    };
    plane::run(config.as_deref())?;
    Ok(Exit::Valid)
}
