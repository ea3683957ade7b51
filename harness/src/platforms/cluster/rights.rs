//! The rights that the testbed uses on a cluster, and what for. `cluster-setup/rbac/testbed.yaml`
//! grants just these: a test compares the two, and every call that a test of this crate makes is
//! checked against the table.

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
    /// In the namespace of Knative Eventing's own parts.
    KnativeEventing,
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
            Self::KnativeEventing => Some("knative-eventing"),
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
#[derive(Clone, Copy)]
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
const SET: &[&str] = &["create", "patch"];
const GET: &[&str] = &["get"];
const LIST: &[&str] = &["list"];
const FOLLOW: &[&str] = &["list", "watch"];
const FORWARD: &[&str] = &["create", "get"];
const DELETE: &[&str] = &["delete"];

const NODES: (&str, &str) = ("", "nodes");
const NODE_PROXY: (&str, &str) = ("", "nodes/proxy");
const NAMESPACES: (&str, &str) = ("", "namespaces");
const SERVICES: (&str, &str) = ("", "services");
const PODS: (&str, &str) = ("", "pods");
const POD_LOG: (&str, &str) = ("", "pods/log");
const POD_FORWARD: (&str, &str) = ("", "pods/portforward");
const EVENTS: (&str, &str) = ("", "events");
const SECRETS: (&str, &str) = ("", "secrets");
const CONFIG_MAPS: (&str, &str) = ("", "configmaps");
const DEPLOYMENTS: (&str, &str) = ("apps", "deployments");
const DAEMON_SETS: (&str, &str) = ("apps", "daemonsets");
const JOBS: (&str, &str) = ("batch", "jobs");
const POD_METRICS: (&str, &str) = ("metrics.k8s.io", "pods");
const KNATIVE_SERVICES: (&str, &str) = ("serving.knative.dev", "services");
const REVISIONS: (&str, &str) = ("serving.knative.dev", "revisions");
const BROKERS: (&str, &str) = ("eventing.knative.dev", "brokers");
const TRIGGERS: (&str, &str) = ("eventing.knative.dev", "triggers");
const POD_AUTOSCALERS: (&str, &str) = ("autoscaling.internal.knative.dev", "podautoscalers");

use Scope::{Cluster, Functions, Gateway, KnativeEventing, KnativeServing, Monitoring, Testbed};

