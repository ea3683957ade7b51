//! What the harness knows of each workload: where to send what, and what a right answer is.
//! Everything after this folder sees endpoints, bytes and a judge.

pub mod classify;
mod judge_spec;
pub mod null;
pub mod own;
pub mod payloads;

pub use judge_spec::{JudgeSpec, judge_of};
