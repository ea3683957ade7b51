//! Events on a cluster: a Broker and a Trigger of Knative Eventing, and the logger behind them as a
//! plain Deployment, so that Eventing alone is needed.
//!
//! Broker and Trigger are owned by the logger's Deployment: whoever removes that, `harness clean`
//! after a crash included, removes all three.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    experiment::events::BrokerClass,
    platforms::{
        Deployed, FunctionSpec, Platform, PlatformError, PlatformKind,
        cluster::{
            Api, ApiError, Cluster,
            api::Selection,
            applying,
            follow::keep,
            resources::{BROKERS, DEPLOYMENTS, Resource, TRIGGERS},
        },
        deployment::PlainDeployment,
    },
};

const KIND: PlatformKind = PlatformKind::Knative;
/// How long Broker or Trigger may take to become ready; a topic of Kafka takes some seconds.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// Annotation with a broker's class.
const CLASS: &str = "eventing.knative.dev/broker.class";

/// What the manifests are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventingSpec {
    /// Name of Broker, Trigger and logger.
    pub name: String,
    /// Where.
    pub namespace: String,
    /// Class of the broker.
    pub class: BrokerClass,
    /// Path of the logger that events are posted to.
    pub path: String,
    /// Labels of everything.
    pub labels: BTreeMap<String, String>,
    /// Uid of the logger's Deployment.
    pub owner_uid: String,
}

impl EventingSpec {
    fn metadata(&self) -> Value {
        json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.labels,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": self.name, "uid": self.owner_uid,
            }],
        })
    }

    /// The Broker. One over channels takes the cluster's defaults; one of Kafka is told its settings,
    /// which that installation keeps in `kafka-broker-config`.
    pub fn broker(&self) -> Value {
        let mut metadata = self.metadata();
        metadata["annotations"] = json!({ CLASS: self.class.name() });
        let spec = match self.class {
            BrokerClass::Channel => json!({}),
            BrokerClass::Kafka => json!({ "config": {
                "apiVersion": "v1", "kind": "ConfigMap", "name": "kafka-broker-config", "namespace": "knative-eventing",
            } }),
        };
        json!({ "apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": metadata, "spec": spec })
    }

    /// The Trigger: every event of the Broker goes to the logger's Service.
    pub fn trigger(&self) -> Value {
        json!({
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": self.metadata(),
            "spec": {
                "broker": self.name,
                "subscriber": {
                    "ref": { "apiVersion": "v1", "kind": "Service", "name": self.name, "namespace": self.namespace },
                    // Relative to the address of the Service.
                    "uri": self.path,
                },
            },
        })
    }
}

/// Broker, Trigger and logger of a run.
#[derive(Debug)]
pub struct ClusterBus {
    cluster: Arc<Cluster>,
    logger: Mutex<PlainDeployment>,
    name: String,
    sink: String,
}

impl ClusterBus {
    /// Makes all three and waits until they are ready; what was made goes again if that fails.
    ///
    /// # Errors
    /// If Eventing is not installed, or something does not become ready in time.
    pub async fn start(
        cluster: &Arc<Cluster>,
        class: BrokerClass,
        logger: &FunctionSpec,
    ) -> Result<(Self, Deployed), PlatformError> {
        check_installed(&cluster.api).await?;
        let mut bus = Self {
            cluster: Arc::clone(cluster),
            logger: Mutex::new(PlainDeployment::new(Arc::clone(cluster))),
            name: logger.name.clone(),
            sink: String::new(),
        };
        match bus.make(class, logger).await {
            Ok((sink, deployed)) => {
                bus.sink = sink;
                Ok((bus, deployed))
            }
            Err(error) => {
                // The first error says more than one of tidying up.
                let _ = bus.stop().await;
                Err(error)
            }
        }
    }

