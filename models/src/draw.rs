//! The drawn pictures: eight pictures with clearly different content, for machines without
//! photographs. Only integer arithmetic, so that every machine draws the same bytes.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, Rgb, RgbImage};

use crate::random::mix;

/// Width of every drawn picture, pixels.
pub const WIDTH: u32 = 320;
/// Height of every drawn picture, pixels.
pub const HEIGHT: u32 = 240;
/// JPEG quality: that of a usual photograph on the web.
const QUALITY: u8 = 90;

/// From a pixel's column and row to its red, green and blue.
type Painter = fn(i32, i32) -> [u8; 3];

const PAINTERS: [(&str, Painter); 8] = [
    ("drawn-gradient.jpg", gradient),
    ("drawn-stripes.jpg", stripes),
    ("drawn-checks.jpg", checks),
    ("drawn-discs.jpg", discs),
    ("drawn-noise.jpg", noise),
    ("drawn-rings.jpg", rings),
    ("drawn-hills.jpg", hills),
    ("drawn-grid.jpg", grid),
];

/// File names of the pictures that this code can draw.
pub fn names() -> impl Iterator<Item = &'static str> {
    PAINTERS.iter().map(|(name, _)| *name)
}

/// Draws one picture and gives it as a JPEG file; `None` if no drawn picture has this name.
///
/// # Errors
/// If it cannot be encoded, which a picture of this size always can.
pub fn draw(name: &str) -> Result<Option<Vec<u8>>, ImageError> {
    let Some((_, painter)) = PAINTERS.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb(painter(x.cast_signed(), y.cast_signed())));
    let mut jpeg = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(Some(jpeg))
}

/// `from` at 0, `to` at `of`, straight in between.
fn blend(from: [u8; 3], to: [u8; 3], at: i32, of: i32) -> [u8; 3] {
    let at = at.clamp(0, of);
    std::array::from_fn(|channel| {
        let (from, to) = (i32::from(from[channel]), i32::from(to[channel]));
        // Between two values of 0..=255, so it fits.
        (from + (to - from) * at / of) as u8
    })
}

/// An evening sky: orange to violet.
fn gradient(x: i32, y: i32) -> [u8; 3] {
    blend([255, 176, 64], [88, 24, 128], y + x / 4, 319)
}

/// Slanted stripes, navy on light blue.
fn stripes(x: i32, y: i32) -> [u8; 3] {
    if (x + y) / 18 % 2 == 0 { [16, 32, 128] } else { [144, 208, 255] }
}

/// A chessboard.
fn checks(x: i32, y: i32) -> [u8; 3] {
    if (x / 30 + y / 30) % 2 == 0 { [250, 250, 245] } else { [20, 16, 16] }
}

/// Yellow discs of growing size on green.
fn discs(x: i32, y: i32) -> [u8; 3] {
    let (across, down) = (x % 80 - 40, y % 80 - 40);
    let radius = 14 + 4 * (x / 80) + 3 * (y / 80);
    if across * across + down * down < radius * radius { [255, 224, 32] } else { [16, 112, 40] }
}

/// Blocks of 4 x 4 pixels, each in a colour of its own.
fn noise(x: i32, y: i32) -> [u8; 3] {
    let block = (x / 4 + 80 * (y / 4)).unsigned_abs();
    let [red, green, blue, ..] = mix(u64::from(block)).to_le_bytes();
    [red, green, blue]
}

/// Pink rings on teal.
fn rings(x: i32, y: i32) -> [u8; 3] {
    let (across, down) = (x - 160, y - 120);
    let distance = (across * across + down * down).isqrt();
    if distance / 16 % 2 == 0 { [248, 120, 168] } else { [0, 120, 120] }
}

/// A red house under the sun, before hills.
fn hills(x: i32, y: i32) -> [u8; 3] {
    let sun = (x - 250) * (x - 250) + (y - 50) * (y - 50) < 28 * 28;
    let wall = (70..150).contains(&x) && (120..200).contains(&y);
    let roof = (70..120).contains(&y) && (x - 110).abs() < y - 70;
    let ridge = 170 - (60 * 60 - (x % 160 - 80).pow(2) / 2).max(0) / 60;
    match () {
        () if sun => [255, 240, 120],
        () if roof => [96, 40, 32],
        () if wall => [200, 56, 40],
        () if y > ridge => blend([96, 168, 64], [40, 88, 32], y - ridge, 130),
        () => blend([104, 168, 240], [216, 232, 248], y, 170),
    }
}

/// Thin bright lines on black.
fn grid(x: i32, y: i32) -> [u8; 3] {
    match (x % 32 < 3, y % 24 < 2) {
        (true, _) => [255, 48, 224],
        (_, true) => [64, 255, 240],
        _ => [8, 8, 16],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drawn_picture_is_a_jpeg_of_the_stated_size() {
        for name in names() {
            let jpeg = draw(name).unwrap().unwrap();
            let picture = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg).unwrap();
            assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT), "{name}");
        }
        assert!(draw("cat.jpg").unwrap().is_none());
    }

    #[test]
    fn no_two_drawn_pictures_are_alike() {
        let mut drawn: Vec<_> = names().map(|name| draw(name).unwrap().unwrap()).collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), PAINTERS.len());
    }
}
