//! Image captioning: a sentence about a picture.

use anyhow::bail;

use super::Workload;
use crate::config::Config;

/// Its name, as `WORKLOAD` spells it.
pub const NAME: &str = "caption";

/// Makes the workload ready to be called.
///
/// # Errors
/// If a setting is bad or a file is missing.
pub fn load(_config: &Config) -> anyhow::Result<Box<dyn Workload>> {
    bail!("not built yet")
}
