//! Every way in which the function refuses, and what it looks like on the wire: the one place
//! where errors become HTTP statuses (RFC 9457, `application/problem+json`).

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use crate::pool::PoolError;
use crate::storage::StorageError;
use crate::workloads::WorkloadError;

/// What all problem types begin with.
pub const TYPE_PREFIX: &str = "urn:function:problem:";

/// When a refused caller may try again, seconds: the queue holds about half a second of work.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refusal. The texts are shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A request without a body.
    EmptyBody,
    /// The body cannot be read, or the form in it holds no input.
    UnreadableBody(String),
    /// A query parameter out of its range.
    BadParameter(String),
    /// A path that there is not.
    NotFound(String),
    /// A path that there is, asked in the wrong way.
    MethodNotAllowed {
        /// The methods that it takes.
        allow: &'static str,
    },
    /// The body is longer than this.
    BodyTooLarge {
        /// `MAX_BODY_BYTES`.
        limit_bytes: usize,
    },
    /// The input would take too much memory or time.
    InputTooLarge(String),
    /// The input is of a kind that the workload does not take.
    UnsupportedInput(String),
    /// The input is broken.
    DamagedInput(String),
    /// All inference threads are busy and the queue in front of them is full.
    QueueFull {
        /// `QUEUE_LIMIT`.
        limit: usize,
    },
    /// The instance has been told to stop.
    ShuttingDown,
    /// An input by reference did not come, or its result was not kept.
    Storage(StorageError),
    /// The function's own fault.
    Internal(String),
}

/// The document in the body.
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// Last part of the type, title, status.
    fn kind(&self) -> (&'static str, &'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::EmptyBody => ("empty-body", "The request has no body", S::BAD_REQUEST),
            Self::UnreadableBody(_) => ("unreadable-body", "The request body cannot be read", S::BAD_REQUEST),
            Self::BadParameter(_) => ("bad-parameter", "A query parameter is not valid", S::BAD_REQUEST),
            Self::NotFound(_) => ("not-found", "There is nothing at this path", S::NOT_FOUND),
            Self::MethodNotAllowed { .. } => {
                ("method-not-allowed", "The path does not take this method", S::METHOD_NOT_ALLOWED)
            }
            Self::BodyTooLarge { .. } => {
                ("body-too-large", "The request body is too long", S::PAYLOAD_TOO_LARGE)
            }
            Self::InputTooLarge(_) => ("input-too-large", "The input is too large", S::PAYLOAD_TOO_LARGE),
            Self::UnsupportedInput(_) => {
                ("unsupported-input", "The input is of an unsupported kind", S::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::DamagedInput(_) => ("damaged-input", "The input is damaged", S::UNPROCESSABLE_ENTITY),
            Self::QueueFull { .. } => ("queue-full", "The instance is busy", S::TOO_MANY_REQUESTS),
            Self::ShuttingDown => ("shutting-down", "The instance is shutting down", S::SERVICE_UNAVAILABLE),
            Self::Storage(error) => of_storage(error),
            Self::Internal(_) => ("internal", "The function failed", S::INTERNAL_SERVER_ERROR),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::EmptyBody => {
                "send the input as the body, or as the field 'file' of a multipart form".into()
            }
            Self::UnreadableBody(detail)
            | Self::BadParameter(detail)
            | Self::InputTooLarge(detail)
            | Self::UnsupportedInput(detail)
            | Self::DamagedInput(detail)
            | Self::Internal(detail) => detail.clone(),
            Self::NotFound(path) => format!("no such path: {path}; GET / lists the paths"),
            Self::MethodNotAllowed { allow } => format!("this path takes {allow}"),
            Self::BodyTooLarge { limit_bytes } => {
                format!(
                    "the limit is {limit_bytes} bytes; send less, or start the function with a higher MAX_BODY_BYTES"
                )
            }
            Self::QueueFull { limit } => {
                format!("all inference threads are busy and {limit} requests wait already; try again later")
            }
            Self::Storage(error) => error.to_string(),
            Self::ShuttingDown => "this instance takes no new work; ask another one".into(),
        }
    }

    /// The answer that says so.
    pub fn response(&self) -> HttpResponse {
        let (name, title, status) = self.kind();
        let mut response = HttpResponse::build(status);
        match self {
            Self::MethodNotAllowed { allow } => response.insert_header((header::ALLOW, *allow)),
            Self::QueueFull { .. } => response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => &mut response,
        };
        let detail = self.detail();
        let document = Document {
            r#type: format!("{TYPE_PREFIX}{name}"),
            title,
            status: status.as_u16(),
            detail: &detail,
        };
        response.insert_header((header::CONTENT_TYPE, "application/problem+json")).json(document)
    }
}

