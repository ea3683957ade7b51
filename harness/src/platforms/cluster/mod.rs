//! A Kubernetes cluster as every platform on it sees it: the API, names and labels, pods.
//!
//! Map: `api` talks to the API server, with bounded retries; `follow` keeps a watch alive;
//! `resources` names what is asked for, `kinds` asks the server for
//! the rest; `pods` reads pod states and finds causes; `labels` marks
//! whatever a run creates; `connect` finds the cluster; `rights` lists what it must allow.

pub mod answer;
pub mod api;
pub mod applying;
mod connect;
pub mod effective;
pub mod follow;
pub mod kinds;
pub mod labels;
pub mod namespace;
pub mod pods;
pub mod reach;
pub mod replicas;
pub mod resources;
pub mod rights;
pub mod starting;
#[cfg(test)]
pub mod testing;
pub mod workers;

use serde::{Deserialize, Serialize};

use crate::experiment::ObjectStore;

pub use api::{Api, ApiError};
pub use connect::ClusterError;
pub use labels::RunLabel;

pub use crate::secret::Secret;

/// Where the parts of a cluster are, as the `[cluster]` table of an experiment file and the flags
/// say. What is left out is looked for. Holds no secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClusterChoice {
    /// Context of the kubeconfig; none: the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Namespace for Knative Services and plain Deployments; none: `testbed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Address of Knative's ingress, `http://HOST:PORT`; none: found from its Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<String>,
    /// Address of the OpenFaaS gateway, `http://HOST:PORT`; none: found from its Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Address of Prometheus, `http://HOST:PORT`; none: found from its Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    /// Namespace of the OpenFaaS gateway; none: `openfaas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_namespace: Option<String>,
    /// Namespace of OpenFaaS functions; none: `openfaas-fn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions_namespace: Option<String>,
    /// Send load through a port-forward of the API server where nothing else is reachable. It
    /// measures the port-forward too, and the report says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub load_through_port_forward: bool,
    /// The object storage that inputs by reference come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStore>,
    /// URLs of the platform `endpoint`, as they are to be called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

/// Login of the OpenFaaS gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User name, usually `admin`.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// A cluster that answers.
#[derive(Debug)]
pub struct Cluster {
    /// Its API.
    pub api: Api,
    /// Name of the kubeconfig's context; `in-cluster` inside a pod.
    pub context: String,
    /// Address of the API server, as the kubeconfig gives it.
    pub server: String,
    /// Where its parts are.
    pub choice: ClusterChoice,
    /// The gateway's login, if flags or environment gave one; else the Kubernetes Secret has it.
    pub login: Option<Login>,
    /// Marks whatever is created.
    pub run: RunLabel,
}

impl Cluster {
    /// Namespace for Knative Services and plain Deployments.
    pub fn namespace(&self) -> &str {
        self.choice.namespace.as_deref().unwrap_or("testbed")
    }

    /// Namespace of the OpenFaaS gateway.
    pub fn gateway_namespace(&self) -> &str {
        self.choice.gateway_namespace.as_deref().unwrap_or("openfaas")
    }

    /// Namespace of OpenFaaS functions.
    pub fn functions_namespace(&self) -> &str {
        self.choice.functions_namespace.as_deref().unwrap_or("openfaas-fn")
    }

    /// What is to be said before anything on it is touched.
    pub fn describe(&self) -> String {
        format!("cluster: context {} at {}, namespace {}", self.context, self.server, self.namespace())
    }
}
