//! A chunked body, decoded as it comes in (RFC 9112, section 7.1).

use super::parser::Nonsense;

/// Longest line of a chunk's size with its extensions, and most bytes of all trailers.
const MOST_LINE_BYTES: u32 = 16 << 10;

/// The decoder of one body.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    stage: Stage,
    /// Bytes of the present line, or of the trailers.
    line: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first digit of a size.
    #[default]
    Begin,
    /// In the digits of a size.
    Size(u64),
    /// In an extension, or the end of the size's line.
    Extension(u64),
    /// In the data of a chunk.
    Data(u64),
    /// Between the data and the next size.
    DataEnd,
    /// At the beginning of a trailer's line.
    TrailerBegin,
    /// In a trailer's line.
    Trailer,
    /// After the carriage return of the last, empty line.
    LastLine,
    Over,
}

impl Chunks {
    /// Whether the body is complete.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Decodes what arrived, hands the data over, and says how many bytes belong to the body.
    pub(super) fn feed(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Nonsense> {
        let mut at = 0;
        while at < input.len() && self.stage != Stage::Over {
            if let Stage::Data(left) = self.stage {
                let rest = &input[at..];
                let here = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                data(&rest[..here]);
                at += here;
                let left = left - here as u64;
                self.stage = if left == 0 { Stage::DataEnd } else { Stage::Data(left) };
                self.line = 0;
                continue;
            }
            self.stage = self.step(input[at])?;
            at += 1;
            self.line += 1;
            if self.line > MOST_LINE_BYTES {
                return Err(Nonsense);
            }
        }
        Ok(at)
    }

    /// The stage after a byte outside the data. A bare line feed ends a line, as in a head.
    fn step(&self, byte: u8) -> Result<Stage, Nonsense> {
        Ok(match (self.stage, byte) {
            (Stage::Begin | Stage::Size(_), byte) if byte.is_ascii_hexdigit() => {
                let so_far = if let Stage::Size(size) = self.stage { size } else { 0 };
                let digit = u64::from((byte as char).to_digit(16).ok_or(Nonsense)?);
                Stage::Size(so_far.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or(Nonsense)?)
            }
            (Stage::Size(0) | Stage::Extension(0) | Stage::Trailer, b'\n') => Stage::TrailerBegin,
            (Stage::Size(size) | Stage::Extension(size), b'\n') => Stage::Data(size),
            (Stage::Size(size), b'\r' | b';' | b' ' | b'\t') | (Stage::Extension(size), _) => {
                Stage::Extension(size)
            }
            (Stage::DataEnd, b'\r') => Stage::DataEnd,
            (Stage::DataEnd, b'\n') => Stage::Begin,
            (Stage::TrailerBegin, b'\r') => Stage::LastLine,
            (Stage::TrailerBegin | Stage::LastLine, b'\n') => Stage::Over,
            (Stage::TrailerBegin | Stage::Trailer, _) => Stage::Trailer,
            _ => return Err(Nonsense),
        })
    }
}
