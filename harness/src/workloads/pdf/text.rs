//! The text of a PDF (ISO 32000-1, 9.10): what its pages show, through the fonts' `ToUnicode` maps.
//!
//! Reads what renderers of web pages write: a cross-reference table, Flate streams, text in the
//! pages' own content. Anything else gives less text, never a wrong one.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read as _,
};

use flate2::read::ZlibDecoder;

use super::tokens::{Tokens, number, string};

/// Text without white space: where a word ends is a matter of positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

/// The text of all pages, in the order of their objects; none if it is no PDF of a known shape.
pub fn read(pdf: &[u8]) -> Option<Text> {
    let file = File::open(pdf)?;
    let mut text = String::new();
    for page in file.objects.values().filter(|object| object.is_of_type(b"/Page")) {
        let fonts = file.fonts_of(page);
        for part in page.references(b"/Contents") {
            let content = file.objects.get(&part).and_then(Object::stream);
            show(&content?, &fonts, &mut text);
        }
    }
    text.retain(|c| !c.is_whitespace());
    Some(Text(text))
}

impl Text {
    /// Whether all of these are in it.
    pub fn holds_all(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.0.contains(&word.split_whitespace().collect::<String>()))
    }
}

/// The objects of a file, by number.
struct File<'a> {
    objects: BTreeMap<usize, Object<'a>>,
}

impl<'a> File<'a> {
    fn open(pdf: &'a [u8]) -> Option<Self> {
        let start = pdf.windows(9).rposition(|window| window == b"startxref")?;
        let table = number(Tokens(&pdf[start + 9..]).next()?)?;
        let mut tokens = Tokens(pdf.get(table..)?);
        let mut objects = BTreeMap::new();
        if tokens.next()? != b"xref" {
            return None;
        }
        while let Some(first) = number(tokens.next()?) {
            for i in first..first.checked_add(number(tokens.next()?)?)? {
                let offset = number(tokens.next()?)?;
                tokens.next()?;
                if tokens.next()? == b"n" {
                    let mut at = Tokens(pdf.get(offset..)?);
                    // Number, generation, `obj`.
                    at.nth(2)?;
                    objects.insert(i, Object(at.0));
                }
            }
        }
        Some(Self { objects })
    }

    /// The fonts that a page's content can name: its resources, there or one reference away.
    fn fonts_of(&self, page: &Object) -> HashMap<Vec<u8>, Font> {
        let resources = page.reference(b"/Resources").and_then(|number| self.objects.get(&number));
        let resources = resources.unwrap_or(page);
        let list = resources.reference(b"/Font").and_then(|number| self.objects.get(&number));
        let named = list.unwrap_or(resources).all_references();
        named.into_iter().filter_map(|(name, number)| Some((name, self.font(number)?))).collect()
    }

    fn font(&self, number: usize) -> Option<Font> {
        let font = self.objects.get(&number).filter(|object| object.is_of_type(b"/Font"))?;
        let map = font.reference(b"/ToUnicode").and_then(|number| self.objects.get(&number)?.stream());
        Some(Font {
            code_bytes: font.code_bytes(),
            to_unicode: map.map(|map| to_unicode(&map)).unwrap_or_default(),
        })
    }
}

/// What stands behind `obj`: a dictionary, and perhaps a stream.
struct Object<'a>(&'a [u8]);

