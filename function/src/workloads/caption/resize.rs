//! Resizing exactly as Pillow does it, to the last bit: a caption can hang on a single grey level. The faster
//! library that classification uses differs from Pillow by one level here and there.
//!
//! Written after Pillow's `Resample.c`: weights in double precision, then in fixed point of 22 bits; first along
//! the rows, then along the columns, rounded to 8 bits after each.

use std::f64::consts::PI;

use crate::workloads::classify::picture::Picture;

/// Bits behind the point of a weight.
const PRECISION: u32 = 22;

/// A half in fixed point: what is cut off afterwards is so rounded.
const HALF: i32 = 1 << (PRECISION - 1);

/// Pillow's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The pixel under the centre.
    Nearest,
    /// All pixels under the new one, equally.
    Box,
    /// A triangle.
    Bilinear,
    /// A sinc within a Hamming window.
    Hamming,
    /// Cubic convolution with a = -0.5.
    Bicubic,
    /// A sinc within a sinc's window, three wide.
    Lanczos,
}

impl Filter {
    /// How far it reaches to either side, in pixels of the smaller picture.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// Its weight at this distance from its centre.
    fn weight(self, x: f64) -> f64 {
        let far = x.abs();
        match self {
            Self::Nearest | Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - far).max(0.0),
            Self::Hamming if far < 1.0 => sinc(far) * (0.54 + 0.46 * (far * PI).cos()),
            Self::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => (((far - 5.0) * far + 8.0) * far - 4.0) * -0.5,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Hamming | Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// The old pixels that make up a new one.
struct Window {
    first: usize,
    /// In fixed point.
    weights: Vec<i32>,
}

/// The picture's pixels at another size: red, green, blue, row by row.
pub fn resize(picture: &Picture, width: u32, height: u32, filter: Filter) -> Vec<u8> {
    let (from_width, from_height) = (picture.width as usize, picture.height as usize);
    let (width, height) = (width as usize, height as usize);
    let rows = if width == from_width {
        picture.pixels.clone()
    } else {
        along_rows(&picture.pixels, from_width, &windows(from_width, width, filter))
    };
    if height == from_height {
        return rows;
    }
    along_columns(&rows, 3 * width, &windows(from_height, height, filter))
}

fn windows(from: usize, to: usize, filter: Filter) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    if filter == Filter::Nearest {
        let one = |at: usize| Window {
            first: (((at as f64 + 0.5) * scale) as usize).min(from - 1),
            weights: vec![1 << PRECISION],
        };
        return (0..to).map(one).collect();
    }
    // What is made larger is not smoothed.
    let wide = scale.max(1.0);
    let support = filter.support() * wide;
    let one = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let exact: Vec<f64> =
            (first..end).map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / wide))).collect();
        let sum: f64 = exact.iter().sum();
        let fixed = |weight: &f64| {
            let weight = if sum == 0.0 { *weight } else { weight / sum };
            (weight * f64::from(1_u32 << PRECISION)).round() as i32
        };
        Window { first, weights: exact.iter().map(fixed).collect() }
    };
    (0..to).map(one).collect()
}

fn along_rows(pixels: &[u8], from_width: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / from_width * windows.len());
    for row in pixels.chunks_exact(3 * from_width) {
        for window in windows {
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[3 * window.first..].as_chunks::<3>().0.iter().zip(&window.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(sums.map(rounded));
        }
    }
    out
}

