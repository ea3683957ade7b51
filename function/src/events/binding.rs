//! The HTTP binding of CloudEvents 1.0.2, binary mode: which attribute becomes which header, and
//! how values are percent-encoded (section 3.1.3.2).

use std::fmt::Write as _;

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};

use super::Event;
use super::config::Sending;

/// The version of CloudEvents that is spoken.
pub const SPEC_VERSION: &str = "1.0";
/// What the headers of attributes begin with.
pub const PREFIX: &str = "ce-";
/// Attributes that make an event what it is; nobody may override them.
pub const OWN: [&str; 7] = ["id", "specversion", "time", "subject", "sequence", "data", "datacontenttype"];

/// The headers that all events of an instance have.
pub(super) fn template(sending: &Sending, workload: &str, instance: &str) -> HeaderMap {
    let source = sending.source.clone().unwrap_or_else(|| source(workload, instance));
    let kind = sending.kind.clone().unwrap_or_else(|| format!("testbed.{workload}.answered"));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HOST, value(&sending.sink.authority));
    for (name, text) in [("specversion", SPEC_VERSION), ("type", &kind), ("source", &source)] {
        headers.insert(header(name), value(text));
    }
    for (name, text) in &sending.overrides {
        headers.insert(header(name), value(text));
    }
    headers
}

/// The headers of one event.
pub(super) fn headers(template: &HeaderMap, event: &Event) -> HeaderMap {
    let mut headers = template.clone();
    // As wide as the largest number, so that texts compare as numbers do.
    let sequence = format!("{:020}", event.number);
    for (name, text) in
        [("id", &event.id), ("time", &event.time), ("subject", &event.subject), ("sequence", &sequence)]
    {
        headers.insert(header(name), value(text));
    }
    headers
}

/// A URI reference; together with the id it is unique.
fn source(workload: &str, instance: &str) -> String {
    let mut path = format!("/testbed/{workload}/");
    for byte in instance.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            escape(&mut path, byte);
        }
    }
    path
}

/// The header of an attribute whose name the settings have checked.
fn header(name: &str) -> HeaderName {
    HeaderName::try_from(format!("{PREFIX}{name}")).unwrap_or(HeaderName::from_static("ce-invalid"))
}

/// An encoded value is visible ASCII by construction.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(encode(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Percent-encodes space, double quote, percent, and everything outside U+0021 to U+007E.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => escape(&mut out, byte),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => escape(&mut out, byte),
        }
    }
    out
}

fn escape(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "%{byte:02X}");
}

/// Undoes double quotes (RFC 7230, section 3.2.6), then one round of percent-encoding. None: what
/// comes out is no UTF-8, or quotes are not closed. A `%` without two hex digits stands for itself.
pub fn decode(value: &[u8]) -> Option<String> {
    let unquoted = unquote(value)?;
    let mut out = Vec::with_capacity(unquoted.len());
    let mut rest = unquoted.as_slice();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&d| char::from(d).to_digit(16));
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(0), digit(1))
        {
            out.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = value.strip_prefix(b"\"") else { return Some(value.to_vec()) };
    let quoted = quoted.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => out.push(*bytes.next()?),
            b'"' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_specifications_own_example_is_encoded_as_it_says() {
        assert_eq!(encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encode("100% \"sure\"\n"), "100%25%20%22sure%22%0A");
        assert_eq!(encode("/testbed/x~!#$&'()*+,;=:@[]"), "/testbed/x~!#$&'()*+,;=:@[]");
    }

    #[test]
    fn decoding_takes_what_the_specification_asks_for_and_refuses_what_it_forbids() {
        assert_eq!(decode(b"Euro%20%e2%82%ac %41").as_deref(), Some("Euro € A"));
        assert_eq!(decode(br#""quoted \"text\" %25""#).as_deref(), Some("quoted \"text\" %"));
        assert_eq!(decode(b"100%").as_deref(), Some("100%"));
        assert_eq!(decode(b"%2541").as_deref(), Some("%41"), "one round, not two");
        // An overlong space, and bytes that are no UTF-8.
        assert_eq!((decode(b"%C0%A0"), decode(b"\xff"), decode(b"\"open")), (None, None, None));
    }

    #[test]
    fn a_source_is_a_uri_reference_whatever_the_instance_is_called() {
        assert_eq!(source("null", "pod-7.x"), "/testbed/null/pod-7.x");
        assert_eq!(source("null", "a/b?c#d%"), "/testbed/null/a%2Fb%3Fc%23d%25");
    }

    proptest! {
        #[test]
        fn every_text_survives_its_header(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'"'));
            prop_assert!(HeaderValue::try_from(&encoded).is_ok());
            prop_assert_eq!(decode(encoded.as_bytes()), Some(text));
        }

        #[test]
        fn no_header_makes_decoding_fail_other_than_by_refusal(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
