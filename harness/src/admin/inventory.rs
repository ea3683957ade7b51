//! Finds what of the testbed is on a cluster: whatever carries its label and belongs to nothing else.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::Serialize;
use serde_json::Value;

use crate::platforms::{
    PlatformKind,
    cluster::{
        Cluster, RunLabel,
        api::{ApiError, Selection},
        labels::{MANAGED_BY, RUN, any_run},
        resources::{DEPLOYMENTS, JOBS, KNATIVE_SERVICES, NAMESPACES, Resource, SERVICES},
        workers::manifest as load_workers,
    },
};

/// Label of Knative's objects with the Service that they belong to.
const KNATIVE_SERVICE_LABEL: &str = "serving.knative.dev/service";
/// Label of OpenFaaS's Deployments and pods with the function's name.
const FAAS_LABEL: &str = "faas_function";

/// Whose things are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Those of every run.
    AnyRun,
    /// Those of one run.
    Run(RunLabel),
}

impl Owner {
    fn selector(&self) -> String {
        match self {
            Self::AnyRun => any_run(),
            Self::Run(run) => run.selector(),
        }
    }

    fn owns(&self, labels: &Value) -> bool {
        labels[MANAGED_BY.0] == MANAGED_BY.1
            && match self {
                Self::AnyRun => true,
                Self::Run(run) => labels[RUN] == run.value(),
            }
    }
}

/// What a thing is. The order is the one in which things are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A Job of load workers.
    LoadWorkers,
    /// A Knative Service.
    KnativeService,
    /// A function of OpenFaaS.
    OpenfaasFunction,
    /// A plain Deployment.
    Deployment,
    /// A plain Service.
    Service,
    /// A namespace.
    Namespace,
}

impl Kind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadWorkers => "Job of load workers",
            Self::KnativeService => "Knative Service",
            Self::OpenfaasFunction => "OpenFaaS function",
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::Namespace => "namespace",
        }
    }

    /// The platform that it is a function of, or a part of one.
    pub fn platform(self) -> Option<PlatformKind> {
        match self {
            Self::KnativeService => Some(PlatformKind::Knative),
            Self::OpenfaasFunction => Some(PlatformKind::OpenFaas),
            Self::Deployment | Self::Service => Some(PlatformKind::Deployment),
            Self::LoadWorkers | Self::Namespace => None,
        }
    }

    /// Whether it has replicas.
    pub fn is_function(self) -> bool {
        !matches!(self, Self::LoadWorkers | Self::Service | Self::Namespace)
    }
}

/// Something that the testbed made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// Where; none for a namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The run that made it.
    pub run: String,
    /// When, RFC 3339.
    pub created: Option<String>,
    /// Image of a function.
    pub image: Option<String>,
    /// Replicas that are ready.
    pub ready: Option<u64>,
    /// Replicas that are wanted.
    pub desired: Option<u64>,
    /// Where it is called.
    pub url: Option<String>,
    /// How it is: `ready`, `going away`, or what it waits for.
    pub state: String,
    /// Selects its pods.
    #[serde(skip)]
    pub pods: Option<String>,
}

impl Thing {
    /// `Knative Service testbed/classify of run manual`.
    pub fn describe(&self) -> String {
        let place = self.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        format!("{} {place}{} of run {}", self.kind.name(), self.name, self.run)
    }
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// In the order in which they are removed.
    pub things: Vec<Thing>,
    /// Where could not be looked, one sentence each.
    pub notes: Vec<String>,
}

/// Looks through the cluster; where the whole of it may not be listed, through the testbed's own
/// namespaces.
///
/// # Errors
/// If not even those may be listed, or the API server does not answer.
pub async fn take(cluster: &Cluster, owner: &Owner) -> Result<Inventory, ApiError> {
    let mut look = Look { cluster, owner, notes: Vec::new() };
    let mut things = look.load_workers().await?;
    things.extend(look.knative().await?);
    things.extend(look.openfaas().await?);
    let services = look.labelled(&SERVICES).await?;
    things.extend(look.deployments(&services).await?);
    things.extend(services.iter().map(|object| thing(Kind::Service, object)));
    things.extend(look.namespaces().await?);
    let mut notes = look.notes;
    notes.sort();
    notes.dedup();
    Ok(Inventory { things, notes })
}

struct Look<'a> {
    cluster: &'a Cluster,
    owner: &'a Owner,
    notes: Vec<String>,
}