    async fn make(
        &self,
        class: BrokerClass,
        logger: &FunctionSpec,
    ) -> Result<(String, Deployed), PlatformError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        let failed = |error: ApiError| applying::explained(KIND, error);
        let deployed = self.logger.lock().await.deploy(logger).await?;
        for resource in [TRIGGERS, BROKERS] {
            applying::make_room(api, KIND, &resource, namespace, &self.name).await?;
        }
        let owner = api.get(&DEPLOYMENTS, Some(namespace), &self.name).await.map_err(failed)?;
        let owner_uid = owner.and_then(|owner| Some(owner["metadata"]["uid"].as_str()?.to_owned()));
        let spec = EventingSpec {
            name: self.name.clone(),
            namespace: namespace.to_owned(),
            class,
            path: logger.path.clone(),
            labels: self.cluster.run.labels(),
            owner_uid: owner_uid.ok_or_else(|| control("the logger's Deployment is gone".to_owned()))?,
        };
        applying::apply(api, &BROKERS, namespace, &spec.broker()).await.map_err(failed)?;
        let broker = ready(api, BROKERS, namespace, &self.name).await?;
        applying::apply(api, &TRIGGERS, namespace, &spec.trigger()).await.map_err(failed)?;
        ready(api, TRIGGERS, namespace, &self.name).await?;
        let sink = broker["status"]["address"]["url"].as_str().unwrap_or_default();
        if !sink.starts_with("http://") {
            return Err(PlatformError::Limit {
                platform: KIND.name(),
                limit: format!(
                    "the Broker's address is '{sink}', and the function posts events over http alone"
                ),
                remedy:
                    "set transport-encryption to disabled or permissive in knative-eventing/config-features"
                        .to_owned(),
            });
        }
        Ok((sink.to_owned(), deployed))
    }

    /// Where events are posted.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// Takes all three away; safe to repeat.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub async fn stop(&self) -> Result<(), PlatformError> {
        let (api, namespace) = (&self.cluster.api, self.cluster.namespace());
        for resource in [TRIGGERS, BROKERS] {
            let deleted = api.delete(&resource, Some(namespace), &self.name).await;
            deleted.map_err(|error| applying::explained(KIND, error))?;
        }
        self.logger.lock().await.remove().await
    }
}

/// Waits until an object says that it is ready in the form that was applied.
async fn ready(api: &Api, resource: Resource, namespace: &str, name: &str) -> Result<Value, PlatformError> {
    let failed = |error: ApiError| applying::explained(KIND, error);
    let started = Instant::now();
    let one = Selection::named(name);
    let mut kept = keep(api, resource, Some(namespace.to_owned()), one).await.map_err(failed)?;
    loop {
        let object = kept.objects().values().next();
        if let Some(object) = object.filter(|object| is_ready(object)) {
            return Ok(object.clone());
        }
        let cause = object.map_or_else(|| "it is not there".to_owned(), waits_for);
        let goes_on = tokio::select! {
            change = kept.changed() => change.is_some(),
            () = tokio::time::sleep_until(started + READY_LIMIT) => false,
        };
        if !goes_on {
            return Err(PlatformError::NotReady {
                platform: KIND.name(),
                name: format!("{} {name}", resource.kind),
                waited_s: started.elapsed().as_secs_f64(),
                cause,
            });
        }
    }
}

