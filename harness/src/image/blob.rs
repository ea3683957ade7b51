//! Bytes with a digest, in memory or somewhere in a file, and layers made of them.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write},
    path::PathBuf,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{ImageError, document::Descriptor};

/// Bytes that are named by their digest.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Size, bytes.
    pub size_bytes: u64,
    source: Source,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
enum Source {
    Memory(Bytes),
    /// A part of a file: a whole one, or an entry of an archive.
    File {
        path: PathBuf,
        offset_bytes: u64,
    },
}

/// One layer of an image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The layer as it is stored and sent.
    pub blob: Blob,
    /// Media type, which names the compression.
    pub media_type: String,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Size of the uncompressed tar, bytes; none where it was not looked at (zstd).
    pub uncompressed_bytes: Option<u64>,
    /// What it holds, in a few words.
    pub holds: String,
}

impl Blob {
    /// A blob in memory.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: digest(&bytes), size_bytes: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    /// A part of a file whose digest is known; [`Layer::check`] tells whether it is right.
    pub(super) fn in_file(path: PathBuf, offset_bytes: u64, size_bytes: u64, digest: String) -> Self {
        Self { digest, size_bytes, source: Source::File { path, offset_bytes } }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// If its file cannot be opened.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, ImageError> {
        match &self.source {
            Source::Memory(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Source::File { path, offset_bytes } => {
                let opened = File::open(path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(*offset_bytes))?;
                    Ok(file.take(self.size_bytes))
                });
                Ok(Box::new(opened.map_err(ImageError::file(path))?))
            }
        }
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// If its file cannot be read, or is shorter than it should be.
    pub fn read(&self) -> Result<Bytes, ImageError> {
        if let Source::Memory(bytes) = &self.source {
            return Ok(bytes.clone());
        }
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes).map_err(|error| ImageError::broken(&self.digest, error))?;
        Ok(bytes.into())
    }

    /// How manifests and indexes point to it.
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest: self.digest.clone(),
            size: self.size_bytes,
            ..Descriptor::default()
        }
    }

    /// Reads it all and compares its digest.
    ///
    /// # Errors
    /// If it cannot be read or has another digest.
    pub(super) fn check(&self) -> Result<(), ImageError> {
        let mut tee = Hashing::new(self.open()?);
        io::copy(&mut tee, &mut io::sink()).map_err(|error| ImageError::broken(&self.digest, error))?;
        self.compare(&tee.digest())
    }

    fn compare(&self, found: &str) -> Result<(), ImageError> {
        if found == self.digest {
            return Ok(());
        }
        Err(ImageError::broken(
            format!("blob {}", self.digest),
            format!("its bytes have the digest {found}; the image is damaged or unfinished, fetch it again"),
        ))
    }
}

impl Layer {
    /// Reads the layer once: compares both digests and learns the uncompressed size.
    ///
    /// What is compressed with zstd is compared in its compressed form alone.
    ///
    /// # Errors
    /// If it cannot be read, or a digest differs.
    pub(super) fn check(&mut self) -> Result<(), ImageError> {
        if self.media_type.ends_with("zstd") {
            return self.blob.check();
        }
        let unreadable = |error: io::Error| ImageError::broken(format!("layer {}", self.blob.digest), error);
        let mut stored = Hashing::new(self.blob.open()?);
        let mut plain = Hashing::new(io::sink());
        let uncompressed_bytes = if self.media_type.ends_with("gzip") {
            io::copy(&mut flate2::read::MultiGzDecoder::new(&mut stored), &mut plain)
        } else {
            io::copy(&mut stored, &mut plain)
        }
        .map_err(unreadable)?;
        // What follows the last gzip member belongs to the stored digest, too.
        io::copy(&mut stored, &mut io::sink()).map_err(unreadable)?;
        self.blob.compare(&stored.digest())?;
        let diff_id = plain.digest();
        if diff_id != self.diff_id {
            return Err(ImageError::broken(
                format!("layer {}", self.blob.digest),
                format!("it unpacks to {diff_id}, but the configuration says {}", self.diff_id),
            ));
        }
        self.uncompressed_bytes = Some(uncompressed_bytes);
        Ok(())
    }
}

/// `sha256:...` of bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", models::sha256_hex(bytes))
}

/// The first twelve digits of a digest: enough for people.
pub(crate) fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// `12.34 MB`, in powers of ten.
pub(crate) fn size_text(bytes: u64) -> String {
    if bytes < 100_000 {
        return format!("{:.2} kB", bytes as f64 / 1e3);
    }
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// A reader or writer that hashes what passes.
pub(super) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    /// Bytes that passed.
    pub(super) passed_bytes: u64,
}

impl<T> Hashing<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), passed_bytes: 0 }
    }

    /// `sha256:...` of what has passed.
    pub(super) fn digest(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in self.hash.clone().finalize() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.passed_bytes += n as u64;
        Ok(n)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.passed_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip_layer(tar: &[u8], diff_id: String) -> Layer {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(tar).unwrap();
        Layer {
            blob: Blob::new(encoder.finish().unwrap()),
            media_type: super::super::document::LAYER_GZIP.into(),
            diff_id,
            uncompressed_bytes: None,
            holds: String::new(),
        }
    }

    #[test]
    fn a_part_of_a_file_is_read_as_the_blob() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "headabctail").unwrap();
        let blob = Blob::in_file(file.path().into(), 4, 3, digest(b"abc"));
        assert_eq!(blob.read().unwrap(), "abc");
        blob.check().unwrap();
        let wrong = Blob::in_file(file.path().into(), 5, 3, digest(b"abc"));
        assert!(wrong.check().unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_layer_is_compared_in_both_forms() {
        let mut layer = gzip_layer(b"some tar", digest(b"some tar"));
        layer.check().unwrap();
        assert_eq!(layer.uncompressed_bytes, Some(8));
        let mut layer = gzip_layer(b"some tar", digest(b"another"));
        assert!(layer.check().unwrap_err().to_string().contains("it unpacks to"));
        let mut layer = gzip_layer(b"some tar", digest(b"some tar"));
        layer.blob.digest = digest(b"else");
        assert!(layer.check().unwrap_err().to_string().contains("damaged"));
    }
}
