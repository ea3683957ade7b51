//! What `manifest.toml` says: each model's source, licence, input and output; each picture set.
//! No code outside this file's data knows a model's numbers.

use serde::{Deserialize, Serialize};

/// All models and picture sets that the project knows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Models, the preferred one first.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// Picture sets, the preferred one first.
    #[serde(rename = "pictures", default)]
    pub pictures: Vec<PictureSet>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Model {
    /// Name on the command line.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// File name in `MODELS_DIR` and the cache.
    pub file: String,
    /// Where it can be downloaded, in order of preference; empty if nowhere.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Size, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// SPDX identifier.
    pub licence: String,
    /// Whether our own code makes it (random weights: right in cost, meaningless in answers).
    #[serde(default)]
    pub generated: bool,
    /// What it takes.
    pub input: Input,
    /// What it gives.
    pub output: Output,
}

/// A model's input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// Name in the graph.
    pub name: String,
    /// Order of its axes.
    pub layout: Layout,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// From a picture to that size.
    pub resize: ResizeRule,
    /// Subtracted from each channel (R, G, B), in units of 0..255.
    pub mean: [f32; 3],
    /// Each channel is divided by it afterwards, in units of 0..255.
    pub std: [f32; 3],
}

/// Order of a tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// How a picture becomes the input's size; always by an antialiased bilinear filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", tag = "rule", deny_unknown_fields)]
pub enum ResizeRule {
    /// Straight to width x height, ignoring the aspect ratio.
    Stretch,
    /// The shorter side to `shorter` pixels, keeping the aspect ratio; then the centre.
    #[serde(rename_all = "kebab-case")]
    CentreCrop {
        /// Length of the shorter side before the crop, pixels.
        shorter: u32,
    },
}

/// A model's output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// Name in the graph; logits, `[batch, class_offset + classes]`.
    pub name: String,
    /// Outputs before the first class (1 where output 0 is a background class).
    pub class_offset: usize,
    /// Class list: a file beside the manifest, built into this crate.
    pub classes: String,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// WordNet id, `n02124075`.
    pub class_id: String,
    /// Name for people, `Egyptian cat`.
    pub label: String,
}

/// A set of pictures to send.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PictureSet {
    /// Name on the command line.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// SPDX identifier.
    pub licence: String,
    /// Whether our own code draws it.
    #[serde(default)]
    pub drawn: bool,
    /// Its pictures.
    #[serde(rename = "picture")]
    pub pictures: Vec<Picture>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Picture {
    /// File name in `PICTURES_DIR` and the cache.
    pub file: String,
    /// Where it can be downloaded; empty if nowhere.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Size, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Expected top class (WordNet id) by model name, from an independent engine.
    #[serde(default)]
    pub expected: std::collections::BTreeMap<String, String>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is no manifest.
    #[error("manifest.toml: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A name that is not in it.
    #[error("no {kind} named '{name}'; there are: {known}")]
    Unknown {
        /// `model` or `picture set`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A class list that is not built in.
    #[error("class list '{0}' is not built in")]
    Classes(String),
}

const IMAGENET_CLASSES: &str = include_str!("../imagenet_classes.tsv");

impl Manifest {
    /// The manifest that the project ships, `models/manifest.toml`.
    ///
    /// # Errors
    /// Never in a build whose tests pass.
    pub fn builtin() -> Result<Self, ManifestError> {
        Self::parse(include_str!("../manifest.toml"))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// With line and column, if the text is not one.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Ok(toml::from_str(text)?)
    }

    /// The model of this name.
    ///
    /// # Errors
    /// Lists the names that there are.
    pub fn model(&self, name: &str) -> Result<&Model, ManifestError> {
        self.models.iter().find(|m| m.name == name).ok_or_else(|| ManifestError::Unknown {
            kind: "model",
            name: name.into(),
            known: names(self.models.iter().map(|m| &m.name)),
        })
    }

    /// The picture set of this name.
    ///
    /// # Errors
    /// Lists the names that there are.
    pub fn picture_set(&self, name: &str) -> Result<&PictureSet, ManifestError> {
        self.pictures.iter().find(|p| p.name == name).ok_or_else(|| ManifestError::Unknown {
            kind: "picture set",
            name: name.into(),
            known: names(self.pictures.iter().map(|p| &p.name)),
        })
    }
}

impl Output {
    /// The class list, in the order of the outputs.
    ///
    /// # Errors
    /// If the list is not built in.
    pub fn class_list(&self) -> Result<Vec<Class>, ManifestError> {
        let text = match self.classes.as_str() {
            "imagenet_classes.tsv" => IMAGENET_CLASSES,
            other => return Err(ManifestError::Classes(other.into())),
        };
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut fields = line.splitn(3, '\t');
                let (_index, class_id, label) = (fields.next()?, fields.next()?, fields.next()?);
                Some(Class { class_id: class_id.into(), label: label.into() })
            })
            .collect())
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.cloned().collect::<Vec<_>>().join(", ")
}
