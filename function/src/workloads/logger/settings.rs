//! What the logger keeps, from the environment.

use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{ConfigError, Reader};

/// When the file's bytes are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSync {
    /// When the system writes them: they survive the end of the process, not that of the machine.
    #[default]
    Never,
    /// Before each answer (`fdatasync`).
    Each,
}

impl FileSync {
    /// As `LOGGER_SYNC` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Each => "each",
        }
    }
}

impl FromStr for FileSync {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Never, Self::Each].into_iter().find(|sync| sync.name() == name).ok_or(())
    }
}

/// The logger's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `LOGGER_KEEP`: events that are kept in memory, the newest; 16 MiB of them at most.
    pub keep: usize,
    /// `LOGGER_REMEMBER`: events whose id and source are remembered to tell duplicates.
    pub remember: usize,
    /// `LOGGER_FILE`: gets a line of JSON for each event.
    pub file: Option<PathBuf>,
    /// `LOGGER_SYNC`.
    pub sync: FileSync,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead.
    pub(crate) fn read<L: Fn(&str) -> Option<String>>(read: &Reader<L>) -> Result<Self, ConfigError> {
        Ok(Self {
            keep: read.number("LOGGER_KEEP", 0..=1_000_000, 1000)?,
            remember: read.number("LOGGER_REMEMBER", 0..=10_000_000, 200_000)?,
            file: read.text("LOGGER_FILE").map(PathBuf::from),
            sync: read.parsed("LOGGER_SYNC", "never or each", FileSync::default())?,
        })
    }
}
