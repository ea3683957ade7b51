//! Requests to answers: paths and queries to operations, refusals to S3's codes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, http::request::Parts};
use percent_encoding::percent_decode_str;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    Credentials,
    sigv4::{self, Refused},
    store::{Object, Query, Store, StoreError},
    xml,
};
use crate::platforms::twin::plane::http::{self, Answer, Body};

/// Largest single object, bytes; S3 itself takes 5 GiB in one request.
const LARGEST_BYTES: usize = 64 << 20;
/// Most entries of a page.
const MOST_KEYS: usize = 1000;

/// A server on a free port of the loopback interface; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts serving a store to whoever signs with these credentials.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(credentials: Credentials, store: Arc<Store>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new((credentials, store));
        let serving = tokio::spawn(http::serve(listener, move |request, _| {
            let shared = Arc::clone(&shared);
            async move { answer(&shared.0, &shared.1, request).await }
        }));
        Ok(Self { address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// S3's code, its status and a sentence.
type Failure = (&'static str, StatusCode, &'static str);

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        use StatusCode as S;
        match refused {
            Refused::AccessDenied => {
                ("AccessDenied", S::FORBIDDEN, "Sign the request (AWS Signature Version 4).")
            }
            Refused::InvalidAccessKeyId => {
                ("InvalidAccessKeyId", S::FORBIDDEN, "Nobody has this access key.")
            }
            Refused::SignatureDoesNotMatch => (
                "SignatureDoesNotMatch",
                S::FORBIDDEN,
                "The signature is not the one of this request and key.",
            ),
            Refused::RequestTimeTooSkewed => {
                ("RequestTimeTooSkewed", S::FORBIDDEN, "The request's clock is off by more than 15 minutes.")
            }
            Refused::XAmzContentSHA256Mismatch => {
                ("XAmzContentSHA256Mismatch", S::BAD_REQUEST, "The body is not the one that was signed.")
            }
            Refused::NotImplemented => NOT_IMPLEMENTED,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchBucket => ("NoSuchBucket", StatusCode::NOT_FOUND, "There is no such bucket."),
            StoreError::NoSuchKey => ("NoSuchKey", StatusCode::NOT_FOUND, "There is no such object."),
            StoreError::StorageFull => {
                ("StorageFull", StatusCode::INSUFFICIENT_STORAGE, "The twin's object storage is full.")
            }
        }
    }
}

const NOT_IMPLEMENTED: Failure =
    ("NotImplemented", StatusCode::NOT_IMPLEMENTED, "The twin's object storage does not do this.");
const TOO_LARGE: Failure =
    ("EntityTooLarge", StatusCode::BAD_REQUEST, "The object is larger than one request may bring.");
const BAD_NAME: Failure = ("InvalidURI", StatusCode::BAD_REQUEST, "Bucket and key must be UTF-8.");
const BAD_ARGUMENT: Failure = ("InvalidArgument", StatusCode::BAD_REQUEST, "A parameter makes no sense.");
const CONDITION: Failure =
    ("PreconditionFailed", StatusCode::PRECONDITION_FAILED, "A condition does not hold.");
const BAD_RANGE: Failure = ("InvalidRange", StatusCode::RANGE_NOT_SATISFIABLE, "There are no such bytes.");

async fn answer(credentials: &Credentials, store: &Store, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let done = async {
        sigv4::verify(&head, credentials, SystemTime::now())?;
        let body = Limited::new(body, LARGEST_BYTES).collect().await.map_err(|_| TOO_LARGE)?.to_bytes();
        sigv4::body(&head.headers, &body)?;
        operate(store, &head, body)
    };
    let is_head = head.method == Method::HEAD;
    Ok(done.await.unwrap_or_else(|(code, status, message): Failure| {
        // An answer to HEAD has no body; the status says it.
        let document = if is_head { String::new() } else { xml::error(code, message, head.uri.path()) };
        with_body(status, "application/xml", document.into())
    }))
}

fn operate(store: &Store, head: &Parts, body: Bytes) -> Result<Response<Body>, Failure> {
    let path =
        percent_decode_str(head.uri.path().trim_start_matches('/')).decode_utf8().map_err(|_| BAD_NAME)?;
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let parameters = Parameters::of(head.uri.query().unwrap_or_default())?;
    match (bucket, key) {
        ("", _) if head.method == Method::GET => Ok(document(xml::buckets(&store.names()))),
        (bucket, "") => of_bucket(store, head, bucket, &parameters),
        (bucket, key) => of_object(store, head, (bucket, key), &parameters, body),
    }
}

fn of_bucket(
    store: &Store,
    head: &Parts,
    bucket: &str,
    query: &Parameters,
) -> Result<Response<Body>, Failure> {
    match head.method {
        Method::PUT if query.0.is_empty() => {
            store.create_bucket(bucket);
            Ok(http::empty(StatusCode::OK))
        }
        Method::HEAD if store.has_bucket(bucket) => Ok(http::empty(StatusCode::OK)),
        Method::HEAD => Err(StoreError::NoSuchBucket.into()),
        Method::GET if query.get("list-type") == Some("2") => list(store, bucket, query),
        _ => Err(NOT_IMPLEMENTED),
    }
}

