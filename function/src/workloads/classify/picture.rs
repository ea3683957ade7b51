//! From a file's bytes to pixels, as Pillow's `Image.open(file).convert("RGB")` gives them:
//! no rotation by EXIF, transparency dropped, the first frame of an animation.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::jpeg;
use crate::workloads::WorkloadError;

/// What decoders may allocate beyond their output: tables, rows, a second frame.
const DECODER_BYTES: u64 = 64 << 20;

/// Widest pixel that a decoder may hand over: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;

/// A picture in 8-bit RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue, row by row from the top.
    pub pixels: Vec<u8>,
}

/// Decodes a JPEG, PNG, WebP, BMP or GIF file of at most `max_pixels` pixels.
///
/// # Errors
/// `Unsupported` for anything else, `TooLarge` (from the header, before pixels are decoded),
/// `Damaged` for a broken or truncated file.
pub fn decode(file: &[u8], max_pixels: u64) -> Result<Picture, WorkloadError> {
    // Decoders have been known to panic on crafted files; that is the file's fault.
    catch_unwind(|| decode_file(file, max_pixels))
        .unwrap_or_else(|_| Err(WorkloadError::Damaged("the picture makes its decoder fail".into())))
}

fn decode_file(file: &[u8], max_pixels: u64) -> Result<Picture, WorkloadError> {
    let format = image::guess_format(file).ok().filter(ImageFormat::reading_enabled).ok_or_else(|| {
        WorkloadError::Unsupported("the body is no picture; send JPEG, PNG, WebP, BMP or GIF".into())
    })?;
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(DECODER_BYTES));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| refusal(&error))?;

    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(WorkloadError::TooLarge(format!(
            "the picture has {width} x {height} pixels, more than the limit of {max_pixels}; \
             send a smaller one, or start the function with a higher MAX_PIXELS"
        )));
    }
    if width == 0 || height == 0 {
        return Err(WorkloadError::Damaged("the picture has no pixels".into()));
    }
    if format == ImageFormat::Jpeg && !jpeg::is_complete(file) {
        return Err(WorkloadError::Damaged("the JPEG file is truncated".into()));
    }
    Ok(Picture { width, height, pixels: pixels(decoder).map_err(|error| refusal(&error))? })
}

fn pixels(decoder: impl ImageDecoder) -> Result<Vec<u8>, ImageError> {
    if decoder.color_type() == ColorType::Rgb8 {
        // The common case needs no second buffer.
        let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
        decoder.read_image(&mut pixels)?;
        return Ok(pixels);
    }
    Ok(DynamicImage::from_decoder(decoder)?.into_rgb8().into_raw())
}

fn refusal(error: &ImageError) -> WorkloadError {
    match error {
        ImageError::Unsupported(_) => {
            WorkloadError::Unsupported(format!("the picture cannot be read: {error}"))
        }
        ImageError::Limits(_) => WorkloadError::TooLarge(format!("the picture is too large: {error}")),
        _ => WorkloadError::Damaged(format!("the picture is damaged: {error}")),
    }
}
