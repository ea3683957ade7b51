//! Models of several files: from a workload, or a name, to a folder in which they all lie.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::download::{Fetcher, Progress};
use crate::error::LocateError;
use crate::locate::fetch;
use crate::manifest::{Manifest, ManifestError, ModelFolder};
use crate::places::{Kind, Origin, Places, sha256_hex};

/// A model of several files, all of which are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFolder {
    /// Its name: that of the manifest, or of the user's own folder.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Its files, by name.
    pub files: Vec<String>,
    /// Digest of it all: SHA-256 over a line `SHA-256 of the file, two spaces, its name` for each file, in the
    /// order of their names, as `sha256sum` writes them.
    pub sha256: String,
    /// SPDX identifier; none for a folder of the user's own.
    pub licence: Option<String>,
    /// Whether the manifest knows the contents of every file.
    pub is_verified: bool,
    /// Where it was found.
    pub origin: Origin,
}

/// Finds a model of several files for a workload: in the user's directory, in the cache, or, if it is named,
/// by a download into the cache. Without a name it is the first in the manifest's order that is there.
/// A name with a slash in it is the path of a folder of the user's own.
///
/// # Errors
/// If it is nowhere; if a file has other bytes than the manifest says.
pub fn find_folder(
    manifest: &Manifest,
    workload: &str,
    name: Option<&str>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<FoundFolder, LocateError> {
    if let Some(path) = name.filter(|name| name.contains('/')) {
        return own_folder(Path::new(path));
    }
    places.check_directory(Kind::Model)?;
    let of_workload = manifest.folders.iter().filter(|folder| folder.workload == workload);
    let candidates: Vec<&ModelFolder> =
        of_workload.clone().filter(|folder| name.is_none_or(|name| folder.name == name)).collect();
    if let (Some(name), true) = (name, candidates.is_empty()) {
        let known: Vec<_> = of_workload.map(|folder| folder.name.as_str()).collect();
        return Err(ManifestError::Unknown {
            kind: "model of several files for this workload",
            name: name.into(),
            known: format!("{}, or the path of a folder", known.join(", ")),
        }
        .into());
    }
    for folder in &candidates {
        for (directory, origin) in places.directories(Kind::Model) {
            let path = directory.join(&folder.folder);
            if folder.files.iter().all(|file| path.join(&file.file).is_file()) {
                return found(folder, path, origin);
            }
        }
    }
    match candidates[..] {
        [folder] if places.download && folder.files.iter().all(|file| !file.urls.is_empty()) => {
            let mut path = PathBuf::new();
            for item in folder.items() {
                path = fetch(&Fetcher::default(), &item, places, progress)?;
            }
            path.pop();
            found(folder, path, Origin::Downloaded)
        }
        _ => {
            let what = name.map_or_else(|| format!("a model for {workload}"), |name| format!("model {name}"));
            Err(places.not_found(what, Kind::Model, remedy(&candidates)))
        }
    }
}

/// What to do to have one of these.
pub(crate) fn remedy(candidates: &[&ModelFolder]) -> String {
    let commands: Vec<_> = candidates
        .iter()
        .map(|folder| {
            let needs = if folder.built_in { "" } else { ", which needs internet" };
            format!("`harness models fetch {}`{needs}", folder.name)
        })
        .collect();
    format!(
        "run {}, or put its files into a folder and name the directory around that with MODELS_DIR",
        commands.join(", or ")
    )
}

fn found(folder: &ModelFolder, path: PathBuf, origin: Origin) -> Result<FoundFolder, LocateError> {
    for item in folder.items() {
        item.check(&path.join(item.file))?;
    }
    let is_verified = folder.files.iter().all(|file| file.contents.is_some());
    let files: Vec<String> = folder.files.iter().map(|file| file.file.clone()).collect();
    let known = folder.files.iter().filter_map(|file| {
        file.contents.as_ref().map(|contents| (file.file.clone(), contents.sha256.clone()))
    });
    // What has just been checked is not read again.
    let digests = if is_verified { known.collect() } else { digests(&path, &files)? };
    Ok(FoundFolder {
        name: folder.name.clone(),
        sha256: digest_of(digests),
        path,
        files,
        licence: Some(folder.licence.clone()),
        is_verified,
        origin,
    })
}

/// A folder of the user's own: all its files, whatever they are.
fn own_folder(path: &Path) -> Result<FoundFolder, LocateError> {
    let wrong = |what: &str| LocateError::Folder { path: path.into(), what: what.into() };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| wrong("name the folder that holds the model's files"))?.to_owned();
    if !path.is_dir() {
        return Err(wrong("there is no such folder; name the one that holds the model's files"));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(LocateError::io(path))? {
        let entry = entry.map_err(LocateError::io(path))?;
        match entry.file_name().into_string() {
            Ok(file) if entry.path().is_file() && !file.starts_with('.') => files.push(file),
            _ => {}
        }
    }
    files.sort();
    Ok(FoundFolder {
        name,
        path: path.into(),
        sha256: digest_of(digests(path, &files)?),
        files,
        licence: None,
        is_verified: false,
        origin: Origin::Directory,
    })
}

fn digests(folder: &Path, files: &[String]) -> Result<Vec<(String, String)>, LocateError> {
    let one = |file: &String| {
        let path = folder.join(file);
        let mut open = std::fs::File::open(&path).map_err(LocateError::io(&path))?;
        let sha256 = crate::places::sha256_of(&mut open).map_err(LocateError::io(&path))?;
        Ok((file.clone(), sha256))
    };
    files.iter().map(one).collect()
}

fn digest_of(mut files: Vec<(String, String)>) -> String {
    files.sort();
    let lines: String = files.iter().flat_map(|(file, sha256)| [sha256, "  ", file, "\n"]).collect();
    sha256_hex(lines.as_bytes())
}
