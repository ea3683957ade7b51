//! What a registry's failure means to the user: one line with the remedy.

use crate::words::{innermost, one_line};
use std::error::Error;

use oci_client::errors::{OciDistributionError as Oci, OciErrorCode};

use super::ImageError;

/// Longest quotation of a registry's own words, characters.
const MAX_QUOTE_CHARS: usize = 300;

/// What a failure is explained with. No secrets in it.
pub(super) struct Context {
    pub registry: String,
    pub reference: String,
    /// What was wanted, after "refused".
    pub what: String,
    /// Whose credentials were given.
    pub who: Option<String>,
    /// Whether TLS was left out.
    pub plain_http: bool,
}

impl Context {
    /// The failure in our words.
    pub(super) fn explain(&self, error: Oci) -> ImageError {
        match error {
            Oci::AuthenticationFailure(_)
            | Oci::UnauthorizedError { .. }
            | Oci::ServerError { code: 401 | 403, .. } => self.refused(),
            Oci::ServerError { code, message, .. } => self.status(code, &message),
            Oci::RegistryError { envelope, .. } => {
                let is =
                    |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
                if is(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    self.refused()
                } else if is(&[
                    OciErrorCode::ManifestUnknown,
                    OciErrorCode::NameUnknown,
                    OciErrorCode::NotFound,
                ]) {
                    ImageError::NotFound { reference: self.reference.clone() }
                } else {
                    self.other(&envelope.to_string())
                }
            }
            Oci::ImageManifestNotFoundError(_) => ImageError::NotFound { reference: self.reference.clone() },
            Oci::RequestError(error) => self.request(&error),
            error => self.other(&error.to_string()),
        }
    }

    /// A failure below HTTP, or a status without a body.
    pub(super) fn request(&self, error: &reqwest::Error) -> ImageError {
        if let Some(status) = error.status() {
            return match status.as_u16() {
                401 | 403 => self.refused(),
                code => self.status(code, ""),
            };
        }
        let registry = self.registry.clone();
        match tls_error(error) {
            // Our greeting was answered with something that is no TLS at all.
            Some(rustls::Error::InvalidMessage(_)) => return ImageError::PlainHttp { registry },
            Some(rustls::Error::InvalidCertificate(cause)) => {
                return ImageError::Untrusted { registry, cause: cause.to_string() };
            }
            _ => {}
        }
        let cause = quoted(&innermost(error));
        if error.is_builder() {
            return self.other(&format!(
                "no connection can be made from here ({cause}); without the system's certificates, install \
                 ca-certificates"
            ));
        }
        if error.is_connect() || error.is_timeout() {
            return ImageError::Unreachable { registry, cause };
        }
        self.other(&cause)
    }

    /// An answer with this status.
    pub(super) fn status(&self, code: u16, message: &str) -> ImageError {
        // Servers answer plain HTTP on a TLS port with this status; an answer to HEAD has no text.
        let bare = message.is_empty() || message.contains("HTTP request to an HTTPS server");
        if self.plain_http && code == 400 && bare {
            return ImageError::Tls { registry: self.registry.clone() };
        }
        self.other(&format!("HTTP status {code} {message}"))
    }

    /// Whoever asked may not.
    pub(super) fn refused(&self) -> ImageError {
        let (registry, what) = (self.registry.clone(), self.what.clone());
        match &self.who {
            Some(user) => ImageError::Refused { registry, what, user: user.clone() },
            None => ImageError::NotLoggedIn { registry, what },
        }
    }

    fn other(&self, words: &str) -> ImageError {
        ImageError::Registry { registry: self.registry.clone(), cause: quoted(words) }
    }
}

/// Somebody else's words, on one line of bounded length.
fn quoted(words: &str) -> String {
    one_line(words).chars().take(MAX_QUOTE_CHARS).collect()
}

/// The TLS library's error among the causes. It hides inside of an I/O error, whose `source` skips it.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(who: Option<&str>) -> Context {
        Context {
            registry: "r.example".into(),
            reference: "r.example/team/f:1".into(),
            what: "to take team/f".into(),
            who: who.map(Into::into),
            plain_http: true,
        }
    }

    fn envelope(code: &str) -> Oci {
        let text = format!(r#"{{"errors":[{{"code":"{code}","message":"some\nwords"}}]}}"#);
        Oci::RegistryError { envelope: serde_json::from_str(&text).unwrap(), url: "u".into() }
    }

    #[test]
    fn every_kind_of_answer_becomes_one_line_with_a_remedy() {
        let server = |code, message: &str| Oci::ServerError {
            code,
            url: "https://r/?state=x".into(),
            message: message.into(),
        };
        let lines: Vec<_> = [
            (None, Oci::UnauthorizedError { url: String::new() }),
            (Some("user ann"), server(403, "")),
            (Some("user ann"), Oci::AuthenticationFailure("{}".into())),
            (None, envelope("DENIED")),
            (None, envelope("MANIFEST_UNKNOWN")),
            (None, envelope("TOOMANYREQUESTS")),
            (None, server(500, "over\n  there")),
            (None, server(400, "Client sent an HTTP request to an HTTPS server.\n")),
        ]
        .into_iter()
        .map(|(who, error)| context(who).explain(error).to_string())
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        r.example refused to take team/f: no credentials for it were found; log in with `docker login r.example` (or podman), or give --username and --password-stdin
        r.example refused to take team/f for user ann: wrong name or password, or no right to this repository; log in again with `docker login r.example`, or give --username and --password-stdin
        r.example refused to take team/f for user ann: wrong name or password, or no right to this repository; log in again with `docker login r.example`, or give --username and --password-stdin
        r.example refused to take team/f: no credentials for it were found; log in with `docker login r.example` (or podman), or give --username and --password-stdin
        r.example/team/f:1 is not in the registry; check name and tag, or send it with `harness image push`
        r.example: OCI API errors: [OCI API error: some words]; try again, a push goes on where it stopped
        r.example: HTTP status 500 over there; try again, a push goes on where it stopped
        r.example does not take plain HTTP, most likely it expects TLS; leave --plain-http out
        ");
    }
}
