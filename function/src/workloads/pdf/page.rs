//! A page as the request brings it: HTML, and the files that it may refer to by name.

use bytes::Bytes;

use crate::workloads::{Input, Part, WorkloadError};

/// A page that has what usual ones have, so that no request pays for first-time costs.
pub const WARM_UP: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Warm-up</title>\
    <h1>Warm-up</h1><p>Words in <b>bold</b>, <i>italics</i> and <code>code</code>.</p>\
    <ul><li>one</li><li>two</li></ul><table><tr><th>a<th>b<tr><td>1<td>2</table>";

/// What is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The page.
    pub html: String,
    /// What it may refer to, such as pictures and style sheets. Names differ.
    pub assets: Vec<Asset>,
}

/// A file that a page may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its name, as the page refers to it.
    pub name: String,
    /// Its media type: as the caller names it, else by its ending.
    pub content_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

impl Page {
    /// The page of a request: a raw body is the HTML. In a form the field `file` is the HTML,
    /// and the other fields are assets by their file name, or by the field's where it has none.
    ///
    /// # Errors
    /// `Unsupported` if the body is said to be something else than HTML in UTF-8; `Damaged` if it is
    /// not UTF-8, or two assets have the same name.
    pub fn from_input(input: &Input) -> Result<Self, WorkloadError> {
        if let Some(kind) = &input.content_type {
            check_type(kind)?;
        }
        let html = std::str::from_utf8(&input.body)
            .map_err(|error| WorkloadError::Damaged(format!("the page is no UTF-8: {error}")))?
            .trim_start_matches('\u{feff}')
            .to_owned();
        let mut assets: Vec<Asset> = Vec::with_capacity(input.parts.len());
        for part in &input.parts {
            let asset = Asset::from_part(part);
            if assets.iter().any(|known| known.name == asset.name) {
                return Err(WorkloadError::Damaged(format!(
                    "two files are named '{}'; give each a name of its own",
                    asset.name
                )));
            }
            assets.push(asset);
        }
        Ok(Self { html, assets })
    }

    /// The asset that a reference of the page means: `name` or `./name`, without query and fragment.
    pub fn asset(&self, reference: &str) -> Option<&Asset> {
        let path = reference.split(['?', '#']).next().unwrap_or_default();
        let name = path.strip_prefix("./").unwrap_or(path);
        self.assets.iter().find(|asset| asset.name == name)
    }
}

impl Asset {
    fn from_part(part: &Part) -> Self {
        let name = part.file_name.as_ref().unwrap_or(&part.name).clone();
        let content_type = match &part.content_type {
            Some(kind) if kind != "application/octet-stream" => kind.clone(),
            _ => type_by_ending(&name).to_owned(),
        };
        Self { name, content_type, bytes: part.bytes.clone() }
    }
}

/// Media types that clients put on anything count as no statement.
fn check_type(kind: &str) -> Result<(), WorkloadError> {
    let lower = kind.to_ascii_lowercase();
    let (media, parameters) = lower.split_once(';').unwrap_or((&lower, ""));
    let is_html = matches!(
        media.trim(),
        "text/html"
            | "application/xhtml+xml"
            | "application/octet-stream"
            | "application/x-www-form-urlencoded"
    );
    let charset = parameters.split(';').find_map(|p| p.trim().strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|name| matches!(name.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    if is_html && is_utf8 {
        return Ok(());
    }
    Err(WorkloadError::Unsupported(format!(
        "the body is '{kind}'; send HTML in UTF-8 (text/html), alone or as the field 'file' of a form"
    )))
}

fn type_by_ending(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
    match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "css" => "text/css",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(body: &'static str, content_type: Option<&str>) -> Input {
        Input { content_type: content_type.map(str::to_owned), ..Input::from(body.as_bytes()) }
    }

    fn part(name: &str, file_name: Option<&str>, content_type: Option<&str>) -> Part {
        Part {
            name: name.into(),
            file_name: file_name.map(str::to_owned),
            content_type: content_type.map(str::to_owned),
            bytes: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn html_is_taken_in_the_types_that_clients_give_it() {
        for kind in
            [None, Some("text/html"), Some("Text/HTML; charset=\"UTF-8\""), Some("application/octet-stream")]
        {
            assert_eq!(Page::from_input(&input("\u{feff}<p>é", kind)).unwrap().html, "<p>é");
        }
    }

    #[test]
    fn another_type_or_character_set_is_refused_with_the_remedy() {
        for kind in ["image/png", "application/json", "text/html; charset=iso-8859-1"] {
            let error = Page::from_input(&input("<p>", Some(kind))).unwrap_err();
            assert!(
                matches!(&error, WorkloadError::Unsupported(text) if text.contains("send HTML")),
                "{error}"
            );
        }
        let latin = Input::from(b"<p>caf\xe9".as_slice());
        assert!(matches!(Page::from_input(&latin), Err(WorkloadError::Damaged(_))));
    }

    #[test]
    fn further_parts_are_assets_by_their_file_name() {
        let parts = vec![
            part("a", Some("logo.PNG"), None),
            part("style.css", None, Some("application/octet-stream")),
            part("c", Some("c.bin"), Some("image/jpeg")),
        ];
        let page = Page::from_input(&Input { parts, ..input("<p>", None) }).unwrap();
        let seen: Vec<_> = page.assets.iter().map(|a| (a.name.as_str(), a.content_type.as_str())).collect();
        assert_eq!(seen, [("logo.PNG", "image/png"), ("style.css", "text/css"), ("c.bin", "image/jpeg")]);
        assert_eq!(page.asset("./logo.PNG?v=1#x").map(|a| a.name.as_str()), Some("logo.PNG"));
        assert_eq!(page.asset("/logo.PNG"), None);
    }

    #[test]
    fn two_assets_of_one_name_are_refused() {
        let parts = vec![part("a", Some("x.png"), None), part("b", Some("x.png"), None)];
        let error = Page::from_input(&Input { parts, ..input("<p>", None) }).unwrap_err();
        assert!(error.to_string().contains("'x.png'"), "{error}");
    }
}
