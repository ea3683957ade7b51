//! What a page gets for what it asks: its own files, and nothing else. Pure.

use percent_encoding::percent_decode_str;

use super::super::page::Page;

/// Where the page seems to come from. `.invalid` never resolves (RFC 6761), and plain HTTP is no
/// secure context: no service workers, no devices.
pub const ORIGIN: &str = "http://page.invalid/";

/// Sent with everything that a page gets. It keeps the page's own requests in its origin
/// (WebSockets are not seen by the interception), and `sandbox` takes its pop-ups, dialogs,
/// downloads, forms and storage away. Scripts may run.
pub const POLICY: &str = "default-src 'self' data: blob:; \
    script-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; style-src 'self' data: blob: 'unsafe-inline'; \
    worker-src 'none'; object-src 'none'; form-action 'none'; sandbox allow-scripts";

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is answered from memory.
    Answer {
        /// HTTP status.
        status: u16,
        /// Media type.
        content_type: &'a str,
        /// What is sent.
        bytes: &'a [u8],
    },
    /// It needs no network: `data:` and `blob:`.
    Pass,
    /// It fails. A page that wanted to go elsewhere stays what it is.
    Refuse,
}

/// Decides about the request of a page for `url`; the first navigation of the main frame gets the
/// page itself, and there is no second.
pub fn decide<'a>(page: &'a Page, url: &str, navigation: Navigation) -> Verdict<'a> {
    match navigation {
        Navigation::First => {
            let (content_type, bytes) = ("text/html; charset=utf-8", page.html.as_bytes());
            return Verdict::Answer { status: 200, content_type, bytes };
        }
        Navigation::Further => return Verdict::Refuse,
        Navigation::None => {}
    }
    if url.starts_with("data:") || url.starts_with("blob:") {
        return Verdict::Pass;
    }
    let Some(reference) = url.strip_prefix(ORIGIN) else {
        return Verdict::Refuse;
    };
    // A name may hold what a URL writes as %20.
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    let name = percent_decode_str(path).decode_utf8_lossy();
    match page.asset(path).or_else(|| page.assets.iter().find(|asset| asset.name == name)) {
        Some(asset) => {
            Verdict::Answer { status: 200, content_type: &asset.content_type, bytes: &asset.bytes }
        }
        None => Verdict::Answer { status: 404, content_type: "text/plain", bytes: b"" },
    }
}

/// Whether a request would replace the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Navigation {
    /// It would not.
    None,
    /// It is the page itself.
    First,
    /// The page wants to leave or to reload itself.
    Further,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::page::Asset;
    use super::*;

    fn page() -> Page {
        let asset = |name: &str, content_type: &str| Asset {
            name: name.into(),
            content_type: content_type.into(),
            bytes: Bytes::copy_from_slice(name.as_bytes()),
        };
        Page {
            html: "<p>".into(),
            assets: vec![asset("a.png", "image/png"), asset("img/big cat.jpg", "image/jpeg")],
        }
    }

    fn status(page: &Page, url: &str) -> Option<u16> {
        match decide(page, url, Navigation::None) {
            Verdict::Answer { status, .. } => Some(status),
            Verdict::Pass | Verdict::Refuse => None,
        }
    }

    #[test]
    fn the_first_navigation_gets_the_page_and_a_second_nothing() {
        let page = page();
        let html = Verdict::Answer { status: 200, content_type: "text/html; charset=utf-8", bytes: b"<p>" };
        assert_eq!(decide(&page, ORIGIN, Navigation::First), html);
        assert_eq!(decide(&page, ORIGIN, Navigation::Further), Verdict::Refuse);
        assert_eq!(decide(&page, "data:text/html,x", Navigation::Further), Verdict::Refuse);
    }

    #[test]
    fn files_of_the_request_are_found_by_name_and_others_are_not_there() {
        let page = page();
        let picture = Verdict::Answer { status: 200, content_type: "image/png", bytes: b"a.png" };
        assert_eq!(decide(&page, "http://page.invalid/a.png?v=2", Navigation::None), picture);
        assert_eq!(status(&page, "http://page.invalid/img/big%20cat.jpg"), Some(200));
        assert_eq!(status(&page, "http://page.invalid/etc/passwd"), Some(404));
        assert_eq!(status(&page, "http://page.invalid/"), Some(404));
    }

    #[test]
    fn every_other_place_is_refused() {
        let page = page();
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "https://page.invalid/a.png",
            "http://page.invalid.example.org/a.png",
            "http://page.invalid:80@127.0.0.1/a.png",
            "http://127.0.0.1:8080/a.png",
            "file:///etc/passwd",
            "ftp://page.invalid/a.png",
            "chrome://settings/",
            "devtools://devtools/bundled/inspector.html",
            "view-source:http://page.invalid/",
            "filesystem:http://page.invalid/temporary/a.png",
            "ws://page.invalid/",
            "",
        ] {
            assert_eq!(decide(&page, url, Navigation::None), Verdict::Refuse, "{url}");
        }
        assert_eq!(decide(&page, "data:image/png;base64,AA==", Navigation::None), Verdict::Pass);
    }
}
