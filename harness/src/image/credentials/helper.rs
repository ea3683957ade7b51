//! A credential helper: a program `docker-credential-NAME` that keeps passwords elsewhere.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>. `get` reads the registry from standard
//! input and answers `{"ServerURL": ..., "Username": ..., "Secret": ...}`.

use std::{
    ffi::OsStr,
    io::Write as _,
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{ImageError, LoginKind, file::from_pair};

/// What every helper says where it knows nothing of a registry.
const NOTHING_STORED: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper for a registry's login; none if it has none.
pub(super) fn ask(name: &str, registry: &str, path: Option<&OsStr>) -> Result<Option<LoginKind>, ImageError> {
    let program = format!("docker-credential-{name}");
    let failed = |problem: String| {
        ImageError::Credentials(format!(
            "{program} {problem}; log in again with `docker login {registry}`, or give --username and --password-stdin"
        ))
    };
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(failed("is no name of a helper".into()));
    }
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started ({error})")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read is judged by its answer.
        let _ = writeln!(stdin, "{registry}");
    }
    let output = child.wait_with_output().map_err(|error| failed(format!("failed ({error})")))?;
    if !output.status.success() {
        // On failure its output is a message, not a secret; it is still only searched, never shown.
        if String::from_utf8_lossy(&output.stdout).contains(NOTHING_STORED) {
            return Ok(None);
        }
        return Err(failed(format!("failed ({})", output.status)));
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("gave no readable answer".into()))?;
    Ok(Some(from_pair(&answer.username, &answer.secret)))
}
