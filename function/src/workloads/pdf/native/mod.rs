//! The renderer that is no browser: pure Rust, fonts of its own.
//!
//! Each page gets a process of its own, the function's program started again in another role: a
//! thread cannot be stopped, and what a page does to one process no other page sees. That process
//! can open nothing (no file, no socket), has a limit on its memory, and is killed at the time limit.

pub mod child;
#[cfg(feature = "pdf-native")]
mod engine;
mod process;
mod wire;

pub use self::process::Native;

use super::Renderer;
use crate::config::Config;

/// Its name, as `PDF_RENDERER` spells it.
pub const NAME: &str = "native";

/// Names the feature inside the program, so that the harness can tell whether a given one has it.
#[cfg(feature = "pdf-native")]
static FEATURE_MARK: &str = "function-has-feature:pdf-native";

/// Makes the renderer ready.
///
/// # Errors
/// If the program was built without it.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Renderer>> {
    #[cfg(feature = "pdf-native")]
    {
        // A mark that nobody reads would not stay in the program.
        std::hint::black_box(FEATURE_MARK);
        Ok(Box::new(Native::new("/proc/self/exe", config.pdf.native_memory_bytes)))
    }
    #[cfg(not(feature = "pdf-native"))]
    {
        let _ = config;
        anyhow::bail!(
            "this function was built without the native renderer; build it with --features pdf-native, or \
             set PDF_RENDERER=chromium"
        )
    }
}
