//! The number of pages, from the file itself: trailer, catalogue, root of the page tree.
//!
//! Reads classic cross-reference tables (ISO 32000-1, 7.5.4), which both renderers write. Nothing
//! that a page brings, such as its title, can be taken for structure.

/// Why a file's pages cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// Something else.
    #[error("it does not begin as a PDF")]
    NoPdf,
    /// The end is missing.
    #[error("its end with the cross-reference table is missing")]
    NoEnd,
    /// The page tree cannot be found.
    #[error("its page tree cannot be read")]
    NoPageTree,
}

/// How much of the end may hold `startxref` (ISO 32000-1, annex H, note 18).
const TAIL_BYTES: usize = 1024;

/// The number of pages of a PDF, in time that does not grow with its length.
///
/// # Errors
/// If it is no whole PDF.
pub fn pages(pdf: &[u8]) -> Result<u32, CountError> {
    let (table, root) = page_tree(pdf)?;
    let count = table.object(root).and_then(|root| root.integer_of(b"/Count"));
    count.and_then(|count| u32::try_from(count).ok()).ok_or(CountError::NoPageTree)
}

/// The table of objects, and the number of the page tree's root.
pub(super) fn page_tree(pdf: &[u8]) -> Result<(Table<'_>, usize), CountError> {
    if !pdf.starts_with(b"%PDF-") {
        return Err(CountError::NoPdf);
    }
    let tail = &pdf[pdf.len().saturating_sub(TAIL_BYTES)..];
    let end = find_last(tail, b"%%EOF").ok_or(CountError::NoEnd)?;
    let start = find_last(&tail[..end], b"startxref").ok_or(CountError::NoEnd)?;
    let table = integer(&mut Tokens(&tail[start + b"startxref".len()..end])).ok_or(CountError::NoEnd)?;
    let table = Table::at(pdf, table).ok_or(CountError::NoEnd)?;
    let root = || table.object(table.trailer.integer_of(b"/Root")?)?.integer_of(b"/Pages");
    let root = root().ok_or(CountError::NoPageTree)?;
    Ok((table, root))
}

fn find_last(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).rposition(|window| window == text)
}

/// A cross-reference table and the trailer behind it.
pub(super) struct Table<'a> {
    pdf: &'a [u8],
    /// Number of the first object, and the entries of 20 bytes each.
    sections: Vec<(usize, &'a [u8])>,
    trailer: Dictionary<'a>,
}

impl<'a> Table<'a> {
    const ENTRY_BYTES: usize = 20;

    fn at(pdf: &'a [u8], offset: usize) -> Option<Self> {
        let mut tokens = Tokens(pdf.get(offset..)?);
        if tokens.next()? != b"xref" {
            return None;
        }
        let mut sections = Vec::new();
        loop {
            let token = tokens.next()?;
            if token == b"trailer" {
                return Some(Self { pdf, sections, trailer: Dictionary(tokens.0) });
            }
            let first = number(token)?;
            let entries = integer(&mut tokens)?.checked_mul(Self::ENTRY_BYTES)?;
            let rest = tokens.0.trim_ascii_start();
            sections.push((first, rest.get(..entries)?));
            tokens = Tokens(rest.get(entries..)?);
        }
    }

    /// The dictionary of an object.
    pub(super) fn object(&self, wanted: usize) -> Option<Dictionary<'a>> {
        let entry = self.sections.iter().find_map(|(first, entries)| {
            let start = wanted.checked_sub(*first)?.checked_mul(Self::ENTRY_BYTES)?;
            entries.get(start..start.checked_add(Self::ENTRY_BYTES)?)
        })?;
        let mut tokens = Tokens(self.pdf.get(integer(&mut Tokens(entry))?..)?);
        let is_it = integer(&mut tokens)? == wanted;
        integer(&mut tokens)?;
        (is_it && tokens.next()? == b"obj").then_some(Dictionary(tokens.0))
    }
}

/// Text that begins with a dictionary.
pub(super) struct Dictionary<'a>(&'a [u8]);

impl<'a> Dictionary<'a> {
    /// The integer, or the number of the object, that stands under a key. A name that is a value
    /// cannot be mistaken for the key: another key follows it, and no number.
    fn integer_of(&self, key: &[u8]) -> Option<usize> {
        self.value_of(key, |first, _| number(first))
    }