fn list(store: &Store, bucket: &str, parameters: &Parameters) -> Result<Response<Body>, Failure> {
    let text = |name: &str| parameters.get(name).unwrap_or_default().to_owned();
    let after = match parameters.get("continuation-token") {
        Some(token) => xml::after(token).ok_or(BAD_ARGUMENT)?,
        None => text("start-after"),
    };
    let most = match parameters.get("max-keys") {
        Some(most) => most.parse::<usize>().map_err(|_| BAD_ARGUMENT)?.clamp(1, MOST_KEYS),
        None => MOST_KEYS,
    };
    let query = Query { prefix: text("prefix"), delimiter: text("delimiter"), after, most };
    let page = store.list(bucket, &query)?;
    let url_encoded = parameters.get("encoding-type") == Some("url");
    Ok(document(xml::listing(bucket, &query, &page, url_encoded)))
}

fn of_object(
    store: &Store,
    head: &Parts,
    (bucket, key): (&str, &str),
    parameters: &Parameters,
    body: Bytes,
) -> Result<Response<Body>, Failure> {
    // `x-id` only names the operation again, for logs.
    if parameters.0.iter().any(|(name, _)| name != "x-id") || head.headers.contains_key("x-amz-copy-source") {
        return Err(NOT_IMPLEMENTED);
    }
    match head.method {
        Method::PUT => {
            let content_type = text(&head.headers, header::CONTENT_TYPE.as_str());
            let etag = store.put(bucket, key, body, content_type.unwrap_or("binary/octet-stream"))?;
            let mut response = http::empty(StatusCode::OK);
            http::set(response.headers_mut(), "etag", &etag);
            Ok(response)
        }
        Method::GET | Method::HEAD => read(&store.get(bucket, key)?, head),
        Method::DELETE => {
            store.delete(bucket, key)?;
            Ok(http::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(NOT_IMPLEMENTED),
    }
}

/// An object, or a part of it, if the conditions hold (RFC 9110, sections 13 and 14).
fn read(object: &Object, head: &Parts) -> Result<Response<Body>, Failure> {
    let names = |header: &str| {
        let list = text(&head.headers, header)?;
        Some(list.split(',').any(|tag| tag.trim() == "*" || tag.trim() == object.etag))
    };
    if names("if-match") == Some(false) {
        return Err(CONDITION);
    }
    if names("if-none-match") == Some(true) {
        return Ok(http::empty(StatusCode::NOT_MODIFIED));
    }
    let whole = object.bytes.len();
    let range =
        text(&head.headers, header::RANGE.as_str()).map(|range| bytes_of(range, whole).ok_or(BAD_RANGE));
    let range = range.transpose()?;
    let (status, bytes) = match range {
        Some((from, to)) => (StatusCode::PARTIAL_CONTENT, object.bytes.slice(from..to)),
        None => (StatusCode::OK, object.bytes.clone()),
    };
    let length = bytes.len();
    let body = if head.method == Method::HEAD { Bytes::new() } else { bytes };
    let mut response = with_body(status, &object.content_type, body);
    let headers = response.headers_mut();
    http::set(headers, "content-length", &length.to_string());
    http::set(headers, "etag", &object.etag);
    http::set(headers, "accept-ranges", "bytes");
    http::set(headers, "last-modified", &http_date(object.modified));
    if let Some((from, to)) = range {
        http::set(headers, "content-range", &format!("bytes {from}-{}/{whole}", to - 1));
    }
    Ok(response)
}

/// One range (`bytes=2-5`, `bytes=2-`, `bytes=-5`) as from and one past the end; none if it names no byte.
fn bytes_of(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from, to) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (from.parse().ok()?, to.parse::<usize>().ok()?.saturating_add(1).min(length)),
    };
    (from < to).then_some((from, to))
}

/// The parameters of a query, decoded.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(query: &str) -> Result<Self, Failure> {
        let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Option<_>>();
        pairs.map(Self).ok_or(BAD_ARGUMENT)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn document(text: String) -> Response<Body> {
    with_body(StatusCode::OK, "application/xml", text.into())
}

fn with_body(status: StatusCode, content_type: &str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(http::full(bytes));
    *response.status_mut() = status;
    http::set(response.headers_mut(), "content-type", content_type);
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(at: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 1 January 1970 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let rfc3339 = humantime::format_rfc3339_seconds(at).to_string();
    let month: usize = rfc3339[5..7].parse().unwrap_or(1);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[(seconds / 86_400 % 7) as usize],
        &rfc3339[8..10],
        MONTHS[month - 1],
        &rfc3339[..4],
        &rfc3339[11..19]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let of = |range| bytes_of(range, 10);
        assert_eq!(of("bytes=0-0"), Some((0, 1)));
        assert_eq!(of("bytes=2-5"), Some((2, 6)));
        assert_eq!(of("bytes=2-"), Some((2, 10)));
        assert_eq!(of("bytes=-3"), Some((7, 10)));
        assert_eq!(of("bytes=-30"), Some((0, 10)));
        assert_eq!(of("bytes=5-99"), Some((5, 10)));
        for none in ["bytes=10-", "bytes=5-2", "bytes=-0", "bytes=x-", "lines=1-2", "bytes=1"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(bytes_of("bytes=0-", 0), None);
    }

    #[test]
    fn a_date_is_spelt_as_http_wants_it() {
        let at = |text| http_date(humantime::parse_rfc3339(text).unwrap());
        assert_eq!(at("1994-11-06T08:49:37Z"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at("2024-02-29T23:59:59Z"), "Thu, 29 Feb 2024 23:59:59 GMT");
    }
}
