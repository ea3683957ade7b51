//! An HTTP/1.1 answer, read as it comes in: status, headers, body (RFC 9112).
//!
//! Knows no socket. What arrives is fed in pieces of any size, and the answer is the same wherever
//! they are cut. Heads are parsed by `httparse`; one that is byte for byte the last one of the same
//! connection is not parsed again.

use bytes::Bytes;
use hyper::{
    HeaderMap, Method,
    header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING},
};

use super::chunks::Chunks;

/// Longest head that is read.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// Most header lines of an answer.
const MOST_HEADERS: usize = 128;

/// Body bytes kept for the judge; more are counted and thrown away.
pub(super) const KEPT_BODY_BYTES: usize = 4 << 20;

/// A buffer beyond this is given back between two answers.
const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// What was received is no HTTP/1.1 answer, or not all of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonsense;

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// It goes on.
    More,
    /// It is complete, and so many bytes of the input belong to something after it.
    Complete {
        /// Bytes beyond the answer.
        beyond: usize,
    },
}

/// The answer to one request after the other on a connection.
#[derive(Debug, Default)]
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    received: u64,
    /// The beginning of a head whose end has not come yet.
    partial: Vec<u8>,
    stage: Stage,
    to_head_request: bool,
    /// The last final head, and how its body is framed.
    known: Vec<u8>,
    framing: Framing,
    reusable: bool,
}

/// What comes next.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    Head,
    /// So many bytes of the body.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Complete,
}

/// How the length of a body is known (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Answer {
    /// Begins to read the answer to a request of this method.
    pub(super) fn begin(&mut self, method: &Method) {
        self.stage = Stage::Head;
        self.to_head_request = method == Method::HEAD;
        self.received = 0;
        self.partial.clear();
        self.body.clear();
        if self.body.capacity() > KEPT_BUFFER_BYTES {
            self.body = Vec::new();
        }
    }

    /// The status, once the head is complete; 0 before.
    pub(super) fn status(&self) -> u16 {
        if self.is_head_complete() { self.status } else { 0 }
    }

    /// The headers, once the head is complete.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body so far, as much of it as is kept.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Bytes of the body so far, kept or not.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the final head is there.
    pub(super) fn is_head_complete(&self) -> bool {
        !matches!(self.stage, Stage::Head)
    }

    /// Whether not a byte of the answer has come.
    pub(super) fn is_untouched(&self) -> bool {
        !self.is_head_complete() && self.partial.is_empty()
    }

    /// Whether the connection may carry another request after the complete answer.
    pub(super) fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Takes what arrived.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<Fed, Nonsense> {
        while !self.is_head_complete() {
            let used = self.feed_head(input)?;
            input = &input[used..];
            if !self.is_head_complete() && input.is_empty() {
                return Ok(Fed::More);
            }
        }
        match &mut self.stage {
            Stage::Head | Stage::Complete => {}
            Stage::Length(left) => {
                let here = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= here as u64;
                let over = *left == 0;
                self.keep(&input[..here]);
                input = &input[here..];
                if over {
                    self.stage = Stage::Complete;
                }
            }
            Stage::UntilClose => {
                self.keep(input);
                input = &[];
            }
            Stage::Chunked(chunks) => {
                let (body, received) = (&mut self.body, &mut self.received);
                let used = chunks.feed(input, |data| keep(body, received, data))?;
                let over = chunks.is_over();
                input = &input[used..];
                if over {
                    self.stage = Stage::Complete;
                }
            }
        }
        Ok(match self.stage {
            Stage::Complete => Fed::Complete { beyond: input.len() },
            _ => Fed::More,
        })
    }

    /// The peer has closed. Whether that made the answer complete.
    pub(super) fn end(&mut self) -> Result<(), Nonsense> {
        match self.stage {
            Stage::UntilClose => {
                self.stage = Stage::Complete;
                Ok(())
            }
            _ => Err(Nonsense),
        }
    }

    fn keep(&mut self, data: &[u8]) {
        keep(&mut self.body, &mut self.received, data);
    }

    /// Takes bytes of a head; returns how many of the input belong to it.
    fn feed_head(&mut self, input: &[u8]) -> Result<usize, Nonsense> {
        if self.partial.is_empty() {
            let is_known = !self.to_head_request && !self.known.is_empty();
            if is_known && input.starts_with(&self.known) {
                self.stage = stage_of(self.framing);
                return Ok(self.known.len());
            }
            return match self.parse(input)? {
                Some(used) => Ok(used),
                None => self.wait(input),
            };
        }
        // Only the part that completes the head belongs to it; what was there before did not.
        let before = self.partial.len();
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(input);
        if let Some(used) = self.parse(&all)? {
            return Ok(used - before);
        }
        self.partial = all;
        self.limit()?;
        Ok(input.len())
    }

    fn wait(&mut self, input: &[u8]) -> Result<usize, Nonsense> {
        self.partial.extend_from_slice(input);
        self.limit()?;
        Ok(input.len())
    }

    fn limit(&self) -> Result<(), Nonsense> {
        if self.partial.len() > MOST_HEAD_BYTES { Err(Nonsense) } else { Ok(()) }
    }

    /// Parses a head; its length, or none when it is not complete. An interim answer (1xx) is
    /// passed over: the final one follows it.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Nonsense> {
        let mut lines = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Response::new(&mut lines);
        let httparse::Status::Complete(used) = head.parse(bytes).map_err(|_| Nonsense)? else {
            return Ok(None);
        };
        let status = head.code.ok_or(Nonsense)?;
        if (100..200).contains(&status) && status != 101 {
            return Ok(Some(used));
        }
        self.status = status;
        self.headers.clear();
        // One copy for all values.
        let shared = Bytes::copy_from_slice(&bytes[..used]);
        for line in head.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Nonsense)?;
            let value = match range_in(line.value, bytes) {
                Some(range) => HeaderValue::from_maybe_shared(shared.slice(range)),
                None => HeaderValue::from_maybe_shared(Bytes::new()),
            };
            self.headers.append(name, value.map_err(|_| Nonsense)?);
        }
        let keeps = head.version == Some(1);
        self.framing = framing(self.status, self.to_head_request, &self.headers)?;
        let announced = |word: &str| has_token(&self.headers, &CONNECTION, word);
        self.reusable = !announced("close")
            && (keeps || announced("keep-alive"))
            && self.framing != Framing::UntilClose
            && status != 101;
        self.known.clear();
        // An answer to HEAD is framed otherwise than the same head of another request.
        if !self.to_head_request {
            self.known.extend_from_slice(&bytes[..used]);
        }
        self.stage = stage_of(self.framing);
        Ok(Some(used))
    }
}

