//! A folder of the user's own pictures, and the answers that he expects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FoundPicture, FoundPictures, content_type};
use crate::error::LocateError;
use crate::manifest::Manifest;
use crate::places::sha256_hex;

/// Files with the expected classes, the first that exists counts.
const EXPECTED_FILES: [&str; 2] = ["expected.json", "expected_top5.json"];
/// All pictures are kept in memory while a cell runs.
const MAX_TOTAL_BYTES: usize = 512 << 20;

/// What is expected of one picture.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    /// The top class's WordNet id.
    Top(String),
    /// Classes, the top one first.
    Ranked(Vec<Ranked>),
}

#[derive(Deserialize)]
struct Ranked {
    class_id: String,
}

/// All JPEG, PNG, WebP, BMP and GIF files directly in a folder, by name; other files are left out.
pub(super) fn read(manifest: &Manifest, folder: &Path) -> Result<FoundPictures, LocateError> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(LocateError::io(folder))?;
    paths.retain(|path| path.is_file() && has_picture_extension(path));
    paths.sort();

    let mut expected = expected_classes(manifest, folder)?;
    let mut total = 0;
    let mut pictures = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = std::fs::read(&path).map_err(LocateError::io(&path))?;
        total += bytes.len();
        if total > MAX_TOTAL_BYTES {
            let what = format!("more than {} MiB of pictures; name a smaller folder", MAX_TOTAL_BYTES >> 20);
            return Err(broken(folder, what));
        }
        let content_type = content_type(&bytes).ok_or_else(|| {
            broken(&path, "its contents are no JPEG, PNG, WebP, BMP or GIF; remove it".into())
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The user's own word holds for every model that answers in earnest.
        let earnest = manifest.models.iter().filter(|model| !model.generated);
        let class = expected.remove(&name);
        let expected = earnest.filter_map(|model| Some((model.name.clone(), class.clone()?))).collect();
        pictures.push(FoundPicture { name, content_type, sha256: sha256_hex(&bytes), bytes, expected });
    }
    if pictures.is_empty() {
        return Err(broken(folder, "no JPEG, PNG, WebP, BMP or GIF file in it; name another folder".into()));
    }
    if let Some(name) = expected.keys().next() {
        return Err(broken(folder, format!("the expected classes name {name}, which is not in it")));
    }
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    Ok(FoundPictures { name, drawn: false, licence: "not stated".into(), pictures })
}

/// Expected class by file name; empty if the folder says nothing of it.
fn expected_classes(manifest: &Manifest, folder: &Path) -> Result<BTreeMap<String, String>, LocateError> {
    let Some(path) = EXPECTED_FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file()) else {
        return Ok(BTreeMap::new());
    };
    let text = std::fs::read_to_string(&path).map_err(LocateError::io(&path))?;
    let parsed: BTreeMap<String, Expected> = serde_json::from_str(&text).map_err(|error| {
        broken(
            &path,
            format!(
                "{error}; it must be {{\"cat.jpg\": \"n02124075\", ...}} or lists of {{\"class_id\": ...}}"
            ),
        )
    })?;
    let mut known = Vec::new();
    for model in &manifest.models {
        known.extend(model.output.class_list()?);
    }
    let mut expected = BTreeMap::new();
    for (name, classes) in parsed {
        let top = match classes {
            Expected::Top(class_id) => class_id,
            Expected::Ranked(ranked) => match ranked.into_iter().next() {
                Some(top) => top.class_id,
                None => continue,
            },
        };
        if !known.iter().any(|class| class.class_id == top) {
            return Err(broken(
                &path,
                format!("{name}: no class '{top}'; classes have WordNet ids such as n02124075"),
            ));
        }
        expected.insert(name, top);
    }
    Ok(expected)
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).is_some_and(
        |extension| matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "webp" | "bmp" | "gif"),
    )
}

fn broken(path: &Path, what: String) -> LocateError {
    LocateError::Folder { path: path.into(), what }
}
