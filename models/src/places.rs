//! Where models and pictures are looked for, and how their bytes are checked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use crate::error::LocateError;
use crate::manifest::{FolderFile, Model, ModelFolder, Picture};

/// Name of the project's folder in the user's cache.
const CACHE_NAME: &str = "serverless-testbed";

/// Where to look, in this order: the user's own directory, the cache, the net.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Directory of models that the user named (`--models-dir` or `MODELS_DIR`).
    pub models_dir: Option<PathBuf>,
    /// Directory of pictures that the user named (`--pictures-dir` or `PICTURES_DIR`).
    pub pictures_dir: Option<PathBuf>,
    /// The project's folder in the user's cache; models and pictures lie in `models/` and
    /// `pictures/` in it.
    pub cache: Option<PathBuf>,
    /// Whether what is missing may be downloaded.
    pub download: bool,
}

/// Where a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The directory that the user named.
    Directory,
    /// The user's cache, from an earlier download.
    Cache,
    /// Downloaded just now, into the cache.
    Downloaded,
    /// Made just now by our own code, into the cache.
    Generated,
}

/// What a file is, and so which directories it may lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A picture.
    Picture,
}

/// One file that the manifest describes.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Model or picture.
    pub kind: Kind,
    /// Name of the folder that it lies in, within the places for its kind; none: right there.
    pub folder: Option<&'a str>,
    /// File name.
    pub file: &'a str,
    /// Where it can be downloaded.
    pub urls: &'a [String],
    /// Size in bytes, and SHA-256 in lower-case hex; none: nobody has verified them.
    pub contents: Option<(u64, &'a str)>,
}

impl Places {
    /// The places that the environment names: `MODELS_DIR`, `PICTURES_DIR`, and as cache
    /// `$XDG_CACHE_HOME/serverless-testbed` or `$HOME/.cache/serverless-testbed`. Downloads allowed.
    pub fn from_env() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        Self {
            models_dir: variable("MODELS_DIR"),
            pictures_dir: variable("PICTURES_DIR"),
            cache: cache.map(|cache| cache.join(CACHE_NAME)),
            download: true,
        }
    }

    /// All files of this name, in the order of the places, their contents not looked at.
    pub fn look_up(&self, item: &Item) -> impl Iterator<Item = (PathBuf, Origin)> {
        self.directories(item.kind)
            .map(|(directory, origin)| (item.within(&directory).join(item.file), origin))
            .filter(|(path, _)| path.is_file())
    }

    /// The first file of this name, if it has the right contents.
    ///
    /// # Errors
    /// If the user's directory is none, or the file found first has other contents.
    pub fn find(&self, item: &Item) -> Result<Option<(PathBuf, Origin)>, LocateError> {
        self.check_directory(item.kind)?;
        let Some((path, origin)) = self.look_up(item).next() else { return Ok(None) };
        item.check(&path)?;
        Ok(Some((path, origin)))
    }

    /// The cache's directory for this kind.
    pub fn cache_for(&self, kind: Kind) -> Option<PathBuf> {
        let name = match kind {
            Kind::Model => "models",
            Kind::Picture => "pictures",
        };
        self.cache.as_ref().map(|cache| cache.join(name))
    }

    /// Refuses a directory that the user named and that is none: a slip of the pen must not end in
    /// a download.
    ///
    /// # Errors
    /// If that is so.
    pub fn check_directory(&self, kind: Kind) -> Result<(), LocateError> {
        match self.own(kind) {
            Some(path) if !path.is_dir() => {
                Err(LocateError::NoDirectory { named_by: kind.own_directory(), path: path.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The error for what is in none of these places.
    pub(crate) fn not_found(&self, what: String, kind: Kind, remedy: String) -> LocateError {
        let looked: Vec<_> = self.directories(kind).map(|(path, _)| path.display().to_string()).collect();
        let looked = if looked.is_empty() { "nowhere".into() } else { looked.join(", ") };
        LocateError::NotFound { what, looked, remedy }
    }

    pub(crate) fn directories(&self, kind: Kind) -> impl Iterator<Item = (PathBuf, Origin)> {
        let own = self.own(kind).cloned().map(|path| (path, Origin::Directory));
        let cache = self.cache_for(kind).map(|path| (path, Origin::Cache));
        own.into_iter().chain(cache)
    }

    fn own(&self, kind: Kind) -> Option<&PathBuf> {
        match kind {
            Kind::Model => self.models_dir.as_ref(),
            Kind::Picture => self.pictures_dir.as_ref(),
        }
    }
}

impl Kind {
    /// How the user names a directory of his own.
    pub(crate) fn own_directory(self) -> &'static str {
        match self {
            Self::Model => "--models-dir or MODELS_DIR",
            Self::Picture => "--pictures-dir or PICTURES_DIR",
        }
    }
}

impl Item<'_> {
    /// Compares size and sha256 with the manifest's.
    ///
    /// # Errors
    /// If they differ, or the file cannot be read.
    pub fn check(&self, path: &Path) -> Result<(), LocateError> {
        let wrong = |found, expected| LocateError::WrongContents { path: path.into(), found, expected };
        let mut file = File::open(path).map_err(LocateError::io(path))?;
        let Some((expected_bytes, expected_sha256)) = self.contents else { return Ok(()) };
        let bytes = file.metadata().map_err(LocateError::io(path))?.len();
        if bytes != expected_bytes {
            return Err(wrong(format!("{bytes} bytes"), format!("{expected_bytes} bytes")));
        }
        let sha256 = sha256_of(&mut file).map_err(LocateError::io(path))?;
        if sha256 == expected_sha256 {
            Ok(())
        } else {
            Err(wrong(format!("sha256 {sha256}"), format!("sha256 {expected_sha256}")))
        }
    }

    /// The directory that it lies in, within one of the places.
    pub(crate) fn within(&self, directory: &Path) -> PathBuf {
        self.folder.map_or_else(|| directory.to_owned(), |folder| directory.join(folder))
    }
}

impl ModelFolder {
    /// Its files.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.files.iter().map(|FolderFile { file, urls, contents }| Item {
            kind: Kind::Model,
            folder: Some(&self.folder),
            file,
            urls,
            contents: contents.as_ref().map(|contents| (contents.bytes, contents.sha256.as_str())),
        })
    }
}

impl Model {
    /// Its file.
    pub fn item(&self) -> Item<'_> {
        let Self { file, urls, bytes, sha256, .. } = self;
        Item { kind: Kind::Model, folder: None, file, urls, contents: Some((*bytes, sha256)) }
    }
}

impl Picture {
    /// Its file.
    pub fn item(&self) -> Item<'_> {
        let Self { file, urls, bytes, sha256, .. } = self;
        Item { kind: Kind::Picture, folder: None, file, urls, contents: Some((*bytes, sha256)) }
    }
}

/// SHA-256 of all that a reader gives, lower-case hex.
pub(crate) fn sha256_of(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// SHA-256 of these bytes, lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes `directory/file` so that nobody ever sees a part of it, and gives its path.
pub(crate) fn write_whole(directory: &Path, file: &str, bytes: &[u8]) -> Result<PathBuf, LocateError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = directory.join(file);
    let unfinished =
        directory.join(format!(".{file}.{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let write = || {
        std::fs::create_dir_all(directory)?;
        let mut out = File::create(&unfinished)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&unfinished, &path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&unfinished);
        LocateError::Io { path: path.clone(), source }
    })?;
    Ok(path)
}