    /// The tokens of the array that stands under a key; it has no arrays in it.
    pub(super) fn array_of(&self, key: &[u8]) -> Option<Vec<&'a [u8]>> {
        self.value_of(key, |first, rest| {
            (first == b"[").then(|| Tokens(rest).take_while(|token| *token != b"]").collect())
        })
    }

    /// What `read` makes of the first token after a key and of what follows that.
    fn value_of<T>(&self, key: &[u8], read: impl Fn(&'a [u8], &'a [u8]) -> Option<T>) -> Option<T> {
        let mut tokens = Tokens(self.0);
        let mut depth = 0_usize;
        let mut is_key = false;
        loop {
            let token = tokens.next()?;
            if is_key && let Some(value) = read(token, tokens.0) {
                return Some(value);
            }
            match token {
                b"<<" | b"[" => depth += 1,
                b">>" | b"]" => depth = depth.checked_sub(1).filter(|depth| *depth > 0)?,
                _ if depth == 0 => return None,
                _ => {}
            }
            is_key = depth == 1 && token == key;
        }
    }
}

/// Splits into tokens (ISO 32000-1, 7.2 and 7.3); a string is one token.
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.trim_ascii_start();
        let length = match rest {
            [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
            [b'(', ..] => string_length(rest)?,
            [b'<', ..] => rest.iter().position(|byte| *byte == b'>')? + 1,
            [b'[' | b']', ..] => 1,
            [_, after @ ..] => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"()<>[]/".contains(byte);
                1 + after.iter().position(ends).unwrap_or(after.len())
            }
            [] => return None,
        };
        let (token, rest) = rest.split_at(length);
        self.0 = rest;
        Some(token)
    }
}

/// Length of a string in brackets, which nest.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (i, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(i + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn integer(tokens: &mut Tokens) -> Option<usize> {
    number(tokens.next()?)
}

fn number(token: &[u8]) -> Option<usize> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A PDF of these objects; the first is the catalogue.
    pub(crate) fn pdf_of(objects: &[&str]) -> Vec<u8> {
        let mut pdf = b"%PDF-1.4\n%\xe2\xe3\n".to_vec();
        let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
        for (i, object) in objects.iter().enumerate() {
            let line = format!("{:010} 00000 n \n", pdf.len());
            table.push_str(&line);
            pdf.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", i + 1).as_bytes());
        }
        let start = pdf.len();
        let size = objects.len() + 1;
        let trailer =
            format!("{table}trailer\n<</Size {size}\n/Info 9 0 R/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n");
        pdf.extend_from_slice(trailer.as_bytes());
        pdf
    }

    #[test]
    fn the_count_is_that_of_the_page_trees_root() {
        let pdf = pdf_of(&[
            "<</Type /Catalog /Names [<</Pages 7 0 R>>] /Title (a \\) /Pages 8 0 R (/Pages 9 0 R)) /Pages 3 0 R>>",
            "<</Type/Pages/Count 2/Kids[]>>",
            "<</Kids [2 0 R 4 0 R]/Type /Pages\n/Count 12>>",
        ]);
        assert_eq!(pages(&pdf), Ok(12));
    }

    #[test]
    fn what_is_no_whole_pdf_has_no_count() {
        let pdf = pdf_of(&["<</Pages 2 0 R>>", "<</Count 1>>"]);
        assert_eq!(pages(&pdf), Ok(1));
        assert_eq!(pages(b"<html>"), Err(CountError::NoPdf));
        assert_eq!(pages(&pdf[..pdf.len() - 8]), Err(CountError::NoEnd));
        assert_eq!(pages(&pdf_of(&["<</Pages 5 0 R>>"])), Err(CountError::NoPageTree));
        assert_eq!(pages(&pdf_of(&["<</Pages 2 0 R>>", "<</Count -1>>"])), Err(CountError::NoPageTree));
        assert_eq!(
            pages(&pdf_of(&["<</Pages 2 0 R>>", "<</Kids [/Count 3]>>"])),
            Err(CountError::NoPageTree)
        );
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics(at in 0_usize..400, with: u8, cut in 0_usize..400) {
            let mut pdf = pdf_of(&["<</Pages 2 0 R/T(x)>>", "<</Count 1/Kids[<</A<aa>>>]>>"]);
            let length = pdf.len();
            pdf[at % length] = with;
            let _ = pages(&pdf);
            let _ = pages(&pdf[..cut % length]);
        }
    }
}
