//! From a scene to pixels and to a JPEG file.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, Rgb, RgbImage};

use super::arrange::Placed;
use super::things::Ground;
use crate::random::{Stream, mix};

/// Width and height of every scene, pixels.
pub(super) const SIDE: i32 = 256;
/// JPEG quality: that of a usual photograph on the web.
const QUALITY: u8 = 90;
/// Most by which a thing's red, green or blue differs from its colour's.
const COLOUR_JITTER: i32 = 16;
/// Points at which each quarter of a pixel is looked at, in quarters of a pixel.
const SAMPLES: [(i32, i32); 4] = [(1, 1), (3, 1), (1, 3), (3, 3)];

/// Paints the things, the first on top, and gives them as a JPEG file.
///
/// # Errors
/// If it cannot be encoded, which a picture of this size always can.
pub(super) fn jpeg(ground: Ground, things: &[Placed], random: &mut Stream) -> Result<Vec<u8>, ImageError> {
    let mut picture = background(ground, random);
    for thing in things.iter().rev() {
        paint(&mut picture, thing, random);
    }
    add_noise(&mut picture, random);
    let mut jpeg = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

/// The ground, unevenly lit: brighter at one side than at the other.
fn background(ground: Ground, random: &mut Stream) -> RgbImage {
    let slope = (random.between(-20, 20), random.between(-20, 20));
    let tint: [i32; 3] = std::array::from_fn(|_| random.between(-6, 6));
    let half = SIDE / 2;
    RgbImage::from_fn(SIDE.cast_unsigned(), SIDE.cast_unsigned(), |x, y| {
        let (across, down) = (x.cast_signed() - half, y.cast_signed() - half);
        let light = ground.brightness() + (slope.0 * across + slope.1 * down) / (2 * half);
        Rgb(tint.map(|tint| clamped(light + tint)))
    })
}

/// Paints a thing with smooth edges.
fn paint(picture: &mut RgbImage, placed: &Placed, random: &mut Stream) {
    let Placed { thing, x, y, radius, turn: (cosine, sine) } = *placed;
    let rgb = thing
        .colour
        .rgb()
        .map(|channel| clamped(i32::from(channel) + random.between(-COLOUR_JITTER, COLOUR_JITTER)));
    // From quarters of a pixel times 1024 to thousandths of the radius.
    let unit = |turned: i32| turned * 125 / (512 * radius);
    for row in y - radius..=y + radius {
        for column in x - radius..=x + radius {
            let covers = |(right, down): (i32, i32)| {
                let (across, below) = (4 * (column - x) + right - 2, 4 * (row - y) + down - 2);
                let (u, v) = (across * cosine + below * sine, below * cosine - across * sine);
                thing.shape.holds(unit(u), unit(v))
            };
            let covered: i32 = SAMPLES.into_iter().map(|sample| i32::from(covers(sample))).sum();
            if let Some(Rgb(under)) = picture.get_pixel_mut_checked(column as u32, row as u32) {
                for (under, over) in under.iter_mut().zip(rgb) {
                    *under = clamped((i32::from(*under) * (4 - covered) + i32::from(over) * covered) / 4);
                }
            }
        }
    }
}

/// Adds to each red, green and blue a number of its own, as a camera's sensor does.
fn add_noise(picture: &mut RgbImage, random: &mut Stream) {
    let most = random.between(0, 10);
    let seed = random.bits();
    for (at, Rgb(pixel)) in picture.pixels_mut().enumerate() {
        let bytes = mix(seed.wrapping_add(at as u64)).to_le_bytes();
        for (channel, byte) in pixel.iter_mut().zip(bytes) {
            let noise = i32::from(byte) * (2 * most + 1) / 256 - most;
            *channel = clamped(i32::from(*channel) + noise);
        }
    }
}

fn clamped(brightness: i32) -> u8 {
    // Between the bounds of a byte, so it fits.
    brightness.clamp(0, 255) as u8
}