impl Object<'_> {
    /// The tokens of the dictionary and all within it.
    fn tokens(&self) -> Vec<&[u8]> {
        let end = |token: &&[u8]| !matches!(*token, b"endobj" | b"stream");
        Tokens(self.0).take_while(end).collect()
    }

    fn is_of_type(&self, name: &[u8]) -> bool {
        self.tokens().windows(2).any(|pair| pair == [b"/Type".as_slice(), name])
    }

    /// Composite fonts have codes of two bytes (9.7), the others of one.
    fn code_bytes(&self) -> usize {
        let is_composite = self.tokens().windows(2).any(|pair| pair == [b"/Subtype".as_slice(), b"/Type0"]);
        if is_composite { 2 } else { 1 }
    }

    fn reference(&self, key: &[u8]) -> Option<usize> {
        self.references(key).into_iter().next()
    }

    /// The objects under a key: one, or those of an array.
    fn references(&self, key: &[u8]) -> Vec<usize> {
        let tokens = self.tokens();
        let Some(at) = tokens.iter().position(|token| *token == key) else { return Vec::new() };
        let value = &tokens[at + 1..];
        let length = match value.first() {
            Some(&b"[") => value.iter().position(|token| *token == b"]").unwrap_or_default(),
            _ => value.len().min(3),
        };
        value[..length].windows(3).filter(|w| w[2] == b"R").filter_map(|w| number(w[0])).collect()
    }

    /// Every name that stands before a reference.
    fn all_references(&self) -> Vec<(Vec<u8>, usize)> {
        let tokens = self.tokens();
        let pairs = tokens.windows(4).filter(|w| w[0].starts_with(b"/") && w[3] == b"R");
        pairs.filter_map(|w| Some((w[0].to_vec(), number(w[1])?))).collect()
    }

    /// The stream, unpacked if it is packed. The packed data say themselves where they end.
    fn stream(&self) -> Option<Vec<u8>> {
        let mut tokens = Tokens(self.0);
        let mut is_packed = false;
        loop {
            match tokens.next()? {
                b"/FlateDecode" => is_packed = true,
                b"stream" => break,
                b"endobj" => return None,
                _ => {}
            }
        }
        let data = tokens.0.strip_prefix(b"\r").unwrap_or(tokens.0);
        let data = data.strip_prefix(b"\n").unwrap_or(data);
        if !is_packed {
            let end = data.windows(9).position(|window| window == b"endstream")?;
            return Some(data[..end].to_vec());
        }
        let mut plain = Vec::new();
        ZlibDecoder::new(data).read_to_end(&mut plain).ok()?;
        Some(plain)
    }
}

/// How the codes of a font become text.
struct Font {
    code_bytes: usize,
    to_unicode: HashMap<u32, String>,
}

/// Appends what a content stream shows (9.4.3).
fn show(content: &[u8], fonts: &HashMap<Vec<u8>, Font>, text: &mut String) {
    let mut font = None;
    let mut name: &[u8] = b"";
    for token in Tokens(content) {
        match token {
            [b'/', ..] => name = token,
            b"Tf" => font = fonts.get(name),
            [b'(' | b'<', ..] if token != b"<<" => {
                let Some(font) = font else { continue };
                for code in string(token).chunks(font.code_bytes) {
                    let code = code.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
                    match font.to_unicode.get(&code) {
                        Some(shown) => text.push_str(shown),
                        // A simple font without a map is in one of the encodings that begin as ASCII.
                        None if font.code_bytes == 1 => text.extend(char::from_u32(code)),
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The map of a `ToUnicode` stream (9.10.3): single codes and ranges.
fn to_unicode(map: &[u8]) -> HashMap<u32, String> {
    let code = |token: &[u8]| string(token).iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
    let text = |token: &[u8]| {
        let units: Vec<u16> =
            string(token).chunks_exact(2).map(|p| u16::from_be_bytes([p[0], p[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    let mut known = HashMap::new();
    let mut tokens = Tokens(map);
    while let Some(token) = tokens.next() {
        let is_range = match token {
            b"beginbfchar" => false,
            b"beginbfrange" => true,
            _ => continue,
        };
        while let Some(first) = tokens.next().filter(|token| token.starts_with(b"<")) {
            let last = if is_range { tokens.next() } else { Some(first) };
            let (Some(last), Some(target)) = (last, tokens.next()) else { break };
            // A code has two bytes at most, so a range is short.
            let codes = code(first)..=code(last).min(0xffff);
            if target == b"[" {
                let texts = tokens.by_ref().take_while(|token| *token != b"]");
                known.extend(codes.zip(texts.map(text)));
            } else {
                known.extend(codes.enumerate().map(|(i, code)| (code, advanced(text(target), i as u32))));
            }
        }
    }
    known
}

/// The text whose last character is so many further on.
fn advanced(mut text: String, by: u32) -> String {
    if by > 0
        && let Some(last) = text.pop()
    {
        text.extend(char::from_u32(last as u32 + by));
    }
    text
}
