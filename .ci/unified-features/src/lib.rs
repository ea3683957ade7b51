//! Holds no code: its dependencies are what it is for (see Cargo.toml).