/// Whether the newest generation is ready.
fn is_ready(object: &Value) -> bool {
    let newest = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    newest && conditions(object).any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The conditions that do not hold, in their own words.
fn waits_for(object: &Value) -> String {
    let open = conditions(object).filter(|c| c["status"] != "True" && c["type"] != "Ready");
    let words = |c: &Value| {
        let text = |key: &str| c[key].as_str().unwrap_or_default().to_owned();
        format!("{} ({} {})", text("type"), text("reason"), text("message"))
    };
    let open: Vec<String> = open.map(words).collect();
    if open.is_empty() { "it says nothing yet".to_owned() } else { open.join("; ") }
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

/// Whether the cluster has Knative Eventing at all: said before anything is made.
async fn check_installed(api: &Api) -> Result<(), PlatformError> {
    match api.get_path("/apis/eventing.knative.dev/v1").await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(404) => Err(PlatformError::Limit {
            platform: KIND.name(),
            limit: "Knative Eventing is not installed on this cluster".to_owned(),
            remedy: "install its core, a channel and the broker (knative.dev/docs/install/yaml-install/eventing), or \
                     take [events] out of the experiment"
                .to_owned(),
        }),
        Err(error) => Err(applying::explained(KIND, error)),
    }
}

fn control(cause: String) -> PlatformError {
    PlatformError::Control { platform: KIND.name(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platforms::cluster::testing::{cluster, refusal, spec as function},
        replay::Replay,
        schema_check::faults,
    };

    fn spec(class: BrokerClass) -> EventingSpec {
        EventingSpec {
            name: "event-logger".into(),
            namespace: "testbed".into(),
            class,
            path: "/predict".into(),
            labels: BTreeMap::from([("testbed/run".into(), "r1".into())]),
            owner_uid: "u-1".into(),
        }
    }

    #[test]
    fn the_manifests_are_those_of_the_documentation() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&spec(BrokerClass::Kafka).broker()).unwrap(), @r#"
        {
          "apiVersion": "eventing.knative.dev/v1",
          "kind": "Broker",
          "metadata": {
            "annotations": {
              "eventing.knative.dev/broker.class": "Kafka"
            },
            "labels": {
              "testbed/run": "r1"
            },
            "name": "event-logger",
            "namespace": "testbed",
            "ownerReferences": [
              {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "event-logger",
                "uid": "u-1"
              }
            ]
          },
          "spec": {
            "config": {
              "apiVersion": "v1",
              "kind": "ConfigMap",
              "name": "kafka-broker-config",
              "namespace": "knative-eventing"
            }
          }
        }
        "#);
        insta::assert_snapshot!(spec(BrokerClass::Channel).trigger()["spec"], @r#"{"broker":"event-logger","subscriber":{"ref":{"apiVersion":"v1","kind":"Service","name":"event-logger","namespace":"testbed"},"uri":"/predict"}}"#);
        let channel = spec(BrokerClass::Channel).broker();
        assert_eq!(channel["metadata"]["annotations"][CLASS], "MTChannelBasedBroker");
        assert_eq!(channel["spec"], json!({}));
    }

    #[test]
    fn every_manifest_keeps_to_the_schema() {
        for class in [BrokerClass::Channel, BrokerClass::Kafka] {
            for manifest in [spec(class).broker(), spec(class).trigger()] {
                assert_eq!(faults(&manifest), Vec::<String>::new(), "{manifest:#}");
            }
        }
        let mut wrong = spec(BrokerClass::Channel).trigger();
        wrong["spec"]["broker"] = json!(7);
        assert!(!faults(&wrong).is_empty());
    }

    #[test]
    fn an_object_is_ready_when_its_newest_generation_says_so() {
        let object = |observed: u64, status: &str| {
            json!({ "metadata": { "generation": 2 }, "status": { "observedGeneration": observed, "conditions": [
                { "type": "IngressReady", "status": status, "reason": "NoPods", "message": "none runs" },
                { "type": "Ready", "status": status },
            ] } })
        };
        assert!(is_ready(&object(2, "True")));
        assert!(!is_ready(&object(1, "True")), "that was of the generation before");
        assert!(!is_ready(&object(2, "Unknown")));
        assert_eq!(waits_for(&object(2, "Unknown")), "IngressReady (NoPods none runs)");
        assert_eq!(waits_for(&json!({})), "it says nothing yet");
    }

    #[tokio::test]
    async fn a_cluster_without_eventing_is_told_what_to_install() {
        let missing = refusal("GET", "/apis/eventing.knative.dev/v1", 404, "not found");
        let server = Replay::start(vec![missing]).await;
        let cluster = Arc::new(cluster(&server, "testbed"));
        let logger = function(1, 1);
        let error = ClusterBus::start(&cluster, BrokerClass::Channel, &logger).await.unwrap_err().to_string();
        assert!(
            error.contains("Knative Eventing is not installed on this cluster; install its core"),
            "{error}"
        );
    }
}
