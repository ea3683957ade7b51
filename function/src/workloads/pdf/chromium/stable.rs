//! The same page gives the same bytes: what Chromium writes of the time is overwritten in place, so
//! that no offset of the PDF moves.

/// The moment that all PDFs claim (PDF 32000-1:2008, 7.9.4).
const MOMENT: &[u8] = b"D:20000101000000+00'00'";

/// Dates of the information dictionary (14.3.3), as Skia writes them. A page's own title cannot hold
/// one of these: its parentheses are escaped.
const DATES: [&[u8]; 2] = [b"/CreationDate (", b"/ModDate ("];

/// Sets the dates of a PDF to one fixed moment.
pub fn fix_dates(pdf: &mut [u8]) {
    for key in DATES {
        let mut from = 0;
        while let Some(found) = find(&pdf[from..], key) {
            let start = from + found + key.len();
            let length = pdf[start..].iter().take(MOMENT.len()).take_while(|&&byte| byte != b')').count();
            pdf[start..start + length].copy_from_slice(&MOMENT[..length]);
            from = start + length;
        }
    }
}

/// Where a sequence of bytes begins.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_overwritten_and_nothing_moves() {
        let mut pdf = b"<</Creator (Chromium)\n/CreationDate (D:20261121110333+00'00')\n\
            /ModDate (D:20261121110333+00'00')>>\nstream"
            .to_vec();
        fix_dates(&mut pdf);
        assert_eq!(
            String::from_utf8(pdf).unwrap(),
            "<</Creator (Chromium)\n/CreationDate (D:20000101000000+00'00')\n\
            /ModDate (D:20000101000000+00'00')>>\nstream"
        );
    }

    #[test]
    fn shorter_and_broken_dates_stay_within_themselves() {
        for (before, after) in [
            ("/ModDate (D:2026)x", "/ModDate (D:2000)x"),
            ("/ModDate (", "/ModDate ("),
            ("/ModDate (D:", "/ModDate (D:"),
            ("(/ModDate \\(D:2026)", "(/ModDate \\(D:2026)"),
        ] {
            let mut pdf = before.as_bytes().to_vec();
            fix_dates(&mut pdf);
            assert_eq!(String::from_utf8(pdf).unwrap(), after);
        }
    }
}
