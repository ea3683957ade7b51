//! The body that names an input: our form, and the one of SeBS's benchmarks.
//!
//! ```json
//! {"object": {"bucket": "b", "key": "in/cat.jpg"}, "result": {"bucket": "b", "key": "out/cat.json"}}
//! {"object": {"key": "cat.jpg"}, "bucket": {"bucket": "b", "input": "in", "output": "out"}}
//! ```
//! The two cannot be confused: SeBS's has the bucket beside the object. Both say the same here.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::StorageError;

/// Longest key, bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects").
const LONGEST_KEY_BYTES: usize = 1024;

/// An object's place in the storage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key, as it is: nothing in it is percent-decoded.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// Where the input is, and where the result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The input.
    pub object: Place,
    /// The input's etag, if only that content will do.
    pub etag: Option<String>,
    /// Where the result is to be written, if at all.
    pub result: Option<Place>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    object: OurObject,
    result: Option<Place>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OurObject {
    bucket: String,
    key: String,
    etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sebs {
    object: SebsObject,
    bucket: SebsBucket,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SebsObject {
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SebsBucket {
    bucket: String,
    input: Option<String>,
    output: Option<String>,
}

impl Reference {
    /// Reads either form.
    ///
    /// # Errors
    /// [`StorageError::BadReference`] with what to write instead; also for members that nobody reads:
    /// parameters of a workload belong into the query string.
    pub fn parse(body: &[u8]) -> Result<Self, StorageError> {
        let bad = |error: serde_json::Error| {
            StorageError::BadReference(format!(
                "the reference cannot be read ({error}); write \
                 {{\"object\": {{\"bucket\": \"...\", \"key\": \"...\"}}, \"result\": {{\"bucket\": \"...\", \"key\": \"...\"}}}}, \
                 the result only if it is to be written back"
            ))
        };
        let value: Value = serde_json::from_slice(body).map_err(bad)?;
        let reference = if value.get("bucket").is_some() {
            let Sebs { object, bucket } = Sebs::deserialize(value).map_err(bad)?;
            let at = |folder: &Option<String>| Place {
                bucket: bucket.bucket.clone(),
                key: below(folder.as_deref(), &object.key),
            };
            Self {
                object: at(&bucket.input),
                etag: None,
                result: bucket.output.is_some().then(|| at(&bucket.output)),
            }
        } else {
            let Ours { object: OurObject { bucket, key, etag }, result } =
                Ours::deserialize(value).map_err(bad)?;
            Self { object: Place { bucket, key }, etag, result }
        };
        check_key(&reference.object.key)?;
        if let Some(result) = &reference.result {
            check_key(&result.key)?;
            if *result == reference.object {
                return Err(StorageError::BadReference(format!(
                    "the result would replace its own input {result}; give it another key"
                )));
            }
        }
        Ok(reference)
    }
}

/// A key below a folder, as Python's `os.path.join` makes it in SeBS.
fn below(folder: Option<&str>, key: &str) -> String {
    match folder.map(|folder| folder.trim_end_matches('/')).filter(|folder| !folder.is_empty()) {
        Some(folder) => format!("{folder}/{key}"),
        None => key.to_owned(),
    }
}

/// Refuses what would be another key on the way: S3 takes some of it, but URLs and clients fold
/// `a//b`, `a/../b` and outer slashes, and nobody's key may point out of its bucket.
fn check_key(key: &str) -> Result<(), StorageError> {
    let refuse = |why: &str| {
        // `escape_debug`: an odd key must not break the line of a log.
        Err(StorageError::BadReference(format!("the key '{}' {why}", key.escape_debug())))
    };
    if key.is_empty() || key.len() > LONGEST_KEY_BYTES {
        return refuse(&format!("must have 1 to {LONGEST_KEY_BYTES} bytes"));
    }
    if key.chars().any(char::is_control) {
        return refuse("holds control characters; use another key");
    }
    if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refuse("begins or ends with '/', or holds '//', '.' or '..' as a part; use another key");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(bucket: &str, key: &str) -> Place {
        Place { bucket: bucket.into(), key: key.into() }
    }

    fn refusal(body: &str) -> String {
        match Reference::parse(body.as_bytes()) {
            Err(StorageError::BadReference(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let ours =
            r#"{"object":{"bucket":"b","key":"in/cat.jpg"},"result":{"bucket":"b","key":"out/cat.jpg"}}"#;
        let sebs = r#"{"object":{"key":"cat.jpg"},"bucket":{"bucket":"b","input":"in/","output":"out"}}"#;
        let expected = Reference {
            object: place("b", "in/cat.jpg"),
            etag: None,
            result: Some(place("b", "out/cat.jpg")),
        };
        assert_eq!(Reference::parse(ours.as_bytes()).unwrap(), expected);
        assert_eq!(Reference::parse(sebs.as_bytes()).unwrap(), expected);
        let short = Reference::parse(br#"{"object":{"key":"k"},"bucket":{"bucket":"b"}}"#).unwrap();
        assert_eq!((short.object, short.result), (place("b", "k"), None));
        let tagged = Reference::parse(br#"{"object":{"bucket":"b","key":"k","etag":"\"1\""}}"#).unwrap();
        assert_eq!(tagged.etag.as_deref(), Some("\"1\""));
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_form_to_write() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"object":"k"}"#,
            r#"{"object":{"key":"k"}}"#,
            r#"{"object":{"bucket":"b","key":"k"},"url":"http://elsewhere"}"#,
            r#"{"object":{"key":"k","width":200},"bucket":{"bucket":"b"}}"#,
            r#"{"object":{"bucket":"b","key":"k"},"bucket":{"bucket":"b"}}"#,
        ] {
            assert!(refusal(body).contains(r#"write {"object": {"bucket""#), "{body}");
        }
    }

    #[test]
    fn a_key_that_would_become_another_one_on_the_way_is_refused() {
        for key in ["", "/a", "a/", "a//b", ".", "..", "../b", "a/../b", "a/./b", "a\\u0000b", "a\\nb"] {
            let detail = refusal(&format!(r#"{{"object":{{"bucket":"b","key":"{key}"}}}}"#));
            assert!(detail.starts_with("the key '"), "{key}: {detail}");
        }
        let long = "k".repeat(LONGEST_KEY_BYTES + 1);
        assert!(refusal(&format!(r#"{{"object":{{"bucket":"b","key":"{long}"}}}}"#)).contains("1024"));
        let same = r#"{"object":{"bucket":"b","key":"k"},"result":{"bucket":"b","key":"k"}}"#;
        assert!(refusal(same).contains("replace its own input"));
        for key in ["a b", "ä/ö.jpg", "a%2Fb", "a?b=c#d", "...", "a+b&c", "😀", "a\\\\b"] {
            Reference::parse(format!(r#"{{"object":{{"bucket":"b","key":"{key}"}}}}"#).as_bytes()).unwrap();
        }
    }

    proptest! {
        #[test]
        fn an_accepted_key_never_leaves_its_bucket(key in ".{0,40}") {
            let body = serde_json::json!({ "object": { "bucket": "b", "key": key } }).to_string();
            if let Ok(reference) = Reference::parse(body.as_bytes()) {
                prop_assert_eq!(&reference.object.key, &key);
                prop_assert!(!key.starts_with('/'));
                prop_assert!(key.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            }
        }
    }
}
