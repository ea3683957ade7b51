//! The renderer that is no browser: pure Rust.

use anyhow::bail;

use super::Renderer;
use crate::config::Config;

/// Its name, as `PDF_RENDERER` spells it.
pub const NAME: &str = "native";

/// Makes the renderer ready.
///
/// # Errors
/// If it cannot start.
pub fn load(_config: &Config) -> anyhow::Result<Box<dyn Renderer>> {
    bail!("not built yet")
}
