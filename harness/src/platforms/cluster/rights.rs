//! The rights that the testbed uses on a cluster, and what for. `cluster-setup/rbac/testbed.yaml`
//! grants just these, `harness doctor` asks for each of them, and tests hold both to this table and
//! the table to the calls that are made.

use std::fmt;

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// On the whole cluster (a ClusterRole).
    Cluster,
    /// In the namespace of Knative Services and Deployments.
    Testbed,
    /// In the namespace of OpenFaaS functions.
    Functions,
    /// In the namespace of the OpenFaaS gateway.
    Gateway,
    /// In the namespace of Knative's own parts.
    KnativeServing,
    /// In the namespace of Prometheus.
    Monitoring,
}

impl Scope {
    /// Namespace that it has by default; none: the whole cluster.
    pub fn default_namespace(self) -> Option<&'static str> {
        match self {
            Self::Cluster => None,
            Self::Testbed => Some("testbed"),
            Self::Functions => Some("openfaas-fn"),
            Self::Gateway => Some("openfaas"),
            Self::KnativeServing => Some("knative-serving"),
            Self::Monitoring => Some("monitoring"),
        }
    }
}

/// A right, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: &'static str,
    /// Plural name, with `/subresource` where there is one.
    pub resource: &'static str,
    /// The only object that it is for; none: all.
    pub name: Option<&'static str>,
    /// Where.
    pub scope: Scope,
    /// What for, in words.
    pub why: &'static str,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)?;
        match self.scope.default_namespace() {
            Some(namespace) => write!(f, " in {namespace}"),
            None => write!(f, " everywhere"),
        }
    }
}

/// One line of the table below: several verbs on one kind of object.
struct Line {
    scope: Scope,
    verbs: &'static [&'static str],
    group: &'static str,
    resource: &'static str,
    name: Option<&'static str>,
    why: &'static str,
}

const fn line(
    scope: Scope,
    verbs: &'static [&'static str],
    (group, resource): (&'static str, &'static str),
    why: &'static str,
) -> Line {
    Line { scope, verbs, group, resource, name: None, why }
}

const fn named(line: Line, name: &'static str) -> Line {
    Line { name: Some(name), ..line }
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "patch"];
const GET: &[&str] = &["get"];
const LIST: &[&str] = &["list"];
const KNATIVE: &str = "serving.knative.dev";
const AUTOSCALING: &str = "autoscaling.internal.knative.dev";

use Scope::{Cluster, Functions, Gateway, KnativeServing, Monitoring, Testbed};

const LINES: &[Line] = &[
    line(Cluster, LIST, ("", "nodes"), "addresses of node ports, placement of replicas, versions, pressure"),
    line(Cluster, GET, ("", "nodes/proxy"), "CPU and memory from the kubelet, where no Prometheus has them"),
    line(Cluster, &["get", "list"], ("", "namespaces"), "is the testbed's there; `status` and `clean`"),
    line(Cluster, &["create"], ("", "namespaces"), "the testbed's own namespace"),
    named(
        line(Cluster, &["patch", "delete"], ("", "namespaces"), "labels of the testbed's own namespace; `clean`"),
        "testbed",
    ),
    line(Cluster, &["get", "list"], ("", "services"), "addresses of ingress, gateway and Prometheus; `clean`"),
    line(Cluster, READ, ("", "pods"), "replicas, their phases, why they do not start; what a namespace still holds"),
    line(Cluster, &["list", "watch"], ("", "events"), "why pods do not start; time lines of cold starts"),
    line(Cluster, READ, ("apps", "deployments"), "replicas wanted and ready; `status` and `clean`"),
    line(Cluster, READ, (KNATIVE, "services"), "conditions and address; `status` and `clean`"),
    line(Cluster, READ, (KNATIVE, "revisions"), "why a revision does not start; activity"),
    line(Cluster, READ, (AUTOSCALING, "podautoscalers"), "replicas that the autoscaler wants; scale to zero"),
    line(Testbed, WRITE, (KNATIVE, "services"), "deploy and remove on Knative"),
    line(Testbed, WRITE, ("apps", "deployments"), "deploy and remove plain Deployments"),
    line(Testbed, WRITE, ("", "services"), "deploy and remove plain Deployments"),
    line(Testbed, GET, ("", "pods/log"), "the last words of a container that crashes"),
    line(Functions, &["delete"], ("apps", "deployments"), "`clean` of OpenFaaS functions without the gateway"),
    line(Functions, &["delete"], ("", "services"), "`clean` of OpenFaaS functions without the gateway"),
    named(line(Gateway, GET, ("", "secrets"), "login of the gateway, where neither flag nor variable has it"), "basic-auth"),
    line(Gateway, &["create", "get"], ("", "pods/portforward"), "the gateway's API, where its Service has no address outside"),
    line(KnativeServing, GET, ("", "configmaps"), "settings of the autoscaler, domain, tag resolution, metrics"),
    line(Monitoring, &["create", "get"], ("", "pods/portforward"), "Prometheus, where its Service has no address outside"),
];

/// All of them, one a verb.
pub fn rights() -> impl Iterator<Item = Right> {
    LINES.iter().flat_map(|line| {
        line.verbs.iter().map(|verb| Right {
            verb,
            group: line.group,
            resource: line.resource,
            name: line.name,
            scope: line.scope,
            why: line.why,
        })
    })
}

/// Whether some right covers a call, wherever it is made.
pub fn covers(call: &super::api::Call) -> bool {
    rights().any(|right| {
        right.verb == call.verb && right.group == call.group && right.resource == call.resource
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_right_is_in_the_table_twice() {
        let mut seen = BTreeSet::new();
        for right in rights() {
            let key = (right.verb, right.group, right.resource, right.scope);
            assert!(seen.insert(key), "{right} is there twice");
        }
    }

    #[test]
    fn a_right_reads_well() {
        let texts: Vec<String> = rights().filter(|r| r.group == KNATIVE).map(|r| r.to_string()).collect();
        assert_eq!(texts[0], "get services.serving.knative.dev everywhere");
        assert_eq!(texts.last().unwrap(), "patch services.serving.knative.dev in testbed");
    }
}