/// What comes after a head.
fn stage_of(framing: Framing) -> Stage {
    match framing {
        Framing::Empty | Framing::Length(0) => Stage::Complete,
        Framing::Length(length) => Stage::Length(length),
        Framing::Chunked => Stage::Chunked(Chunks::default()),
        Framing::UntilClose => Stage::UntilClose,
    }
}

/// Counts data of the body, and keeps its beginning.
fn keep(body: &mut Vec<u8>, received: &mut u64, data: &[u8]) {
    *received += data.len() as u64;
    let room = KEPT_BODY_BYTES.saturating_sub(body.len());
    body.extend_from_slice(&data[..data.len().min(room)]);
}

/// Where a part of `whole` lies in it.
fn range_in(part: &[u8], whole: &[u8]) -> Option<std::ops::Range<usize>> {
    if part.is_empty() {
        return None;
    }
    let begin = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    Some(begin..begin + part.len())
}

/// How the body's length is known (RFC 9112, section 6.3).
fn framing(status: u16, to_head_request: bool, headers: &HeaderMap) -> Result<Framing, Nonsense> {
    if to_head_request || matches!(status, 101 | 204 | 304) {
        return Ok(Framing::Empty);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let codings = headers.get_all(TRANSFER_ENCODING).iter();
        let last =
            codings.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).next_back();
        let chunked = last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
        return Ok(if chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.to_str().map_err(|_| Nonsense)?.split(',') {
            let text = text.trim();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Nonsense);
            }
            let this: u64 = text.parse().map_err(|_| Nonsense)?;
            if length.is_some_and(|length| length != this) {
                return Err(Nonsense);
            }
            length = Some(this);
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Whether a header that is a list of words holds this one.
fn has_token(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
