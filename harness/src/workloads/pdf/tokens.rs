//! The tokens of a PDF (ISO 32000-1, 7.2 and 7.3).

/// Splits into tokens; a string is one token, in its brackets.
pub struct Tokens<'a>(pub &'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut rest = self.0.trim_ascii_start();
        while rest.first() == Some(&b'%') {
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
            rest = rest[end..].trim_ascii_start();
        }
        let length = match rest {
            [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
            [b'(', ..] => string_length(rest)?,
            [b'<', ..] => rest.iter().position(|byte| *byte == b'>')? + 1,
            [b'[' | b']' | b'{' | b'}', ..] => 1,
            [_, after @ ..] => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"()<>[]{}/%".contains(byte);
                1 + after.iter().position(ends).unwrap_or(after.len())
            }
            [] => return None,
        };
        let (token, rest) = rest.split_at(length);
        self.0 = rest;
        Some(token)
    }
}

/// Length of a string in round brackets, which nest.
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

/// A token as a whole number.
pub fn number(token: &[u8]) -> Option<usize> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// The bytes of a string (7.3.4): literal in round brackets, hexadecimal in pointed ones.
pub fn string(token: &[u8]) -> Vec<u8> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if token.starts_with(b"(") { literal(inner) } else { hexadecimal(inner) }
}

fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> =
        text.iter().filter_map(|byte| char::from(*byte).to_digit(16)).map(|digit| digit as u8).collect();
    // A missing last digit is a zero.
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect()
}

fn literal(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'b') => bytes.push(8),
            Some(b'f') => bytes.push(12),
            // The line goes on.
            Some(b'\n') | None => {}
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                // The high bit of a fourth hundred is ignored.
                bytes.push(value as u8);
            }
            Some(other) => bytes.push(other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_names_and_brackets_are_tokens() {
        let text = b"<</A(x\\)(y))/B<0a 1>[1 0 R]>>%c\nBT{-3.5}";
        let tokens: Vec<_> = Tokens(text).map(|token| String::from_utf8_lossy(token).into_owned()).collect();
        let expected =
            ["<<", "/A", "(x\\)(y))", "/B", "<0a 1>", "[", "1", "0", "R", "]", ">>", "BT", "{", "-3.5", "}"];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn a_string_is_its_bytes() {
        assert_eq!(string(b"(a\\)\\n\\101\\7z\\\\)"), b"a)\nA\x07z\\");
        assert_eq!(string(b"<48 65 6C6c 7>"), b"Hellp");
        assert_eq!(string(b"("), b"");
    }
}
