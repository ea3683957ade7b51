//! The manifest of models and pictures, and how they are found.
//!
//! Used by the function and by the harness alike, so that both find the same bytes in the same
//! way; it knows neither of them, and no inference engine.

pub mod manifest;

pub use manifest::{Class, Input, Layout, Manifest, ManifestError, Model, Output, PictureSet, ResizeRule};