const LINES: &[Line] = &[
    line(Cluster, LIST, NODES, "addresses of node ports, placement, versions, pressure"),
    line(Cluster, GET, NODE_PROXY, "CPU and memory from the kubelet, where nothing else has them"),
    line(Cluster, READ, NAMESPACES, "is the testbed's own there, is it gone; `status` and `clean`"),
    line(Cluster, &["create"], NAMESPACES, "the testbed's own namespace (a name cannot bound a creation)"),
    named(line(Cluster, &["delete", "patch"], NAMESPACES, "the testbed's own namespace"), "testbed"),
    line(Cluster, &["get", "list"], SERVICES, "addresses of ingress, gateway and Prometheus; `clean`"),
    line(Cluster, FOLLOW, PODS, "replicas and why they do not start; what a namespace still holds"),
    line(Cluster, FOLLOW, EVENTS, "why pods do not start; time lines of cold starts"),
    line(Cluster, READ, DEPLOYMENTS, "replicas wanted and ready; versions; `status` and `clean`"),
    line(Cluster, LIST, DAEMON_SETS, "versions of what runs on every node"),
    line(Cluster, LIST, JOBS, "`status` and `clean` of load workers"),
    line(Cluster, LIST, POD_METRICS, "CPU and memory where there is a metrics server"),
    line(Cluster, READ, KNATIVE_SERVICES, "conditions and address; `status` and `clean`"),
    line(Cluster, GET, REVISIONS, "the settings in force"),
    line(Cluster, FOLLOW, POD_AUTOSCALERS, "replicas that the autoscaler wants; proof of zero"),
    line(Testbed, WRITE, KNATIVE_SERVICES, "deploy and remove on Knative"),
    line(Testbed, WRITE, DEPLOYMENTS, "deploy and remove plain Deployments"),
    line(Testbed, WRITE, SERVICES, "deploy and remove plain Deployments"),
    line(Testbed, READ, BROKERS, "address of the broker of events, is it ready"),
    line(Testbed, WRITE, BROKERS, "the broker of events (`--question events`)"),
    line(Testbed, READ, TRIGGERS, "is the way from broker to logger ready"),
    line(Testbed, WRITE, TRIGGERS, "the way from broker to logger (`--question events`)"),
    line(Testbed, GET, POD_LOG, "the last words of a container that crashes"),
    line(Testbed, WRITE, JOBS, "load workers (`--load-from cluster`)"),
    line(Testbed, SET, SECRETS, "the token of load workers (`--load-from cluster`)"),
    line(Testbed, FORWARD, POD_FORWARD, "the line to load workers (`--load-from cluster`)"),
    line(Functions, DELETE, DEPLOYMENTS, "`clean` of OpenFaaS functions without the gateway"),
    line(Functions, DELETE, SERVICES, "`clean` of OpenFaaS functions without the gateway"),
    named(line(Gateway, GET, SECRETS, "login of the gateway, where the user gives none"), "basic-auth"),
    line(Gateway, FORWARD, POD_FORWARD, "the gateway's API, where it has no address outside"),
    line(KnativeServing, GET, CONFIG_MAPS, "settings of autoscaler, network, domain, tags, metrics"),
    line(KnativeEventing, GET, CONFIG_MAPS, "class and settings of brokers (`doctor --events`)"),
    line(Monitoring, FORWARD, POD_FORWARD, "Prometheus, where it has no address outside"),
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
    rights()
        .any(|right| right.verb == call.verb && right.group == call.group && right.resource == call.resource)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    /// Verb, group, resource, name, namespace of the role.
    type Granted = (String, String, String, Option<String>, Option<String>);

    fn manifest() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster-setup/rbac/testbed.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_multiple(&text).unwrap()
    }

    fn texts(value: &Value) -> Vec<String> {
        value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    fn of_rule(rule: &Value, namespace: Option<&str>, granted: &mut BTreeSet<Granted>) {
        let names: Vec<Option<String>> = match texts(&rule["resourceNames"]) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        let place = namespace.map(str::to_owned);
                        let right = (verb.clone(), group.clone(), resource.clone(), name.clone(), place);
                        assert!(granted.insert(right.clone()), "{right:?} is granted twice");
                    }
                }
            }
        }
    }

    #[test]
    fn the_manifest_grants_what_the_table_says_and_nothing_else() {
        let mut granted = BTreeSet::new();
        for object in manifest() {
            let namespace = object["metadata"]["namespace"].as_str();
            for rule in object["rules"].as_array().into_iter().flatten() {
                of_rule(rule, namespace, &mut granted);
            }
        }
        let own = |text: &str| text.to_owned();
        let table: BTreeSet<Granted> = rights()
            .map(|r| {
                let place = r.scope.default_namespace().map(own);
                (own(r.verb), own(r.group), own(r.resource), r.name.map(own), place)
            })
            .collect();
        let missing: Vec<_> = table.difference(&granted).collect();
        let surplus: Vec<_> = granted.difference(&table).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
    }

    #[test]
    fn every_role_of_the_manifest_is_bound_to_the_one_service_account() {
        let objects = manifest();
        let place = |o: &Value| (o["metadata"]["namespace"].clone(), o["metadata"]["name"].clone());
        let mut bound: BTreeMap<String, &Value> = BTreeMap::new();
        for binding in objects.iter().filter(|o| o["kind"].as_str().unwrap().ends_with("Binding")) {
            let role = format!(
                "{} {:?} {}",
                binding["roleRef"]["kind"],
                place(binding).0,
                binding["roleRef"]["name"]
            );
            bound.insert(role, &binding["subjects"]);
        }
        let roles: Vec<&Value> = objects.iter().filter(|o| !o["rules"].is_null()).collect();
        assert_eq!(roles.len(), bound.len());
        for role in roles {
            let name = format!("{} {:?} {}", role["kind"], place(role).0, place(role).1);
            let subject = &bound.get(&name).unwrap_or_else(|| panic!("{name} is not bound: {bound:?}"))[0];
            assert_eq!(subject["kind"], "ServiceAccount");
            assert_eq!((&subject["namespace"], &subject["name"]), (&"testbed".into(), &"testbed".into()));
        }
    }

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
        let texts: Vec<String> =
            rights().filter(|r| (r.group, r.resource) == KNATIVE_SERVICES).map(|r| r.to_string()).collect();
        assert_eq!(texts[0], "get services.serving.knative.dev everywhere");
        assert_eq!(texts.last().unwrap(), "patch services.serving.knative.dev in testbed");
    }
}
