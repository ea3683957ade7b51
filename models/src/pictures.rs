//! From the name of a picture set, or a folder of the user's, to pictures in memory.

mod folder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use crate::download::{Fetcher, Progress};
use crate::draw;
use crate::error::LocateError;
use crate::locate::fetch;
use crate::manifest::{Manifest, ManifestError, Picture, PictureSet};
use crate::places::{Kind, Places, sha256_hex};

/// Pictures to send, with what is expected of a model that sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPictures {
    /// Name of the set, or of the user's folder.
    pub name: String,
    /// Whether our own code drew them.
    pub drawn: bool,
    /// SPDX identifier, or `not stated` for the user's own.
    pub licence: String,
    /// The pictures, at least one.
    pub pictures: Vec<FoundPicture>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPicture {
    /// File name.
    pub name: String,
    /// MIME type, from the contents.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Expected top class (WordNet id) by model name; no entry where nobody knows.
    pub expected: BTreeMap<String, String>,
}

/// Finds pictures: those of a set that the manifest names, or all in a folder of the user's.
///
/// With a name: the set of that name, else the folder at that path. Without one: the directory
/// that the user named (`--pictures-dir` or `PICTURES_DIR`), as the manifest's set whose files are
/// all in it, or else as a folder of his own; without such a directory, the first set in the
/// manifest's order, drawn ones excluded.
///
/// # Errors
/// If they are nowhere; if a file of a set has other bytes, which are never used silently; if the
/// folder holds no picture or its `expected.json` does not fit.
pub fn find_pictures(
    manifest: &Manifest,
    name_or_folder: Option<&str>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<FoundPictures, LocateError> {
    find_pictures_with(&Fetcher::default(), manifest, name_or_folder, places, progress)
}

pub(crate) fn find_pictures_with(
    fetcher: &Fetcher,
    manifest: &Manifest,
    name_or_folder: Option<&str>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<FoundPictures, LocateError> {
    let set = match chosen(manifest, name_or_folder, places)? {
        Chosen::Set(set) => set,
        Chosen::Folder(path) => return folder::read(manifest, path),
    };
    let pictures = set
        .pictures
        .iter()
        .map(|picture| {
            let bytes = if set.drawn {
                drawn(picture)?
            } else {
                photograph(fetcher, set, picture, places, progress)?
            };
            Ok(FoundPicture {
                name: picture.file.clone(),
                content_type: content_type(&bytes).unwrap_or("application/octet-stream"),
                sha256: sha256_hex(&bytes),
                bytes,
                expected: picture.expected.clone(),
            })
        })
        .collect::<Result<_, LocateError>>()?;
    Ok(FoundPictures { name: set.name.clone(), drawn: set.drawn, licence: set.licence.clone(), pictures })
}

/// What the user's words, or their absence, mean.
enum Chosen<'a> {
    Set(&'a PictureSet),
    Folder(&'a Path),
}

fn chosen<'a>(
    manifest: &'a Manifest,
    name_or_folder: Option<&'a str>,
    places: &'a Places,
) -> Result<Chosen<'a>, LocateError> {
    if let Some(name) = name_or_folder {
        return match manifest.picture_set(name) {
            Ok(set) => Ok(Chosen::Set(set)),
            Err(_) if Path::new(name).is_dir() => Ok(Chosen::Folder(Path::new(name))),
            Err(unknown) => {
                Err(LocateError::Folder { path: name.into(), what: format!("no such folder, and {unknown}") })
            }
        };
    }
    places.check_directory(Kind::Picture)?;
    let mut photographs = manifest.pictures.iter().filter(|set| !set.drawn);
    let set = match &places.pictures_dir {
        Some(own) => match photographs.find(|set| is_all_in(set, own)) {
            Some(set) => set,
            None => return Ok(Chosen::Folder(own)),
        },
        None => photographs.next().ok_or_else(|| ManifestError::Unknown {
            kind: "picture set",
            name: "photographs".into(),
            known: "drawn ones only".into(),
        })?,
    };
    Ok(Chosen::Set(set))
}

/// Draws a picture and compares it with the manifest.
///
/// # Errors
/// If the code draws something else, or knows no such picture.
pub fn drawn(picture: &Picture) -> Result<Vec<u8>, LocateError> {
    let differs = |found: String| LocateError::NotReproduced {
        file: picture.file.clone(),
        found,
        expected: picture.sha256.clone(),
    };
    let bytes = draw::draw(&picture.file)
        .map_err(|error| differs(format!("none ({error})")))?
        .ok_or_else(|| differs("none (nobody drew it)".into()))?;
    let found = sha256_hex(&bytes);
    if found == picture.sha256 { Ok(bytes) } else { Err(differs(found)) }
}

fn photograph(
    fetcher: &Fetcher,
    set: &PictureSet,
    picture: &Picture,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<u8>, LocateError> {
    let item = picture.item();
    let path = match places.find(&item)? {
        Some((path, _)) => path,
        None if places.download && !picture.urls.is_empty() => fetch(fetcher, &item, places, progress)?,
        None => {
            return Err(places.not_found(format!("picture {}", picture.file), Kind::Picture, remedy(set)));
        }
    };
    std::fs::read(&path).map_err(LocateError::io(path))
}

/// What to do to have these.
pub(crate) fn remedy(set: &PictureSet) -> String {
    format!(
        "run `harness models fetch {}` with internet, or name a folder of pictures with --pictures-dir or PICTURES_DIR",
        set.name
    )
}

fn is_all_in(set: &PictureSet, directory: &Path) -> bool {
    set.pictures.iter().all(|picture| directory.join(&picture.file).is_file())
}

/// MIME type by the first bytes; `None` if the function does not read such files.
fn content_type(bytes: &[u8]) -> Option<&'static str> {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes).ok()? {
        format @ (Bmp | Gif | Jpeg | Png | WebP) => Some(format.to_mime_type()),
        _ => None,
    }
}
