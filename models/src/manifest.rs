//! What `manifest.toml` says: each model's source, licence, input and output; each picture set.
//! No code outside this file's data knows a model's numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All models and picture sets that the project knows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Models, the preferred one first.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// Models of several files, the preferred one of each workload first.
    #[serde(rename = "folder", default)]
    pub folders: Vec<ModelFolder>,
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

/// A model of several files, which lie in a folder of their own. What they are is said by the files
/// themselves (`config.json` and its like).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelFolder {
    /// Name on the command line.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// The workload that uses it.
    pub workload: String,
    /// Name of its folder in `MODELS_DIR` and the cache.
    pub folder: String,
    /// SPDX identifier.
    pub licence: String,
    /// Whether it is built into the harness.
    #[serde(default)]
    pub built_in: bool,
    /// Its files.
    #[serde(rename = "file")]
    pub files: Vec<FolderFile>,
}

/// A file of a [`ModelFolder`]. Where nobody has verified its contents, size and digest are left out: then
/// any contents are taken, and whatever uses them says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FolderFile {
    /// File name.
    pub file: String,
    /// Where it can be downloaded; empty if nowhere.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Size and SHA-256, once somebody has verified them.
    pub contents: Option<Contents>,
}

/// What a file has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Size, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
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
    pub expected: BTreeMap<String, String>,
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
    /// An entry that cannot be right.
    #[error("manifest.toml: '{entry}': {what}")]
    Entry {
        /// Name of the model or file.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
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
    /// With line and column, if the text is not one; with the entry's name, if one cannot be right.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let pictures = manifest.pictures.iter().flat_map(|set| &set.pictures);
        let files = manifest
            .models
            .iter()
            .map(|m| (&m.file, m.bytes, &m.sha256))
            .chain(pictures.map(|p| (&p.file, p.bytes, &p.sha256)));
        for (file, bytes, sha256) in files {
            check_file(file, bytes, sha256)
                .map_err(|what| ManifestError::Entry { entry: file.clone(), what })?;
        }
        for folder in &manifest.folders {
            check_folder(folder).map_err(|what| ManifestError::Entry { entry: folder.name.clone(), what })?;
        }
        for model in &manifest.models {
            if model.input.std.contains(&0.0) {
                return Err(ManifestError::Entry { entry: model.name.clone(), what: "std must not be 0" });
            }
            model.output.class_list()?;
        }
        Ok(manifest)
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

    /// The model of several files of this name.
    ///
    /// # Errors
    /// Lists the names that there are.
    pub fn folder(&self, name: &str) -> Result<&ModelFolder, ManifestError> {
        self.folders.iter().find(|f| f.name == name).ok_or_else(|| ManifestError::Unknown {
            kind: "model of several files",
            name: name.into(),
            known: names(self.folders.iter().map(|f| &f.name)),
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
    /// The class list, in the order of the outputs. The label is the first of the class's names.
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
                let (_index, class_id, names) = (fields.next()?, fields.next()?, fields.next()?);
                let label = names.split(',').next().unwrap_or(names);
                Some(Class { class_id: class_id.into(), label: label.into() })
            })
            .collect())
    }
}

fn check_folder(folder: &ModelFolder) -> Result<(), &'static str> {
    if !is_plain(&folder.folder) {
        return Err("folder must be a plain name");
    }
    for FolderFile { file, contents, .. } in &folder.files {
        match contents {
            Some(Contents { bytes, sha256 }) => check_file(file, *bytes, sha256)?,
            None if folder.built_in => return Err("what is built in has contents that are known"),
            None if !is_plain(file) => return Err("file must be a plain file name"),
            None => {}
        }
    }
    if folder.files.is_empty() { Err("it has no files") } else { Ok(()) }
}

