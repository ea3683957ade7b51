//! Stage 4: what is observed beside the requests.

pub mod environment;
pub mod prometheus;
pub mod sampler;
pub mod series;
pub mod timeline;
pub mod usage;
