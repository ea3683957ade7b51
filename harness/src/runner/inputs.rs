//! Inputs by reference: a run's payloads are uploaded once, and references to them are sent.
//!
//! On the twin the storage is a process of this run's own; on a cluster it is the one that the
//! experiment names. Everything lies below `testbed/RUN/` and is removed at the end.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::prepare::Prepared;
use crate::{
    bucket::{Bucket, KeyPair, folder_of},
    drive::Payload,
    experiment::{Experiment, Site, Via},
    platforms::twin::s3::{REGION, S3Process},
    secret::Secret,
};

/// Media type by which our function knows a reference; the same stands in `function/README.md`.
pub const REFERENCE: &str = "application/vnd.testbed.reference+json";
/// Bucket of the twin's storage.
const TWIN_BUCKET: &str = "testbed";

/// A run's inputs in a storage.
#[derive(Debug)]
pub struct StoredInputs {
    bucket: Bucket,
    folder: String,
    /// The twin's storage; it and all that is in it ends with this.
    process: Option<S3Process>,
}

/// Uploads the payloads and notes what is to be sent instead, where the experiment wants that.
///
/// # Errors
/// If there is no storage, or it does not take them; the message names the remedy.
pub async fn store(
    experiment: &Experiment,
    prepared: &mut Prepared,
    run: &str,
    say: &dyn Fn(&str),
) -> anyhow::Result<Option<StoredInputs>> {
    let function = &experiment.function;
    if function.inputs == Via::Request {
        return Ok(None);
    }
    let Place { bucket, name: bucket_name, at, process } = place(experiment).await?;
    if let Some(process) = &process {
        prepared.spec.env.extend(process.function_environment());
        prepared.notices.push(
            "Inputs come by reference from an object storage that the twin embeds: in memory, on this machine, \
             beside the functions. A real one costs more."
                .to_owned(),
        );
    }
    let stored = StoredInputs { bucket, folder: folder_of(run), process };
    let mut upload = Upload {
        stored: &stored,
        bucket: &bucket_name,
        write_back: function.results == Via::Storage,
        known: BTreeMap::new(),
    };
    let uploaded = upload.all(prepared).await;
    let known = upload.known;
    if let Err(error) = uploaded {
        // What did arrive is taken away again; the first error is the one to tell.
        let _ = stored.remove().await;
        return Err(error);
    }
    say(&format!("{} in the object storage ({at}), below {}", objects(known.len()), stored.folder));
    prepared.facts["storage"] = json!({
        "at": at,
        "bucket": bucket_name,
        "folder": stored.folder,
        "results_written_back": function.results == Via::Storage,
        "bytes_in": known.values().map(|object| (object.name.clone(), object.bytes.into())).collect::<BTreeMap<String, Value>>(),
    });
    Ok(Some(stored))
}

/// A bucket that takes uploads.
struct Place {
    bucket: Bucket,
    /// The bucket's name.
    name: String,
    /// The storage, for people.
    at: String,
    /// The twin's storage.
    process: Option<S3Process>,
}

/// Starts the twin's storage, or finds the cluster's.
async fn place(experiment: &Experiment) -> anyhow::Result<Place> {
    match experiment.on {
        Site::Twin => {
            let process = S3Process::start(&own_binary()?, TWIN_BUCKET)
                .await
                .map_err(|cause| anyhow!("the twin's object storage did not start: {cause}"))?;
            let keys = process.credentials();
            let (access_key, secret_key) = (Secret::new(&keys.access_key), Secret::new(&keys.secret_key));
            let keys = KeyPair { access_key, secret_key };
            let bucket = Bucket::new(&process.endpoint(), REGION, TWIN_BUCKET, &keys)?;
            let at = "the twin's own, in memory".to_owned();
            Ok(Place { bucket, name: TWIN_BUCKET.to_owned(), at, process: Some(process) })
        }
        Site::Cluster => {
            let choice = experiment.cluster.object_store.as_ref();
            let choice = choice.context("no object storage is named; give --s3-endpoint and --s3-bucket")?;
            let bucket = Bucket::of_cluster(choice)?;
            Ok(Place { bucket, name: choice.bucket.clone(), at: choice.endpoint.clone(), process: None })
        }
    }
}

impl StoredInputs {
    /// Takes away everything that the run put into the storage, results included.
    ///
    /// # Errors
    /// In words, with the command that tries again.
    pub async fn remove(&self) -> Result<(), String> {
        if self.process.is_some() {
            return Ok(());
        }
        self.bucket.remove_below(&self.folder).await.map(drop).map_err(|error| {
            format!(
                "the run's objects below {} stay behind, remove them with `harness clean`: {error:#}",
                self.folder
            )
        })
    }
}

/// An object that was uploaded.
struct Uploaded {
    name: String,
    bytes: usize,
    etag: Option<String>,
}

