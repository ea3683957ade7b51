//! The function under test: an HTTP server around one workload, chosen at start.
//!
//! Knows no platform and no harness. Its contract is HTTP, written down in `README.md` and in
//! `tests/contract/*.json`, which the tests of both sides read.

pub mod body;
pub mod cgroup;
pub mod config;
pub mod error;
pub mod events;
pub mod instance;
pub mod pool;
pub mod server;
pub mod shutdown;
pub mod storage;
pub mod telemetry;
pub mod workloads;
