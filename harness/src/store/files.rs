//! Whole files: written beside their place and moved there, so that a crash leaves the old one.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// Makes an error of a path.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}

/// Makes an error of a path whose content makes no sense.
#[expect(clippy::needless_pass_by_value, reason = "it reads better where it is called, and errors are rare")]
pub(super) fn format(path: &Path, cause: impl ToString) -> StoreError {
    StoreError::Format { path: path.to_owned(), cause: cause.to_string() }
}

/// Where a file is written before it is moved to `path`.
pub(super) fn draft(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Writes a file as a whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let draft = draft(path);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()
    });
    written.and_then(|()| fs::rename(&draft, path)).map_err(|error| {
        // Best effort: what is left of it is not read by anything.
        let _ = fs::remove_file(&draft);
        io(path)(error)
    })
}

/// Writes a value as JSON for people, too.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| format(path, error))?;
    text.push(b'\n');
    write(path, &text)
}

/// Reads a value from JSON.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&text).map_err(|error| format(path, error))
}
