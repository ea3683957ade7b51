//! From pixels to the model's input: resize as Pillow does, then normalise.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use models::{Input, Layout, ResizeRule};

use super::picture::Picture;
use crate::workloads::WorkloadError;

/// A model's preprocessing.
#[derive(Debug)]
pub struct Preprocessor {
    width: u32,
    height: u32,
    layout: Layout,
    rule: ResizeRule,
    /// `(value - mean) / std` of each 8-bit value, by channel.
    tables: [[f32; 256]; 3],
}

impl Preprocessor {
    /// Prepares the tables.
    ///
    /// # Errors
    /// If the description cannot be followed.
    pub fn new(input: &Input) -> anyhow::Result<Self> {
        if let ResizeRule::CentreCrop { shorter } = input.resize {
            anyhow::ensure!(
                shorter >= input.width.max(input.height),
                "centre-crop: the shorter side, {shorter}, is less than the input's {} x {}",
                input.width,
                input.height
            );
        }
        let table = |channel: usize| {
            std::array::from_fn(|value| (value as f32 - input.mean[channel]) / input.std[channel])
        };
        Ok(Self {
            width: input.width,
            height: input.height,
            layout: input.layout,
            rule: input.resize,
            tables: std::array::from_fn(table),
        })
    }

    /// Writes a picture as one model input (3 x width x height values).
    ///
    /// # Errors
    /// `TooLarge` if the picture is so narrow that its resized form has more than `max_pixels`.
    pub fn write(&self, picture: &Picture, max_pixels: u64, out: &mut [f32]) -> Result<(), WorkloadError> {
        let (width, height) = self.resized(picture);
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(WorkloadError::TooLarge(format!(
                "the picture's sides, {} x {}, are too unequal to be resized",
                picture.width, picture.height
            )));
        }
        let resized = resize(picture, width, height)?;
        let (left, top) = (centre(width, self.width), centre(height, self.height));
        let row_bytes = 3 * self.width as usize;
        let rows = resized
            .buffer()
            .chunks_exact(3 * width as usize)
            .skip(top as usize)
            .take(self.height as usize)
            .map(|row| &row[3 * left as usize..][..row_bytes]);
        match self.layout {
            Layout::Nchw => planes(&self.tables, self.width, self.height, rows, out),
            Layout::Nhwc => self.write_pixels(rows, out),
        }
        Ok(())
    }

    /// Size after the resize and before the crop. The longer side is rounded down, as
    /// torchvision's `Resize` does.
    fn resized(&self, picture: &Picture) -> (u32, u32) {
        let longer = |shorter: u32, long: u32, short: u32| {
            u32::try_from(u64::from(shorter) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX)
        };
        match self.rule {
            ResizeRule::Stretch => (self.width, self.height),
            ResizeRule::CentreCrop { shorter } if picture.width <= picture.height => {
                (shorter, longer(shorter, picture.height, picture.width))
            }
            ResizeRule::CentreCrop { shorter } => (longer(shorter, picture.width, picture.height), shorter),
        }
    }

    fn write_pixels<'a>(&self, rows: impl Iterator<Item = &'a [u8]>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(3 * self.width as usize)) {
            for (pixel, out) in row.as_chunks::<3>().0.iter().zip(out.as_chunks_mut::<3>().0) {
                *out = std::array::from_fn(|channel| self.tables[channel][usize::from(pixel[channel])]);
            }
        }
    }
}

/// Writes rows of red, green and blue as a plane of each, every value by its channel's table.
pub(in crate::workloads) fn planes<'a>(
    tables: &[[f32; 256]; 3],
    width: u32,
    height: u32,
    rows: impl Iterator<Item = &'a [u8]>,
    out: &mut [f32],
) {
    let (width, plane) = (width as usize, width as usize * height as usize);
    let (red, rest) = out.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let planes =
        red.chunks_exact_mut(width).zip(green.chunks_exact_mut(width)).zip(blue.chunks_exact_mut(width));
    for (row, ((red, green), blue)) in rows.zip(planes) {
        let values = red.iter_mut().zip(green).zip(blue);
        for (pixel, ((red, green), blue)) in row.as_chunks::<3>().0.iter().zip(values) {
            *red = tables[0][usize::from(pixel[0])];
            *green = tables[1][usize::from(pixel[1])];
            *blue = tables[2][usize::from(pixel[2])];
        }
    }
}

/// Pillow's `resize(size, Image.BILINEAR)`: a triangle filter as wide as the reduction asks for,
/// on 8-bit values, first along the rows and then along the columns.
fn resize(picture: &Picture, width: u32, height: u32) -> Result<Image<'static>, WorkloadError> {
    let internal = |error: &dyn std::fmt::Display| WorkloadError::Internal(format!("resize: {error}"));
    let source = ImageRef::new(picture.width, picture.height, &picture.pixels, PixelType::U8x3)
        .map_err(|error| internal(&error))?;
    let mut resized = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut resized, &options).map_err(|error| internal(&error))?;
    Ok(resized)
}

