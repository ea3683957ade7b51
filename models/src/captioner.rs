//! The small captioner that the project ships: its files in Hugging Face's layout, and the answers that
//! another engine gave. `models/captioner/README.md` says how it was made and what it can do.
//!
//! The files are part of the program, as the manifest is, so that a program without the repository
//! beside it has a model that says something.

use serde::Deserialize;

/// Name and contents of its files: those that a captioning workload needs, and the expected answers.
pub const FILES: [(&str, &[u8]); 7] = [
    ("encoder_model.onnx", include_bytes!("../captioner/encoder_model.onnx")),
    ("decoder_model.onnx", include_bytes!("../captioner/decoder_model.onnx")),
    ("config.json", include_bytes!("../captioner/config.json")),
    ("generation_config.json", include_bytes!("../captioner/generation_config.json")),
    ("preprocessor_config.json", include_bytes!("../captioner/preprocessor_config.json")),
    ("tokenizer.json", include_bytes!("../captioner/tokenizer.json")),
    ("expected.json", include_bytes!("../captioner/expected.json")),
];

/// The contents of one of its files; none if it has no such file.
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, contents)| *contents)
}

/// How the captioner was made, and what was measured of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// SPDX identifier.
    pub licence: String,
    /// What was measured with ONNX Runtime, always the likeliest token next.
    pub accuracy: Accuracy,
    /// Every file with its digest.
    pub files: Vec<DescribedFile>,
}

/// Exact captions, every word of them right, among scenes that were not trained on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Accuracy {
    /// Scenes of the same kind as in training, other seed.
    pub held_out: Share,
    /// Scenes whose first thing has a colour and a shape that never met in training.
    pub novel: Share,
}

/// A share of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Share {
    /// How many were captioned.
    pub scenes: u32,
    /// How many captions were exact.
    pub exact: u32,
    /// The second over the first, 0 to 1.
    pub accuracy: f64,
}

/// A file of the captioner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DescribedFile {
    /// Its name.
    pub file: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// What ONNX Runtime, with plain code around it, answers to one of the scenes that the harness sends
/// ([`crate::scenes::PAYLOAD_SEED`]).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expected {
    /// File name of the picture.
    pub picture: String,
    /// SHA-256 of the picture, lower-case hex.
    pub sha256: String,
    /// The true caption.
    pub truth: String,
    /// The answer when always the likeliest token comes next.
    pub greedy: String,
    /// The answer of a search with four beams.
    pub beams_4: String,
}

/// How the captioner was made, and what was measured of it.
///
/// # Errors
/// If the file that the program was built with is broken, which a test rules out.
pub fn description() -> Result<Description, serde_json::Error> {
    serde_json::from_str(include_str!("../captioner/model.json"))
}

/// What another engine answers to the scenes that the harness sends, in their order.
///
/// # Errors
/// If the file that the program was built with is broken, which a test rules out.
pub fn expected() -> Result<Vec<Expected>, serde_json::Error> {
    serde_json::from_str(include_str!("../captioner/expected.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;
    use crate::places::sha256_hex;
    use crate::scenes::{PAYLOAD_SEED, PAYLOADS, held_out};

    #[test]
    fn the_shipped_files_are_those_that_were_measured_and_the_manifest_names() {
        let Description { name, files, .. } = description().unwrap();
        for DescribedFile { file: name, bytes, sha256 } in &files {
            let contents = file(name).unwrap();
            assert_eq!((contents.len() as u64, sha256_hex(contents)), (*bytes, sha256.clone()), "{name}");
        }
        assert!(files.iter().map(|file| file.bytes).sum::<u64>() <= 4_000_000);

        let manifest = Manifest::builtin().unwrap();
        let listed: Vec<_> =
            manifest.folder(&name).unwrap().items().map(|item| (item.file, item.contents)).collect();
        let measured: Vec<_> =
            files.iter().map(|file| (file.file.as_str(), Some((file.bytes, file.sha256.as_str())))).collect();
        assert_eq!(listed, measured);
    }

    #[test]
    fn the_expected_answers_belong_to_the_scenes_that_are_drawn() {
        let expected = expected().unwrap();
        let scenes = held_out(PAYLOAD_SEED, PAYLOADS).unwrap();
        assert_eq!(expected.len(), scenes.len());
        for (answer, scene) in expected.iter().zip(&scenes) {
            let drawn = (&scene.name, sha256_hex(&scene.jpeg), &scene.caption);
            assert_eq!((&answer.picture, answer.sha256.clone(), &answer.truth), drawn);
        }
    }

    #[test]
    fn the_accuracy_is_stated_as_it_was_measured() {
        let readme = include_str!("../captioner/README.md");
        let Accuracy { held_out, novel } = description().unwrap().accuracy;
        for share in [held_out, novel] {
            assert!((f64::from(share.exact) / f64::from(share.scenes) - share.accuracy).abs() < 1e-4);
            let stated = format!("{:.1} % ({} of {})", share.accuracy * 100.0, share.exact, share.scenes);
            assert!(readme.contains(&stated), "{stated}");
        }
    }
}
