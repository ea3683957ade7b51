//! Where requests for Knative Services enter the cluster.

use std::time::Duration;

use crate::platforms::{
    PlatformError, PlatformKind,
    cluster::{
        Cluster,
        reach::{self, ReachError, Route, ServicePort},
        resources::CONFIG_MAPS,
    },
    exposure::{self, Exposure},
};

/// Namespace of Knative Serving.
pub const SERVING_NAMESPACE: &str = "knative-serving";
/// Networking layers, their Services for requests from outside, and those for requests from inside, which alone
/// lead to Services that are `cluster-local`.
const LAYERS: [(&str, ServicePort<'static>, ServicePort<'static>); 2] = [
    (
        "kourier",
        ServicePort { namespace: "kourier-system", name: "kourier", port: 80 },
        ServicePort { namespace: "kourier-system", name: "kourier-internal", port: 80 },
    ),
    (
        "istio",
        ServicePort { namespace: "istio-system", name: "istio-ingressgateway", port: 80 },
        ServicePort { namespace: "istio-system", name: "knative-local-gateway", port: 80 },
    ),
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
    /// Finds the way in to a function with this exposure: what the user gave, else the Service of the networking
    /// layer in use.
    ///
    /// # Errors
    /// [`PlatformError::Limit`] with what was tried, if nothing can be reached from here.
    pub async fn find(cluster: &Cluster, exposure: Exposure) -> Result<Self, PlatformError> {
        let class = class(cluster).await;
        if let Some(given) = &cluster.choice.ingress {
            let layer = class.unwrap_or_else(|| "given by the user".to_owned());
            return Ok(Self { layer, route: Route::given(given) });
        }
        let mut layers = LAYERS;
        // The layer in use goes first; a cluster may have another one's Service too.
        layers.sort_by_key(|(layer, ..)| class.as_deref() != Some(layer));
        let mut tried = Vec::new();
        for (layer, outer, inner) in layers {
            let service = match exposure {
                Exposure::Usual => outer,
                Exposure::InsideAlone => inner,
            };
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
            remedy: match exposure {
                Exposure::Usual => {
                    "give its address as ingress = \"http://HOST:PORT\" in [cluster] (--ingress)".to_owned()
                }
                Exposure::InsideAlone => format!("{}, or {}", exposure::FROM_INSIDE, exposure::ALLOW),
            },
        })
    }
}

/// The networking layer in use, from `config-network`; none if it cannot be read.
async fn class(cluster: &Cluster) -> Option<String> {
    let config = cluster.api.get(&CONFIG_MAPS, Some(SERVING_NAMESPACE), "config-network").await.ok()??;
    let class = config["data"]["ingress-class"].as_str().or(config["data"]["ingress.class"].as_str())?;
    Some(class.split('.').next().unwrap_or(class).to_owned())
}
