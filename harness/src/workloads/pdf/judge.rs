//! What a right PDF is: whole, of the expected number of pages, with the expected words in its text.

use std::sync::LazyLock;

use hyper::HeaderMap;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::{super::JudgeSpec, text};
use crate::{
    drive::{Judge, Judgement, answer::StatusJudge},
    record::Outcome,
};

/// Header in which the function names the number of pages.
const PAGES: &str = "x-pdf-pages";
/// Bytes at the end that hold the end mark.
const TAIL_BYTES: usize = 32;

static OBJECT_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/Type"));

/// What a right answer to a payload has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Pages.
    pub pages: u32,
    /// Words of its text, whatever white space is between them.
    pub words: Vec<String>,
}

/// A PDF of the expected number of pages, in the header and in the file, is right. The text is read
/// only where somebody asks for it: that takes far longer than a load generator has.
#[derive(Debug, Clone)]
pub struct PdfJudge {
    /// By payload.
    pub expected: Vec<Expected>,
    /// Whether the text is read as well.
    pub reads_text: bool,
}

impl PdfJudge {
    fn is_right(&self, payload: usize, headers: &HeaderMap, body: &[u8]) -> bool {
        let Some(expected) = self.expected.get(payload) else { return false };
        let named = headers.get(PAGES).and_then(|value| value.to_str().ok()?.parse().ok());
        is_whole(body)
            && named == Some(expected.pages)
            && pages(body) == expected.pages
            && (!self.reads_text || text::read(body).is_some_and(|text| text.holds_all(&expected.words)))
    }
}

impl Judge for PdfJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok && !self.is_right(payload, headers, body) {
            judgement.outcome = Outcome::WrongAnswer;
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Pdf { expected: self.expected.clone() }.value()
    }
}

fn is_whole(pdf: &[u8]) -> bool {
    let tail = &pdf[pdf.len().saturating_sub(TAIL_BYTES)..];
    pdf.starts_with(b"%PDF-") && tail.trim_ascii_end().ends_with(b"%%EOF")
}

/// The leaves of the page tree: objects of the type Page (ISO 32000-1, 7.7.3.3). The function counts
/// in another way, by the root of the tree.
fn pages(pdf: &[u8]) -> u32 {
    let is_page = |start: usize| {
        let name = pdf[start + OBJECT_TYPE.needle().len()..].trim_ascii_start().strip_prefix(b"/Page");
        name.is_some_and(|after| !after.first().is_some_and(u8::is_ascii_alphanumeric))
    };
    OBJECT_TYPE.find_iter(pdf).filter(|start| is_page(*start)).count() as u32
}