/// A name is joined to directories, so it must stay inside them.
fn is_plain(name: &str) -> bool {
    !(name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']))
}

fn check_file(file: &str, bytes: u64, sha256: &str) -> Result<(), &'static str> {
    let digest = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match () {
        () if !is_plain(file) => Err("file must be a plain file name"),
        () if bytes == 0 => Err("bytes must not be 0"),
        () if !digest => Err("sha256 must be 64 lower-case hex digits"),
        () => Ok(()),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_shipped_manifest_is_complete() {
        let manifest = Manifest::builtin().unwrap();
        for model in &manifest.models {
            assert!(!model.about.is_empty() && !model.licence.is_empty(), "{}", model.name);
            assert_eq!(model.output.class_list().unwrap().len(), 1000, "{}", model.name);
        }
        for set in &manifest.pictures {
            assert!(!set.about.is_empty() && !set.licence.is_empty(), "{}", set.name);
            for picture in &set.pictures {
                assert_ne!(set.drawn, !picture.urls.is_empty(), "{} is drawn or has a source", picture.file);
            }
        }
        for folder in &manifest.folders {
            assert!(!folder.about.is_empty() && !folder.licence.is_empty(), "{}", folder.name);
            let sources = folder.files.iter().all(|file| !file.urls.is_empty());
            assert_ne!(folder.built_in, sources, "{} is built in or has sources", folder.name);
        }
        let generated: Vec<_> = manifest.models.iter().filter(|m| m.generated).map(|m| &m.name).collect();
        assert_eq!(generated, ["mobilenetv2-generated"]);
    }

    #[test]
    fn expected_classes_name_models_and_classes_that_exist() {
        let manifest = Manifest::builtin().unwrap();
        for picture in manifest.pictures.iter().flat_map(|set| &set.pictures) {
            for (model, class_id) in &picture.expected {
                let classes = manifest.model(model).unwrap().output.class_list().unwrap();
                assert!(classes.iter().any(|c| c.class_id == *class_id), "{}: {class_id}", picture.file);
            }
        }
    }

    #[test]
    fn a_class_is_called_by_the_first_of_its_names() {
        let classes = Manifest::builtin().unwrap().models[0].output.class_list().unwrap();
        let class = |index: usize| (classes[index].class_id.as_str(), classes[index].label.as_str());
        assert_eq!(class(285), ("n02124075", "Egyptian cat"));
        assert_eq!(class(281), ("n02123045", "tabby"));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let manifest = Manifest::builtin().unwrap();
        let message = manifest.model("resnet").unwrap_err().to_string();
        assert_eq!(
            message,
            "no model named 'resnet'; there are: mobilenetv2-1.0-224, mobilenetv2-12, mobilenetv2-generated"
        );
    }

    #[test]
    fn a_file_name_that_leaves_its_directory_is_refused() {
        let text = include_str!("../manifest.toml").replace("\"cat.jpg\"", "\"../cat.jpg\"");
        let message = Manifest::parse(&text).unwrap_err().to_string();
        assert_eq!(message, "manifest.toml: '../cat.jpg': file must be a plain file name");
    }

    #[test]
    fn a_model_of_several_files_stays_inside_its_folder_and_says_what_is_built_in() {
        let entry = |folder: &str, more: &str| {
            let text = format!(
                "model = []\n[[folder]]\nname = 'x'\nabout = 'x'\nworkload = 'caption'\nfolder = '{folder}'\n\
                 licence = 'MIT'\n{more}\n[[folder.file]]\nfile = 'config.json'\n"
            );
            Manifest::parse(&text).map(|manifest| manifest.folders.len()).map_err(|error| error.to_string())
        };
        assert_eq!(entry("x", ""), Ok(1));
        assert!(entry("../x", "").unwrap_err().contains("plain name"));
        assert!(entry("x", "built-in = true").unwrap_err().contains("contents that are known"));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line() {
        let text = include_str!("../manifest.toml").replacen("licence", "license", 1);
        let message = Manifest::parse(&text).unwrap_err().to_string();
        assert!(message.contains("unknown field `license`") && message.contains("line 1"), "{message}");
    }
}
