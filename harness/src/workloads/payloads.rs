//! Payloads from files, folders and swept sizes: what is sent, and how often each of it is drawn.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{drive::Payload, experiment::PayloadChoice};

/// Bodies and the weight of each in the draw; no weights: equal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Payloads {
    /// What is sent.
    pub payloads: Arc<[Payload]>,
    /// As many as payloads, or none.
    pub weights: Arc<[f64]>,
}

/// Why payloads cannot be used. The message names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// A file or folder cannot be read.
    #[error("{path} cannot be read ({cause}); name a readable file or folder", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A folder without files.
    #[error("{path} holds no files; put the bodies into it, or name another folder", path = path.display())]
    Empty {
        /// Which folder.
        path: PathBuf,
    },
    /// Weights that fit nothing.
    #[error("{0}")]
    Weights(String),
}

/// Largest body of a sweep, bytes.
const LARGEST: u64 = 1 << 30;

/// Reads or makes the payloads of a choice. Made bodies are the same for the same seed.
///
/// # Errors
/// If a file cannot be read, or weights do not fit.
pub fn load(choice: &PayloadChoice, seed: u64) -> Result<Payloads, PayloadError> {
    match choice {
        PayloadChoice::Files { path, weights, multipart_field } => {
            let mut payloads = files(Path::new(path))?;
            if let Some(field) = multipart_field {
                payloads = payloads.iter().map(|payload| multipart(payload, field, seed)).collect();
            }
            check_weights(weights, payloads.len())?;
            Ok(Payloads { payloads: payloads.into(), weights: weights.as_slice().into() })
        }
        PayloadChoice::Sizes { bytes } => {
            if bytes.is_empty() || bytes.iter().any(|size| *size > LARGEST) {
                return Err(PayloadError::Weights(format!(
                    "sizes must be given, and none above {LARGEST} bytes, for example 1024,65536"
                )));
            }
            let payloads = bytes.iter().map(|&size| made_up(size, seed)).collect();
            Ok(Payloads { payloads, weights: Arc::default() })
        }
    }
}

