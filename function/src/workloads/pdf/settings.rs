//! The settings of this workload: `PDF_RENDERER` and what one page may take.

use std::str::FromStr;
use std::time::Duration;

use super::{Limits, chromium, native};
use crate::config::{ConfigError, Reader};

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `PDF_RENDERER`.
    pub renderer: RendererKind,
    /// `PDF_RENDER_SECONDS`, `PDF_MAX_PAGES`, `PDF_MAX_BYTES`.
    pub limits: Limits,
    /// `PDF_MEMORY_MIB`: address space of each of the native renderer's processes.
    pub native_memory_bytes: u64,
    /// What the browser is told.
    pub chromium: chromium::settings::Settings,
}

/// The renderers that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RendererKind {
    /// Pure Rust, no browser.
    #[default]
    Native,
    /// Headless Chromium.
    Chromium,
}

impl RendererKind {
    const ALL: [Self; 2] = [Self::Native, Self::Chromium];

    fn name(self) -> &'static str {
        match self {
            Self::Native => native::NAME,
            Self::Chromium => chromium::NAME,
        }
    }
}

impl FromStr for RendererKind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The first bad value.
    pub(crate) fn read(read: &Reader<impl Fn(&str) -> Option<String>>) -> Result<Self, ConfigError> {
        let names = RendererKind::ALL.map(RendererKind::name).join(", ");
        Ok(Self {
            renderer: read.parsed("PDF_RENDERER", &format!("one of: {names}"), RendererKind::default())?,
            limits: Limits {
                render: Duration::from_secs(read.number("PDF_RENDER_SECONDS", 1..=600, 20)?),
                pages: read.number("PDF_MAX_PAGES", 1..=10_000, 500)?,
                pdf_bytes: read.number("PDF_MAX_BYTES", 1 << 10..=1 << 30, 64 << 20)?,
            },
            native_memory_bytes: read.number("PDF_MEMORY_MIB", 128..=65_536_u64, 512)? << 20,
            chromium: chromium::settings::Settings::read(read)?,
        })
    }
}
