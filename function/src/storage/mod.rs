//! Inputs by reference: the request names an object of an S3 storage instead of holding it, and may
//! ask for the result to be written back (as SeBS does with `bucket` and `key`).
//!
//! One rule decides: the content type [`MEDIA_TYPE`]. An ordinary JSON body is never guessed at. The
//! server resolves a reference before the inference pool, so no workload knows where its input came
//! from, and the transfers are stages of their own: `download` and `upload`.
//!
//! Only buckets that a setting names are ever asked for, at the one address that another names: a
//! caller chooses a key and nothing else.

#[cfg(feature = "storage")]
mod client;
#[cfg(not(feature = "storage"))]
#[path = "absent.rs"]
mod client;
mod reference;
mod settings;

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

pub use reference::{Place, Reference};
pub use settings::Settings;

use crate::body;
use crate::error::Problem;
use crate::telemetry::Telemetry;
use crate::workloads::{Answer, Input};

/// Media type of a body that names its input instead of holding it.
pub const MEDIA_TYPE: &str = "application/vnd.testbed.reference+json";

/// Media type of a result that is JSON.
const JSON: &str = "application/json";

/// Why an input did not come, or a result was not kept. The texts are shown to the caller; none holds
/// a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The reference makes no sense.
    #[error("{0}")]
    BadReference(String),
    /// The bucket is none of those that may be asked for.
    #[error("{0}")]
    NotAllowed(String),
    /// There is no such object, or no such bucket.
    #[error("there is no object {0}; upload it first, and check bucket and key")]
    NotFound(Place),
    /// The object is not the one that the reference's etag names.
    #[error(
        "the object {0} is not the one whose etag the reference names: it was replaced since; refer to the new one"
    )]
    Changed(Place),
    /// The object is longer than an input may be.
    #[error(
        "the object {place} has more than {limit_bytes} bytes; refer to a smaller one, or start the function with a higher MAX_BODY_BYTES"
    )]
    TooLarge {
        /// Which object.
        place: Place,
        /// `MAX_BODY_BYTES`.
        limit_bytes: usize,
    },
    /// The storage refuses, fails or does not answer.
    #[error("{0}")]
    Failed(String),
}

/// An object's content, with what the storage says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) etag: Option<String>,
    /// Requests that had to be made again.
    pub(crate) retries: u32,
}

/// The way to the object storage; without settings there is none, and references are refused.
#[derive(Debug, Default)]
pub struct Storage {
    client: Option<client::Client>,
}

impl Storage {
    /// Makes it ready; connects to nothing yet.
    ///
    /// # Errors
    /// If the client cannot be made, such as from a certificate file that holds none.
    pub fn new(settings: Option<&Settings>) -> anyhow::Result<Self> {
        Ok(Self { client: settings.map(client::Client::new).transpose()? })
    }

    /// Buckets that references may name.
    pub fn buckets(&self) -> Vec<&str> {
        self.client.as_ref().map(client::Client::buckets).unwrap_or_default()
    }

    /// Fetches the input where the request only names it. An input that is there already comes back
    /// as it is, without a [`Transfer`].
    ///
    /// # Errors
    /// See [`StorageError`]; and as [`body::read`] where the object is a form.
    pub async fn resolve(
        &self,
        sent: Input,
        limit_bytes: usize,
    ) -> Result<(Input, Option<Transfer>), Problem> {
        if !is_reference(sent.content_type.as_deref()) {
            return Ok((sent, None));
        }
        let started = Instant::now();
        let reference = Reference::parse(&sent.body)?;
        let client = self.client.as_ref().ok_or_else(|| {
            StorageError::NotAllowed(
                "this function takes no inputs by reference; start it with S3_ALLOWED_BUCKETS and S3_ENDPOINT, or send \
                 the input itself"
                    .to_owned(),
            )
        })?;
        if let Some(result) = &reference.result {
            client.check(&result.bucket)?;
        }
        let object = client.get(&reference.object, reference.etag.as_deref(), limit_bytes).await?;
        let bytes_in = object.bytes.len();
        let input = body::of_object(object.bytes, object.content_type, limit_bytes).await?;
        let input = Input { attributes: sent.attributes, ..input };
        let transfer = Transfer {
            result: reference.result,
            bytes_in,
            etag: object.etag,
            download: started.elapsed(),
            retries: object.retries,
            written: None,
        };
        Ok((input, Some(transfer)))
    }
}

/// Whether a content type says that the body is a reference; parameters such as a charset do not matter.
fn is_reference(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

/// What was moved for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    result: Option<Place>,
    bytes_in: usize,
    etag: Option<String>,
    download: Duration,
    retries: u32,
    written: Option<Written>,
}

