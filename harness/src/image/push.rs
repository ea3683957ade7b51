//! Sends an image to a registry: what is not there yet, then the manifest.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    Blob, Image, ImageError,
    blob::{short, size_text},
    document::{self, Manifest},
    reference::Reference,
    registry::{Purpose, Registry, RegistryOptions},
};

/// Size of the pieces that a blob is read in, bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// How often a long transfer says how far it is.
const TICK: Duration = Duration::from_secs(3);

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// `REGISTRY/NAME@sha256:...`.
    pub reference: String,
    /// The name with its tag.
    pub tagged: String,
    /// Digest of the image.
    pub digest: String,
    /// Blobs that were sent.
    pub sent_blobs: usize,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Blobs that were there already.
    pub present_blobs: usize,
}

/// Sends an image. `say` gets a line a blob, and one every few seconds of a long transfer.
///
/// # Errors
/// If the registry cannot be reached, refuses, or in the end has another digest.
pub async fn push(
    image: &Image,
    to: &Reference,
    options: &RegistryOptions,
    say: &dyn Fn(&str),
) -> Result<Pushed, ImageError> {
    if let Some(digest) = to.digest() {
        return Err(ImageError::Reference {
            reference: to.to_string(),
            problem: format!("a push goes to a tag; leave @{digest} out, it follows from the image"),
        });
    }
    let registry = Registry::connect(to, options, Purpose::Push, None).await?;
    let mut pushed = Pushed {
        reference: to.pinned(&image.digest),
        tagged: to.to_string(),
        digest: image.digest.clone(),
        sent_blobs: 0,
        sent_bytes: 0,
        present_blobs: 0,
    };
    let layers = image.layers.iter().map(|layer| (&layer.blob, layer.holds.as_str()));
    let mut seen = BTreeSet::new();
    for (blob, holds) in layers.chain([(&image.config, "configuration")]) {
        // The same layer twice is one blob.
        if !seen.insert(&blob.digest) {
            continue;
        }
        let label = format!("{}  {:>9}  {holds}", short(&blob.digest), size_text(blob.size_bytes));
        if registry.has_blob(&blob.digest).await? {
            pushed.present_blobs += 1;
            say(&format!("there  {label}"));
        } else {
            send(&registry, blob, say).await?;
            pushed.sent_blobs += 1;
            pushed.sent_bytes += blob.size_bytes;
            say(&format!("sent   {label}"));
        }
    }
    let media_type = serde_json::from_slice::<Manifest>(&image.manifest)
        .map(|manifest| manifest.media_type)
        .ok()
        .filter(|media_type| !media_type.is_empty());
    registry
        .send_manifest(image.manifest.clone(), media_type.as_deref().unwrap_or(document::MANIFEST))
        .await?;
    let found = registry.digest().await?;
    if found != image.digest {
        return Err(ImageError::Registry {
            registry: to.registry().into(),
            cause: format!(
                "it stored {found} instead of {}: it changed the image, or somebody else pushed",
                image.digest
            ),
        });
    }
    Ok(pushed)
}

/// Sends one blob, saying now and then how far it is.
async fn send(registry: &Registry, blob: &Blob, say: &dyn Fn(&str)) -> Result<(), ImageError> {
    let passed = Arc::new(AtomicU64::new(0));
    let chunks = Chunks { reader: blob.open()?, passed: Arc::clone(&passed) };
    let sending = registry.send_blob(&blob.digest, blob.size_bytes, chunks);
    tokio::pin!(sending);
    let mut tick = tokio::time::interval(TICK);
    tick.tick().await;
    loop {
        tokio::select! {
            sent = &mut sending => return sent,
            _ = tick.tick() => {
                let share = 100.0 * passed.load(Ordering::Relaxed) as f64 / blob.size_bytes.max(1) as f64;
                say(&format!("       {}  {share:.0} %", short(&blob.digest)));
            }
        }
    }
}

/// A reader's bytes in pieces. Reading blocks, but from memory or a local file, and a piece at a time.
struct Chunks {
    reader: Box<dyn Read + Send>,
    passed: Arc<AtomicU64>,
}

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = vec![0; CHUNK_BYTES];
        match self.reader.read(&mut chunk) {
            Ok(0) => None,
            Ok(n) => {
                chunk.truncate(n);
                self.passed.fetch_add(n as u64, Ordering::Relaxed);
                Some(Ok(chunk.into()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
