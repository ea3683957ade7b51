//! The function as an OCI image, made without a Docker daemon and sent to a registry.
//!
//! [`build`] puts the static binary and the model, a layer each, on an empty base or on one that
//! [`base::load`] reads; the same inputs give the same digest. [`output`] writes it as an OCI layout or as an
//! archive, [`registry`] sends it, and [`resolve_digest`] asks a registry for a tag's digest, so that
//! every platform gets the very same image.

pub mod base;
pub mod blob;
pub mod build;
mod config;
pub mod credentials;
pub mod document;
mod elf;
mod error;
mod layer;
pub mod output;
mod push;
pub mod reference;
pub mod registry;
mod scratch;
#[cfg(test)]
mod tests;

pub use blob::{Blob, Layer};
pub(crate) use blob::{short, size_text};
pub use build::{Build, ModelFile, Program, build};
pub use credentials::{Credentials, Secret};
pub use error::ImageError;
pub use push::{Pushed, push};
pub use registry::{RegistryOptions, Resolved, find_digest, find_workload, resolve_digest};

use bytes::Bytes;

/// A whole image: what a registry, a layout folder or an archive holds of it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest as it is stored and sent.
    pub manifest: Bytes,
    /// Digest of the manifest, which is the image's.
    pub digest: String,
    /// The configuration: environment, user, entry point, history.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// Architecture as OCI names it, such as `amd64`.
    pub architecture: String,
    /// Keeps files that layers point into until the image is dropped.
    scratch: Vec<std::sync::Arc<scratch::Scratch>>,
}

impl Image {
    /// Size of everything that a registry stores of it, bytes.
    pub fn compressed_bytes(&self) -> u64 {
        self.manifest.len() as u64
            + self.config.size_bytes
            + self.layers.iter().map(|layer| layer.blob.size_bytes).sum::<u64>()
    }

    /// Its configuration, parsed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn parsed_config(&self) -> Result<document::ImageConfig, ImageError> {
        let bytes = self.config.read()?;
        serde_json::from_slice(&bytes).map_err(|error| ImageError::Broken {
            what: "the image's configuration".into(),
            problem: error.to_string(),
        })
    }
}
