//! The harness's own way into an object storage: it uploads a run's inputs and removes them again.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt as _, PutOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::{experiment::ObjectStore as Choice, secret::Secret};

/// Above all runs' folders in a bucket.
pub const FOLDER: &str = "testbed";
/// Deadline of one transfer, its retries included.
const LIMIT: Duration = Duration::from_secs(30);
/// Objects that are removed side by side.
const AT_ONCE: usize = 8;

/// The folder of a run in its bucket.
pub fn folder_of(run: &str) -> String {
    // Names of runs are names of folders: they hold no slash, and are neither '.' nor '..'.
    format!("{FOLDER}/{run}")
}

/// A key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Access key id.
    pub access_key: Secret,
    /// Secret access key.
    pub secret_key: Secret,
}

impl KeyPair {
    /// The one in the environment.
    ///
    /// # Errors
    /// If it is not there; there is no flag for it, since command lines are seen by everybody.
    pub fn from_env() -> anyhow::Result<Self> {
        let of = |name: &str| {
            let found = std::env::var(name).ok().filter(|text| !text.is_empty());
            found.map(Secret::new).with_context(|| {
                format!(
                    "{name} is not set: the object storage takes uploads only from who has a key; export it"
                )
            })
        };
        Ok(Self { access_key: of("AWS_ACCESS_KEY_ID")?, secret_key: of("AWS_SECRET_ACCESS_KEY")? })
    }
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    /// What people call it: address and name.
    name: String,
}

impl Bucket {
    /// A bucket at an address; connects to nothing yet.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(endpoint: &str, region: &str, bucket: &str, keys: &KeyPair) -> anyhow::Result<Self> {
        crate::crypto::choose_provider();
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_region(region)
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(false)
            .with_access_key_id(keys.access_key.reveal())
            .with_secret_access_key(keys.secret_key.reveal())
            // One request an object: not every storage has DeleteObjects.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig { max_retries: 3, retry_timeout: LIMIT, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(LIMIT))
            .build()
            .with_context(|| format!("the bucket {bucket} at {endpoint} cannot be used"))?;
        Ok(Self { store: Arc::new(store), name: format!("bucket {bucket} at {endpoint}") })
    }

    /// The bucket of a cluster's storage, from this machine, with the key of the environment.
    ///
    /// # Errors
    /// Without a key in the environment, or if the client cannot be made.
    pub fn of_cluster(choice: &Choice) -> anyhow::Result<Self> {
        Self::new(choice.from_here(), choice.region(), &choice.bucket, &KeyPair::from_env()?)
    }

    /// Writes an object and returns its etag.
    ///
    /// # Errors
    /// If the storage does not take it; the message names bucket and remedy.
    pub async fn put(&self, key: &str, bytes: Bytes, content_type: &str) -> anyhow::Result<Option<String>> {
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type.to_owned())]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        let put = self.store.put_opts(&Path::parse(key)?, bytes.into(), options).await;
        Ok(put.with_context(|| self.remedy("cannot be written to"))?.e_tag)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If it is not there or the storage fails.
    pub async fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        let found =
            self.store.get(&Path::parse(key)?).await.with_context(|| self.remedy("cannot be read"))?;
        found.bytes().await.with_context(|| self.remedy("cannot be read"))
    }

    /// Keys below a folder.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn keys_below(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let found: Vec<_> = self
            .store
            .list(Some(&Path::parse(folder)?))
            .try_collect()
            .await
            .with_context(|| self.remedy("cannot be listed"))?;
        Ok(found.into_iter().map(|object| object.location.to_string()).collect())
    }

    /// Removes everything below a folder, and says how many objects that were.
    ///
    /// # Errors
    /// If the storage fails; what is left then is found again by the same call.
    pub async fn remove_below(&self, folder: &str) -> anyhow::Result<usize> {
        let keys = self.keys_below(folder).await?;
        let count = keys.len();
        futures_util::stream::iter(keys)
            .map(
                |key| async move { self.store.delete(&Path::parse(key)?).await.map_err(anyhow::Error::from) },
            )
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await
            .with_context(|| self.remedy("cannot be cleaned"))?;
        Ok(count)
    }

    fn remedy(&self, what: &str) -> String {
        format!(
            "{} {what}; check the address, that the bucket is there, and the rights of its key",
            self.name
        )
    }
}
