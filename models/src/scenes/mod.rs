//! Drawn scenes with their captions: what the shipped captioner learns from, is measured on, and is
//! sent. One or more things of a shape, a colour and a size lie on a ground; each scene has exactly
//! one true caption.
//!
//! ```text
//! scene    = what " on " ground
//! what     = "a " thing | "a " thing relation "a " thing | number thing
//! relation = " left of " | " above " | " inside "
//! thing    = size colour shape           e.g. "small red circle", "two large blue squares"
//! ```
//!
//! Only integer arithmetic, so that every machine draws the same bytes.

mod arrange;
mod render;
#[cfg(test)]
mod tests;
mod things;

use arrange::{Arrangement, Placed};
use image::ImageError;
use things::Ground;

use crate::random::{Stream, mix};

/// What a scene is for. No scene of one split is one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Training,
    /// To measure and to send: other scenes of the same kind.
    HeldOut,
    /// To measure: the thing named first has a colour and a shape that never meet in the other splits.
    NovelCombinations,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Training, Self::HeldOut, Self::NovelCombinations];

    /// Its name, for file names and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::HeldOut => "held-out",
            Self::NovelCombinations => "novel",
        }
    }
}

/// A picture and what is to be seen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captioned {
    /// File name.
    pub name: String,
    /// A JPEG file of 256 x 256 pixels, some 5 to 30 KB.
    pub jpeg: Vec<u8>,
    /// The true caption, for example `a small red circle left of a large blue square on white`.
    pub caption: String,
}

/// Seed of the scenes that the harness sends and `models/captioner/expected.json` has answers for.
pub const PAYLOAD_SEED: u64 = 2026;
/// How many scenes there are with this seed in `models/captioner/expected.json`.
pub const PAYLOADS: u32 = 32;

/// Draws scene `index` of a seed. The same arguments give the same bytes on every machine.
///
/// # Errors
/// If it cannot be encoded, which a picture of this size always can.
pub fn draw(split: Split, seed: u64, index: u32) -> Result<Captioned, ImageError> {
    let mut random = stream(split, seed, index);
    let scene = Scene::new(split, &mut random);
    Ok(Captioned {
        name: format!("scene-{}-{seed}-{index}.jpg", split.name()),
        caption: scene.caption(),
        jpeg: render::jpeg(scene.ground, &scene.things, &mut random)?,
    })
}

/// The random numbers of a scene.
fn stream(split: Split, seed: u64, index: u32) -> Stream {
    Stream::new(mix(seed).wrapping_add(split as u64), index.into())
}

/// The first `count` held-out scenes of a seed: pictures that the captioner was not trained on.
///
/// # Errors
/// If one cannot be encoded, which a picture of this size always can.
pub fn held_out(seed: u64, count: u32) -> Result<Vec<Captioned>, ImageError> {
    (0..count).map(|index| draw(Split::HeldOut, seed, index)).collect()
}

/// What there is to be seen.
#[derive(Debug)]
struct Scene {
    arrangement: Arrangement,
    /// In the order in which the caption names them, which is from front to back.
    things: Vec<Placed>,
    ground: Ground,
}

impl Scene {
    fn new(split: Split, random: &mut Stream) -> Self {
        let ground = random.pick(Ground::ALL);
        let (arrangement, things) = arrange::arrange(split, random);
        Self { arrangement, things, ground }
    }

    fn caption(&self) -> String {
        let thing = |at: usize, several| self.things[at].thing.words(several);
        let what = match self.arrangement {
            Arrangement::Alone => format!("a {}", thing(0, false)),
            Arrangement::LeftOf => format!("a {} left of a {}", thing(0, false), thing(1, false)),
            Arrangement::Above => format!("a {} above a {}", thing(0, false), thing(1, false)),
            Arrangement::Inside => format!("a {} inside a {}", thing(0, false), thing(1, false)),
            Arrangement::Group => {
                let number = ["two", "three", "four"][self.things.len() - 2];
                format!("{number} {}", thing(0, true))
            }
        };
        format!("{what} on {}", self.ground.word())
    }
}
