//! The folder `cluster-setup`: where it is, and the reading of its files.

use std::path::{Path, PathBuf};

use super::{
    COMPONENTS_FILE, SetupError, VERSIONS_FILE, components::Components, plan::Source, versions::Versions,
};

/// Its name in the repository.
const NAME: &str = "cluster-setup";

/// The folder, with its two tables read.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// `components.toml`.
    pub components: Components,
    /// `versions.toml`.
    pub versions: Versions,
}

impl Folder {
    /// Opens the folder that the user named, else the one of the current folder or of one above it.
    ///
    /// # Errors
    /// If there is none, or one of the tables is wrong.
    pub fn open(named: Option<&Path>) -> Result<Self, SetupError> {
        let path = match named {
            Some(path) if path.join(COMPONENTS_FILE).is_file() => path.to_owned(),
            Some(path) => {
                return Err(SetupError::Usage(format!(
                    "--setup {}: there is no {COMPONENTS_FILE} in it; name the folder {NAME} of the repository",
                    path.display()
                )));
            }
            None => find().ok_or_else(|| {
                SetupError::Usage(format!(
                    "no folder {NAME} here or above; call this in a clone of the repository, or name the folder with --setup"
                ))
            })?,
        };
        let read = |file: &str| text(&path, file);
        let components = Components::read(&read(COMPONENTS_FILE)?)?;
        let versions = Versions::read(&read(VERSIONS_FILE)?)?;
        Ok(Self { path, components, versions })
    }

    /// A file of it, as other programs are given it.
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// Looks in the current folder, by its short name, and then above.
fn find() -> Option<PathBuf> {
    let is_it = |path: &Path| path.join(COMPONENTS_FILE).is_file();
    let here = PathBuf::from(NAME);
    if is_it(&here) {
        return Some(here);
    }
    let current = std::env::current_dir().ok()?;
    current.ancestors().skip(1).map(|above| above.join(NAME)).find(|path| is_it(path))
}

fn text(folder: &Path, file: &str) -> Result<String, SetupError> {
    std::fs::read_to_string(folder.join(file)).map_err(|error| SetupError::File {
        file: file.to_owned(),
        cause: format!("it cannot be read from {} ({error}); is the clone complete?", folder.display()),
    })
}

impl Source for Folder {
    fn text(&self, file: &str) -> Result<String, SetupError> {
        text(&self.path, file)
    }

    fn json_files(&self, folder: &str) -> Result<Vec<String>, SetupError> {
        let wrong = |cause: String| SetupError::File { file: folder.to_owned(), cause };
        let entries = std::fs::read_dir(self.path.join(folder))
            .map_err(|error| wrong(format!("it cannot be read ({error})")))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "json")).collect();
        names.sort();
        if names.is_empty() {
            return Err(wrong("there is no JSON file in it".to_owned()));
        }
        Ok(names)
    }
}
