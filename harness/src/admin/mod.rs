//! What people do to a cluster by hand: see what of the testbed is there, take it away, call one
//! function, write down what would be applied.
//!
//! Everything works without a run: what is there is found by its labels (`inventory`), so that
//! whatever a crashed or killed harness left behind is found too.

pub mod asked;
pub mod clean;
pub mod export;
pub mod inventory;
pub mod invoke;

pub use crate::runner::spec::function_spec;

/// Name of the run that functions deployed by hand belong to.
pub const BY_HAND: &str = "manual";
