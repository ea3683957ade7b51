//! What the harness knows of each workload: where to send what, and what a right answer is.
//! Everything after this folder sees endpoints, bytes and a judge.

pub mod caption;
pub mod classify;
pub mod grade;
mod judge_spec;
mod kind;
pub mod logger;
pub mod null;
pub mod own;
pub mod payloads;
pub mod pdf;

pub use judge_spec::{JudgeSpec, judge_of};
pub use kind::{Kind, Requests, Size};
