//! The kinds of objects that the testbed asks an API server for.

/// A kind of object: where its API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Plural name in paths.
    pub plural: &'static str,
    /// Kind, as manifests spell it.
    pub kind: &'static str,
}

const fn resource(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> Resource {
    Resource { group, version, plural, kind }
}

/// Namespaces.
pub const NAMESPACES: Resource = resource("", "v1", "namespaces", "Namespace");
/// Nodes.
pub const NODES: Resource = resource("", "v1", "nodes", "Node");
/// Pods.
pub const PODS: Resource = resource("", "v1", "pods", "Pod");
/// Services.
pub const SERVICES: Resource = resource("", "v1", "services", "Service");
/// Secrets.
pub const SECRETS: Resource = resource("", "v1", "secrets", "Secret");
/// Configuration.
pub const CONFIG_MAPS: Resource = resource("", "v1", "configmaps", "ConfigMap");
/// Events.
pub const EVENTS: Resource = resource("", "v1", "events", "Event");
/// Deployments.
pub const DEPLOYMENTS: Resource = resource("apps", "v1", "deployments", "Deployment");
/// Replica sets.
pub const REPLICA_SETS: Resource = resource("apps", "v1", "replicasets", "ReplicaSet");
/// Jobs.
pub const JOBS: Resource = resource("batch", "v1", "jobs", "Job");
/// Custom resource definitions.
pub const CRDS: Resource =
    resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition");
/// Knative Services.
pub const KNATIVE_SERVICES: Resource = resource("serving.knative.dev", "v1", "services", "Service");
/// Knative Configurations.
pub const CONFIGURATIONS: Resource = resource("serving.knative.dev", "v1", "configurations", "Configuration");
/// Knative Revisions.
pub const REVISIONS: Resource = resource("serving.knative.dev", "v1", "revisions", "Revision");
/// Knative Routes.
pub const ROUTES: Resource = resource("serving.knative.dev", "v1", "routes", "Route");
/// Knative PodAutoscalers.
pub const POD_AUTOSCALERS: Resource =
    resource("autoscaling.internal.knative.dev", "v1alpha1", "podautoscalers", "PodAutoscaler");
/// Brokers of Knative Eventing.
pub const BROKERS: Resource = resource("eventing.knative.dev", "v1", "brokers", "Broker");
/// Triggers of Knative Eventing.
pub const TRIGGERS: Resource = resource("eventing.knative.dev", "v1", "triggers", "Trigger");
/// Metrics of pods (metrics-server).
pub const POD_METRICS: Resource = resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics");

impl Resource {
    /// A kind that the API server named itself. The texts live as long as the program: make each
    /// kind once.
    pub fn named_by_server(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        let keep = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        resource(keep(group), keep(version), keep(plural), keep(kind))
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Path of the collection, in a namespace or over all of them.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let namespace = namespace.map(|n| format!("/namespaces/{n}")).unwrap_or_default();
        format!("{root}/{}{namespace}/{}", self.api_version(), self.plural)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_server() {
        assert_eq!(PODS.path(Some("a")), "/api/v1/namespaces/a/pods");
        assert_eq!(NODES.path(None), "/api/v1/nodes");
        assert_eq!(KNATIVE_SERVICES.path(Some("a")), "/apis/serving.knative.dev/v1/namespaces/a/services");
    }
}
