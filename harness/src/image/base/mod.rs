//! Reads an image that is already there: a layout folder, an archive, or a registry's.
//!
//! Every blob is compared with its digest, and every layer with what the configuration says that it
//! unpacks to. Large blobs stay in their files, or go to a scratch folder.

mod archive;
mod docker;
mod layout;
mod pulled;

use std::path::Path;

use super::{
    Blob, Image, ImageError, Layer,
    blob::digest,
    config,
    document::{self, Descriptor, ImageConfig, Manifest},
    registry::RegistryOptions,
    scratch::Scratch,
};

/// An image to build on.
#[derive(Debug, Clone)]
pub struct Base {
    /// As the user named it, for messages.
    pub name: String,
    /// The reference, if it came from a registry.
    pub reference: Option<String>,
    /// Digest that the base has where it came from; that of the configuration for a Docker archive,
    /// which has no manifest.
    pub digest: String,
    /// The image.
    pub image: Image,
}

/// Reads an image from a layout folder, an archive (`.tar`), or a registry.
///
/// What exists as a path is taken as one; anything else is a reference.
///
/// # Errors
/// If it cannot be found or read, or is damaged.
pub async fn load(
    name: &str,
    architecture: &str,
    options: &RegistryOptions,
    say: &dyn Fn(&str),
) -> Result<Base, ImageError> {
    if Path::new(name).exists() {
        return load_path(Path::new(name), architecture);
    }
    if name.starts_with(['/', '.', '~']) || Path::new(name).extension().is_some_and(|e| e == "tar") {
        return Err(ImageError::Usage(format!(
            "there is no file or folder {name}; name an OCI layout folder, an image archive (.tar), or a reference \
             such as REGISTRY/NAME:TAG"
        )));
    }
    pulled::load(name, architecture, options, say).await
}

/// Reads an image from a layout folder or an archive.
///
/// # Errors
/// If it is none, or is damaged.
pub fn load_path(path: &Path, architecture: &str) -> Result<Base, ImageError> {
    if path.is_dir() {
        return layout::load(path, architecture);
    }
    let archive = archive::Archive::open(path)?;
    if archive.has("index.json") {
        oci(path.display().to_string(), architecture, &archive)
    } else {
        docker::load(path.display().to_string(), &archive)
    }
}

/// Where the blobs of an image lie.
trait Blobs {
    /// The index.
    fn index(&self) -> Result<Vec<u8>, ImageError>;
    /// A blob that a descriptor points to; not yet compared with its digest.
    fn blob(&self, descriptor: &Descriptor) -> Result<Blob, ImageError>;
}

/// The image of an OCI layout for this architecture.
fn oci(name: String, architecture: &str, blobs: &impl Blobs) -> Result<Base, ImageError> {
    let unreadable = |error: serde_json::Error| ImageError::broken(&name, error);
    let mut candidates: Vec<Descriptor> =
        serde_json::from_slice::<document::Index>(&blobs.index()?).map_err(unreadable)?.manifests;
    // An image for several machines is an index in the index.
    for _ in 0..4 {
        let chosen = choose(&name, &candidates, architecture)?;
        let blob = blobs.blob(&chosen)?;
        blob.check()?;
        let bytes = blob.read()?;
        if chosen.media_type == document::INDEX || chosen.media_type == document::DOCKER_LIST {
            candidates = serde_json::from_slice::<document::Index>(&bytes).map_err(unreadable)?.manifests;
            continue;
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let config = blobs.blob(&manifest.config)?;
        config.check()?;
        let layers = manifest.layers.iter().map(|layer| blobs.blob(layer)).collect::<Result<Vec<_>, _>>()?;
        let mut image = image(&name, &manifest, config, layers, vec![])?;
        // Kept as it is, so that it can be sent on with the digest that it has.
        image.digest = digest(&bytes);
        image.manifest = bytes;
        return Ok(Base { digest: image.digest.clone(), reference: None, image, name });
    }
    Err(ImageError::broken(&name, "its indexes point to indexes without an end"))
}

/// The only image, or the only one for this architecture.
fn choose(name: &str, candidates: &[Descriptor], architecture: &str) -> Result<Descriptor, ImageError> {
    let fits = |d: &&Descriptor| {
        d.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == architecture)
    };
    match candidates {
        [] => Err(ImageError::broken(name, "it holds no image")),
        [only] => Ok(only.clone()),
        several => match several.iter().filter(fits).collect::<Vec<_>>()[..] {
            [one] => Ok(one.clone()),
            [] => Err(ImageError::broken(
                name,
                format!("none of its {} images says that it is for linux/{architecture}", several.len()),
            )),
            _ => Err(ImageError::broken(
                name,
                format!(
                    "it holds several images for linux/{architecture}; copy one of them with `skopeo copy`"
                ),
            )),
        },
    }
}

/// An image of parts whose layers are compared with the configuration here.
fn image(
    name: &str,
    manifest: &Manifest,
    config: Blob,
    blobs: Vec<Blob>,
    scratch: Vec<std::sync::Arc<Scratch>>,
) -> Result<Image, ImageError> {
    let parsed: ImageConfig =
        serde_json::from_slice(&config.read()?).map_err(|error| ImageError::broken(name, error))?;
    if parsed.rootfs.diff_ids.len() != blobs.len() {
        return Err(ImageError::broken(
            name,
            format!(
                "it has {} layers, but its configuration tells of {}",
                blobs.len(),
                parsed.rootfs.diff_ids.len()
            ),
        ));
    }
    let told =
        parsed.history.iter().filter(|entry| !entry.empty_layer).map(|entry| entry.created_by.as_deref());
    // Too short a history says nothing of the last layers.
    let mut told = told.chain(std::iter::repeat(None));
    let mut layers = Vec::new();
    for ((blob, descriptor), diff_id) in blobs.into_iter().zip(&manifest.layers).zip(&parsed.rootfs.diff_ids)
    {
        let mut layer = Layer {
            blob,
            media_type: layer_media_type(name, &descriptor.media_type)?.into(),
            diff_id: diff_id.clone(),
            uncompressed_bytes: None,
            holds: told.next().flatten().and_then(config::holds).unwrap_or("base").into(),
        };
        layer.check()?;
        layers.push(layer);
    }
    let bytes = config.read()?;
    let mut image = super::build::assemble(&bytes, layers, &parsed.architecture, scratch);
    image.config = config;
    Ok(image)
}

/// The OCI name of a layer's media type, Docker's names included: the bytes are the same.
fn layer_media_type(name: &str, given: &str) -> Result<&'static str, ImageError> {
    match given {
        document::LAYER_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(document::LAYER_GZIP)
        }
        document::LAYER_TAR | "application/vnd.docker.image.rootfs.diff.tar" => Ok(document::LAYER_TAR),
        document::LAYER_ZSTD | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Ok(document::LAYER_ZSTD)
        }
        other => Err(ImageError::broken(
            name,
            format!("it has a layer of the type {other}, which is not known here"),
        )),
    }
}
