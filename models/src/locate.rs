//! From a model's name to a file with the right bytes.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::download::{Fetcher, Progress};
use crate::error::LocateError;
use crate::manifest::{Manifest, Model};
use crate::places::{Item, Kind, Origin, Places, write_whole};
use crate::put::made;

/// A model whose file is there and has the right bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundModel {
    /// What the manifest says of it.
    pub model: Model,
    /// Its file.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
}

/// Finds a model: in the user's directory, in the cache, or by a download into the cache.
///
/// Without a name it is the first in the manifest's order that is there, and only if none is, the
/// first that can be downloaded. A generated model is made where it is not there yet, but never
/// picked unless named.
///
/// # Errors
/// If it is nowhere; if a file of its name has other bytes, which are never used silently.
pub fn find_model(
    manifest: &Manifest,
    name: Option<&str>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<FoundModel, LocateError> {
    find_model_with(&Fetcher::default(), manifest, name, places, progress)
}

pub(crate) fn find_model_with(
    fetcher: &Fetcher,
    manifest: &Manifest,
    name: Option<&str>,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<FoundModel, LocateError> {
    let candidates: Vec<&Model> = match name {
        Some(name) => vec![manifest.model(name)?],
        None => manifest.models.iter().filter(|model| !model.generated).collect(),
    };
    if let [model] = candidates[..]
        && model.generated
    {
        return find_generated(model, places);
    }
    for model in &candidates {
        if let Some((path, origin)) = places.find(&model.item())? {
            return Ok(FoundModel { model: (*model).clone(), path, origin });
        }
    }
    let mut failed = None;
    for model in candidates.iter().filter(|model| places.download && !model.urls.is_empty()) {
        match fetch(fetcher, &model.item(), places, progress) {
            Ok(path) => return Ok(FoundModel { model: (*model).clone(), path, origin: Origin::Downloaded }),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| {
        let what = name.map_or("a model".into(), |name| format!("model {name}"));
        places.not_found(what, Kind::Model, remedy(&candidates))
    }))
}

/// Downloads a file into the cache.
pub(crate) fn fetch(
    fetcher: &Fetcher,
    item: &Item,
    places: &Places,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, LocateError> {
    let cache = places.cache_for(item.kind).ok_or_else(|| LocateError::NoCache { file: item.file.into() })?;
    fetcher.fetch(item, &item.within(&cache), progress)
}

/// A generated model needs no look-up order to be right; the user's directory comes first only
/// because a container image may hold it there, on a file system that cannot be written.
fn find_generated(model: &Model, places: &Places) -> Result<FoundModel, LocateError> {
    let found = |path, origin| Ok(FoundModel { model: model.clone(), path, origin });
    if let Some((path, Origin::Directory)) = places.look_up(&model.item()).next() {
        model.item().check(&path)?;
        return found(path, Origin::Directory);
    }
    let cache =
        places.cache_for(Kind::Model).ok_or_else(|| LocateError::NoCache { file: model.file.clone() })?;
    let path = cache.join(&model.file);
    if path.is_file() && model.item().check(&path).is_ok() {
        return found(path, Origin::Cache);
    }
    found(write_whole(&cache, &model.file, &made(model)?)?, Origin::Generated)
}

/// What to do to have one of these.
pub(crate) fn remedy(candidates: &[&Model]) -> String {
    let files: Vec<_> = candidates.iter().map(|model| model.file.as_str()).collect();
    let own =
        format!("put {} into a directory and name that with --models-dir or MODELS_DIR", files.join(" or "));
    match candidates.iter().find(|model| !model.urls.is_empty()) {
        Some(model) => format!("run `harness models fetch {}` with internet, or {own}", model.name),
        None => own,
    }
}
