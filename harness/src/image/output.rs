//! Writes an image: as an OCI layout folder, or as an archive.
//!
//! The archive is an OCI layout with Docker's `manifest.json` beside it, which points to the same blobs: containerd,
//! podman, Docker and skopeo each find in it what they know. The same image gives the same archive.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use super::{
    Blob, Image, ImageError,
    document::{self, DockerImage, Index},
    layer,
    reference::Reference,
};

/// The file that makes a folder a layout, and its content.
const LAYOUT: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);

/// What an archive is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI archive with Docker's list in it: containerd, podman, Docker, skopeo
    Oci,
    /// Docker's list alone, for tools that stumble over the other; loaded from it, the digest differs
    Docker,
}

/// Writes an OCI layout. Blobs of an image that is already there stay; the index names the new one.
///
/// # Errors
/// If the folder has something else in it, or cannot be written.
pub fn layout(image: &Image, name: &Reference, folder: &Path) -> Result<(), ImageError> {
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !folder.join(LAYOUT.0).is_file() {
        return Err(ImageError::Usage(format!(
            "{} is neither empty nor an OCI layout; name another --output",
            folder.display()
        )));
    }
    for (path, blob) in entries(image, name, Format::Oci) {
        // Docker's list is for archives alone.
        if path == "manifest.json" {
            continue;
        }
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ImageError::file(parent))?;
        }
        let mut reader = blob.open()?;
        replace(&path, |file| io::copy(&mut reader, file).map(|_| ())).map_err(ImageError::file(&path))?;
    }
    Ok(())
}

/// Writes an archive, in place of one that is there.
///
/// # Errors
/// If it cannot be written.
pub fn archive(image: &Image, name: &Reference, format: Format, path: &Path) -> Result<(), ImageError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(ImageError::file(parent))?;
    }
    let mut readers = Vec::new();
    for (name, blob) in entries(image, name, format) {
        readers.push((name, blob.size_bytes, blob.open()?));
    }
    replace(path, |file| {
        let mut tar = tar::Builder::new(file);
        for (name, size_bytes, reader) in readers {
            tar.append(&layer::header(&name, size_bytes, 0o644, 0)?, reader)?;
        }
        tar.finish()
    })
    .map_err(ImageError::file(path))
}

/// All files of a layout or archive, by path.
fn entries(image: &Image, name: &Reference, format: Format) -> BTreeMap<String, Blob> {
    let manifest = Blob::new(image.manifest.clone());
    let docker = [DockerImage {
        config: path(&image.config.digest),
        repo_tags: vec![name.familiar()],
        layers: image.layers.iter().map(|layer| path(&layer.blob.digest)).collect(),
    }];
    let layers = image.layers.iter().map(|layer| layer.blob.clone());
    let mut entries: BTreeMap<String, Blob> =
        layers.chain([image.config.clone()]).map(|blob| (path(&blob.digest), blob)).collect();
    entries.insert("manifest.json".into(), Blob::new(document::to_bytes(&docker)));
    if format == Format::Oci {
        let mut descriptor = manifest.descriptor(document::MANIFEST);
        descriptor.annotations = annotations(name);
        descriptor.platform =
            Some(document::Platform { architecture: image.architecture.clone(), os: "linux".into() });
        let index =
            Index { schema_version: 2, media_type: document::INDEX.into(), manifests: vec![descriptor] };
        entries.insert(path(&manifest.digest), manifest);
        entries.insert("index.json".into(), Blob::new(document::to_bytes(&index)));
        entries.insert(LAYOUT.0.into(), Blob::new(LAYOUT.1));
    }
    entries
}

/// The image's name, for each that reads it: podman and skopeo the first, containerd the second.
fn annotations(name: &Reference) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("org.opencontainers.image.ref.name".into(), name.familiar()),
        ("io.containerd.image.name".into(), name.to_string()),
    ])
}

fn path(digest: &str) -> String {
    digest.replace("sha256:", "blobs/sha256/")
}

/// Writes beside the file and moves it there when it is whole.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".part");
    let written = File::create(&beside).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.flush()
    });
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        // What went wrong is the error; that the rest of it stays is not.
        let _ = fs::remove_file(&beside);
    }
    moved
}
