//! A connection to a registry: login, the calls that are used, and what its failures mean.

mod failure;
mod token;

use std::{path::Path, time::Duration};

use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{ImageIndexEntry, OciImageManifest},
    secrets::RegistryAuth,
};

use super::{
    ImageError,
    build::WORKLOAD_LABEL,
    credentials::{Credentials, LoginKind},
    reference::Reference,
};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a registry may be silent; storing a large layer takes some a while.
const SILENCE_LIMIT: Duration = Duration::from_mins(2);
/// How this program presents itself.
const USER_AGENT: &str = concat!("serverless-testbed-harness/", env!("CARGO_PKG_VERSION"));

/// How a registry is talked to.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Without TLS: only where the user asked for it.
    pub plain_http: bool,
    /// Who asks.
    pub credentials: Credentials,
}

/// An image that a registry has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Resolved {
    /// `REGISTRY/NAME@sha256:...`: the same image, whatever happens to the tag.
    pub reference: String,
    /// `sha256:...`.
    pub digest: String,
}

/// The same with stored credentials, over TLS or, if the registry speaks plain HTTP, over that: a
/// digest is a hash, whichever way it came.
///
/// # Errors
/// As [`resolve_digest`].
pub async fn find_digest(reference: &str) -> Result<Resolved, ImageError> {
    let asked = async |plain_http| {
        resolve_digest(reference, &RegistryOptions { plain_http, credentials: Credentials::default() }).await
    };
    match asked(false).await {
        Err(ImageError::PlainHttp { .. }) => asked(true).await,
        answer => answer,
    }
}

/// Asks a registry for the digest behind a name: of the manifest, or of the index where there is one.
///
/// # Errors
/// If it is no name, the registry cannot be reached or refuses, or has no such image.
pub async fn resolve_digest(reference: &str, options: &RegistryOptions) -> Result<Resolved, ImageError> {
    let reference = Reference::parse(reference)?;
    let registry = Registry::connect(&reference, options, Purpose::Pull, None).await?;
    let digest = registry.digest().await?;
    Ok(Resolved { reference: reference.pinned(&digest), digest })
}

/// The workload that an image of ours says it serves; none if it is no such image. With stored credentials.
///
/// # Errors
/// As [`resolve_digest`].
pub async fn find_workload(reference: &str) -> Result<Option<String>, ImageError> {
    let reference = Reference::parse(reference)?;
    let asked = async |plain_http| {
        let options = RegistryOptions { plain_http, credentials: Credentials::default() };
        let registry = Registry::connect(&reference, &options, Purpose::Pull, None).await?;
        let (manifest, _) = registry.manifest().await?;
        registry.small_blob(&manifest.config.digest).await
    };
    let config = match asked(false).await {
        Err(ImageError::PlainHttp { .. }) => asked(true).await?,
        answer => answer?,
    };
    // What is no JSON has no label either.
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    Ok(config["config"]["Labels"][WORKLOAD_LABEL].as_str().map(str::to_owned))
}

/// What a connection is for; registries give rights by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// A connection for one repository.
pub(super) struct Registry {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
    /// What a failure is explained with.
    context: failure::Context,
}

