//! `harness cluster`: from a profile to a cluster on which a comparison can run, and back.
//!
//! Data flows one way: `components.toml` and `versions.toml` are read (`components`, `versions`),
//! a profile and the user's wishes choose (`select`), files are filled (`variables`, `objects`), and
//! a `plan` of actions comes out, all of it pure. The edge carries it out (`up`, `down`, `status`):
//! programs (`program`, `base`, `helm`), downloads (`download`), objects (`apply`), conditions
//! (`wait`). What was done is kept on the cluster itself (`state`), so that a second `up` goes on
//! where the first one stopped, and `down` takes away nothing else.

pub mod apply;
pub mod base;
pub mod components;
pub mod down;
pub mod download;
pub mod dry_run;
pub mod folder;
pub mod helm;
pub mod objects;
pub mod plan;
pub mod profile;
pub mod program;
pub mod progress;
#[cfg(test)]
mod real_files;
pub mod select;
pub mod state;
pub mod status;
pub mod up;
pub mod variables;
pub mod versions;
pub mod wait;

use crate::{
    interrupt::Interrupt,
    platforms::cluster::{Api, ApiError, kinds::Kinds},
};

/// The file of components.
pub const COMPONENTS_FILE: &str = "components.toml";
/// The file of versions.
pub const VERSIONS_FILE: &str = "versions.toml";

/// Why a cluster was not set up, asked or taken down. One line, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file of ours is missing or wrong.
    #[error("{file}: {cause}")]
    File {
        /// Which, relative to the folder of `components.toml`.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A program is not on the PATH.
    #[error("{program} is not on the PATH; {remedy}")]
    NoProgram {
        /// Its name.
        program: String,
        /// How it is had.
        remedy: String,
    },
    /// A program failed.
    #[error("`{line}` failed ({how}): {said}")]
    Program {
        /// How it was called.
        line: String,
        /// Exit code or signal.
        how: String,
        /// Its last words.
        said: String,
    },
    /// A file cannot be downloaded, or is not the one that it was.
    #[error("{0}")]
    Download(String),
    /// The API server refuses something.
    #[error("{what}: {source}")]
    Api {
        /// What was done.
        what: String,
        /// What it said.
        source: ApiError,
    },
    /// The kubeconfig's user may not do it.
    #[error(
        "{what}: not allowed ({said}); setting up wants an administrator: choose one with --kubeconfig or --context"
    )]
    Rights {
        /// What was done.
        what: String,
        /// What the API server said.
        said: String,
    },
    /// Something of that name is there already.
    #[error(
        "{what} is there, and `harness cluster` did not make it; leave it as it is with --without {component}, \
         or remove it first"
    )]
    Foreign {
        /// Which object or release.
        what: String,
        /// The component that would take it over.
        component: String,
    },
    /// A condition did not come.
    #[error("{what} after {seconds} s: {cause}; once that is mended, call `harness cluster up` again")]
    Waiting {
        /// Which.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// What it hangs on.
        cause: String,
    },
    /// Something is still going away.
    #[error("{0}")]
    Leaving(String),
    /// Ctrl-C.
    #[error("interrupted; the same command again goes on from here")]
    Interrupted,
}

impl SetupError {
    /// Names what was done when the API server refused.
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(ApiError) -> Self {
        let what = what.into();
        move |source| match source {
            ApiError::Forbidden { message } => Self::Rights { what, said: message },
            source => Self::Api { what, source },
        }
    }
}

/// The cluster and all that is needed to work on it.
#[derive(Debug)]
pub struct Site {
    /// Its API, asked as an administrator.
    pub api: Api,
    /// Its kinds.
    pub kinds: Kinds,
    /// How other programs reach it.
    pub access: base::Access,
    /// Downloads.
    pub cache: download::Cache,
    /// What is told.
    pub progress: progress::Progress,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// For the remedy where a program is missing.
    pub versions: versions::Versions,
}

impl Site {
    /// Refuses to go on after Ctrl-C.
    ///
    /// # Errors
    /// If that is so.
    pub fn go_on(&self) -> Result<(), SetupError> {
        if self.interrupt.is_raised() { Err(SetupError::Interrupted) } else { Ok(()) }
    }
}
