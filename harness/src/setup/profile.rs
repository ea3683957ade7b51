//! The profiles: where a cluster comes from. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a cluster comes from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Nodes of CloudLab, reserved with our profile.
    Cloudlab,
    /// Debian or Ubuntu machines over SSH, made a cluster with kubeadm.
    Kubeadm,
    /// Containers of this machine's Docker (kind).
    Kind,
    /// One machine's minikube.
    Minikube,
    /// A cluster that is there: that of the kubeconfig.
    Existing,
}

impl Profile {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cloudlab => "cloudlab",
            Self::Kubeadm => "kubeadm",
            Self::Kind => "kind",
            Self::Minikube => "minikube",
            Self::Existing => "existing",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
