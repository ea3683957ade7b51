//! The embedded stand-in for a cluster.
