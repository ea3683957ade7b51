//! Who asks a registry: flags, or what `docker login` and `podman login` have stored.
//!
//! Files, the first that knows the registry counts: `$REGISTRY_AUTH_FILE` (alone, where it is set), podman's
//! `$XDG_RUNTIME_DIR/containers/auth.json`, Docker's `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`.
//! Formats: <https://docs.docker.com/reference/cli/docker/login/>, `containers-auth.json(5)`.

mod base64;
mod file;
mod helper;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, fs, path::PathBuf};

pub use crate::secret::Secret;

use super::{ImageError, reference::Reference};
use file::AuthFile;

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// What `docker login` or `podman login` stored, if anything.
    #[default]
    Stored,
    /// None, whatever is stored.
    Anonymous,
    /// These.
    Given {
        /// User name.
        username: String,
        /// Password or token.
        password: Secret,
    },
}

/// What a registry is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub kind: LoginKind,
    /// Whose it is and where it was found, for messages.
    pub who: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoginKind {
    Password {
        username: String,
        password: Secret,
    },
    /// An OAuth refresh token, to be exchanged at the registry's token service.
    IdentityToken(Secret),
    /// A bearer token that the registry itself takes.
    RegistryToken(Secret),
}

impl Credentials {
    /// The login for a reference's registry, if there is one.
    ///
    /// # Errors
    /// If a file is broken, or a helper program fails.
    pub(super) fn login(&self, reference: &Reference) -> Result<Option<Login>, ImageError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Given { username, password } => Ok(Some(Login {
                kind: LoginKind::Password { username: username.clone(), password: password.clone() },
                who: format!("user {username}"),
            })),
            Self::Stored => Stores::from_env().look_up(reference.registry(), reference.repository()),
        }
    }
}

/// Where stored credentials may lie.
#[derive(Debug, Clone, Default)]
struct Stores {
    /// `REGISTRY_AUTH_FILE`.
    only: Option<PathBuf>,
    /// The files to look into, in this order; missing ones are passed over.
    files: Vec<PathBuf>,
    /// `PATH` for helper programs; this process's, if none.
    helpers: Option<OsString>,
}

impl Stores {
    fn from_env() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let podman = variable("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
        let docker = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
        Self {
            only: variable("REGISTRY_AUTH_FILE"),
            files: podman.into_iter().chain(docker.map(|dir| dir.join("config.json"))).collect(),
            helpers: None,
        }
    }

    /// The login for a repository of a registry.
    fn look_up(&self, registry: &str, repository: &str) -> Result<Option<Login>, ImageError> {
        let files = self.only.as_ref().map_or(&self.files[..], std::slice::from_ref);
        for path in files {
            let text = match fs::read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    if self.only.is_some() {
                        return Err(ImageError::Credentials(format!(
                            "there is no {}, which REGISTRY_AUTH_FILE names; log in with `podman login`, or unset it",
                            path.display()
                        )));
                    }
                    continue;
                }
                Err(source) => return Err(ImageError::File { path: path.clone(), source }),
            };
            // The parser's message may quote the file: only the place is passed on.
            let file: AuthFile = serde_json::from_slice(&text).map_err(|error| {
                ImageError::Credentials(format!(
                    "{} cannot be read (line {}, column {}); log in again",
                    path.display(),
                    error.line(),
                    error.column()
                ))
            })?;
            if let Some(kind) = file.look_up(registry, repository, path, self.helpers.as_deref())? {
                let from = path.display();
                let who = match &kind {
                    LoginKind::Password { username, .. } => format!("user {username} (of {from})"),
                    _ => format!("the token of {from}"),
                };
                return Ok(Some(Login { kind, who }));
            }
        }
        Ok(None)
    }
}
