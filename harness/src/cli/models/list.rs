//! `harness models list`: what there is, and where it lies.

use std::fmt::Write as _;
use std::path::PathBuf;

use models::{Item, Manifest, Origin, Places};
use serde::Serialize;

use super::Entry;

/// One model or picture set.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    kind: &'static str,
    about: String,
    /// Size in all; none where nobody has verified it.
    bytes: Option<u64>,
    licence: String,
    state: State,
    /// Where it lies: the file of a model, the directory of a picture set.
    path: Option<PathBuf>,
}

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// In the directory that the user named.
    InDirectory,
    /// In the cache.
    InCache,
    /// Not there, but this program makes it when it is needed.
    MadeOnDemand,
    /// Not there, but a part of this program.
    BuiltIn,
    /// Not there, but it has a source.
    Downloadable,
    /// Not there, and nobody offers it for download.
    Missing,
    /// A file of its name has another size.
    Differs,
}

/// One row a model and a picture set, in the manifest's order.
pub(super) fn rows(manifest: &Manifest, places: &Places) -> Vec<Row> {
    Entry::all(manifest).map(|entry| row(entry, places)).collect()
}

/// The rows for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<26} {:>9}  {:<11} {}\n", "name", "size", "licence", "where");
    for row in rows {
        let size = row.bytes.map_or_else(|| "unknown".to_owned(), megabytes);
        let place = match (&row.path, row.state) {
            (Some(path), State::Differs) => {
                format!("{} has another size; see `harness models verify`", path.display())
            }
            (Some(path), State::InCache) => format!("{} (cache)", path.display()),
            (Some(path), _) => path.display().to_string(),
            (None, State::MadeOnDemand) => "made by this program when it is named".into(),
            (None, State::BuiltIn) => "part of this program".into(),
            (None, State::Downloadable) => format!("not here; `harness models fetch {}`", row.name),
            (None, _) => "not here, and without a source; see models/README.md".into(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<26} {size:>9}  {:<11} {place}", row.name, row.licence);
        let _ = writeln!(text, "  {}", row.about);
    }
    text
}

/// `13.97 MB`, in powers of ten.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

fn row(entry: Entry, places: &Places) -> Row {
    let items = entry.items();
    let found: Vec<_> = items.iter().filter_map(|item| places.look_up(item).next()).collect();
    let all_there = found.len() == items.len();
    let differs = found.iter().zip(&items).any(|((path, _), item)| !has_size(path, item));
    let state = match found.first() {
        Some(_) if all_there && differs => State::Differs,
        Some((_, Origin::Directory)) if all_there => State::InDirectory,
        Some(_) if all_there => State::InCache,
        _ if matches!(entry, Entry::Folder(folder) if folder.built_in) => State::BuiltIn,
        _ if entry.is_made() => State::MadeOnDemand,
        _ if items.iter().all(|item| !item.urls.is_empty()) => State::Downloadable,
        _ => State::Missing,
    };
    let path = found.into_iter().next().filter(|_| all_there).map(|(path, _)| entry.place(path));
    let (name, kind, about, licence) = match entry {
        Entry::Model(model) => (&model.name, "model", &model.about, &model.licence),
        Entry::Folder(folder) => (&folder.name, "model", &folder.about, &folder.licence),
        Entry::Pictures(set) => (&set.name, "pictures", &set.about, &set.licence),
    };
    Row {
        name: name.clone(),
        kind,
        about: about.clone(),
        bytes: items.iter().map(|item| item.contents.map(|(bytes, _)| bytes)).sum(),
        licence: licence.clone(),
        state,
        path,
    }
}

fn has_size(path: &std::path::Path, item: &Item) -> bool {
    item.contents.is_none_or(|(bytes, _)| path.metadata().is_ok_and(|file| file.len() == bytes))
}
