//! Names of images: `REGISTRY/NAME:TAG`, `REGISTRY/NAME@sha256:...`.

use std::fmt;

use oci_client::ParseError;

use super::ImageError;

/// Longest tag, after the distribution specification, characters.
const MAX_TAG_CHARS: usize = 128;

/// The name of an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(oci_client::Reference);

impl Reference {
    /// Parses a name; without a registry it is Docker Hub's, as everywhere.
    ///
    /// # Errors
    /// If it is no name; the message says what to write.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let wrong = |problem: String| ImageError::Reference { reference: text.into(), problem };
        if let Some((scheme @ ("http" | "https" | "docker" | "oci"), rest)) = text.split_once("://") {
            return Err(wrong(format!("leave {scheme}:// out and write {rest}")));
        }
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        if let Some(tag) = tag_of(name)
            && !is_tag(tag)
        {
            return Err(wrong(format!(
                "the tag '{tag}' is not valid; a tag has up to {MAX_TAG_CHARS} letters, digits, '_', '.' and '-', \
                 and begins with neither '.' nor '-'"
            )));
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(wrong(format!("'{digest}' is no digest; one is sha256: and 64 hexadecimal digits")));
        }
        oci_client::Reference::try_from(text).map(Self).map_err(|error| {
            wrong(match error {
                ParseError::NameContainsUppercase => "names are in lower case".into(),
                ParseError::ReferenceInvalidFormat if name.chars().any(char::is_uppercase) => {
                    "names are in lower case".into()
                }
                _ => "write REGISTRY/NAME:TAG".into(),
            })
        })
    }

    /// Parses a name that says which registry, as a push needs it.
    ///
    /// # Errors
    /// If it is no name, or names no registry.
    pub fn parse_with_registry(text: &str) -> Result<Self, ImageError> {
        let reference = Self::parse(text)?;
        let first = text.split_once('/').map(|(first, _)| first);
        if first.is_some_and(|part| part == "localhost" || part.contains(['.', ':'])) {
            return Ok(reference);
        }
        Err(ImageError::Reference {
            reference: text.into(),
            problem: format!(
                "it names no registry; write REGISTRY/{text}, for example ghcr.io/you/{}",
                text.rsplit('/').next().unwrap_or(text)
            ),
        })
    }

    /// The registry, as it is shown.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The registry's host and port, as it is connected to.
    pub(super) fn host(&self) -> &str {
        self.0.resolve_registry()
    }

    /// The name without registry and tag.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The tag; `latest` where neither tag nor digest is given.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// `REGISTRY/NAME@sha256:...`.
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry(), self.repository())
    }

    /// The name as people write it: without Docker Hub's prefixes.
    pub fn familiar(&self) -> String {
        let whole = self.0.whole();
        let short = whole.strip_prefix("docker.io/").unwrap_or(&whole);
        short.strip_prefix("library/").unwrap_or(short).into()
    }

    pub(super) fn oci(&self) -> &oci_client::Reference {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What follows the last colon, unless that colon is a port's.
fn tag_of(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
        && tag.len() <= MAX_TAG_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_registry_repository_and_tag() {
        let r = Reference::parse_with_registry("localhost:5000/a/b:1.0").unwrap();
        assert_eq!((r.registry(), r.repository(), r.tag()), ("localhost:5000", "a/b", Some("1.0")));
        assert_eq!(r.pinned("sha256:x"), "localhost:5000/a/b@sha256:x");
        assert_eq!(Reference::parse("debian:12").unwrap().to_string(), "docker.io/library/debian:12");
        assert_eq!(Reference::parse("debian:12").unwrap().familiar(), "debian:12");
        assert_eq!(Reference::parse("ghcr.io/a/b").unwrap().tag(), Some("latest"));
    }

    #[test]
    fn what_is_no_name_gets_one_line_with_the_remedy() {
        let lines: Vec<_> = [
            "classify:1",
            "you/classify:1",
            "localhost:5000/classify:",
            "localhost:5000/classify:a b",
            "localhost:5000/classify:-x",
            "localhost:5000/Classify:1",
            "https://ghcr.io/you/classify:1",
            "ghcr.io/you/classify@sha256:12",
            "",
        ]
        .into_iter()
        .map(|text| Reference::parse_with_registry(text).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        'classify:1' is no image name: it names no registry; write REGISTRY/classify:1, for example ghcr.io/you/classify:1
        'you/classify:1' is no image name: it names no registry; write REGISTRY/you/classify:1, for example ghcr.io/you/classify:1
        'localhost:5000/classify:' is no image name: the tag '' is not valid; a tag has up to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'
        'localhost:5000/classify:a b' is no image name: the tag 'a b' is not valid; a tag has up to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'
        'localhost:5000/classify:-x' is no image name: the tag '-x' is not valid; a tag has up to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'
        'localhost:5000/Classify:1' is no image name: names are in lower case
        'https://ghcr.io/you/classify:1' is no image name: leave https:// out and write ghcr.io/you/classify:1
        'ghcr.io/you/classify@sha256:12' is no image name: 'sha256:12' is no digest; one is sha256: and 64 hexadecimal digits
        '' is no image name: write REGISTRY/NAME:TAG
        ");
    }
}
