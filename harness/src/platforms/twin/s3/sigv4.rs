//! Verifies AWS Signature Version 4 in the `Authorization` header.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)": canonical
//! request, string to sign, signing key. Its four worked examples are the tests. Signatures in the
//! query string (presigned URLs) and bodies signed in chunks are not taken.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::{HeaderMap, http::request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::hmac;

use super::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// In place of a digest: the body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far a request's clock may be from ours (S3's own rule).
const MOST_SKEW: Duration = Duration::from_mins(15);

/// What `UriEncode` leaves as it is, beside letters and digits.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path, whose slashes stay.
const PATH: AsciiSet = QUERY.remove(b'/');

/// Why a request is not accepted; the names are S3's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No signature, or one that cannot be read.
    AccessDenied,
    /// Nobody has this access key.
    InvalidAccessKeyId,
    /// The signature is another one.
    SignatureDoesNotMatch,
    /// The request's clock is wrong.
    RequestTimeTooSkewed,
    /// The body is not the one that was signed.
    XAmzContentSHA256Mismatch,
    /// The body is sent in signed chunks.
    NotImplemented,
}

/// Whether a request was signed with these credentials, now. Its body is looked at by [`body`].
///
/// # Errors
/// See [`Refused`].
pub fn verify(request: &Parts, credentials: &Credentials, now: SystemTime) -> Result<(), Refused> {
    let given = text(&request.headers, "authorization").ok_or(Refused::AccessDenied)?;
    let given = Authorization::parse(given).ok_or(Refused::AccessDenied)?;
    if given.access_key != credentials.access_key {
        return Err(Refused::InvalidAccessKeyId);
    }
    let at = text(&request.headers, "x-amz-date").ok_or(Refused::AccessDenied)?;
    // The date is in the scope and again in the header, and what is not signed proves nothing.
    let signed = |name: &str| given.signed_headers.split(';').any(|header| header == name);
    if !at.starts_with(given.date) || !["host", "x-amz-date"].into_iter().all(signed) {
        return Err(Refused::AccessDenied);
    }
    let skew = instant(at).map(|at| at.duration_since(now).unwrap_or_else(|error| error.duration()));
    if skew.is_none_or(|skew| skew > MOST_SKEW) {
        return Err(Refused::RequestTimeTooSkewed);
    }
    let canonical = canonical_request(request, given.signed_headers).ok_or(Refused::AccessDenied)?;
    let scope = given.scope();
    let to_sign = format!("{ALGORITHM}\n{at}\n{scope}\n{}", models::sha256_hex(canonical.as_bytes()));
    let mut key = hmac_sha256(format!("AWS4{}", credentials.secret_key).as_bytes(), given.date);
    for part in [given.region, given.service, "aws4_request"] {
        key = hmac_sha256(key.as_ref(), part);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let signature = unhex(given.signature).ok_or(Refused::SignatureDoesNotMatch)?;
    hmac::verify(&key, to_sign.as_bytes(), &signature).map_err(|_| Refused::SignatureDoesNotMatch)
}

/// Whether the body is the one that the (signed) header `x-amz-content-sha256` names.
///
/// # Errors
/// See [`Refused`].
pub fn body(headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
    match text(headers, "x-amz-content-sha256") {
        None => Err(Refused::AccessDenied),
        Some(UNSIGNED) => Ok(()),
        Some(streamed) if streamed.starts_with("STREAMING-") => Err(Refused::NotImplemented),
        Some(digest) if digest.eq_ignore_ascii_case(&models::sha256_hex(body)) => Ok(()),
        Some(_) => Err(Refused::XAmzContentSHA256Mismatch),
    }
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let credential: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key, date, region, service @ "s3", "aws4_request"] = credential[..] else { return None };
        let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
        Some(Self { access_key, date, region, service, signed_headers, signature })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// None if a header that is signed is not there.
fn canonical_request(request: &Parts, signed_headers: &str) -> Option<String> {
    let path = percent_decode_str(request.uri.path()).decode_utf8().ok()?;
    let path = utf8_percent_encode(&path, &PATH);
    let query = canonical_query(request.uri.query().unwrap_or_default())?;
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let values: Vec<&str> =
            request.headers.get_all(name).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
        if values.is_empty() {
            return None;
        }
        let value = values.join(",").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        headers.extend([name, ":", &value, "\n"]);
    }
    let digest = text(&request.headers, "x-amz-content-sha256")?;
    Some(format!("{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{digest}", request.method))
}