impl Registry {
    /// Connects and logs in.
    ///
    /// Images for several machines are resolved to the one for `architecture`; without one, to this
    /// machine's.
    pub(super) async fn connect(
        reference: &Reference,
        options: &RegistryOptions,
        purpose: Purpose,
        architecture: Option<&str>,
    ) -> Result<Self, ImageError> {
        crate::crypto::choose_provider();
        let login = options.credentials.login(reference)?;
        let context = failure::Context {
            registry: reference.registry().into(),
            reference: reference.to_string(),
            what: match purpose {
                Purpose::Pull => format!("to show {}", reference.repository()),
                Purpose::Push => format!("to take {}", reference.repository()),
            },
            who: login.as_ref().map(|login| login.who.clone()),
            plain_http: options.plain_http,
        };
        let mut config = ClientConfig {
            protocol: if options.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(SILENCE_LIMIT),
            // One request a blob, as containerd sends it; not every registry takes chunks.
            use_monolithic_push: true,
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        };
        if let Some(architecture) = architecture {
            let architecture = architecture.to_string();
            config.platform_resolver = Some(Box::new(move |entries| for_machine(entries, &architecture)));
        }
        let client = Client::try_from(config).map_err(|error| context.explain(error))?;
        let operation = match purpose {
            Purpose::Pull => RegistryOperation::Pull,
            Purpose::Push => RegistryOperation::Push,
        };
        let auth = match login.map(|login| login.kind) {
            None => RegistryAuth::Anonymous,
            Some(LoginKind::Password { username, password }) => {
                RegistryAuth::Basic(username, password.reveal().into())
            }
            Some(LoginKind::RegistryToken(token)) => RegistryAuth::Bearer(token.reveal().into()),
            Some(LoginKind::IdentityToken(token)) => {
                RegistryAuth::Bearer(token::exchange(&token, reference, options, purpose, &context).await?)
            }
        };
        client.auth(reference.oci(), &auth, operation).await.map_err(|error| context.explain(error))?;
        Ok(Self { client, reference: reference.clone(), auth, context })
    }

    /// Digest of the manifest, or of the index.
    pub(super) async fn digest(&self) -> Result<String, ImageError> {
        let answer = self.client.fetch_manifest_digest(self.reference.oci(), &self.auth).await;
        answer.map_err(|error| self.explain(error))
    }

    /// The manifest for the machine, and its digest.
    pub(super) async fn manifest(&self) -> Result<(OciImageManifest, String), ImageError> {
        let answer = self.client.pull_image_manifest(self.reference.oci(), &self.auth).await;
        answer.map_err(|error| self.explain(error))
    }

    /// A blob that fits into memory, compared with its digest.
    pub(super) async fn small_blob(&self, digest: &str) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let answer = self.client.pull_blob(self.reference.oci(), digest, &mut bytes).await;
        answer.map_err(|error| self.explain(error))?;
        Ok(bytes)
    }

    /// A blob into a new file, compared with its digest.
    pub(super) async fn blob_to_file(&self, digest: &str, path: &Path) -> Result<(), ImageError> {
        let file = tokio::fs::File::create(path).await.map_err(ImageError::file(path))?;
        let answer = self.client.pull_blob(self.reference.oci(), digest, file).await;
        answer.map_err(|error| self.explain(error))
    }

    /// Whether the repository has a blob.
    pub(super) async fn has_blob(&self, digest: &str) -> Result<bool, ImageError> {
        let answer = self.client.blob_exists(self.reference.oci(), digest).await;
        answer.map_err(|error| self.explain(error))
    }

    /// Sends a blob.
    pub(super) async fn send_blob(
        &self,
        digest: &str,
        size_bytes: u64,
        chunks: impl Iterator<Item = std::io::Result<bytes::Bytes>> + Send + 'static,
    ) -> Result<(), ImageError> {
        let chunks = chunks.map(|chunk| chunk.map_err(OciDistributionError::from));
        let answer = self
            .client
            .push_blob_stream(
                self.reference.oci(),
                futures_util::stream::iter(chunks),
                digest,
                Some(size_bytes),
            )
            .await;
        answer.map(|_| ()).map_err(|error| self.explain(error))
    }

    /// Sends a manifest, which gives the tag to it.
    pub(super) async fn send_manifest(
        &self,
        manifest: bytes::Bytes,
        media_type: &str,
    ) -> Result<(), ImageError> {
        let media_type = reqwest::header::HeaderValue::from_str(media_type)
            .map_err(|_| ImageError::broken(&self.reference, "its manifest's media type is unreadable"))?;
        let answer = self.client.push_manifest_raw(self.reference.oci(), manifest, media_type).await;
        answer.map(|_| ()).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: OciDistributionError) -> ImageError {
        self.context.explain(error)
    }
}

/// The image for Linux on this architecture.
fn for_machine(entries: &[ImageIndexEntry], architecture: &str) -> Option<String> {
    let fits = |entry: &&ImageIndexEntry| {
        entry.platform.as_ref().is_some_and(|platform| {
            platform.os.to_string() == "linux" && platform.architecture.to_string() == architecture
        })
    };
    entries.iter().find(fits).map(|entry| entry.digest.clone())
}
