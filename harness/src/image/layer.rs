//! Layers made of files: the same files give the same bytes, wherever and whenever they are made.
//!
//! Entries are sorted by path, owned by root, of one fixed time, in ustar format; gzip carries
//! neither time nor name. The deflate code is pinned by `Cargo.lock`; it does not depend on the CPU.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use super::{
    blob::{Blob, Hashing, Layer},
    document,
};

/// Byte of the gzip header that names the system: unknown, on every system.
const NO_SYSTEM: u8 = 255;

/// Files and folders of one layer by path, without leading `/`.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    mode: u32,
    /// None for a folder.
    content: Option<Bytes>,
}

impl Files {
    /// Adds a folder; its parents are not added.
    pub(super) fn folder(mut self, path: &str, mode: u32) -> Self {
        self.entries.insert(format!("{path}/"), Entry { mode, content: None });
        self
    }

    /// Adds a file.
    pub(super) fn file(mut self, path: &str, mode: u32, content: impl Into<Bytes>) -> Self {
        self.entries.insert(path.into(), Entry { mode, content: Some(content.into()) });
        self
    }

    /// Writes them as a tar.
    fn write(&self, out: impl Write, mtime_s: u64) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        for (path, entry) in &self.entries {
            let content = entry.content.as_deref().unwrap_or_default();
            let mut header = header(path, content.len() as u64, entry.mode, mtime_s)?;
            if entry.content.is_none() {
                header.set_entry_type(EntryType::Directory);
                header.set_cksum();
            }
            tar.append(&header, content)?;
        }
        tar.finish()
    }

    /// The layer.
    ///
    /// # Errors
    /// If a path is longer than a tar can say.
    pub(super) fn layer(&self, mtime_s: u64, holds: impl Into<String>) -> io::Result<Layer> {
        let mut tar = Hashing::new(gzip(Vec::new()));
        self.write(&mut tar, mtime_s)?;
        let (diff_id, uncompressed_bytes) = (tar.digest(), tar.passed_bytes);
        Ok(Layer {
            blob: Blob::new(tar.into_inner().finish()?),
            media_type: document::LAYER_GZIP.into(),
            diff_id,
            uncompressed_bytes: Some(uncompressed_bytes),
            holds: holds.into(),
        })
    }
}

/// The header of a plain file owned by root.
pub(super) fn header(path: &str, size_bytes: u64, mode: u32, mtime_s: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime_s);
    header.set_size(size_bytes);
    header.set_cksum();
    Ok(header)
}

/// A compressor whose output depends on its input alone.
pub(super) fn gzip<W: Write>(out: W) -> flate2::write::GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(NO_SYSTEM).write(out, Compression::new(6))
}

/// Compresses a plain tar; gives digest and size of the tar.
pub(super) fn compress(mut tar: impl Read, out: impl Write) -> io::Result<(String, u64)> {
    let mut plain = Hashing::new(gzip(out));
    io::copy(&mut tar, &mut plain)?;
    let read = (plain.digest(), plain.passed_bytes);
    plain.into_inner().finish()?.flush()?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(layer: &Layer) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(layer.blob.open().unwrap()));
        for entry in tar.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let _ = writeln!(
                text,
                "{:?} {:o} {}:{} '{}' mtime {} size {} {}",
                header.entry_type(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.username().unwrap().unwrap_or_default(),
                header.mtime().unwrap(),
                header.size().unwrap(),
                entry.path().unwrap().display(),
            );
        }
        text
    }

    #[test]
    fn entries_are_sorted_and_belong_to_root() {
        let files = Files::default()
            .file("models/m.onnx", 0o644, "weights")
            .folder("tmp", 0o1777)
            .folder("models", 0o755)
            .file("function", 0o755, "code");
        let layer = files.layer(0, "all").unwrap();
        insta::assert_snapshot!(listing(&layer), @r"
        Regular 755 0:0 '' mtime 0 size 4 function
        Directory 755 0:0 '' mtime 0 size 0 models/
        Regular 644 0:0 '' mtime 0 size 7 models/m.onnx
        Directory 1777 0:0 '' mtime 0 size 0 tmp/
        ");
    }

    #[test]
    fn the_order_of_adding_does_not_matter_and_one_byte_does() {
        let one = Files::default().file("a", 0o644, "1").file("b", 0o644, "2").layer(0, "").unwrap();
        let two = Files::default().file("b", 0o644, "2").file("a", 0o644, "1").layer(0, "").unwrap();
        let other = Files::default().file("b", 0o644, "2").file("a", 0o644, "3").layer(0, "").unwrap();
        assert_eq!(one.blob.digest, two.blob.digest);
        assert_ne!(one.blob.digest, other.blob.digest);
        assert_ne!(one.diff_id, other.diff_id);
    }

    #[test]
    fn a_layer_passes_its_own_check() {
        let mut layer = Files::default().file("a", 0o644, vec![7; 100_000]).layer(5, "").unwrap();
        let bytes = layer.uncompressed_bytes.take();
        layer.check().unwrap();
        assert_eq!(layer.uncompressed_bytes, bytes);
        assert!(layer.blob.size_bytes < 2_000, "it is not compressed");
    }

    #[test]
    fn a_tar_that_is_compressed_later_gives_the_same_blob() {
        let files = Files::default().file("a", 0o644, "1");
        let mut tar = Vec::new();
        files.write(&mut tar, 0).unwrap();
        let mut out = Vec::new();
        let (diff_id, bytes) = compress(&tar[..], &mut out).unwrap();
        let layer = files.layer(0, "").unwrap();
        assert_eq!((diff_id, Some(bytes)), (layer.diff_id, layer.uncompressed_bytes));
        assert_eq!(layer.blob.read().unwrap(), out);
    }

    #[test]
    fn the_compressed_form_has_neither_time_nor_system() {
        let layer = Files::default().file("a", 0o644, "1").layer(1_700_000_000, "").unwrap();
        // RFC 1952: magic, method, flags (no name), four bytes of time, extra flags, system.
        let bytes = layer.blob.read().unwrap();
        assert_eq!(bytes[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[9], NO_SYSTEM);
    }
}
