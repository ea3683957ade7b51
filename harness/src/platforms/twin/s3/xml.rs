//! The XML of S3's answers: errors, listings, buckets. Written by hand: three documents, no schema.

use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::store::{Page, Query};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// What `encoding-type=url` leaves as it is.
const URL: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// An error document (Amazon S3 API Reference, "Error responses").
pub fn error(code: &str, message: &str, resource: &str) -> String {
    format!(
        "{HEAD}<Error><Code>{code}</Code><Message>{}</Message><Resource>{}</Resource></Error>",
        escape(message),
        escape(resource)
    )
}

/// The answer to ListBuckets, of which nobody asks more than the names.
pub fn buckets(names: &[String]) -> String {
    let all = names
        .iter()
        .map(|name| format!("<Bucket><Name>{name}</Name><CreationDate>{EPOCH}</CreationDate></Bucket>"))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "{HEAD}<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\"><Owner><ID>twin</ID></Owner><Buckets>{all}</Buckets>\
         </ListAllMyBucketsResult>"
    )
}

/// A page of ListObjectsV2; `url_encoded` where the asker wants keys percent-encoded.
pub fn listing(bucket: &str, query: &Query, page: &Page, url_encoded: bool) -> String {
    let spell = |key: &str| {
        if url_encoded { utf8_percent_encode(key, &URL).to_string() } else { escape(key) }
    };
    let objects = page
        .objects
        .iter()
        .map(|(key, object)| {
            format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                spell(key),
                time(object.modified),
                escape(&object.etag),
                object.bytes.len()
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let prefixes = page
        .common_prefixes
        .iter()
        .map(|prefix| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", spell(prefix)))
        .collect::<Vec<_>>()
        .concat();
    let optional = |name: &str, value: &str| {
        if value.is_empty() { String::new() } else { format!("<{name}>{}</{name}>", spell(value)) }
    };
    let next = page.next.as_deref().map_or_else(String::new, |next| {
        // A token is opaque: hexadecimal, so that it survives wherever it is put.
        format!("<NextContinuationToken>{}</NextContinuationToken>", token(next))
    });
    format!(
        "{HEAD}<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{bucket}</Name><Prefix>{}</Prefix>{}<MaxKeys>{}</MaxKeys>\
         <KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>{next}{}{objects}{prefixes}</ListBucketResult>",
        spell(&query.prefix),
        optional("Delimiter", &query.delimiter),
        query.most,
        page.objects.len() + page.common_prefixes.len(),
        page.next.is_some(),
        if url_encoded { "<EncodingType>url</EncodingType>" } else { "" },
    )
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const EPOCH: &str = "1970-01-01T00:00:00.000Z";

/// A continuation token for everything after a key.
fn token(after: &str) -> String {
    after.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The key of a continuation token; none if we made no such token.
pub fn after(token: &str) -> Option<String> {
    let pairs = token.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// Text as XML takes it. Control characters, which no XML 1.0 can hold, become question marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.extend(["&#", &u32::from(letter).to_string(), ";"]),
            control if control.is_control() => out.push('?'),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platforms::twin::s3::store::Object;

    #[test]
    fn a_listing_reads_as_the_reference_writes_it() {
        let object = Object {
            bytes: "12345".into(),
            content_type: String::new(),
            etag: "\"fba9\"".into(),
            modified: humantime::parse_rfc3339("2009-10-12T17:50:30Z").unwrap(),
        };
        let page = Page {
            objects: vec![("photos/a&b.jpg".into(), object)],
            common_prefixes: vec!["photos/ä/".into()],
            next: Some("photos/ä/".into()),
        };
        let query = Query { prefix: "photos/".into(), delimiter: "/".into(), most: 2, ..Query::default() };
        insta::assert_snapshot!(listing("pictures", &query, &page, false).replace("><", ">\n<"));
        let encoded = listing("pictures", &query, &page, true);
        assert!(encoded.contains("<Key>photos/a%26b.jpg</Key>"), "{encoded}");
        assert!(encoded.contains("<EncodingType>url</EncodingType>"), "{encoded}");
    }

    #[test]
    fn a_token_is_read_back_and_a_strange_one_is_not() {
        for key in ["", "a/b", "ä 😀"] {
            assert_eq!(after(&token(key)).as_deref(), Some(key));
        }
        assert_eq!(after("zz"), None);
        assert_eq!(after("ff"), None);
    }

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        let document = error("NoSuchKey", "<b>&\"", "/b/\u{1}\n");
        assert!(document.ends_with(
            "<Error><Code>NoSuchKey</Code><Message>&lt;b&gt;&amp;&quot;</Message><Resource>/b/?&#10;</Resource></Error>"
        ));
    }
}
