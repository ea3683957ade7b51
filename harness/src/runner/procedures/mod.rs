//! Procedures.
mod cold;
mod eviction;
mod quiet;
