//! Why an image cannot be made, read, sent or found. Every message names the remedy.

use std::path::PathBuf;

/// Why an image cannot be made, read, sent or found.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A name that is none.
    #[error("'{reference}' is no image name: {problem}")]
    Reference {
        /// What was given.
        reference: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// An argument that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The function's binary cannot be used.
    #[error("{} {problem}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// A base, or an image to be sent, that cannot be used.
    #[error("{what}: {problem}")]
    Broken {
        /// Which one.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Stored credentials could not be read, or a helper program failed.
    #[error("credentials: {0}")]
    Credentials(String),
    /// The registry wants to know who asks.
    #[error(
        "{registry} refused {what}: no credentials for it were found; \
         log in with `docker login {registry}` (or podman), or give --username and --password-stdin"
    )]
    NotLoggedIn {
        /// The registry.
        registry: String,
        /// What was wanted.
        what: String,
    },
    /// The registry does not accept who asks.
    #[error(
        "{registry} refused {what} for {user}: wrong name or password, or no right to this repository; \
         log in again with `docker login {registry}`, or give --username and --password-stdin"
    )]
    Refused {
        /// The registry.
        registry: String,
        /// What was wanted.
        what: String,
        /// Whose credentials were given, and where they came from.
        user: String,
    },
    /// Nothing answers there.
    #[error("{registry} cannot be reached: {cause}; check its name, its port and that it runs")]
    Unreachable {
        /// The registry.
        registry: String,
        /// The innermost cause.
        cause: String,
    },
    /// It speaks HTTP where TLS was expected.
    #[error(
        "{registry} speaks plain HTTP, not TLS; add --plain-http (for a base --base-plain-http) if nobody can listen \
         on the way to it"
    )]
    PlainHttp {
        /// The registry.
        registry: String,
    },
    /// It speaks TLS where HTTP was expected.
    #[error("{registry} does not take plain HTTP, most likely it expects TLS; leave --plain-http out")]
    Tls {
        /// The registry.
        registry: String,
    },
    /// Its certificate is not trusted.
    #[error(
        "the certificate of {registry} is not trusted: {cause}; name your own authority's file in SSL_CERT_FILE"
    )]
    Untrusted {
        /// The registry.
        registry: String,
        /// What is wrong with the certificate.
        cause: String,
    },
    /// The registry has no such image.
    #[error("{reference} is not in the registry; check name and tag, or send it with `harness image push`")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// Anything else that a registry answers.
    #[error("{registry}: {cause}; try again, a push goes on where it stopped")]
    Registry {
        /// The registry.
        registry: String,
        /// What it said.
        cause: String,
    },
}

impl ImageError {
    /// Whether the command line, not the world, is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Reference { .. } | Self::Usage(_))
    }

    /// A file error with its path; for `map_err`.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Something of an image that cannot be used.
    #[allow(clippy::needless_pass_by_value, reason = "callers have texts, paths and errors alike")]
    pub(super) fn broken(what: impl ToString, problem: impl ToString) -> Self {
        Self::Broken { what: what.to_string(), problem: problem.to_string() }
    }
}
