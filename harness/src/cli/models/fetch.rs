//! `harness models fetch` and `path`: from a name to files that are there.

use crate::screen::{note, out};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use models::{LocateError, Origin, Places, Progress};

use super::list::megabytes;
use super::{CliError, Entry};

/// Sees to it that all of these are there, and says of each file where.
pub(super) fn fetch(entries: &[Entry], places: &Places, to: Option<&Path>) -> Result<(), CliError> {
    let mut show = Show::new();
    for entry in entries {
        match entry {
            Entry::Model(model) => {
                let put = models::put_model(model, to, places, &mut |progress| show.progress(progress));
                show.done(put?);
            }
            Entry::Folder(folder) => {
                let put = models::put_folder(folder, to, places, &mut |progress| show.progress(progress));
                put?.into_iter().for_each(|put| show.done(put));
            }
            Entry::Pictures(set) => {
                for picture in &set.pictures {
                    let put = models::put_picture(set, picture, to, places, &mut |progress| {
                        show.progress(progress);
                    });
                    show.done(put?);
                }
            }
        }
    }
    Ok(())
}

/// Where an entry lies: the file of a model, the directory that holds all files of a model or set.
pub(super) fn path(entry: Entry, places: &Places) -> Result<PathBuf, CliError> {
    let offline = Places { download: false, ..places.clone() };
    let mut directories = Vec::new();
    for item in entry.items() {
        match offline.find(&item)? {
            Some((path, _)) => directories.push(entry.place(path)),
            None => return Err(missing(entry, item.file)),
        }
    }
    directories.dedup();
    match directories.pop() {
        Some(directory) if directories.is_empty() => Ok(directory),
        _ => Err(CliError::Failed(anyhow::anyhow!(
            "the files of '{0}' lie in several directories; run `harness models fetch {0} --to DIR`",
            entry.name()
        ))),
    }
}

fn missing(entry: Entry, file: &str) -> CliError {
    let name = entry.name();
    let remedy = if entry.is_made() || entry.items().iter().all(|item| !item.urls.is_empty()) {
        format!("run `harness models fetch {name}`")
    } else {
        format!("put {file} into a directory and name that with --models-dir or MODELS_DIR")
    };
    CliError::Failed(anyhow::anyhow!("{file} is not here; {remedy}"))
}

impl From<LocateError> for CliError {
    /// A name or a directory that is none is the user's slip; the rest failed.
    fn from(error: LocateError) -> Self {
        match error {
            LocateError::Manifest(_) | LocateError::NoDirectory { .. } | LocateError::Folder { .. } => {
                Self::Usage(error.to_string())
            }
            error => Self::Failed(error.into()),
        }
    }
}

/// Shows a download: a bar with the time left on a terminal, one line a file elsewhere.
struct Show {
    bar: Option<ProgressBar>,
    on_terminal: bool,
    url: String,
}

impl Show {
    fn new() -> Self {
        Self { bar: None, on_terminal: std::io::stderr().is_terminal(), url: String::new() }
    }

    fn progress(&mut self, progress: Progress<'_>) {
        if self.url != progress.url {
            progress.url.clone_into(&mut self.url);
            self.clear();
            note!("{} ({}) from {}", progress.file, megabytes(progress.total_bytes), progress.url);
        }
        if self.on_terminal {
            let bar = self.bar.get_or_insert_with(|| bar(progress.total_bytes));
            bar.set_position(progress.done_bytes);
        }
    }

    fn done(&mut self, (path, origin): (PathBuf, Origin)) {
        self.clear();
        let how = match origin {
            Origin::Directory | Origin::Cache => "there",
            Origin::Downloaded => "downloaded",
            Origin::Generated => "made",
        };
        out!("{how:<10}  {}", path.display());
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total_bytes: u64) -> ProgressBar {
    let template = "{bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
    // The template is a constant; the default style stands in were it wrong.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total_bytes).with_style(style)
}