/// Where a crop of `inner` begins in `outer`; halves to the even side, as torchvision's
/// `CenterCrop` (Python's `round`) does.
fn centre(outer: u32, inner: u32) -> u32 {
    (f64::from(outer - inner) / 2.0).round_ties_even() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(layout: Layout, resize: ResizeRule, width: u32, height: u32) -> Input {
        Input {
            name: "input".into(),
            layout,
            width,
            height,
            resize,
            mean: [0.0, 10.0, 20.0],
            std: [1.0, 2.0, 4.0],
        }
    }

    fn grey(width: u32, height: u32, values: &[u8]) -> Picture {
        Picture { width, height, pixels: values.iter().flat_map(|&value| [value; 3]).collect() }
    }

    fn written(input: &Input, picture: &Picture) -> Vec<f32> {
        let mut out = vec![f32::NAN; 3 * (input.width * input.height) as usize];
        Preprocessor::new(input).unwrap().write(picture, 1_000_000, &mut out).unwrap();
        out
    }

    #[test]
    fn channels_are_normalised_each_by_its_own_mean_and_deviation_in_either_layout() {
        let picture = Picture { width: 2, height: 1, pixels: vec![1, 12, 28, 2, 14, 32] };
        let planes = description(Layout::Nchw, ResizeRule::Stretch, 2, 1);
        assert_eq!(written(&planes, &picture), [1.0, 2.0, 1.0, 2.0, 2.0, 3.0]);
        let pixels = description(Layout::Nhwc, ResizeRule::Stretch, 2, 1);
        assert_eq!(written(&pixels, &picture), [1.0, 1.0, 2.0, 2.0, 2.0, 3.0]);
    }

    /// By hand: 4 to 2 pixels, so the triangle reaches 2 pixels to each side of its centre at
    /// 1.0; weights at 0.5, 1.5, 2.5 are 0.75, 0.75, 0.25 of 1.75. Without antialiasing the
    /// result would be 50.
    #[test]
    fn reducing_weighs_every_pixel_under_the_triangle() {
        let picture = grey(4, 1, &[0, 100, 200, 50]);
        let found = written(&description(Layout::Nhwc, ResizeRule::Stretch, 2, 1), &picture);
        let expected = |a: f32, b: f32, c: f32| ((3.0 * a + 3.0 * b + c) / 7.0).round() as u8;
        assert_eq!(
            [found[0] as u8, found[3] as u8],
            [expected(0.0, 100.0, 200.0), expected(50.0, 200.0, 100.0)]
        );
    }

    #[test]
    fn stretch_ignores_the_aspect_ratio() {
        let tall = grey(2, 4, &[10, 90, 10, 90, 10, 90, 10, 90]);
        let found = written(&description(Layout::Nchw, ResizeRule::Stretch, 2, 2), &tall);
        assert_eq!(found[..4], [10.0, 90.0, 10.0, 90.0]);
    }

    #[test]
    fn centre_crop_keeps_the_middle() {
        // Four columns by two rows; the shorter side stays at two, so the middle columns remain.
        let wide = grey(4, 2, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let crop = ResizeRule::CentreCrop { shorter: 2 };
        let found = written(&description(Layout::Nchw, crop, 2, 2), &wide);
        assert_eq!(found[..4], [2.0, 3.0, 6.0, 7.0]);
        let tall = grey(2, 4, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let found = written(&description(Layout::Nchw, crop, 2, 2), &tall);
        assert_eq!(found[..4], [3.0, 4.0, 5.0, 6.0]);
        assert_eq!((centre(341, 224), centre(5, 2), centre(7, 2)), (58, 2, 2));
    }

    #[test]
    fn a_hair_line_of_a_picture_is_refused_by_centre_crop() {
        let line = grey(1, 100, &[0; 100]);
        let crop = description(Layout::Nchw, ResizeRule::CentreCrop { shorter: 256 }, 224, 224);
        let mut out = vec![0.0; 3 * 224 * 224];
        let refused = Preprocessor::new(&crop).unwrap().write(&line, 1_000_000, &mut out);
        assert!(matches!(refused, Err(WorkloadError::TooLarge(_))));
        assert!(
            Preprocessor::new(&description(Layout::Nchw, ResizeRule::CentreCrop { shorter: 2 }, 4, 2))
                .is_err()
        );
    }

    /// Another implementation of the same filter, in floating point.
    #[test]
    fn the_filter_agrees_with_another_implementation() {
        let values: Vec<u8> =
            (0..640_u32 * 360 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let picture = Picture { width: 640, height: 360, pixels: values.clone() };
        let ours = resize(&picture, 224, 224).unwrap();
        let theirs = image::imageops::resize(
            &image::RgbImage::from_raw(640, 360, values).unwrap(),
            224,
            224,
            image::imageops::FilterType::Triangle,
        );
        let furthest = ours.buffer().iter().zip(theirs.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(1), "{furthest:?}");
    }
}
