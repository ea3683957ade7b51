//! An archive of an image: which entry lies where in the file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Blob, Blobs, Descriptor, ImageError, layout::blob_path};

/// A tar whose entries are read where they lie.
pub(super) struct Archive {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

enum Entry {
    /// Offset and size, bytes.
    File(u64, u64),
    /// Older versions of `docker save` link layers that two images share.
    Link(String),
}

impl Archive {
    /// Reads the list of entries.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let broken = |problem: String| ImageError::broken(path.display(), problem);
        let mut file = File::open(path).map_err(ImageError::file(path))?;
        let mut magic = [0; 2];
        if file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b] {
            return Err(broken("it is compressed as a whole; unpack it with gunzip first".into()));
        }
        let file = File::open(path).map_err(ImageError::file(path))?;
        let mut tar = tar::Archive::new(file);
        let mut entries = BTreeMap::new();
        let no_archive = |error: std::io::Error| broken(format!("it is no image archive: {error}"));
        for entry in tar.entries_with_seek().map_err(no_archive)? {
            let entry = entry.map_err(no_archive)?;
            let name =
                entry.path().map_err(no_archive)?.to_string_lossy().trim_start_matches("./").to_string();
            let kind = entry.header().entry_type();
            if kind.is_file() {
                entries.insert(name, Entry::File(entry.raw_file_position(), entry.size()));
            } else if (kind.is_symlink() || kind.is_hard_link())
                && let Ok(Some(target)) = entry.link_name()
            {
                let target = target.to_string_lossy();
                let target = if kind.is_symlink() { beside(&name, &target) } else { target.to_string() };
                entries.insert(name, Entry::Link(target));
            }
        }
        let archive = Self { path: path.into(), entries };
        if !archive.has("index.json") && !archive.has("manifest.json") {
            return Err(broken(
                "it is no image archive: neither index.json (OCI) nor manifest.json (Docker) is in it".into(),
            ));
        }
        Ok(archive)
    }

    /// Whether it has a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A file as a blob of this digest, or of none yet.
    pub(super) fn file(&self, name: &str, digest: String) -> Result<Blob, ImageError> {
        let (offset, size) = self
            .find(name)
            .ok_or_else(|| ImageError::broken(self.path.display(), format!("{name} is missing in it")))?;
        Ok(Blob::in_file(self.path.clone(), offset, size, digest))
    }

    /// Offset and size, links followed.
    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name;
        for _ in 0..8 {
            match self.entries.get(name)? {
                Entry::File(offset, size) => return Some((*offset, *size)),
                Entry::Link(target) => name = target,
            }
        }
        None
    }
}

impl Blobs for Archive {
    fn index(&self) -> Result<Vec<u8>, ImageError> {
        Ok(self.file("index.json", String::new())?.read()?.to_vec())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Blob, ImageError> {
        self.file(&blob_path(&descriptor.digest)?, descriptor.digest.clone())
    }
}

/// The target of a symbolic link, as a path in the archive.
fn beside(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_points_beside_itself() {
        assert_eq!(beside("abc/layer.tar", "../def/layer.tar"), "def/layer.tar");
        assert_eq!(beside("layer.tar", "./x"), "x");
        assert_eq!(beside("a/b", "../../../etc/passwd"), "etc/passwd");
    }

    #[test]
    fn what_is_no_archive_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Archive::open(&path).err().unwrap().to_string()
        };
        assert!(file("x.gz", &[0x1f, 0x8b, 8, 0]).contains("gunzip"));
        assert!(file("x.txt", &[b'a'; 2000]).contains("it is no image archive"));
        assert!(file("x.tar", &[0; 1024]).contains("neither index.json"));
    }
}