/// A result that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    bytes: usize,
    etag: Option<String>,
    took: Duration,
}

impl Transfer {
    /// Writes the workload's answer back, if the reference asks for it: the document, or the JSON
    /// members without instance and timing, which belong to this request and not to the result.
    ///
    /// # Errors
    /// If the storage does not take it.
    pub async fn write_back(&mut self, storage: &Storage, answer: &Answer) -> Result<(), StorageError> {
        let (Some(place), Some(client)) = (&self.result, &storage.client) else { return Ok(()) };
        let started = Instant::now();
        let (bytes, content_type) = match &answer.document {
            Some(document) => (document.bytes.clone(), document.content_type),
            None => (Value::Object(answer.body.clone()).to_string().into(), JSON),
        };
        let length = bytes.len();
        let put = client.put(place, bytes, content_type).await?;
        self.retries += put.retries;
        self.written = Some(Written { bytes: length, etag: put.etag, took: started.elapsed() });
        Ok(())
    }

    /// The transfers as stages: the first one before the queue, the second one after the work.
    pub fn stages(&self) -> (Duration, Option<Duration>) {
        (self.download, self.written.as_ref().map(|written| written.took))
    }

    /// Counts bytes and retries.
    pub fn count(&self, telemetry: &Telemetry) {
        telemetry.moved(
            self.bytes_in,
            self.written.as_ref().map_or(0, |written| written.bytes),
            self.retries,
        );
    }

    /// Says in the answer what was moved: as the member `storage`, and in a header for answers that
    /// are no JSON.
    pub fn tell(&self, answer: &mut Answer) {
        let bytes_out = self.written.as_ref().map_or(0, |written| written.bytes);
        let result = self.result.as_ref().zip(self.written.as_ref()).map(
            |(place, written)| json!({ "bucket": place.bucket, "key": place.key, "etag": written.etag }),
        );
        let (bytes_in, retries) = (self.bytes_in, self.retries);
        answer
            .headers
            .push(("X-Storage", format!("bytes_in={bytes_in}, bytes_out={bytes_out}, retries={retries}")));
        answer.body.insert(
            "storage".to_owned(),
            json!({ "bytes_in": bytes_in, "bytes_out": bytes_out, "etag": self.etag, "retries": retries,
                    "result": result }),
        );
    }
}

/// What comes of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) etag: Option<String>,
    pub(crate) retries: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Document;

    fn reference(body: &'static str, content_type: &str) -> Input {
        Input { content_type: Some(content_type.to_owned()), ..Input::from(body.as_bytes()) }
    }

    #[actix_web::test]
    async fn an_ordinary_json_body_is_never_taken_for_a_reference() {
        let body = r#"{"object":{"bucket":"b","key":"k"}}"#;
        for kind in ["application/json", "application/vnd.testbed.reference", "text/plain"] {
            let sent = reference(body, kind);
            let (input, transfer) = Storage::default().resolve(sent.clone(), 100).await.unwrap();
            assert_eq!((input, transfer), (sent, None), "{kind}");
        }
    }

    #[actix_web::test]
    async fn without_settings_a_reference_is_refused_and_the_setting_is_named() {
        for kind in [MEDIA_TYPE, "Application/VND.testbed.reference+JSON ; charset=utf-8"] {
            let sent = reference(r#"{"object":{"bucket":"b","key":"k"}}"#, kind);
            let refused = Storage::default().resolve(sent, 100).await.unwrap_err();
            let Problem::Storage(StorageError::NotAllowed(detail)) = refused else { panic!("{refused:?}") };
            assert!(detail.contains("S3_ALLOWED_BUCKETS"), "{detail}");
        }
    }

    #[test]
    fn the_answer_says_what_was_moved_also_where_it_is_no_json() {
        let transfer = Transfer {
            result: Some(Place { bucket: "b".into(), key: "out/ä".into() }),
            bytes_in: 7,
            etag: Some("\"e\"".into()),
            download: Duration::from_millis(2),
            retries: 1,
            written: Some(Written { bytes: 5, etag: None, took: Duration::from_millis(3) }),
        };
        let document = Document { content_type: "application/pdf", bytes: "%PDF-".into() };
        let mut answer = Answer { document: Some(document), ..Answer::default() };
        transfer.tell(&mut answer);
        assert_eq!(answer.headers, [("X-Storage", "bytes_in=7, bytes_out=5, retries=1".to_owned())]);
        assert_eq!(
            answer.body["storage"],
            json!({ "bytes_in": 7, "bytes_out": 5, "etag": "\"e\"", "retries": 1,
                    "result": { "bucket": "b", "key": "out/ä", "etag": null } })
        );
        assert_eq!(transfer.stages(), (Duration::from_millis(2), Some(Duration::from_millis(3))));
    }
}
