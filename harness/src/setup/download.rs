//! Downloads, checked: against the checksum of `versions.toml`, or, where no public source has one,
//! against that of the first download, which a lock file remembers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use models::{LocateError, Places, sha256_hex};

use super::{
    SetupError,
    versions::{Chart, Manifest},
};

/// The lock file, beside the cache.
const LOCK: &str = "cluster-setup.lock.toml";

/// The folder of downloads.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    lock: PathBuf,
}

impl Cache {
    /// The user's, as the environment has it.
    ///
    /// # Errors
    /// If there is no place for one.
    pub fn from_env() -> Result<Self, SetupError> {
        let cache = Places::from_env().cache.ok_or_else(|| {
            SetupError::Usage("there is no place for downloads; set HOME or XDG_CACHE_HOME".to_owned())
        })?;
        Ok(Self::at(&cache))
    }

    /// Within this folder.
    pub fn at(cache: &Path) -> Self {
        Self { folder: cache.join("cluster-setup"), lock: cache.join(LOCK) }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A manifest, downloaded unless it is there. Blocks.
    ///
    /// # Errors
    /// If it cannot be had, or is another one than it should be.
    pub fn manifest(&self, key: &str, source: &Manifest) -> Result<String, SetupError> {
        let name = manifest_name(key, &source.url);
        let path = models::download::fetch_file(&source.url, &self.folder, &name, &mut |_| ())
            .map_err(|error| self.cannot(source, &name, &error))?;
        self.check(&path, &source.url, source.sha256.as_deref())?;
        std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))
    }

    /// Path of a chart's archive.
    pub fn archive(&self, chart: &Chart) -> PathBuf {
        self.folder.join(format!("{}-{}.tgz", chart.chart, chart.version))
    }

    /// Checks a chart's archive that Helm downloaded.
    ///
    /// # Errors
    /// If it is another one than it should be.
    pub fn check_archive(&self, chart: &Chart) -> Result<(), SetupError> {
        let url = format!("{}#{}-{}", chart.repository, chart.chart, chart.version);
        self.check(&self.archive(chart), &url, chart.sha256.as_deref())
    }

    /// Compares a file with its checksum, or remembers it. One that is wrong is taken away.
    fn check(&self, path: &Path, url: &str, expected: Option<&str>) -> Result<(), SetupError> {
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let found = sha256_hex(&bytes);
        let mut lock = self.read_lock()?;
        let (expected, remedy) = match (expected, lock.get(url)) {
            (Some(sum), _) => (sum.to_owned(), format!("compare with {}", super::VERSIONS_FILE)),
            (None, Some(sum)) => {
                let remedy = format!(
                    "it was another file the first time: if the new one is right, remove its line from {}",
                    self.lock.display()
                );
                (sum.clone(), remedy)
            }
            (None, None) => {
                lock.insert(url.to_owned(), found);
                return self.write_lock(&lock);
            }
        };
        if found == expected {
            return Ok(());
        }
        // Else the next attempt would find the wrong file again.
        _ = std::fs::remove_file(path);
        Err(SetupError::Download(format!("{url} has the sha256 {found}, not {expected}; {remedy}")))
    }

    fn read_lock(&self) -> Result<BTreeMap<String, String>, SetupError> {
        let text = match std::fs::read_to_string(&self.lock) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(unreadable(&self.lock, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            let cause = crate::words::one_line(&error.to_string());
            SetupError::Download(format!("{} is damaged ({cause}); remove it", self.lock.display()))
        })
    }

    fn write_lock(&self, lock: &BTreeMap<String, String>) -> Result<(), SetupError> {
        let head = "# SHA-256 of downloads for which versions.toml has none, as first seen.\n";
        let failed = |cause: String| {
            SetupError::Download(format!("{} cannot be written ({cause})", self.lock.display()))
        };
        let text = toml::to_string(lock).map_err(|error| failed(error.to_string()))?;
        let unfinished = self.lock.with_extension("new");
        std::fs::write(&unfinished, format!("{head}{text}"))
            .and_then(|()| std::fs::rename(&unfinished, &self.lock))
            .map_err(|error| failed(error.to_string()))
    }

    fn cannot(&self, source: &Manifest, name: &str, error: &LocateError) -> SetupError {
        let why = match error {
            LocateError::Download { tried, .. } => tried.clone(),
            other => other.to_string(),
        };
        SetupError::Download(format!(
            "{} cannot be downloaded ({why}); try again with internet, or put the file there as {}",
            source.url,
            self.folder.join(name).display()
        ))
    }
}

/// A name that changes with the address, and so with the version.
fn manifest_name(key: &str, url: &str) -> String {
    format!("{key}-{}.yaml", &sha256_hex(url.as_bytes())[..12])
}

fn unreadable(path: &Path, error: &std::io::Error) -> SetupError {
    SetupError::Download(format!("{} cannot be read ({error})", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(sha256: Option<String>) -> Manifest {
        // Nobody is asked: the file is there.
        Manifest { url: "http://127.0.0.1:1/a.yaml".into(), version: None, sha256 }
    }

    fn put(cache: &Cache, text: &str) {
        std::fs::create_dir_all(cache.folder()).unwrap();
        let name = manifest_name("a", &source(None).url);
        std::fs::write(cache.folder().join(name), text).unwrap();
    }

    #[test]
    fn a_file_without_a_checksum_is_held_to_what_it_was_the_first_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        put(&cache, "first");
        assert_eq!(cache.manifest("a", &source(None)).unwrap(), "first");
        assert_eq!(cache.manifest("a", &source(None)).unwrap(), "first");
        put(&cache, "second");
        let said = cache.manifest("a", &source(None)).unwrap_err().to_string();
        assert!(said.contains("another file the first time") && said.contains(LOCK), "{said}");
    }

    #[test]
    fn a_file_with_a_checksum_is_held_to_that_and_taken_away_if_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        put(&cache, "right");
        assert!(cache.manifest("a", &source(Some(sha256_hex(b"right")))).is_ok());
        let said = cache.manifest("a", &source(Some(sha256_hex(b"other")))).unwrap_err().to_string();
        assert!(said.contains("compare with versions.toml"), "{said}");
        let gone = cache.manifest("a", &source(None)).unwrap_err().to_string();
        assert!(gone.contains("cannot be downloaded (127.0.0.1:1: connection refused)"), "{gone}");
        assert!(gone.contains("put the file there as"), "{gone}");
    }
}
