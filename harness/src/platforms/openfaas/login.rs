//! Where the gateway is, and its login: what the user gave, else what the cluster holds.

use k8s_openapi::api::core::v1::Secret as KubeSecret;

use super::gateway::{Gateway, GatewayError};
use crate::platforms::{
    PlatformError,
    cluster::{
        Cluster, Login, Secret,
        api::{ApiError, Patience},
        reach::{self, ReachError, Route, ServicePort},
        resources::SECRETS,
    },
};

/// Secret that the chart makes.
const SECRET: &str = "basic-auth";
/// Services of the gateway: the one with an address outside first.
const SERVICES: [&str; 2] = ["gateway-external", "gateway"];
/// Port of both.
const PORT: u16 = 8080;

/// A login, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayLogin {
    /// None: the gateway is asked without.
    pub login: Option<Login>,
    /// In words, for messages.
    pub from: String,
}

impl GatewayLogin {
    /// What flags or environment gave.
    pub fn given(login: Login) -> Self {
        Self { login: Some(login), from: "flags or environment".to_owned() }
    }

    /// None at all.
    pub fn none(why: String) -> Self {
        Self { login: None, from: why }
    }
}

/// What the address of the gateway is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Control calls alone: a port-forward will do.
    Control,
    /// Load too: a port-forward only where the user insists.
    Load,
}

/// A gateway and the way to it.
#[derive(Debug)]
pub struct Entry {
    /// The gateway.
    pub gateway: Gateway,
    /// The way; it lives as long as this does.
    pub route: Route,
}

/// Why there is no gateway to talk to. Messages name the remedy.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// No address.
    #[error(
        "{cause}; give the gateway's address as --gateway http://HOST:PORT, or open it as a NodePort or \
         LoadBalancer"
    )]
    Route {
        /// What was tried.
        cause: ReachError,
    },
    /// The Secret cannot be read.
    #[error(
        "the gateway's login cannot be read from Secret {secret} ({cause}); give it with \
         --gateway-password-file FILE or OPENFAAS_PASSWORD"
    )]
    Secret {
        /// Namespace and name.
        secret: String,
        /// Why.
        cause: String,
    },
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl From<EntryError> for PlatformError {
    fn from(error: EntryError) -> Self {
        Self::Control { platform: "openfaas", cause: error.to_string() }
    }
}

/// Finds the gateway and its login. The gateway itself is not asked anything yet.
///
/// # Errors
/// If it has no address that answers from here, or its login cannot be read.
pub async fn enter(cluster: &Cluster, purpose: Purpose) -> Result<Entry, EntryError> {
    let route = route(cluster, purpose).await.map_err(|cause| EntryError::Route { cause })?;
    let login = login(cluster).await?;
    let gateway = Gateway::new(&route.url, login, Patience::default())?;
    Ok(Entry { gateway, route })
}

async fn route(cluster: &Cluster, purpose: Purpose) -> Result<Route, ReachError> {
    if let Some(url) = &cluster.choice.gateway {
        return Ok(Route::given(url));
    }
    let service = |name| ServicePort { namespace: cluster.gateway_namespace(), name, port: PORT };
    let insists = purpose == Purpose::Load && cluster.choice.load_through_port_forward;
    if insists {
        return reach::forward(cluster, service(SERVICES[1])).await;
    }
    // The Service inside may be the only one, or the only one that answers.
    match reach::direct(cluster, service(SERVICES[0])).await {
        Err(ReachError::Absent { .. } | ReachError::Unreachable { .. }) => match purpose {
            Purpose::Control => reach::control(cluster, service(SERVICES[1])).await,
            Purpose::Load => reach::direct(cluster, service(SERVICES[1])).await,
        },
        found => found,
    }
}

async fn login(cluster: &Cluster) -> Result<GatewayLogin, EntryError> {
    if let Some(login) = &cluster.login {
        return Ok(GatewayLogin::given(login.clone()));
    }
    let namespace = cluster.gateway_namespace();
    let secret = format!("{namespace}/{SECRET}");
    let unread = |cause: String| EntryError::Secret { secret: secret.clone(), cause };
    let found = cluster.api.get(&SECRETS, Some(namespace), SECRET).await;
    let Some(object) = found.map_err(|error| unread(short(&error)))? else {
        return Ok(GatewayLogin::none(format!("nowhere: there is no Secret {secret}")));
    };
    // Its error may quote what it cannot read.
    let read: KubeSecret =
        serde_json::from_value(object).map_err(|_| unread("it is no Secret".to_owned()))?;
    let mut data = read.data.unwrap_or_default();
    let mut text = |key: &str| {
        let bytes = data.remove(key).ok_or_else(|| unread(format!("it has no key {key}")))?;
        let text = String::from_utf8(bytes.0).map_err(|_| unread(format!("its {key} is no text")))?;
        // Secrets made from files often end with a newline.
        Ok::<_, EntryError>(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let login = Login { user: text("basic-auth-user")?, password: Secret::new(text("basic-auth-password")?) };
    Ok(GatewayLogin { login: Some(login), from: format!("Secret {secret}") })
}

/// A refusal without its own remedy: another one follows.
fn short(error: &ApiError) -> String {
    match error {
        ApiError::Forbidden { message } => message.clone(),
        error => error.to_string(),
    }
}
