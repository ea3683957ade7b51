//! Pictures of the documents: bar charts as PNG (ISO/IEC 15948), so that no encoder is needed.

use std::io::Write as _;

use base64::Engine as _;
use flate2::{Compression, Crc, write::ZlibEncoder};
use rand::{RngExt as _, rngs::StdRng};

/// Width and height of a chart, pixels.
pub const SIZE: (usize, usize) = (480, 270);

/// Red, green, blue.
pub type Colour = [u8; 3];

/// A chart of these values between 0 and 1, with some noise, as a photograph has.
pub fn chart(values: &[f64], colour: Colour, random: &mut StdRng) -> Vec<u8> {
    let (width, height) = SIZE;
    let slot = width / values.len().max(1);
    let pixel = |x: usize, y: usize, noise: u8| -> Colour {
        let value = values.get(x / slot.max(1)).copied().unwrap_or(0.0);
        let is_bar = x % slot.max(1) > slot / 5 && (height - y) as f64 <= value * height as f64 * 0.95;
        let base = if is_bar { colour } else { [246, 246, 242] };
        base.map(|channel| channel.saturating_sub(noise))
    };
    let mut rows = Vec::with_capacity(height * (1 + width * 3));
    for y in 0..height {
        // Filter type 0: the bytes as they are.
        rows.push(0);
        for x in 0..width {
            rows.extend_from_slice(&pixel(x, y, random.random_range(0..8)));
        }
    }
    png(width, height, &rows)
}

fn png(width: usize, height: usize, rows: &[u8]) -> Vec<u8> {
    let side = |length: usize| (length as u32).to_be_bytes();
    // Depth 8, colour type 2 (RGB), and the only compression, filter and no interlace.
    let header = [&side(width)[..], &side(height), &[8, 2, 0, 0, 0]].concat();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let packed = packed.write_all(rows).and_then(|()| packed.finish()).unwrap_or_default();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(data);
        file.extend_from_slice(&(data.len() as u32).to_be_bytes());
        file.extend_from_slice(kind);
        file.extend_from_slice(data);
        file.extend_from_slice(&crc.sum().to_be_bytes());
    }
    file
}

/// Standard Base64 (RFC 4648), for `data:` addresses.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_chart_is_the_same_png_for_the_same_seed() {
        let chart = |seed| chart(&[0.2, 0.9], [10, 90, 160], &mut StdRng::seed_from_u64(seed));
        assert_eq!(chart(1), chart(1));
        assert_ne!(chart(1), chart(2));
        assert!(chart(1).starts_with(b"\x89PNG\r\n\x1a\n"));
        // An independent decoder.
        let drawn = resvg::tiny_skia::Pixmap::decode_png(&chart(1)).unwrap();
        assert_eq!((drawn.width() as usize, drawn.height() as usize), SIZE);
        let at = |x, y| drawn.pixel(x, y).map(|pixel| pixel.blue() > 120 && pixel.red() < 40);
        assert_eq!((at(360, 200), at(120, 30)), (Some(true), Some(false)), "a high bar and nothing");
    }
}
