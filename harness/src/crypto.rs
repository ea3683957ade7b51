//! The process's provider of cryptography: one, whichever features a dependency has switched on.
//!
//! Clients that are built without a provider of their own (kube, reqwest) take the process's. With
//! two compiled in (goose brings a second one) rustls does not choose, so it is chosen here.

/// Makes `ring` the process's provider, unless one has been chosen before, which is as good.
pub(crate) fn choose_provider() {
    _ = rustls::crypto::ring::default_provider().install_default();
}
