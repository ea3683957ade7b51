//! Puts files of the manifest where the user wants to have them, for `harness models fetch`.

use std::path::{Path, PathBuf};

use crate::captioner;
use crate::download::{Fetcher, Progress};
use crate::error::LocateError;
use crate::folders;
use crate::generate;
use crate::locate::remedy;
use crate::manifest::{Model, ModelFolder, Picture, PictureSet};
use crate::pictures;
use crate::places::{Item, Origin, Places, sha256_hex, write_whole};

/// What to do when a file is not there yet.
struct Missing<'a> {
    /// Makes it, where our own code does.
    make: Option<&'a dyn Fn() -> Result<Vec<u8>, LocateError>>,
    /// What it is called and what to do, if it cannot be had.
    what: String,
    remedy: String,
}

/// Sees to it that a model's file is there: in `to`, or without that in any of the places, else in
/// the cache. Gives its path and where it came from.
///
/// # Errors
/// If it cannot be had, or a file of its name has other bytes.
pub fn put_model(
    model: &Model,
    to: Option<&Path>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(PathBuf, Origin), LocateError> {
    let make = || made(model);
    let missing = Missing {
        make: if model.generated { Some(&make) } else { None },
        what: format!("model {}", model.name),
        remedy: remedy(&[model]),
    };
    put(&Fetcher::default(), &model.item(), &missing, to, places, progress)
}

/// Sees to it that a picture of a set is there, as [`put_model`] does.
///
/// # Errors
/// If it cannot be had, or a file of its name has other bytes.
pub fn put_picture(
    set: &PictureSet,
    picture: &Picture,
    to: Option<&Path>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(PathBuf, Origin), LocateError> {
    let make = || pictures::drawn(picture);
    let missing = Missing {
        make: if set.drawn { Some(&make) } else { None },
        what: format!("picture {}", picture.file),
        remedy: pictures::remedy(set),
    };
    put(&Fetcher::default(), &picture.item(), &missing, to, places, progress)
}

/// Sees to it that all files of a model are there, in its folder in `to`, or else in the cache, as
/// [`put_model`] does. Gives the path of each, and where it came from.
///
/// # Errors
/// If one cannot be had, or a file of its name has other bytes.
pub fn put_folder(
    folder: &ModelFolder,
    to: Option<&Path>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<(PathBuf, Origin)>, LocateError> {
    let put_one = |item: Item<'_>| {
        let make = || built_in(folder, &item);
        let missing = Missing {
            make: if folder.built_in { Some(&make) } else { None },
            what: format!("{} of model {}", item.file, folder.name),
            remedy: folders::remedy(&[folder]),
        };
        put(&Fetcher::default(), &item, &missing, to, places, progress)
    };
    folder.items().map(put_one).collect()
}

/// A file that this program brings with it, compared with the manifest.
fn built_in(folder: &ModelFolder, item: &Item) -> Result<Vec<u8>, LocateError> {
    let bytes = captioner::file(item.file).ok_or_else(|| LocateError::NotFound {
        what: format!("{} of model {}", item.file, folder.name),
        looked: "this program".into(),
        remedy: "build it anew, with the folder models/captioner".into(),
    })?;
    let (found, expected) = (sha256_hex(bytes), item.contents.map_or("", |(_, sha256)| sha256));
    if found == expected {
        return Ok(bytes.to_vec());
    }
    Err(LocateError::NotReproduced { file: item.file.into(), found, expected: expected.into() })
}

/// The bytes of a generated model, compared with the manifest.
pub(crate) fn made(model: &Model) -> Result<Vec<u8>, LocateError> {
    let bytes = generate::mobilenetv2();
    let found = sha256_hex(&bytes);
    if found == model.sha256 {
        return Ok(bytes);
    }
    Err(LocateError::NotReproduced { file: model.file.clone(), found, expected: model.sha256.clone() })
}

fn put(
    fetcher: &Fetcher,
    item: &Item,
    missing: &Missing,
    to: Option<&Path>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(PathBuf, Origin), LocateError> {
    let there = match places.find(item) {
        // What an older version of this program made is made anew.
        Err(LocateError::WrongContents { .. }) if missing.make.is_some() => None,
        other => other?,
    };
    let cache = places.cache_for(item.kind).map(|cache| item.within(&cache));
    let to = to.map(|to| item.within(to));
    let directory = match (&to, there.clone(), &cache) {
        (Some(to), ..) => to,
        (None, Some(there), _) => return Ok(there),
        (None, None, Some(cache)) => cache,
        (None, None, None) => return Err(LocateError::NoCache { file: item.file.into() }),
    };
    let path = directory.join(item.file);
    if path.is_file() {
        match item.check(&path) {
            Err(LocateError::WrongContents { .. }) if missing.make.is_some() => {}
            other => return other.map(|()| (path, Origin::Directory)),
        }
    }
    if let Some(make) = missing.make {
        return Ok((write_whole(directory, item.file, &make()?)?, Origin::Generated));
    }
    if let Some((from, origin)) = there {
        let bytes = std::fs::read(&from).map_err(LocateError::io(&from))?;
        return Ok((write_whole(directory, item.file, &bytes)?, origin));
    }
    if places.download && !item.urls.is_empty() {
        return Ok((fetcher.fetch(item, directory, progress)?, Origin::Downloaded));
    }
    Err(places.not_found(missing.what.clone(), item.kind, missing.remedy.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::test_server::{Reply, Server, fetcher};

    #[test]
    fn a_file_that_lies_elsewhere_is_copied_and_one_that_lies_nowhere_is_downloaded() {
        let server = Server::start(&[Reply::Whole(b"second")]);
        let (own, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(own.path().join("first"), "first").unwrap();
        let places = Places { models_dir: Some(own.path().into()), download: true, ..Places::default() };
        let put = |name: &str| {
            let (sha256, urls) = (sha256_hex(name.as_bytes()), [server.url.clone()]);
            let item = Item { file: name, ..crate::test_server::item(name.as_bytes(), &sha256, &urls) };
            let missing = Missing { make: None, what: name.into(), remedy: "fetch it".into() };
            let (path, origin) =
                put(&fetcher(), &item, &missing, Some(to.path()), &places, &mut |_| ()).unwrap();
            (std::fs::read_to_string(path).unwrap(), origin)
        };
        assert_eq!(put("first"), ("first".into(), Origin::Directory));
        assert_eq!(put("second"), ("second".into(), Origin::Downloaded));
        assert_eq!(put("second"), ("second".into(), Origin::Directory));
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_drawn_picture_is_drawn_and_replaces_an_old_one() {
        let manifest = Manifest::builtin().unwrap();
        let set = manifest.picture_set("drawn").unwrap();
        let to = tempfile::tempdir().unwrap();
        let put =
            || put_picture(set, &set.pictures[0], Some(to.path()), &Places::default(), &mut |_| ()).unwrap();
        let (path, origin) = put();
        assert_eq!(origin, Origin::Generated);
        std::fs::write(&path, "old").unwrap();
        assert_eq!(put().1, Origin::Generated);
        assert_eq!(put().1, Origin::Directory);
    }
}
