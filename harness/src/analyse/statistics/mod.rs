//! The statistics behind the verdicts; each file names its source.

pub mod binomial;
pub mod bootstrap;
pub mod distributions;
pub mod effect;
pub mod holm;
pub mod mann_whitney;
pub mod order;
pub mod signed_rank;