struct Upload<'a> {
    stored: &'a StoredInputs,
    bucket: &'a str,
    write_back: bool,
    /// By digest of content and media type: the same content lies there once.
    known: BTreeMap<String, Uploaded>,
}

impl Upload<'_> {
    async fn all(&mut self, prepared: &mut Prepared) -> anyhow::Result<()> {
        for sent in std::iter::once(&mut prepared.sent).chain(prepared.by_load.values_mut()) {
            sent.references = Some(self.each(&sent.payloads).await?);
        }
        Ok(())
    }

    async fn each(&mut self, payloads: &[Payload]) -> anyhow::Result<Arc<[Payload]>> {
        let mut references = Vec::with_capacity(payloads.len());
        for payload in payloads {
            references.push(self.one(payload).await?);
        }
        Ok(references.into())
    }

    /// Uploads a payload, unless the same lies there already, and refers to it.
    async fn one(&mut self, payload: &Payload) -> anyhow::Result<Payload> {
        let kind = models::sha256_hex(payload.content_type.as_bytes());
        let digest = format!("{}-{}", models::sha256_hex(&payload.body), &kind[..8]);
        let folder = &self.stored.folder;
        let key = format!("{folder}/inputs/{digest}");
        if !self.known.contains_key(&digest) {
            let etag = self.stored.bucket.put(&key, payload.body.clone(), &payload.content_type).await?;
            let uploaded = Uploaded { name: payload.name.clone(), bytes: payload.body.len(), etag };
            self.known.insert(digest.clone(), uploaded);
        }
        let mut object = json!({ "bucket": self.bucket, "key": key });
        if let Some(etag) = self.known.get(&digest).and_then(|object| object.etag.as_ref()) {
            // An object that somebody replaces during the run is then a failure with a name.
            object["etag"] = etag.as_str().into();
        }
        let mut reference = json!({ "object": object });
        if self.write_back {
            reference["result"] =
                json!({ "bucket": self.bucket, "key": format!("{folder}/results/{digest}") });
        }
        Ok(Payload {
            name: payload.name.clone(),
            content_type: REFERENCE.to_owned(),
            body: reference.to_string().into(),
        })
    }
}

fn objects(count: usize) -> String {
    if count == 1 { "1 input lies".to_owned() } else { format!("{count} inputs lie") }
}

/// The running binary, which has the `serve-s3` command.
fn own_binary() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("the harness does not know its own file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(name: &str, body: &'static [u8]) -> Payload {
        Payload { name: name.into(), content_type: "image/png".into(), body: body.into() }
    }

    async fn stored() -> (crate::platforms::twin::s3::Server, StoredInputs) {
        use crate::platforms::twin::s3::{Credentials, Server, Store};
        let credentials = Credentials::random();
        let keys = KeyPair {
            access_key: Secret::new(&credentials.access_key),
            secret_key: Secret::new(&credentials.secret_key),
        };
        let store = Arc::new(Store::new(&["inputs".into()], 1 << 20));
        let server = Server::start(credentials, store).await.unwrap();
        let bucket = Bucket::new(&format!("http://{}", server.address()), REGION, "inputs", &keys).unwrap();
        (server, StoredInputs { bucket, folder: folder_of("run-1"), process: None })
    }

    #[tokio::test]
    async fn the_same_content_lies_there_once_and_everything_is_removed() {
        let (_server, stored) = stored().await;
        let mut upload =
            Upload { stored: &stored, bucket: "inputs", write_back: true, known: BTreeMap::new() };
        let sent = upload
            .each(&[payload("a", b"same"), payload("b", b"same"), payload("c", b"other")])
            .await
            .unwrap();
        assert_eq!(sent.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(sent[0].body, sent[1].body);
        assert_ne!(sent[0].body, sent[2].body);
        assert!(sent.iter().all(|p| p.content_type == REFERENCE));

        let reference: Value = serde_json::from_slice(&sent[2].body).unwrap();
        let key = reference["object"]["key"].as_str().unwrap();
        assert!(key.starts_with("testbed/run-1/inputs/"), "{key}");
        assert_eq!(stored.bucket.get(key).await.unwrap(), "other");
        let result = reference["result"]["key"].as_str().unwrap();
        stored.bucket.put(result, "{}".into(), "application/json").await.unwrap();
        stored.bucket.put("testbed/run-10/inputs/x", "y".into(), "text/plain").await.unwrap();

        assert_eq!(stored.bucket.keys_below("testbed/run-1").await.unwrap().len(), 3);
        stored.remove().await.unwrap();
        let left = stored.bucket.keys_below("testbed").await.unwrap();
        assert_eq!(left, ["testbed/run-10/inputs/x"], "another run's objects stay");
    }
}
