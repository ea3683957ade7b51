//! Stage 4: what is observed beside the requests.

pub mod clock;
pub mod environment;
pub mod event_counts;
pub mod prometheus;
pub mod sampler;
pub mod series;
pub mod timeline;
pub mod usage;
pub mod versions;
