//! The renderer that is a browser: headless Chromium.

use anyhow::bail;

use super::Renderer;
use crate::config::Config;

/// Its name, as `PDF_RENDERER` spells it.
pub const NAME: &str = "chromium";

/// Finds the browser and starts it.
///
/// # Errors
/// If there is none, or it does not start.
pub fn load(_config: &Config) -> anyhow::Result<Box<dyn Renderer>> {
    bail!("not built yet")
}
