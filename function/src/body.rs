//! The input of a request: the raw body, or the field `file` of a multipart form, never more of
//! it than the limit.

use actix_multipart::Multipart;
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use crate::error::Problem;
use crate::events::binding;
use crate::workloads::{Input, Part};

const FIELD: &str = "file";

/// Reads the input of a request.
///
/// # Errors
/// `BodyTooLarge` before anything is read where the length is announced, else as soon as the
/// limit is passed; `EmptyBody`; `UnreadableBody` if the caller stops half-way or sends no form.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit_bytes: usize,
    may_be_empty: bool,
) -> Result<Input, Problem> {
    let too_large = Problem::BodyTooLarge { limit_bytes };
    let announced = header_text(request, header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit_bytes as u64) {
        return Err(too_large);
    }
    let content_type = header_text(request, header::CONTENT_TYPE).map(|kind| kind.trim().to_owned());
    let input = if is_form(content_type.as_deref()) {
        read_form(request.headers(), payload, limit_bytes).await?
    } else {
        let capacity = announced.map_or(0, |length| usize::try_from(length).unwrap_or(limit_bytes));
        let body = read_raw(payload, capacity, limit_bytes).await?;
        Input { body, content_type, ..Input::default() }
    };
    if input.body.is_empty() && !may_be_empty {
        return Err(Problem::EmptyBody);
    }
    Ok(Input { attributes: attributes(request), ..input })
}

/// The input that an object of a storage holds: its bytes, or the form that its content type names.
///
/// # Errors
/// `EmptyBody` for an empty object; for forms as [`read`].
pub async fn of_object(
    bytes: Bytes,
    content_type: Option<String>,
    limit_bytes: usize,
) -> Result<Input, Problem> {
    let input = match content_type.as_deref().filter(|kind| is_form(Some(kind))).map(HeaderValue::from_str) {
        Some(Ok(kind)) => {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
            let whole = futures_util::stream::iter([Ok(bytes)]);
            read_form(&headers, whole, limit_bytes).await?
        }
        _ => Input { body: bytes, content_type, ..Input::default() },
    };
    if input.body.is_empty() { Err(Problem::EmptyBody) } else { Ok(input) }
}

fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

async fn read_raw(mut payload: Payload, capacity: usize, limit_bytes: usize) -> Result<Bytes, Problem> {
    let mut input = BytesMut::with_capacity(capacity);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| unreadable(&error))?;
        if input.len() + chunk.len() > limit_bytes {
            return Err(Problem::BodyTooLarge { limit_bytes });
        }
        input.extend_from_slice(&chunk);
    }
    Ok(input.freeze())
}

/// Reads the form to its end, so that the connection can be used again. All fields count
/// against the limit, and the first one of the right name is the body.
async fn read_form(
    headers: &HeaderMap,
    payload: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    limit_bytes: usize,
) -> Result<Input, Problem> {
    let mut form = Multipart::new(headers, payload);
    let mut input: Option<Input> = None;
    let mut parts = Vec::new();
    let mut read_bytes = 0;
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|error| unreadable(&error))?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = field.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            read_bytes += chunk.len();
            if read_bytes > limit_bytes {
                return Err(Problem::BodyTooLarge { limit_bytes });
            }
            bytes.extend_from_slice(&chunk);
        }
        let content_type = field.content_type().map(ToString::to_string);
        let bytes = bytes.freeze();
        if input.is_none() && field.name() == Some(FIELD) {
            input = Some(Input { body: bytes, content_type, ..Input::default() });
            continue;
        }
        let file_name = field.content_disposition().and_then(|d| d.get_filename()).map(str::to_owned);
        let name = field.name().unwrap_or_default().to_owned();
        parts.push(Part { name, file_name, content_type, bytes });
    }
    input
        .map(|input| Input { parts, ..input })
        .ok_or_else(|| Problem::UnreadableBody(format!("the multipart form has no field '{FIELD}'")))
}

/// The headers that carry an event's attributes.
fn attributes(request: &HttpRequest) -> Vec<(String, Bytes)> {
    let headers = request.headers().iter();
    let attribute = |(name, value): (&header::HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix(binding::PREFIX)?;
        Some((name.to_owned(), Bytes::copy_from_slice(value.as_bytes())))
    };
    headers.filter_map(attribute).collect()
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::UnreadableBody(format!("the body ended early or is malformed: {error}"))
}

fn header_text(request: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
