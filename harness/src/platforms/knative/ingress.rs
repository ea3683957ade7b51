//! Where requests for Knative Services enter the cluster.

use std::time::Duration;

use crate::platforms::{
    PlatformError, PlatformKind,
    cluster::{
        Cluster,
        reach::{self, ReachError, Route, ServicePort},
        resources::CONFIG_MAPS,
    },
};

/// Namespace of Knative Serving.
pub const SERVING_NAMESPACE: &str = "knative-serving";
/// Networking layers and their Services for requests from outside.
const LAYERS: [(&str, ServicePort<'static>); 2] = [
    ("kourier", ServicePort { namespace: "kourier-system", name: "kourier", port: 80 }),
    ("istio", ServicePort { namespace: "istio-system", name: "istio-ingressgateway", port: 80 }),
];
/// How long a port-forward to the ingress may take to be there.
const FORWARD_LIMIT: Duration = Duration::from_secs(15);

/// The way in.
#[derive(Debug)]
pub struct Ingress {
    /// Its networking layer: `kourier`, `istio`, or `given by the user`.
    pub layer: String,
    /// Its address.
    pub route: Route,
}

impl Ingress {
    /// Finds the way in: what the user gave, else the Service of the networking layer in use.
    ///
    /// # Errors
    /// [`PlatformError::Limit`] with what was tried, if nothing can be reached from here.
    pub async fn find(cluster: &Cluster) -> Result<Self, PlatformError> {
        let class = class(cluster).await;
        if let Some(given) = &cluster.choice.ingress {
            let layer = class.unwrap_or_else(|| "given by the user".to_owned());
            return Ok(Self { layer, route: Route::given(given) });
        }
        let mut layers = LAYERS;
        // The layer in use goes first; a cluster may have another one's Service too.
        layers.sort_by_key(|(layer, _)| class.as_deref() != Some(layer));
        let mut tried = Vec::new();
        for (layer, service) in layers {
            let found = match reach::direct(cluster, service).await {
                Err(ReachError::Unreachable { .. }) if cluster.choice.load_through_port_forward => {
                    match tokio::time::timeout(FORWARD_LIMIT, reach::forward(cluster, service)).await {
                        Ok(found) => found,
                        Err(_) => Err(ReachError::Unreachable {
                            namespace: service.namespace.to_owned(),
                            name: service.name.to_owned(),
                            tried: "a port-forward, which took too long".to_owned(),
                        }),
                    }
                }
                found => found,
            };
            match found {
                Ok(route) => return Ok(Self { layer: layer.to_owned(), route }),
                Err(error) => tried.push(error.to_string()),
            }
        }
        Err(PlatformError::Limit {
            platform: PlatformKind::Knative.name(),
            limit: format!("its ingress is not found: {}", tried.join("; ")),
            remedy: "give its address as ingress = \"http://HOST:PORT\" in [cluster] (--ingress)".to_owned(),
        })
    }
}

/// The networking layer in use, from `config-network`; none if it cannot be read.
async fn class(cluster: &Cluster) -> Option<String> {
    let config = cluster.api.get(&CONFIG_MAPS, Some(SERVING_NAMESPACE), "config-network").await.ok()??;
    let class = config["data"]["ingress-class"].as_str().or(config["data"]["ingress.class"].as_str())?;
    Some(class.split('.').next().unwrap_or(class).to_owned())
}
