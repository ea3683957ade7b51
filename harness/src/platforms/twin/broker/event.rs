//! An event as a broker sees it: the attributes that filters look at, and everything else unread.

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};

/// Attributes that every CloudEvent 1.0 has.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];
/// What the headers of attributes begin with (HTTP binding, binary mode).
const PREFIX: &str = "ce-";
/// Media type of an event that is one JSON text (structured mode).
const STRUCTURED: &str = "application/cloudevents+json";

/// An event, ready to be sent on as it came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    attributes: BTreeMap<String, String>,
    /// The headers that belong to it.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body as it came.
    pub(super) body: Bytes,
}

impl Event {
    /// Reads one.
    ///
    /// # Errors
    /// In words, if it is no event.
    pub(super) fn read(headers: &HeaderMap, body: Bytes) -> Result<Self, String> {
        let of_event = |name: &HeaderName| name == CONTENT_TYPE || name.as_str().starts_with(PREFIX);
        let kept: Vec<_> = headers.iter().filter(|(name, _)| of_event(name)).collect();
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let attributes = if kind.to_ascii_lowercase().starts_with(STRUCTURED) {
            structured(&body)?
        } else {
            let attribute = |(name, value): &(&HeaderName, &HeaderValue)| {
                let name = name.as_str().strip_prefix(PREFIX)?;
                Some((name.to_owned(), percent_decoded(value.as_bytes())))
            };
            kept.iter().filter_map(attribute).collect()
        };
        let has = |name: &&str| attributes.get(*name).is_some_and(|value: &String| !value.is_empty());
        if let Some(missing) = REQUIRED.iter().find(|name| !has(name)) {
            return Err(format!("the event has no {missing}"));
        }
        let headers = kept.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { attributes, headers, body })
    }

    /// Whether a Trigger's filter lets it pass.
    pub(super) fn passes(&self, filter: &BTreeMap<String, String>) -> bool {
        filter.iter().all(|(name, wanted)| {
            self.attributes.get(name).is_some_and(|value| wanted.is_empty() || value == wanted)
        })
    }

    /// How long ago it happened, milliseconds; none if it does not say when.
    pub(super) fn age_ms(&self) -> Option<f64> {
        let happened = humantime::parse_rfc3339(self.attributes.get("time")?).ok()?;
        // Both clocks are this machine's; a step between them is no age.
        Some(SystemTime::now().duration_since(happened).unwrap_or_default().as_secs_f64() * 1e3)
    }
}

fn structured(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| format!("the event is no JSON object: {error}"))?;
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Bool(_) | Value::Number(_) if name != "data" => Some((name, value.to_string())),
        _ => None,
    };
    Ok(members.into_iter().filter_map(text).collect())
}

/// `%41` is `A`; what is no such triple, or no UTF-8, stays visible as it is.
fn percent_decoded(value: &[u8]) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            out.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    const BINARY: [(&str, &str); 6] = [
        ("ce-id", "1"),
        ("ce-source", "/a%20b"),
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("content-type", "application/json"),
        ("host", "broker"),
    ];

    fn filter(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_what_belongs_to_the_event_is_sent_on() {
        let event = Event::read(&headers(&BINARY), Bytes::from_static(b"{}")).unwrap();
        let mut names: Vec<_> = event.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ce-id", "ce-source", "ce-specversion", "ce-type", "content-type"]);
    }

    #[test]
    fn a_filter_compares_decoded_attributes_and_an_empty_value_stands_for_any() {
        let event = Event::read(&headers(&BINARY), Bytes::new()).unwrap();
        assert!(event.passes(&filter(&[])));
        assert!(event.passes(&filter(&[("source", "/a b"), ("type", "")])));
        assert!(!event.passes(&filter(&[("type", "u")])));
        assert!(!event.passes(&filter(&[("subject", "")])), "it has no subject");
    }

    #[test]
    fn both_modes_are_read_and_what_is_missing_is_named() {
        let structured = headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]);
        let text = r#"{"id":"1","source":"/s","specversion":"1.0","type":"t","n":7,"data":{"x":1}}"#;
        let event = Event::read(&structured, Bytes::from_static(text.as_bytes())).unwrap();
        assert!(event.passes(&filter(&[("n", "7"), ("source", "/s")])));
        assert_eq!(Event::read(&headers(&BINARY[1..]), Bytes::new()).unwrap_err(), "the event has no id");
        assert!(Event::read(&structured, Bytes::from_static(b"[]")).unwrap_err().contains("no JSON object"));
    }
}