/// A file, or the files of a folder in the order of their names.
fn files(path: &Path) -> Result<Vec<Payload>, PayloadError> {
    let refuse = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| PayloadError::Read { path, cause: error.to_string() }
    };
    if !path.is_dir() {
        return Ok(vec![file(path).map_err(refuse(path))?]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(refuse(path))? {
        let entry = entry.map_err(refuse(path))?.path();
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if entry.is_file() && !hidden {
            paths.push(entry);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(PayloadError::Empty { path: path.to_owned() });
    }
    paths.iter().map(|path| file(path).map_err(refuse(path))).collect()
}

/// A file as a raw body of its media type.
///
/// # Errors
/// If it cannot be read.
pub fn file(path: &Path) -> std::io::Result<Payload> {
    let body = std::fs::read(path)?.into();
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let content_type = match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        "json" => "application/json",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        _ => "application/octet-stream",
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Payload { name, content_type: content_type.into(), body })
}

/// One field of a form, with a file in it.
#[derive(Debug, Clone, Copy)]
pub struct FormPart<'a> {
    /// Name of the field.
    pub field: &'a str,
    /// Name of the file.
    pub file_name: &'a str,
    /// Its media type.
    pub content_type: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// The same file as `multipart/form-data`, in one field of this name.
fn multipart(payload: &Payload, field: &str, seed: u64) -> Payload {
    let part = FormPart {
        field,
        file_name: &payload.name,
        content_type: &payload.content_type,
        bytes: &payload.body,
    };
    let (content_type, body) = form(&[part], seed);
    Payload { name: payload.name.clone(), content_type, body }
}

/// Media type and body of a form (`multipart/form-data`, RFC 7578). The boundary is made from the
/// seed until it occurs in no part.
pub fn form(parts: &[FormPart], seed: u64) -> (String, Bytes) {
    let occurs = |boundary: &str| {
        parts.iter().any(|part| part.bytes.windows(boundary.len()).any(|w| w == boundary.as_bytes()))
    };
    // So many boundaries of 24 letters do not fit into any body that memory holds.
    let boundary = (0..u64::from(u32::MAX))
        .map(|attempt| {
            format!("testbed-{:016x}", seed.wrapping_add(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        })
        .find(|boundary| !occurs(boundary))
        .unwrap_or_default();
    // Quotes and line ends would end the header (RFC 7578, section 2, as browsers escape them).
    let escaped = |text: &str| text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = Vec::new();
    for part in parts {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            escaped(part.field),
            escaped(part.file_name),
            part.content_type
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(part.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

/// Seeded random bytes: nothing on the way can make them smaller.
fn made_up(size: u64, seed: u64) -> Payload {
    use rand::{RngExt, SeedableRng};
    let mut random = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(seed ^ size.rotate_left(17));
    let mut body = vec![0_u8; size as usize];
    random.fill(&mut body[..]);
    Payload {
        name: format!("{size} bytes"),
        content_type: "application/octet-stream".into(),
        body: Bytes::from(body),
    }
}

fn check_weights(weights: &[f64], payloads: usize) -> Result<(), PayloadError> {
    if weights.is_empty() {
        return Ok(());
    }
    if weights.len() != payloads {
        return Err(PayloadError::Weights(format!(
            "{} weights for {payloads} payloads; give one for each, in the order of their names",
            weights.len()
        )));
    }
    let usable = weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.iter().sum::<f64>() > 0.0;
    if usable {
        Ok(())
    } else {
        Err(PayloadError::Weights("weights must be 0 or more, and not all 0".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn choice(path: &Path, weights: &[f64], multipart_field: Option<&str>) -> PayloadChoice {
        PayloadChoice::Files {
            path: path.display().to_string(),
            weights: weights.to_vec(),
            multipart_field: multipart_field.map(str::to_owned),
        }
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names_without_hidden_files() {
        let folder = folder(&[("b.png", "2"), ("a.JPG", "1"), (".hidden", "0")]);
        let read = load(&choice(folder.path(), &[3.0, 1.0], None), 1).unwrap();
        let seen: Vec<_> = read.payloads.iter().map(|p| (p.name.as_str(), p.content_type.as_str())).collect();
        assert_eq!(seen, [("a.JPG", "image/jpeg"), ("b.png", "image/png")]);
        assert_eq!(&read.weights[..], [3.0, 1.0]);
    }

    #[test]
    fn a_multipart_body_holds_the_file_in_its_field() {
        let folder = folder(&[("cat\".txt", "purr")]);
        let read = load(&choice(folder.path(), &[], Some("file")), 7).unwrap();
        let boundary = read.payloads[0].content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat%22.txt\"\r\n\
             Content-Type: text/plain\r\n\r\npurr\r\n--{boundary}--\r\n"
        );
        assert_eq!(read.payloads[0].body, expected);
        let again = load(&choice(folder.path(), &[], Some("file")), 7).unwrap();
        assert_eq!(again, read, "every platform gets the same bytes");
    }

    #[test]
    fn a_boundary_that_occurs_in_the_body_is_not_used() {
        let first = multipart(&made_up(10, 1), "f", 5);
        let boundary = first.content_type.rsplit('=').next().unwrap();
        let hostile = Payload { body: Bytes::from(boundary.to_owned()), ..made_up(1, 1) };
        assert_ne!(multipart(&hostile, "f", 5).content_type, first.content_type);
    }

    #[test]
    fn swept_sizes_are_made_of_seeded_bytes() {
        let sizes = PayloadChoice::Sizes { bytes: vec![0, 10, 100_000] };
        let made = load(&sizes, 3).unwrap();
        assert_eq!(made.payloads.iter().map(|p| p.body.len()).collect::<Vec<_>>(), [0, 10, 100_000]);
        assert_eq!(load(&sizes, 3).unwrap(), made);
        assert_ne!(load(&sizes, 4).unwrap(), made);
    }

    #[test]
    fn mistakes_are_named_with_the_remedy() {
        let empty = folder(&[]);
        let one = folder(&[("a", "1")]);
        for (choice, part) in [
            (choice(Path::new("/no/such"), &[], None), "name a readable file or folder"),
            (choice(empty.path(), &[], None), "holds no files"),
            (choice(one.path(), &[1.0, 2.0], None), "2 weights for 1 payloads"),
            (choice(one.path(), &[0.0], None), "not all 0"),
            (PayloadChoice::Sizes { bytes: vec![] }, "sizes must be given"),
        ] {
            let error = load(&choice, 1).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
