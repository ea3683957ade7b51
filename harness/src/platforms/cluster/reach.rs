//! From a Kubernetes Service to an address that answers from here: a load balancer's, a node port,
//! the Service's own; and, for control calls, a port-forward through the API server.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::api::core::v1::Pod as KubePod;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    Cluster,
    api::{ApiError, Selection},
    pods::Pod,
    resources::{NODES, PODS, SERVICES},
};

/// How long an address may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);

/// A Service to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePort<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Port of the Service.
    pub port: u16,
}

/// An address that accepts connections.
#[derive(Debug)]
pub struct Route {
    /// `http://HOST:PORT`.
    pub url: String,
    /// How it leads there, in words: `load balancer`, `node port 30080 of 10.0.0.1`.
    pub how: String,
    /// Whether it goes through the API server.
    pub is_forwarded: bool,
    forward: Option<Forward>,
}

impl Route {
    /// An address that the user gave.
    pub fn given(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { url, how: "given by the user".to_owned(), is_forwarded: false, forward: None }
    }
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The Service is not there.
    #[error("there is no Service {name} in namespace {namespace}")]
    Absent {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// It is there, and no address of it answers.
    #[error("the Service {namespace}/{name} cannot be reached from here (tried {tried})")]
    Unreachable {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Addresses.
        tried: String,
    },
    /// The API server refuses.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// An address of a Service for load: never through the API server.
///
/// # Errors
/// If it is not there, or no address of it accepts a connection.
pub async fn direct(cluster: &Cluster, to: ServicePort<'_>) -> Result<Route, ReachError> {
    let service = cluster
        .api
        .get(&SERVICES, Some(to.namespace), to.name)
        .await?
        .ok_or_else(|| ReachError::Absent { namespace: to.namespace.to_owned(), name: to.name.to_owned() })?;
    let nodes = match node_port(&service, to.port) {
        // Without the right to list nodes, the machine itself may still be one.
        Some(_) => cluster.api.list(&NODES, None, &Selection::default()).await.map(|l| l.items),
        None => Ok(Vec::new()),
    };
    let candidates = candidates(&service, to.port, &nodes.unwrap_or_default());
    for (host, port, how) in &candidates {
        if accepts(host, *port).await {
            let url = format!("http://{}:{port}", bracketed(host));
            return Ok(Route { url, how: how.clone(), is_forwarded: false, forward: None });
        }
    }
    let tried: Vec<String> = candidates.iter().map(|(host, port, _)| format!("{host}:{port}")).collect();
    Err(ReachError::Unreachable {
        namespace: to.namespace.to_owned(),
        name: to.name.to_owned(),
        tried: if tried.is_empty() {
            "nothing: it has no address outside".to_owned()
        } else {
            tried.join(", ")
        },
    })
}

/// An address of a Service for control calls: direct, else a port-forward made now.
///
/// # Errors
/// If it is not there, or neither way works.
pub async fn control(cluster: &Cluster, to: ServicePort<'_>) -> Result<Route, ReachError> {
    match direct(cluster, to).await {
        Err(ReachError::Unreachable { .. }) => forward(cluster, to).await,
        direct => direct,
    }
}

/// A port-forward to a ready pod of a Service. It lives as long as the route.
///
/// # Errors
/// If the Service or a ready pod of it is not there, or no local port is free.
pub async fn forward(cluster: &Cluster, to: ServicePort<'_>) -> Result<Route, ReachError> {
    let absent = || ReachError::Absent { namespace: to.namespace.to_owned(), name: to.name.to_owned() };
    let unreachable = |tried: String| ReachError::Unreachable {
        namespace: to.namespace.to_owned(),
        name: to.name.to_owned(),
        tried,
    };
    let service = cluster.api.get(&SERVICES, Some(to.namespace), to.name).await?.ok_or_else(absent)?;
    let selector = service["spec"]["selector"].as_object().into_iter().flatten();
    let selector: Vec<String> =
        selector.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let listed =
        cluster.api.list(&PODS, Some(to.namespace), &Selection::labelled(selector.join(","))).await?;
    let ready = listed.items.iter().find(|object| {
        let pod = Pod::read(object);
        pod.ready && !pod.terminating
    });
    let pod = ready.ok_or_else(|| unreachable("a port-forward: no pod of it is ready".to_owned()))?;
    let port = target_port(&service, to.port, pod)
        .ok_or_else(|| unreachable(format!("a port-forward: it has no port {}", to.port)))?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    // A port-forward is a GET with an upgrade; RBAC knows both verbs.
    cluster.api.note("create", "", "pods/portforward");
    cluster.api.note("get", "", "pods/portforward");
    let pods: kube::Api<KubePod> = kube::Api::namespaced(cluster.api.client().clone(), to.namespace);
    let forward = Forward::start(pods, name.clone(), port)
        .await
        .map_err(|e| unreachable(format!("a port-forward: {e}")))?;
    Ok(Route {
        url: format!("http://{}", forward.address),
        how: format!("port-forward to {name}"),
        is_forwarded: true,
        forward: Some(forward),
    })
}

/// A local port whose connections go to a pod's port; ends when dropped.
#[derive(Debug)]
struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    async fn start(pods: kube::Api<KubePod>, name: String, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((mut local, _)) = listener.accept().await {
                let (pods, name) = (pods.clone(), name.clone());
                tokio::spawn(async move {
                    // A connection that cannot be forwarded is closed: its client sees that.
                    let Ok(mut forwarded) = pods.portforward(&name, &[port]).await else { return };
                    if let Some(mut remote) = forwarded.take_stream(port) {
                        _ = tokio::io::copy_bidirectional(&mut local, &mut remote).await;
                    }
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        drop(self.forward.take());
    }
}

/// Addresses of a Service in the order in which they are tried: what is closest to how a user's
/// request would come in goes first.
fn candidates(service: &Value, port: u16, nodes: &[Value]) -> Vec<(String, u16, String)> {
    let mut out = Vec::new();
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    for entry in ingress {
        if let Some(host) = entry["ip"].as_str().or_else(|| entry["hostname"].as_str()) {
            out.push((host.to_owned(), port, "load balancer".to_owned()));
        }
    }
    if let Some(node_port) = node_port(service, port) {
        for node in nodes {
            let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
            for address in addresses.filter(|a| a["type"] == "InternalIP" || a["type"] == "ExternalIP") {
                if let Some(ip) = address["address"].as_str() {
                    out.push((ip.to_owned(), node_port, format!("node port {node_port} of {ip}")));
                }
            }
        }
        out.push(("127.0.0.1".to_owned(), node_port, format!("node port {node_port} of this machine")));
    }
    if let Some(ip) = service["spec"]["clusterIP"].as_str().filter(|ip| !ip.is_empty() && *ip != "None") {
        out.push((ip.to_owned(), port, "cluster address".to_owned()));
    }
    out
}

fn entry(service: &Value, port: u16) -> Option<&Value> {
    service["spec"]["ports"].as_array()?.iter().find(|p| p["port"] == port)
}

fn node_port(service: &Value, port: u16) -> Option<u16> {
    entry(service, port)?["nodePort"].as_u64().and_then(|p| u16::try_from(p).ok())
}

/// The pod's port behind a Service's port, which may name it.
fn target_port(service: &Value, port: u16, pod: &Value) -> Option<u16> {
    let target = &entry(service, port)?["targetPort"];
    if let Some(name) = target.as_str() {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
        let named = ports.filter(|p| p["name"] == name).find_map(|p| p["containerPort"].as_u64());
        return named.and_then(|p| u16::try_from(p).ok());
    }
    target.as_u64().map_or(Some(port), |p| u16::try_from(p).ok())
}

async fn accepts(host: &str, port: u16) -> bool {
    let connecting = TcpStream::connect((host, port));
    matches!(tokio::time::timeout(CONNECT_LIMIT, connecting).await, Ok(Ok(_)))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_load_balancer_goes_before_node_ports_and_the_clusters_own_address() {
        let service = json!({
            "spec": { "clusterIP": "10.96.0.9", "ports": [{ "port": 80, "targetPort": "http2", "nodePort": 30080 }] },
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.7" }] } },
        });
        let node = json!({ "status": { "addresses": [
            { "type": "InternalIP", "address": "10.0.0.1" }, { "type": "Hostname", "address": "n1" } ] } });
        let found: Vec<_> = candidates(&service, 80, &[node])
            .into_iter()
            .map(|(host, port, _)| format!("{host}:{port}"))
            .collect();
        assert_eq!(found, ["192.0.2.7:80", "10.0.0.1:30080", "127.0.0.1:30080", "10.96.0.9:80"]);
        let pod =
            json!({ "spec": { "containers": [{ "ports": [{ "name": "http2", "containerPort": 8081 }] }] } });
        assert_eq!(target_port(&service, 80, &pod), Some(8081));
        assert_eq!(target_port(&service, 81, &pod), None);
    }
}
