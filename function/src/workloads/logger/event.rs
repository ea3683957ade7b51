//! A received event: read from headers (binary mode) or from one JSON text (structured mode), and
//! held to what CloudEvents 1.0 asks of every event.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::events::binding::{SPEC_VERSION, decode};
use crate::workloads::{Input, WorkloadError};

/// Media type of an event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json";

/// How an event travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Attributes in headers, data in the body.
    Binary,
    /// All in the body.
    Structured,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Structured => "structured",
        }
    }
}

/// An event whose required attributes are there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) mode: Mode,
    /// By name; `id`, `source`, `specversion` and `type` are always among them.
    pub(super) attributes: BTreeMap<String, String>,
    /// The data as it came.
    pub(super) data: Bytes,
}

impl Event {
    /// Reads the event of a request.
    ///
    /// # Errors
    /// `Unsupported` if it is no event of version 1.0, `Damaged` if an attribute is missing or broken.
    pub(super) fn read(input: &Input) -> Result<Self, WorkloadError> {
        let kind = input.content_type.as_deref().unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let event = match media_type.as_str() {
            STRUCTURED => structured(&input.body)?,
            other if other.starts_with("application/cloudevents") => {
                return Err(WorkloadError::Unsupported(format!(
                    "'{other}' is not read; send one event as {STRUCTURED}, or in binary mode"
                )));
            }
            _ => binary(input)?,
        };
        event.checked()
    }

    fn checked(self) -> Result<Self, WorkloadError> {
        let get = |name: &str| self.attributes.get(name).map_or("", String::as_str);
        match get("specversion") {
            SPEC_VERSION => {}
            "" => {
                return Err(WorkloadError::Unsupported(
                    "this is no CloudEvent: it has no specversion; send ce-id, ce-source, ce-specversion and \
                     ce-type as headers, or application/cloudevents+json"
                        .into(),
                ));
            }
            other => {
                return Err(WorkloadError::Unsupported(format!(
                    "CloudEvents {other} are not read; send version {SPEC_VERSION}"
                )));
            }
        }
        if let Some(missing) = ["id", "source", "type"].into_iter().find(|name| get(name).is_empty()) {
            return Err(damaged(&format!("the required attribute '{missing}' is missing or empty")));
        }
        if let Some(time) = self.attributes.get("time")
            && !is_time(time)
        {
            return Err(damaged(&format!("'time' is no RFC 3339 time: {time}")));
        }
        Ok(self)
    }

    /// As one line in the JSON format of CloudEvents, with when it was received.
    pub(super) fn line(&self, received_at: &str) -> Map<String, Value> {
        let mut line: Map<String, Value> =
            self.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        line.insert("receivedat".into(), received_at.into());
        match serde_json::from_slice::<Value>(&self.data) {
            _ if self.data.is_empty() => None,
            Ok(data) => line.insert("data".into(), data),
            // The format has `data_base64` for what is neither JSON nor text; the text is enough here.
            Err(_) => line.insert("data".into(), String::from_utf8_lossy(&self.data).into()),
        };
        line
    }
}

fn damaged(detail: &str) -> WorkloadError {
    WorkloadError::Damaged(detail.to_owned())
}

/// Attributes are headers; `content-type` is `datacontenttype`.
fn binary(input: &Input) -> Result<Event, WorkloadError> {
    let mut attributes = BTreeMap::new();
    for (name, value) in &input.attributes {
        let value = decode(value)
            .ok_or_else(|| damaged(&format!("the header ce-{name} is not percent-encoded UTF-8")))?;
        attributes.insert(name.clone(), value);
    }
    if let Some(kind) = &input.content_type {
        attributes.insert("datacontenttype".into(), kind.clone());
    }
    Ok(Event { mode: Mode::Binary, attributes, data: input.body.clone() })
}

/// The JSON format (CloudEvents 1.0.2): one object, attributes beside `data` or `data_base64`.
fn structured(body: &[u8]) -> Result<Event, WorkloadError> {
    let members: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| damaged(&format!("the event is no JSON object: {error}")))?;
    let (mut attributes, mut data) = (BTreeMap::new(), Bytes::new());
    for (name, value) in members {
        match (name.as_str(), value) {
            ("data" | "data_base64", Value::Null) => {}
            // Base64 is kept as it is: nobody here reads what is in it.
            ("data_base64", Value::String(text)) => data = text.into(),
            ("data", value) => data = value.to_string().into(),
            (_, Value::String(text)) => _ = attributes.insert(name, text),
            (_, value @ (Value::Bool(_) | Value::Number(_))) => {
                attributes.insert(name, value.to_string());
            }
            (_, Value::Null) => {}
            (_, Value::Array(_) | Value::Object(_)) => {
                return Err(damaged(&format!("the attribute '{name}' is no text, number or boolean")));
            }
        }
    }
    Ok(Event { mode: Mode::Structured, attributes, data })
}

/// RFC 3339, with an offset or `Z`.
fn is_time(text: &str) -> bool {
    let zoned = |text: &str| {
        let (clock, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
        let digit = |at: usize| offset.as_bytes()[at].is_ascii_digit();
        let is_offset = (offset.starts_with(['+', '-']) && offset.as_bytes()[3] == b':')
            && [1, 2, 4, 5].into_iter().all(digit);
        is_offset.then(|| format!("{clock}Z"))
    };
    let text = text.to_ascii_uppercase();
    humantime::parse_rfc3339(&text).is_ok()
        || zoned(&text).is_some_and(|utc| humantime::parse_rfc3339(&utc).is_ok())
}
