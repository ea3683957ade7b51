//! Finds the cluster of the current context and asks it whether it is there.

use std::{path::Path, time::Duration};

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use super::{Api, ApiError, Cluster, ClusterChoice, Login, RunLabel, api::Patience};

/// How long the first question may take: a cluster that is not there is said at once.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// Why there is no cluster to work on. Messages name the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing points at a cluster.
    #[error(
        "no cluster found: KUBECONFIG is not set, there is no ~/.kube/config, and this is not a pod; \
         use --on twin for the embedded stand-in on this machine"
    )]
    None,
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used ({0}); check KUBECONFIG and --context, or use --on twin")]
    Config(String),
    /// The API server does not answer, or refuses.
    #[error("the cluster of context {context} at {server} cannot be used: {source}")]
    Api {
        /// Context of the kubeconfig.
        context: String,
        /// Its API server.
        server: String,
        /// What went wrong.
        source: ApiError,
    },
}

impl Cluster {
    /// Connects to the cluster of the chosen or current context and asks for its version.
    ///
    /// # Errors
    /// If nothing points at a cluster, or it does not answer.
    pub async fn connect(
        choice: ClusterChoice,
        login: Option<Login>,
        run: RunLabel,
    ) -> Result<Self, ClusterError> {
        Self::connect_by(None, choice, login, run).await
    }

    /// The same by another kubeconfig than the environment's.
    ///
    /// # Errors
    /// If it cannot be used, or the cluster does not answer.
    pub async fn connect_by(
        kubeconfig: Option<&Path>,
        choice: ClusterChoice,
        login: Option<Login>,
        run: RunLabel,
    ) -> Result<Self, ClusterError> {
        let (config, context) = config(kubeconfig, choice.context.as_deref()).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        crate::crypto::choose_provider();
        let client =
            kube::Client::try_from(config).map_err(|error| ClusterError::Config(error.to_string()))?;
        let api = Api::new(client, Patience::ONCE.within(FIRST_ANSWER));
        if let Err(source) = api.get_path("/version").await {
            return Err(ClusterError::Api { context, server, source });
        }
        let api = api.with_patience(Patience::default());
        Ok(Self { api, context, server, choice, login, run })
    }
}

async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<(Config, String), ClusterError> {
    let bad = |error: &dyn std::fmt::Display| ClusterError::Config(error.to_string());
    if kubeconfig.is_none() && crate::platforms::kubeconfig_path().is_none() {
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return Config::incluster().map(|c| (c, "in-cluster".to_owned())).map_err(|e| bad(&e));
        }
        return Err(ClusterError::None);
    }
    let file = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from).map_err(|e| bad(&e))?;
    let name = context.map(str::to_owned).or_else(|| file.current_context.clone());
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(file, &options).await.map_err(|e| bad(&e))?;
    Ok((config, name.unwrap_or_else(|| "(none)".to_owned())))
}