impl Look<'_> {
    async fn load_workers(&mut self) -> Result<Vec<Thing>, ApiError> {
        let read = |object: &Value| {
            let base = thing(Kind::LoadWorkers, object);
            Thing {
                ready: Some(object["status"]["ready"].as_u64().unwrap_or(0)),
                desired: object["spec"]["parallelism"].as_u64(),
                pods: Some(load_workers::selector(&base.name)),
                ..base
            }
        };
        Ok(self.labelled(&JOBS).await?.iter().map(read).collect())
    }

    async fn knative(&mut self) -> Result<Vec<Thing>, ApiError> {
        let services = self.labelled(&KNATIVE_SERVICES).await?;
        let mut replicas: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for object in &services {
            let namespace = text(&object["metadata"]["namespace"]);
            if let Entry::Vacant(slot) = replicas.entry(namespace) {
                let behind = Selection::labelled(KNATIVE_SERVICE_LABEL);
                let listed = self.cluster.api.list(&DEPLOYMENTS, Some(slot.key()), &behind).await?;
                slot.insert(listed.items);
            }
        }
        let read = |object: &Value| {
            let base = thing(Kind::KnativeService, object);
            let near = base.namespace.as_ref().and_then(|n| replicas.get(n)).into_iter().flatten();
            let behind: Vec<&Value> =
                near.filter(|o| o["metadata"]["labels"][KNATIVE_SERVICE_LABEL] == *base.name).collect();
            let sum =
                |field: &dyn Fn(&Value) -> Option<u64>| Some(behind.iter().filter_map(|o| field(o)).sum());
            Thing {
                ready: sum(&|o| o["status"]["readyReplicas"].as_u64()),
                desired: sum(&|o| o["spec"]["replicas"].as_u64()),
                url: object["status"]["url"].as_str().map(str::to_owned),
                pods: Some(format!("{KNATIVE_SERVICE_LABEL}={}", base.name)),
                ..base
            }
        };
        Ok(services.iter().map(read).collect())
    }

    /// The provider labels pods as the function asks, not its Deployments: both are read.
    async fn openfaas(&mut self) -> Result<Vec<Thing>, ApiError> {
        let namespace = self.cluster.functions_namespace();
        let selection = Selection::labelled(FAAS_LABEL);
        let listed = match self.cluster.api.list(&DEPLOYMENTS, Some(namespace), &selection).await {
            Err(ApiError::Forbidden { .. }) => {
                self.notes.push(format!(
                    "Deployments in {namespace} may not be listed: OpenFaaS functions were not looked for"
                ));
                return Ok(Vec::new());
            }
            listed => listed?.items,
        };
        let gateway = self.cluster.choice.gateway.as_deref().unwrap_or("(gateway)").trim_end_matches('/');
        let read = |object: &Value| {
            let labels = [&object["metadata"]["labels"], &object["spec"]["template"]["metadata"]["labels"]];
            let labels = labels.into_iter().find(|labels| self.owner.owns(labels))?;
            let name = text(&object["metadata"]["name"]);
            Some(Thing {
                kind: Kind::OpenfaasFunction,
                run: text(&labels[RUN]),
                url: Some(format!("{gateway}/function/{name}")),
                pods: Some(format!("{FAAS_LABEL}={name}")),
                ..deployment(object)
            })
        };
        Ok(listed.iter().filter_map(read).collect())
    }

    async fn deployments(&mut self, services: &[Value]) -> Result<Vec<Thing>, ApiError> {
        let url = |thing: &Thing| {
            let of_it = services.iter().find(|service| {
                let meta = &service["metadata"];
                meta["name"] == *thing.name && meta["namespace"].as_str() == thing.namespace.as_deref()
            })?;
            let port = of_it["spec"]["ports"][0]["port"].as_u64()?;
            Some(format!("http://{}.{}.svc:{port}", thing.name, thing.namespace.as_deref()?))
        };
        let read = |object: &Value| {
            let mut thing = deployment(object);
            thing.url = url(&thing);
            thing
        };
        let found = self.labelled(&DEPLOYMENTS).await?;
        Ok(found.iter().filter(|o| o["metadata"]["labels"][FAAS_LABEL].is_null()).map(read).collect())
    }

    async fn namespaces(&mut self) -> Result<Vec<Thing>, ApiError> {
        let found = match self.cluster.api.list(&NAMESPACES, None, &self.selection()).await {
            Err(ApiError::Forbidden { .. }) => {
                let namespace = self.cluster.namespace();
                self.notes
                    .push(format!("namespaces may not be listed: of them only {namespace} was looked at"));
                let one = self.cluster.api.get(&NAMESPACES, None, namespace).await?;
                one.into_iter().filter(|object| self.owner.owns(&object["metadata"]["labels"])).collect()
            }
            listed => listed?.items,
        };
        let read = |object: &Value| Thing { namespace: None, ..thing(Kind::Namespace, object) };
        Ok(found.iter().map(read).collect())
    }

    /// Labelled objects of a kind that no other object made. A kind that the server does not know
    /// has none.
    async fn labelled(&mut self, resource: &Resource) -> Result<Vec<Value>, ApiError> {
        let api = &self.cluster.api;
        let found = match api.list(resource, None, &self.selection()).await {
            Err(error) if error.code() == Some(404) => Vec::new(),
            Err(ApiError::Forbidden { .. }) => {
                let own = [self.cluster.namespace(), self.cluster.functions_namespace()];
                self.notes.push(format!(
                    "{} may not be listed everywhere: only {} were looked through",
                    resource.plural,
                    own.join(" and ")
                ));
                let mut found = api.list(resource, Some(own[0]), &self.selection()).await?.items;
                // Without rights in the other one nothing of ours is in it, but for OpenFaaS.
                if let Ok(listed) = api.list(resource, Some(own[1]), &self.selection()).await {
                    found.extend(listed.items);
                }
                found
            }
            listed => listed?.items,
        };
        Ok(found.into_iter().filter(|object| !is_owned(object)).collect())
    }

    fn selection(&self) -> Selection {
        Selection::labelled(self.owner.selector())
    }
}