/// Names and values encoded anew and sorted.
fn canonical_query(query: &str) -> Option<String> {
    let encode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        Some(utf8_percent_encode(&decoded, &QUERY).to_string())
    };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((encode(name)?, encode(value)?))
    };
    let mut pairs: Vec<(String, String)> =
        query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Option<_>>()?;
    pairs.sort();
    Some(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// `20130524T000000Z` as an instant.
fn instant(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_plain =
        date.len() == 8 && time.len() == 6 && format!("{date}{time}").bytes().all(|b| b.is_ascii_digit());
    let rfc3339 = is_plain.then(|| {
        let (d, t) = (date, time);
        format!("{}-{}-{}T{}:{}:{}Z", &d[..4], &d[4..6], &d[6..], &t[..2], &t[2..4], &t[4..])
    })?;
    humantime::parse_rfc3339(&rfc3339).ok().filter(|at| *at > UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    /// The examples' credentials, bucket and time.
    fn credentials() -> Credentials {
        Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        }
    }

    fn then() -> SystemTime {
        humantime::parse_rfc3339("2013-05-24T00:00:00Z").unwrap()
    }

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn signed(method: &str, uri: &str, digest: &str, more: &[(&str, &str)], signature: &str) -> Parts {
        let mut names = vec!["host", "x-amz-content-sha256", "x-amz-date"];
        names.extend(more.iter().map(|(name, _)| *name));
        names.sort_unstable();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={},\
             Signature={signature}",
            names.join(";")
        );
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("Host", "examplebucket.s3.amazonaws.com")
            .header("x-amz-date", "20130524T000000Z")
            .header("x-amz-content-sha256", digest)
            .header("Authorization", authorization);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const GET_SIGNATURE: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    fn get_object() -> Parts {
        signed("GET", "/test.txt", EMPTY, &[("range", "bytes=0-9")], GET_SIGNATURE)
    }

    #[test]
    fn the_examples_of_the_reference_are_accepted() {
        let put = signed(
            "PUT",
            "/test%24file.text",
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        );
        let lifecycle = signed(
            "GET",
            "/?lifecycle",
            EMPTY,
            &[],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        );
        let list = signed(
            "GET",
            "/?prefix=J&max-keys=2",
            EMPTY,
            &[],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
        for request in [get_object(), put, lifecycle, list] {
            assert_eq!(verify(&request, &credentials(), then()), Ok(()), "{}", request.uri);
        }
    }

    #[test]
    fn whatever_is_changed_after_signing_is_refused() {
        let refused = |change: &dyn Fn(&mut Parts)| {
            let mut request = get_object();
            change(&mut request);
            verify(&request, &credentials(), then()).unwrap_err()
        };
        let mismatch = Refused::SignatureDoesNotMatch;
        assert_eq!(refused(&|r| r.uri = "/other.txt".parse().unwrap()), mismatch);
        assert_eq!(refused(&|r| r.uri = "/test.txt?x=1".parse().unwrap()), mismatch);
        assert_eq!(refused(&|r| r.method = hyper::Method::DELETE), mismatch);
        let set = |name: &'static str, value: &'static str| {
            move |r: &mut Parts| drop(r.headers.insert(name, value.parse().unwrap()))
        };
        assert_eq!(refused(&set("range", "bytes=0-99")), mismatch);
        assert_eq!(refused(&set("x-amz-content-sha256", UNSIGNED)), mismatch);
        assert_eq!(refused(&set("x-amz-date", "20130524T000001Z")), mismatch);
        assert_eq!(refused(&set("authorization", "Basic abc")), Refused::AccessDenied);
        assert_eq!(refused(&|r| drop(r.headers.remove("authorization"))), Refused::AccessDenied);
        assert_eq!(refused(&|r| drop(r.headers.remove("range"))), Refused::AccessDenied);
    }

    #[test]
    fn another_key_or_another_time_is_refused_by_its_name() {
        let request = get_object();
        let other = |access: &str, secret: &str| {
            let credentials = Credentials { access_key: access.into(), secret_key: secret.into() };
            verify(&request, &credentials, then()).unwrap_err()
        };
        assert_eq!(other("SOMEBODY", &credentials().secret_key), Refused::InvalidAccessKeyId);
        assert_eq!(other(&credentials().access_key, "wrong"), Refused::SignatureDoesNotMatch);
        for later in
            [then() + MOST_SKEW + Duration::from_secs(1), then() - MOST_SKEW - Duration::from_secs(1)]
        {
            assert_eq!(verify(&request, &credentials(), later), Err(Refused::RequestTimeTooSkewed));
        }
        assert_eq!(verify(&request, &credentials(), then() + MOST_SKEW), Ok(()));
    }

    #[test]
    fn the_body_must_be_the_one_that_was_signed() {
        let check = |digest: &str, content: &[u8]| {
            body(
                &HeaderMap::from_iter([("x-amz-content-sha256".parse().unwrap(), digest.parse().unwrap())]),
                content,
            )
        };
        assert_eq!(check(EMPTY, b""), Ok(()));
        assert_eq!(check(EMPTY, b"x"), Err(Refused::XAmzContentSHA256Mismatch));
        assert_eq!(check(UNSIGNED, b"x"), Ok(()));
        assert_eq!(check("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"x"), Err(Refused::NotImplemented));
        assert_eq!(body(&HeaderMap::new(), b""), Err(Refused::AccessDenied));
    }
}
