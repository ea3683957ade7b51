//! Procedures.
mod cold;
mod eviction;
mod stage;
