//! An OCI layout folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Base, Blob, Blobs, Descriptor, ImageError};

struct Layout<'a> {
    folder: &'a Path,
}

/// Reads the image of a layout folder.
pub(super) fn load(folder: &Path, architecture: &str) -> Result<Base, ImageError> {
    if !folder.join("index.json").is_file() {
        return Err(ImageError::broken(
            folder.display(),
            "it is no OCI layout (no index.json); make one with `harness image build --output DIR`, \
             `skopeo copy ... oci:DIR` or `podman save --format oci-dir`",
        ));
    }
    super::oci(folder.display().to_string(), architecture, &Layout { folder })
}

impl Blobs for Layout<'_> {
    fn index(&self) -> Result<Vec<u8>, ImageError> {
        let path = self.folder.join("index.json");
        fs::read(&path).map_err(ImageError::file(path))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Blob, ImageError> {
        let path: PathBuf = self.folder.join(blob_path(&descriptor.digest)?);
        if !path.is_file() {
            return Err(ImageError::broken(
                self.folder.display(),
                format!("the blob {} is missing", descriptor.digest),
            ));
        }
        Ok(Blob::in_file(path, 0, descriptor.size, descriptor.digest.clone()))
    }
}

/// `blobs/sha256/<hex>`; only digests of the one kind that is used, so that no path leaves the folder.
pub(super) fn blob_path(digest: &str) -> Result<String, ImageError> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(format!("blobs/sha256/{hex}"))
        }
        _ => Err(ImageError::broken(digest, "only sha256 digests are known here")),
    }
}