/// Whether another object made it, which takes it away with itself.
pub(super) fn is_owned(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true))
}

fn deployment(object: &Value) -> Thing {
    let selector = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let pairs: Vec<_> = selector.map(|(key, value)| format!("{key}={}", text(value))).collect();
    Thing {
        ready: Some(object["status"]["readyReplicas"].as_u64().unwrap_or(0)),
        desired: object["spec"]["replicas"].as_u64(),
        pods: (!pairs.is_empty()).then(|| pairs.join(",")),
        ..thing(Kind::Deployment, object)
    }
}

fn thing(kind: Kind, object: &Value) -> Thing {
    let meta = &object["metadata"];
    let given = |value: &Value| value.as_str().map(str::to_owned);
    Thing {
        kind,
        namespace: given(&meta["namespace"]),
        name: text(&meta["name"]),
        run: text(&meta["labels"][RUN]),
        created: given(&meta["creationTimestamp"]),
        image: given(&object["spec"]["template"]["spec"]["containers"][0]["image"]),
        ready: None,
        desired: None,
        url: None,
        state: state(kind, object),
        pods: None,
    }
}

fn state(kind: Kind, object: &Value) -> String {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "going away".to_owned();
    }
    let condition = match kind {
        Kind::KnativeService => "Ready",
        Kind::Deployment | Kind::OpenfaasFunction => "Available",
        Kind::LoadWorkers | Kind::Service | Kind::Namespace => return "there".to_owned(),
    };
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    match conditions.into_iter().find(|c| c["type"] == condition) {
        Some(found) if found["status"] == "True" => "ready".to_owned(),
        Some(found) => {
            let said = [&found["reason"], &found["message"]].map(text);
            let said: Vec<_> = said.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
            if said.is_empty() {
                "not ready yet".to_owned()
            } else {
                format!("not ready: {}", said.join(": "))
            }
        }
        None => "not ready yet".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_controller_made_is_not_removed_by_itself() {
        assert!(is_owned(&json!({ "metadata": { "ownerReferences": [{ "controller": true }] } })));
        assert!(!is_owned(&json!({ "metadata": { "ownerReferences": [{ "controller": false }] } })));
        assert!(!is_owned(&json!({ "metadata": {} })));
    }

    #[test]
    fn a_run_owns_its_label_alone() {
        let labels = json!({ "app.kubernetes.io/managed-by": "serverless-testbed", "testbed/run": "a" });
        assert!(Owner::AnyRun.owns(&labels));
        assert!(Owner::Run(RunLabel::new("a")).owns(&labels));
        assert!(!Owner::Run(RunLabel::new("b")).owns(&labels));
        assert!(!Owner::AnyRun.owns(&json!({ "testbed/run": "a" })));
    }

    #[test]
    fn a_state_is_read_from_the_condition_that_counts() {
        let service = |condition: Value| json!({ "metadata": {}, "status": { "conditions": [condition] } });
        let failed = service(json!({ "type": "Ready", "status": "False", "reason": "RevisionFailed",
            "message": "back-off\n pulling" }));
        assert_eq!(state(Kind::KnativeService, &failed), "not ready: RevisionFailed: back-off pulling");
        let ready = service(json!({ "type": "Ready", "status": "True" }));
        assert_eq!(state(Kind::KnativeService, &ready), "ready");
        assert_eq!(state(Kind::Deployment, &ready), "not ready yet");
        let going = json!({ "metadata": { "deletionTimestamp": "2026-11-21T00:00:00Z" } });
        assert_eq!(state(Kind::Namespace, &going), "going away");
    }
}
