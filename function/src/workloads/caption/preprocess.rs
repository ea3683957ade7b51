//! From pixels to the encoder's input, as `preprocessor_config.json` says: what `ViTImageProcessor` of
//! `transformers` does with Pillow and NumPy.

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::resize::{Filter, resize};
use crate::workloads::WorkloadError;
use crate::workloads::classify::picture::Picture;
use crate::workloads::classify::preprocess::planes;

/// Largest side of an encoder's input, pixels: several times what any model has.
const LARGEST_SIDE: u32 = 4096;

/// An encoder's preprocessing.
#[derive(Debug)]
pub struct Preprocessor {
    /// Width of the encoder's input, pixels.
    pub width: u32,
    /// Height of the encoder's input, pixels.
    pub height: u32,
    filter: Filter,
    /// What each 8-bit value becomes, by channel.
    tables: [[f32; 256]; 3],
}

/// `preprocessor_config.json`, as far as it is followed.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "they are the file's")]
struct File {
    do_resize: bool,
    size: Size,
    resample: u8,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    do_center_crop: bool,
    do_pad: bool,
}

/// A square, as older files say it, or both sides.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Square(u32),
    Sides { height: u32, width: u32 },
    Other(Value),
}

impl Default for File {
    /// The defaults of `ViTImageProcessor`.
    fn default() -> Self {
        Self {
            do_resize: true,
            size: Size::Square(224),
            resample: 2,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.5; 3],
            image_std: [0.5; 3],
            do_center_crop: false,
            do_pad: false,
        }
    }
}

impl Preprocessor {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// If it asks for what this program does not do.
    pub fn from_json(text: &[u8]) -> anyhow::Result<Self> {
        let mut value: Value = serde_json::from_slice(text)?;
        let fields = value.as_object_mut().context("it is no JSON object")?;
        fields.retain(|_, value| !value.is_null());
        let file: File = serde_json::from_value(value)?;
        ensure!(file.do_resize, "do_resize is false: the encoder's input has one size");
        ensure!(!file.do_center_crop, "do_center_crop is true; only resizing to the whole size is known");
        ensure!(!file.do_pad, "do_pad is true; only resizing to the whole size is known");
        let (width, height) = match file.size {
            Size::Square(side) => (side, side),
            Size::Sides { height, width } => (width, height),
            Size::Other(other) => bail!("size is {other}; give height and width"),
        };
        ensure!(
            (1..=LARGEST_SIDE).contains(&width) && (1..=LARGEST_SIDE).contains(&height),
            "size is {width} x {height} pixels; sides from 1 to {LARGEST_SIDE} are known"
        );
        ensure!(!file.image_std.contains(&0.0), "image_std must not be 0");
        Ok(Self { width, height, filter: filter(file.resample)?, tables: tables(&file) })
    }

    /// Writes a picture as the encoder's input: 3 x height x width values.
    ///
    /// # Errors
    /// `TooLarge` if the picture is so narrow that it has more than `max_pixels` once its rows are resized.
    pub fn write(&self, picture: &Picture, max_pixels: u64, out: &mut [f32]) -> Result<(), WorkloadError> {
        if u64::from(self.width) * u64::from(picture.height) > max_pixels {
            return Err(WorkloadError::TooLarge(format!(
                "the picture's sides, {} x {}, are too unequal to be resized",
                picture.width, picture.height
            )));
        }
        let resized = resize(picture, self.width, self.height, self.filter);
        planes(&self.tables, self.width, self.height, resized.chunks_exact(3 * self.width as usize), out);
        Ok(())
    }
}

/// Pillow's filters by their numbers.
fn filter(resample: u8) -> anyhow::Result<Filter> {
    Ok(match resample {
        0 => Filter::Nearest,
        1 => Filter::Lanczos,
        2 => Filter::Bilinear,
        3 => Filter::Bicubic,
        4 => Filter::Box,
        5 => Filter::Hamming,
        other => bail!("resample is {other}; Pillow's filters have the numbers 0 to 5"),
    })
}

/// Rescaled in double precision and rounded, then normalised in single precision: in NumPy's order.
fn tables(file: &File) -> [[f32; 256]; 3] {
    let table = |channel: usize| {
        std::array::from_fn(|value| {
            let scale = if file.do_rescale { file.rescale_factor } else { 1.0 };
            let rescaled = (value as f64 * scale) as f32;
            if file.do_normalize {
                (rescaled - file.image_mean[channel]) / file.image_std[channel]
            } else {
                rescaled
            }
        })
    };
    std::array::from_fn(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        Preprocessor::from_json(text.as_bytes()).unwrap_err().to_string()
    }

    /// What the published model's file says.
    const OLD: &str = r#"{ "do_normalize": true, "do_resize": true, "feature_extractor_type":
        "ViTFeatureExtractor", "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2,
        "size": 224 }"#;

    #[test]
    fn old_and_new_files_are_read() {
        let old = Preprocessor::from_json(OLD.as_bytes()).unwrap();
        assert_eq!((old.width, old.height), (224, 224));
        assert_eq!((old.tables[0][0], old.tables[2][255]), (-1.0, 1.0));
        let new = r#"{ "size": { "height": 2, "width": 3 }, "do_rescale": true, "rescale_factor": 0.5,
            "image_mean": [0, 1, 2], "image_std": [1, 2, 4], "resample": 3, "do_convert_rgb": null }"#;
        let new = Preprocessor::from_json(new.as_bytes()).unwrap();
        assert_eq!((new.width, new.height), (3, 2));
        assert_eq!(new.tables.map(|table| table[8]).to_vec(), [4.0, 1.5, 0.5]);
    }

    #[test]
    fn a_picture_is_written_plane_after_plane() {
        let text = r#"{ "size": { "height": 1, "width": 2 }, "do_rescale": false, "do_normalize": false }"#;
        let preprocessor = Preprocessor::from_json(text.as_bytes()).unwrap();
        let picture = Picture { width: 2, height: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        let mut out = vec![0.0; 6];
        preprocessor.write(&picture, 2, &mut out).unwrap();
        assert_eq!(out, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn a_picture_that_would_be_large_between_two_steps_is_refused() {
        let preprocessor = Preprocessor::from_json(OLD.as_bytes()).unwrap();
        let tower = Picture { width: 1, height: 1000, pixels: vec![0; 3000] };
        let result = preprocessor.write(&tower, 1000, &mut vec![0.0; 3 * 224 * 224]);
        assert!(matches!(result, Err(WorkloadError::TooLarge(_))), "{result:?}");
    }

    #[test]
    fn what_is_not_followed_is_refused_by_its_name() {
        for (text, name) in [
            (r#"{ "do_center_crop": true }"#, "do_center_crop"),
            (r#"{ "size": { "shortest_edge": 224 } }"#, "shortest_edge"),
            (r#"{ "size": 0 }"#, "0 x 0"),
            (r#"{ "resample": 9 }"#, "resample"),
            (r#"{ "do_resize": false }"#, "do_resize"),
            (r#"{ "image_std": [1, 0, 1] }"#, "image_std"),
        ] {
            assert!(complaint(text).contains(name), "{}", complaint(text));
        }
    }
}
