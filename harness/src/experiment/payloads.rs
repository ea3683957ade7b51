//! What is sent: the workload's own payloads, files, or bodies of swept sizes.

use serde::{Deserialize, Serialize};

/// The bodies of a load point; the same bytes to every platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum PayloadChoice {
    /// A file, or a folder of files of which each request draws one by the seed.
    #[serde(rename_all = "kebab-case")]
    Files {
        /// The file or folder.
        path: String,
        /// Weights of a folder's files in the order of their names; empty: equal.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64>,
        /// Whether each file travels as `multipart/form-data`, in a field of this name; none: raw.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multipart_field: Option<String>,
    },
    /// Seeded random bytes of these sizes, drawn by the seed.
    #[serde(rename_all = "kebab-case")]
    Sizes {
        /// Bytes.
        bytes: Vec<u64>,
    },
}