/// Last part of the type, title, status. A storage that fails is 502 and never 503, which meshes and
/// gateways answer themselves or try again.
fn of_storage(error: &StorageError) -> (&'static str, &'static str, StatusCode) {
    use StatusCode as S;
    match error {
        StorageError::BadReference(_) => {
            ("bad-reference", "The reference to the input is not valid", S::BAD_REQUEST)
        }
        StorageError::NotAllowed(_) => {
            ("bucket-not-allowed", "The bucket may not be asked for", S::FORBIDDEN)
        }
        StorageError::NotFound(_) => ("object-not-found", "There is no such object", S::NOT_FOUND),
        StorageError::Changed(_) => ("object-changed", "The object was replaced", S::PRECONDITION_FAILED),
        StorageError::TooLarge { .. } => {
            ("object-too-large", "The object is too large", S::PAYLOAD_TOO_LARGE)
        }
        StorageError::Failed(_) => ("storage-failed", "The object storage failed", S::BAD_GATEWAY),
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<WorkloadError> for Problem {
    fn from(error: WorkloadError) -> Self {
        match error {
            WorkloadError::BadParameter(detail) => Self::BadParameter(detail),
            WorkloadError::Unsupported(detail) => Self::UnsupportedInput(detail),
            WorkloadError::Damaged(detail) => Self::DamagedInput(detail),
            WorkloadError::TooLarge(detail) => Self::InputTooLarge(detail),
            WorkloadError::Internal(detail) => Self::Internal(detail),
        }
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full { limit } => Self::QueueFull { limit },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use actix_web::body::to_bytes;
    use serde_json::Value;

    use super::*;
    use crate::storage::Place;

    fn one_of_each() -> Vec<Problem> {
        let text = || "why".to_owned();
        let place = || Place { bucket: "inputs".into(), key: "cat.jpg".into() };
        vec![
            Problem::EmptyBody,
            Problem::UnreadableBody(text()),
            Problem::BadParameter(text()),
            Problem::NotFound("/nowhere".into()),
            Problem::MethodNotAllowed { allow: "POST" },
            Problem::BodyTooLarge { limit_bytes: 10 },
            Problem::InputTooLarge(text()),
            Problem::UnsupportedInput(text()),
            Problem::DamagedInput(text()),
            Problem::QueueFull { limit: 3 },
            Problem::ShuttingDown,
            Problem::Storage(StorageError::BadReference(text())),
            Problem::Storage(StorageError::NotAllowed(text())),
            Problem::Storage(StorageError::NotFound(place())),
            Problem::Storage(StorageError::Changed(place())),
            Problem::Storage(StorageError::TooLarge { place: place(), limit_bytes: 10 }),
            Problem::Storage(StorageError::Failed(text())),
            Problem::Internal(text()),
        ]
    }

    /// The contract's files, which the harness reads as well.
    fn contract() -> BTreeMap<String, Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/contract");
        let mut problems = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if let Some(name) = name.strip_prefix("problem-") {
                let text = std::fs::read_to_string(&path).unwrap();
                problems.insert(name.to_owned(), serde_json::from_str(&text).unwrap());
            }
        }
        problems
    }

    #[actix_web::test]
    async fn every_problem_is_in_the_contract_and_looks_as_it_says() {
        let mut contract = contract();
        for problem in one_of_each() {
            let (name, ..) = problem.kind();
            let expected = contract.remove(name).unwrap_or_else(|| panic!("no problem-{name}.json"));
            let response = problem.response();
            assert_eq!(response.status().as_u16(), expected["status"], "{name}");
            for (header, value) in expected["headers"].as_object().unwrap() {
                let found = response.headers().get(header).map(|value| value.to_str().unwrap());
                // The instance's headers are put on by the server.
                if !header.starts_with("X-") && header != "Allow" {
                    assert_eq!(found, value.as_str(), "{name}: {header}");
                }
            }
            let body: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
            for member in ["type", "title", "status"] {
                assert_eq!(body[member], expected["body"][member], "{name}: {member}");
            }
            assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{name}");
            assert_eq!(body.as_object().unwrap().len(), 4, "{name}");
        }
        assert!(
            contract.is_empty(),
            "problems of the contract that the function does not know: {contract:?}"
        );
    }
}
