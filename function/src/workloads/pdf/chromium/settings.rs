//! The settings of this renderer, and where the browser is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::config::{ConfigError, Reader};

/// Where browsers lie, in the order of looking. First the one that was never meant to have a window: a
/// document costs it a fraction of the CPU time. Debian's wrapper scripts in `PATH` add flags of
/// their own, so what they would start is looked for before.
const PLACES: [&str; 4] = [
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
];

/// Names of browsers in `PATH`.
const NAMES: [&str; 5] =
    ["chrome-headless-shell", "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

const CHOICES: &str = "one of: auto, on, off";

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `CHROMIUM`: the browser; none to look in the usual places.
    pub program: Option<PathBuf>,
    /// `CHROMIUM_SANDBOX`.
    pub sandbox: Choice,
    /// `CHROMIUM_NAMESPACE`: whether it gets a network namespace, which is empty.
    pub own_network: Choice,
    /// `CHROMIUM_DOCUMENTS`: after so many a browser is replaced by a fresh one.
    pub documents: u64,
    /// `CHROMIUM_PROCESS_BYTES`: the most data that each of its processes may have.
    pub process_bytes: u64,
}

/// Whether to have something that not every container allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Where the container allows it.
    #[default]
    Auto,
    /// Or do not start.
    On,
    /// Not.
    Off,
}

impl Choice {
    /// What to try, in this order.
    pub fn attempts(self) -> &'static [bool] {
        match self {
            Self::Auto => &[true, false],
            Self::On => &[true],
            Self::Off => &[false],
        }
    }
}

impl FromStr for Choice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(()),
        }
    }
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The first bad value.
    pub(crate) fn read(read: &Reader<impl Fn(&str) -> Option<String>>) -> Result<Self, ConfigError> {
        Ok(Self {
            program: read.text("CHROMIUM").map(PathBuf::from),
            sandbox: read.parsed("CHROMIUM_SANDBOX", CHOICES, Choice::default())?,
            own_network: read.parsed("CHROMIUM_NAMESPACE", CHOICES, Choice::default())?,
            documents: read.number("CHROMIUM_DOCUMENTS", 1..=1_000_000, 1000)?,
            process_bytes: read.number("CHROMIUM_PROCESS_BYTES", 256 << 20..=64 << 30, 1 << 30)?,
        })
    }

    /// The browser: as set, else the first in the usual places and then in `search_path`.
    ///
    /// # Errors
    /// If there is none; the text says how to get one.
    pub fn find_program(&self, search_path: Option<&OsStr>) -> anyhow::Result<PathBuf> {
        if let Some(program) = &self.program {
            anyhow::ensure!(
                program.is_file(),
                "CHROMIUM={}: there is no such file; name the browser's program",
                program.display()
            );
            return Ok(program.clone());
        }
        let folders: Vec<_> = search_path.map(std::env::split_paths).into_iter().flatten().collect();
        let in_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        PLACES.iter().map(PathBuf::from).chain(in_path).find(|place: &PathBuf| Path::is_file(place)).ok_or_else(|| {
            anyhow::anyhow!(
                "no browser: install one (Debian: apt-get install chromium-headless-shell fonts-dejavu-core), build the image on \
                 a base that has one, set CHROMIUM to its program, or use PDF_RENDERER=native"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(program: Option<PathBuf>) -> Settings {
        Settings {
            program,
            sandbox: Choice::Auto,
            own_network: Choice::Auto,
            documents: 1,
            process_bytes: 1 << 30,
        }
    }

    #[test]
    fn a_browser_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("browser");
        let error = settings(Some(program.clone())).find_program(None).unwrap_err().to_string();
        assert!(error.starts_with("CHROMIUM=") && error.contains("no such file"), "{error}");
        std::fs::write(&program, "").unwrap();
        assert_eq!(settings(Some(program.clone())).find_program(None).unwrap(), program);
    }

    #[test]
    fn without_any_browser_the_remedies_are_named() {
        if PLACES.iter().any(|place| Path::new(place).exists()) {
            eprintln!("skipped: a browser is installed here");
            return;
        }
        let error = settings(None).find_program(Some(OsStr::new("/nowhere"))).unwrap_err().to_string();
        assert!(
            error.contains("apt-get install chromium") && error.contains("PDF_RENDERER=native"),
            "{error}"
        );
    }
}
