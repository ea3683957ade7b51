//! Why a model or a picture cannot be had. Every message names the remedy.

use std::io;
use std::path::PathBuf;

use crate::manifest::ManifestError;

/// Why a model or a picture cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The manifest does not know it.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The user named a directory that is none.
    #[error("{named_by}: {} is not a directory; name one that exists, or leave it out", path.display())]
    NoDirectory {
        /// Flag and variable that can name it.
        named_by: &'static str,
        /// What was named.
        path: PathBuf,
    },
    /// It is in none of the places, and may not or cannot be downloaded.
    #[error("{what} not found (looked in: {looked}); {remedy}")]
    NotFound {
        /// What was wanted.
        what: String,
        /// Where it was looked for.
        looked: String,
        /// What to do.
        remedy: String,
    },
    /// A file has other contents than the manifest says.
    #[error(
        "{} is not the file that the manifest describes ({found}, expected {expected}); remove it, or replace it by the right one",
        path.display()
    )]
    WrongContents {
        /// The file.
        path: PathBuf,
        /// Its size or sha256.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// No source gave it.
    #[error("{file} could not be downloaded ({tried}); {remedy}")]
    Download {
        /// The file.
        file: String,
        /// Each source's host, and what went wrong there.
        tried: String,
        /// What to do.
        remedy: String,
    },
    /// Another process holds the unfinished file.
    #[error("{} is being downloaded by another process; wait for it, then try again", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// No directory to keep files in.
    #[error("there is no cache directory to keep {file} in; set HOME or XDG_CACHE_HOME")]
    NoCache {
        /// The file.
        file: String,
    },
    /// What our own code makes has other bytes than the manifest says.
    #[error(
        "{file}, made by this program, has sha256 {found}, the manifest says {expected}; build with the Cargo.lock of the project (--locked)"
    )]
    NotReproduced {
        /// The file.
        file: String,
        /// What came out.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// The user's folder of pictures cannot be used.
    #[error("{}: {what}", path.display())]
    Folder {
        /// The folder or a file in it.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        what: String,
    },
    /// The file system.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
}

impl LocateError {
    /// Whether it is merely nowhere, so that something else may stand in for it. All else is a
    /// mistake that the user must hear of.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Download { .. } | Self::NoCache { .. })
    }

    /// Turns an I/O error at `path` into one of these.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
