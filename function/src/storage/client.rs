//! The S3 client: one store for each allowed bucket, over one HTTP client that follows no redirect
//! and no proxy, so that a request goes to the endpoint of the settings or nowhere.
//!
//! Retries are object_store's (5xx, refused and broken connections, back-off), bounded by a number and
//! by the transfer's deadline; requests are counted where they leave, so that an answer can tell them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, GetOptions, ObjectStore as _, PutOptions,
    RetryConfig,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{Object, Place, Put, Settings, StorageError};

/// First pause before a retry; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause before a retry.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The stores, by bucket.
#[derive(Debug)]
pub(super) struct Client {
    stores: BTreeMap<String, AmazonS3>,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let http = Http(http_client(settings)?);
        let store = |bucket: &String| {
            let built = AmazonS3Builder::new()
                .with_endpoint(&settings.endpoint)
                .with_allow_http(true)
                .with_virtual_hosted_style_request(false)
                .with_region(&settings.region)
                .with_bucket_name(bucket)
                .with_access_key_id(&settings.access_key_id)
                .with_secret_access_key(&settings.secret_access_key)
                .with_retry(RetryConfig {
                    backoff: BackoffConfig {
                        init_backoff: FIRST_PAUSE,
                        max_backoff: LONGEST_PAUSE,
                        base: 2.0,
                    },
                    max_retries: settings.retries,
                    retry_timeout: settings.timeout,
                })
                .with_http_connector(http.clone())
                .build();
            built.map(|store| (bucket.clone(), store)).context("the object storage's client cannot be made")
        };
        let stores = settings.buckets.iter().map(store).collect::<anyhow::Result<_>>()?;
        Ok(Self { stores, timeout: settings.timeout })
    }

    pub(super) fn buckets(&self) -> Vec<&str> {
        self.stores.keys().map(String::as_str).collect()
    }

    /// Whether references may name this bucket.
    pub(super) fn check(&self, bucket: &str) -> Result<(), StorageError> {
        self.store(bucket).map(drop)
    }

    fn store(&self, bucket: &str) -> Result<&AmazonS3, StorageError> {
        self.stores.get(bucket).ok_or_else(|| {
            StorageError::NotAllowed(format!(
                "the bucket '{}' is not among the allowed ones; start the function with it in S3_ALLOWED_BUCKETS",
                bucket.escape_debug()
            ))
        })
    }

    /// Reads a whole object, never more of it than the limit.
    pub(super) async fn get(
        &self,
        place: &Place,
        etag: Option<&str>,
        limit_bytes: usize,
    ) -> Result<Object, StorageError> {
        let (store, path) = (self.store(&place.bucket)?, path(place)?);
        let options = GetOptions { if_match: etag.map(str::to_owned), ..GetOptions::default() };
        let read = async {
            let found = store.get_opts(&path, options).await?;
            let etag = found.meta.e_tag.clone();
            let content_type = found.attributes.get(&Attribute::ContentType).map(|kind| kind.to_string());
            let size = usize::try_from(found.meta.size).unwrap_or(usize::MAX);
            if size > limit_bytes {
                return Ok(None);
            }
            let mut bytes = BytesMut::with_capacity(size);
            let mut chunks = found.into_stream();
            while let Some(chunk) = chunks.next().await {
                bytes.extend_from_slice(&chunk?);
                if bytes.len() > limit_bytes {
                    return Ok(None);
                }
            }
            Ok(Some((bytes.freeze(), content_type, etag)))
        };
        let (found, retries) = self.within_limits(place, "read", read).await?;
        let (bytes, content_type, etag) =
            found.ok_or_else(|| StorageError::TooLarge { place: place.clone(), limit_bytes })?;
        Ok(Object { bytes, content_type, etag, retries })
    }

    /// Writes an object, replacing one that is there.
    pub(super) async fn put(
        &self,
        place: &Place,
        bytes: Bytes,
        content_type: &'static str,
    ) -> Result<Put, StorageError> {
        let (store, path) = (self.store(&place.bucket)?, path(place)?);
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type)]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        let write = store.put_opts(&path, bytes.into(), options);
        let (put, retries) = self.within_limits(place, "write", write).await?;
        Ok(Put { etag: put.e_tag, retries })
    }

    /// Carries out a transfer within its deadline, and tells how many requests were made again.
    async fn within_limits<T>(
        &self,
        place: &Place,
        verb: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<(T, u32), StorageError> {
        let seen = Seen::default();
        let counted = SEEN.scope(seen, async {
            let done = tokio::time::timeout(self.timeout, work).await;
            (done, SEEN.with(|seen| (seen.requests.get(), seen.status.get())))
        });
        let (done, (requests, status)) = counted.await;
        let retries = requests.saturating_sub(1);
        let failed = |cause: String| {
            let tries = if retries == 0 { String::new() } else { format!(", after {requests} requests") };
            StorageError::Failed(format!("the object storage did not {verb} {place}: {cause}{tries}"))
        };
        match done {
            Ok(Ok(done)) => Ok((done, retries)),
            Ok(Err(error)) => Err(match error {
                Error::NotFound { .. } => StorageError::NotFound(place.clone()),
                Error::Precondition { .. } => StorageError::Changed(place.clone()),
                // What the storage writes about signatures is not for callers.
                Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => failed(
                    "it refuses the function's credentials; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, S3_REGION \
                     and the rights of the key"
                        .to_owned(),
                ),
                other => failed(match status {
                    Some(status) if status >= 300 => format!("it answered with status {status}"),
                    _ => innermost(&other),
                }),
            }),
            Err(_) => Err(failed(format!(
                "no whole answer within {} s (S3_TIMEOUT_SECONDS)",
                self.timeout.as_secs()
            ))),
        }
    }
}

/// The key as the client's path. [`super::Reference`] refused what the two would read differently;
/// should they ever part, nothing is sent.
fn path(place: &Place) -> Result<Path, StorageError> {
    Path::parse(&place.key).ok().filter(|path| path.as_ref() == place.key).ok_or_else(|| {
        StorageError::BadReference(format!("the key of {place} cannot be asked for; use another key"))
    })
}

/// The first cause, which says what happened (`connection refused`); those around it repeat the URL.
fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What one transfer's requests came to.
#[derive(Debug, Default)]
struct Seen {
    requests: Cell<u32>,
    /// Status of the last answer; none while there is none.
    status: Cell<Option<u16>>,
}

tokio::task_local! {
    /// A transfer runs within one task, so its requests find this.
    static SEEN: Seen;
}

/// The HTTP client under all stores.
#[derive(Debug, Clone)]
struct Http(reqwest::Client);

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Outside of a transfer nobody counts.
        let _ = SEEN.try_with(|seen| {
            seen.requests.set(seen.requests.get() + 1);
            seen.status.set(None);
        });
        let answer = self.0.call(request).await?;
        let _ = SEEN.try_with(|seen| seen.status.set(Some(answer.status().as_u16())));
        Ok(answer)
    }
}

impl HttpConnector for Http {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

fn http_client(settings: &Settings) -> anyhow::Result<reqwest::Client> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = &settings.ca_file {
        let wrong =
            || format!("S3_CA_FILE={}: expected a readable file with certificates (PEM)", file.display());
        let certificates = CertificateDer::pem_file_iter(file).with_context(wrong)?;
        for certificate in certificates {
            roots.add(certificate.with_context(wrong)?).with_context(wrong)?;
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.timeout)
        .build();
    client.context("the HTTP client of the object storage cannot be made")
}
