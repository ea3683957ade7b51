//! The manifest of models and pictures, and how they are found.
//!
//! Used by the function and by the harness alike, so that both find the same bytes in the same
//! way; it knows neither of them, and no inference engine.

pub mod captioner;
pub mod download;
pub mod draw;
pub mod error;
pub mod folders;
pub mod generate;
pub mod locate;
pub mod manifest;
pub mod pictures;
pub mod places;
pub mod put;
mod random;
pub mod scenes;
#[cfg(test)]
mod test_server;

pub use download::Progress;
pub use error::LocateError;
pub use folders::{FoundFolder, find_folder};
pub use locate::{FoundModel, find_model};
pub use manifest::{
    Class, Contents, FolderFile, Input, Layout, Manifest, ManifestError, Model, ModelFolder, Output, Picture,
    PictureSet, ResizeRule,
};
pub use pictures::{FoundPicture, FoundPictures, find_pictures};
pub use places::{Item, Kind, Origin, Places, sha256_hex};
pub use put::{put_folder, put_model, put_picture};
