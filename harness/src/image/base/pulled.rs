//! An image of a registry.

use super::{
    super::{
        reference::Reference,
        registry::{Purpose, Registry, RegistryOptions},
    },
    Base, Blob, Descriptor, ImageError, Manifest, Scratch, document, image,
    layout::blob_path,
};

/// Fetches an image; its layers go to a scratch folder.
pub(super) async fn load(
    name: &str,
    architecture: &str,
    options: &RegistryOptions,
    say: &dyn Fn(&str),
) -> Result<Base, ImageError> {
    let reference = Reference::parse(name)?;
    let registry = Registry::connect(&reference, options, Purpose::Pull, Some(architecture)).await?;
    let (pulled, digest) = registry.manifest().await?;
    let config = Blob::new(registry.small_blob(&pulled.config.digest).await?);
    let scratch = Scratch::new().map_err(ImageError::file(std::env::temp_dir()))?;
    let mut layers = Vec::new();
    for layer in &pulled.layers {
        let size_bytes = u64::try_from(layer.size).unwrap_or_default();
        say(&format!("fetching {} ({:.1} MB)", layer.digest, size_bytes as f64 / 1e6));
        let hex = blob_path(&layer.digest)?;
        let path = scratch.path().join(hex.trim_start_matches("blobs/sha256/"));
        registry.blob_to_file(&layer.digest, &path).await?;
        layers.push(Blob::in_file(path, 0, size_bytes, layer.digest.clone()));
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: document::MANIFEST.into(),
        config: config.descriptor(document::CONFIG),
        layers: pulled
            .layers
            .iter()
            .zip(&layers)
            .map(|(layer, blob)| Descriptor { ..blob.descriptor(&layer.media_type) })
            .collect(),
        annotations: std::collections::BTreeMap::new(),
    };
    let image = image(name, &manifest, config, layers, vec![scratch])?;
    Ok(Base { name: name.into(), reference: Some(reference.to_string()), digest, image })
}
