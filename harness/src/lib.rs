//! The testbed: from an experiment to a verdict.
//!
//! Data flows one way, a module a stage:
//! `experiment` (spec to cells) -> `platforms` (deploy) -> `drive` and `collect` (load, metrics)
//! -> `store` (the run folder) -> `analyse` (numbers, verdicts; pure) -> `reports` (pages; pure).
//! `ARCHITECTURE.md` at the top of the repository has the map and the invariants.

pub mod admin;
pub mod analyse;
pub mod annotate;
pub mod bucket;
pub mod cli;
#[cfg(test)]
mod cluster_setup_tests;
pub mod collect;
mod crypto;
pub mod doctor;
mod downloads;
pub mod drive;
pub mod experiment;
pub mod image;
pub mod interrupt;
pub mod outcome;
pub mod platforms;
pub mod record;
#[cfg(test)]
mod replay;
pub mod reports;
pub mod runner;
pub mod scaling;
#[cfg(test)]
mod schema_check;
mod screen;
pub mod secret;
pub mod setup;
pub mod store;
mod words;
pub mod workloads;
pub mod yaml;