fn along_columns(pixels: &[u8], row_bytes: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row_bytes * windows.len());
    let mut sums = vec![0; row_bytes];
    for window in windows {
        sums.fill(HALF);
        let rows = pixels.chunks_exact(row_bytes).skip(window.first);
        for (row, weight) in rows.zip(&window.weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| rounded(*sum)));
    }
    out
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Filter; 6] =
        [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos];

    const PILLOW_INPUT: [u8; 20] =
        [207, 21, 45, 60, 46, 205, 222, 149, 10, 24, 85, 110, 159, 122, 67, 40, 177, 188, 8, 29];
    const PILLOW_OUTPUT: [[u8; 6]; 6] = [
        [205, 149, 24, 40, 188, 29],
        [164, 97, 35, 104, 174, 57],
        [159, 96, 43, 114, 142, 50],
        [171, 94, 37, 98, 153, 53],
        [167, 90, 40, 112, 151, 48],
        [169, 87, 42, 116, 158, 43],
    ];
    const PILLOW_LARGER: [[u8; 35]; 6] = [
        [
            207, 21, 21, 45, 60, 60, 46, 205, 222, 222, 149, 10, 10, 24, 85, 110, 110, 159, 122, 122, 67, 85,
            110, 110, 159, 122, 122, 67, 40, 177, 177, 188, 8, 8, 29,
        ],
        [
            207, 21, 21, 45, 60, 60, 46, 205, 222, 222, 149, 10, 10, 24, 85, 110, 110, 159, 122, 122, 67, 85,
            110, 110, 159, 122, 122, 67, 40, 177, 177, 188, 8, 8, 29,
        ],
        [
            207, 101, 28, 45, 56, 54, 46, 206, 181, 149, 118, 52, 27, 31, 145, 157, 163, 154, 92, 57, 46, 72,
            105, 141, 168, 111, 74, 56, 40, 118, 180, 188, 59, 17, 29,
        ],
        [
            207, 84, 24, 45, 58, 55, 46, 205, 200, 190, 136, 29, 20, 27, 145, 159, 165, 154, 76, 59, 46, 79,
            106, 123, 163, 114, 92, 62, 40, 131, 178, 188, 28, 15, 29,
        ],
        [
            219, 96, 4, 41, 59, 57, 46, 216, 195, 161, 119, 38, 14, 28, 146, 164, 175, 159, 92, 54, 45, 61,
            93, 139, 168, 119, 76, 57, 30, 117, 198, 189, 46, 1, 29,
        ],
        [
            222, 97, 0, 39, 65, 59, 46, 219, 196, 160, 116, 32, 8, 29, 148, 169, 191, 165, 100, 53, 48, 55,
            80, 139, 166, 126, 73, 59, 28, 110, 220, 189, 44, 0, 33,
        ],
    ];

    fn grey(width: u32, values: &[u8]) -> Picture {
        let height = values.len() as u32 / width;
        Picture { width, height, pixels: values.iter().flat_map(|&value| [value; 3]).collect() }
    }

    fn reds(resized: &[u8]) -> Vec<u8> {
        resized.iter().step_by(3).copied().collect()
    }

    /// What Pillow 13.0.0 makes of it: `Image.fromarray(...).resize((3, 2), filter)`, and for (7, 5).
    #[test]
    fn every_filter_gives_pillows_values() {
        let picture = grey(5, &PILLOW_INPUT);
        for (filter, expected) in ALL.into_iter().zip(PILLOW_OUTPUT) {
            assert_eq!(reds(&resize(&picture, 3, 2, filter)), expected, "{filter:?}");
        }
        for (filter, expected) in ALL.into_iter().zip(PILLOW_LARGER) {
            assert_eq!(reds(&resize(&picture, 7, 5, filter)), expected, "{filter:?}");
        }
    }

    proptest! {
        #[test]
        fn one_grey_stays_one_grey_at_every_size(
            value: u8, from_width in 1..40_u32, from_height in 1..40_u32, width in 1..40_u32, height in 1..40_u32,
        ) {
            let picture = grey(from_width, &vec![value; (from_width * from_height) as usize]);
            for filter in ALL {
                let resized = resize(&picture, width, height, filter);
                prop_assert_eq!(resized.len(), 3 * (width * height) as usize);
                prop_assert!(resized.iter().all(|&out| out == value), "{:?}", filter);
            }
        }
    }
}
