//! Knative Eventing, for runs whose functions emit events: its API and parts, the class of the broker
//! that a run makes, and the address that it would get.

use serde_json::Value;

use super::knative::{config_in, ready, served};
use crate::{
    doctor::{Patient, Said, fail, ok, skipped, warn},
    experiment::events::BrokerClass,
    platforms::cluster::{
        api::Selection,
        resources::{BROKERS, SERVICES},
    },
};

/// Namespace of Eventing's own parts.
const EVENTING: &str = "knative-eventing";
/// ConfigMap with the settings that a Broker gets where it names none.
const DEFAULTS: &str = "config-br-defaults";
/// ConfigMap with the settings of Brokers of Kafka; a run's Broker names it.
const KAFKA_CONFIG: &str = "kafka-broker-config";

pub(super) async fn installed(p: &Patient<'_>) -> Said {
    let remedy = "install its CRDs and core, a channel and the broker (cluster-setup/README.md; \
                  knative.dev/docs/install/yaml-install/eventing), or leave the events out";
    served(p, "eventing.knative.dev", remedy).await
}

pub(super) async fn controllers(p: &Patient<'_>) -> Said {
    let Some(class) = p.wishes.events else { return skipped("no events are asked for") };
    let said = ready(p, EVENTING, needed(class)).await;
    // Core without broker is the usual half-way stop of an installation.
    let install = match class {
        BrokerClass::Channel => "in-memory-channel.yaml and mt-channel-broker.yaml of knative/eventing",
        BrokerClass::Kafka => {
            "eventing-kafka-controller.yaml and eventing-kafka-broker.yaml of eventing-kafka-broker"
        }
    };
    let remedy = said.remedy.map(|remedy| format!("{remedy}; what is not there comes with {install}"));
    Said { remedy, ..said }
}

/// Deployments without which a Broker of this class does not become ready. (Kafka's dispatcher is a
/// StatefulSet, which has no pod before the first Trigger.)
fn needed(class: BrokerClass) -> &'static [&'static str] {
    match class {
        BrokerClass::Channel => &[
            "eventing-controller",
            "eventing-webhook",
            "mt-broker-controller",
            "mt-broker-ingress",
            "mt-broker-filter",
        ],
        BrokerClass::Kafka => &[
            "eventing-controller",
            "eventing-webhook",
            "kafka-controller",
            "kafka-webhook-eventing",
            "kafka-broker-receiver",
        ],
    }
}

pub(super) async fn class(p: &Patient<'_>) -> Said {
    let said = match p.wishes.events {
        None => return skipped("no events are asked for"),
        Some(BrokerClass::Channel) => channel(p).await,
        Some(BrokerClass::Kafka) => kafka(p).await,
    };
    said.unwrap_or_else(|said| said)
}

/// A Broker over channels takes the cluster's defaults: they must be of its class.
async fn channel(p: &Patient<'_>) -> Result<Said, Said> {
    let class = BrokerClass::Channel.name();
    let again = format!(
        "apply {DEFAULTS} of eventing-core.yaml again: its clusterDefault names {class} and a channel"
    );
    let Some(data) = config_in(p, EVENTING, DEFAULTS).await? else {
        return Ok(fail(format!("there is no {DEFAULTS} in {EVENTING}, so a Broker gets no channel"), again));
    };
    let text = data.get("default-br-config").and_then(Value::as_str).unwrap_or_default();
    let Ok(defaults) = serde_saphyr::from_str::<Value>(text) else {
        return Ok(fail(format!("default-br-config in {DEFAULTS} is no YAML"), again));
    };
    let cluster = &defaults["clusterDefault"];
    // Newer releases keep settings for each class beside those of the default one.
    let own = &cluster["brokerClasses"][class];
    let settings = if own.is_object() { own } else { cluster };
    if !own.is_object() && cluster["brokerClass"] != class {
        let other = cluster["brokerClass"].as_str().unwrap_or("none");
        return Ok(warn(
            format!(
                "the cluster's default class is {other}: a Broker of {class} would get that one's settings"
            ),
            format!("add {class} below clusterDefault.brokerClasses of {EVENTING}/{DEFAULTS}"),
        ));
    }
    let (Some(namespace), Some(name)) = (settings["namespace"].as_str(), settings["name"].as_str()) else {
        return Ok(fail(format!("{DEFAULTS} names no ConfigMap with a channel for {class}"), again));
    };
    match config_in(p, namespace, name).await? {
        Some(_) => Ok(ok(format!("{class}, with the channel of {namespace}/{name}"))),
        None => Ok(fail(format!("{DEFAULTS} names {namespace}/{name}, which is not there"), again)),
    }
}

async fn kafka(p: &Patient<'_>) -> Result<Said, Said> {
    let place = format!("{EVENTING}/{KAFKA_CONFIG}");
    let Some(data) = config_in(p, EVENTING, KAFKA_CONFIG).await? else {
        return Ok(fail(
            format!("there is no {place}, which a run's Broker names"),
            "apply eventing-kafka-controller.yaml of eventing-kafka-broker",
        ));
    };
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let servers = text("bootstrap.servers");
    if servers.is_empty() {
        return Ok(fail(
            format!("{place} names no bootstrap.servers"),
            format!(
                "kubectl -n {EVENTING} patch configmap {KAFKA_CONFIG} --type merge -p \
                 '{{\"data\":{{\"bootstrap.servers\":\"HOST:9092\"}}}}'"
            ),
        ));
    }
    let copies = text("default.topic.replication.factor");
    Ok(ok(format!("Kafka at {servers}, {copies} copies of a topic (it must have so many brokers)")))
}

pub(super) async fn address(p: &Patient<'_>) -> Said {
    look_for_address(p).await.unwrap_or_else(|said| said)
}

/// Whether a Broker would get an address that functions can post to; Brokers that are there show it.
async fn look_for_address(p: &Patient<'_>) -> Result<Said, Said> {
    let ingress = match p.wishes.events {
        None => return Ok(skipped("no events are asked for")),
        Some(BrokerClass::Channel) => "broker-ingress",
        Some(BrokerClass::Kafka) => "kafka-broker-ingress",
    };
    let features = config_in(p, EVENTING, "config-features").await?.unwrap_or_default();
    let encryption = features.get("transport-encryption").and_then(Value::as_str).unwrap_or("disabled");
    if encryption.eq_ignore_ascii_case("strict") {
        return Ok(fail(
            "Brokers have https addresses alone, and the function posts events over http",
            format!(
                "kubectl -n {EVENTING} patch configmap config-features --type merge -p \
                 '{{\"data\":{{\"transport-encryption\":\"permissive\"}}}}'"
            ),
        ));
    }
    let api = &p.cluster.api;
    let service = api.get(&SERVICES, Some(EVENTING), ingress).await;
    if service.map_err(|error| skipped(error.to_string()))?.is_none() {
        return Ok(fail(
            format!("there is no Service {EVENTING}/{ingress}, which Brokers' addresses lead to"),
            "install the broker again",
        ));
    }
    let namespace = p.cluster.namespace();
    let listed = api.list(&BROKERS, Some(namespace), &Selection::default()).await;
    let brokers = listed.map_err(|error| skipped(error.to_string()))?.items;
    let silent: Vec<&str> = brokers
        .iter()
        .filter(|broker| broker["status"]["address"]["url"].as_str().is_none())
        .filter_map(|broker| broker["metadata"]["name"].as_str())
        .collect();
    if !silent.is_empty() {
        return Ok(warn(
            format!("Brokers in {namespace} that report no address: {}", silent.join(", ")),
            format!("kubectl -n {namespace} describe broker NAME says what it waits for"),
        ));
    }
    let seen = match brokers.len() {
        0 => format!("no Broker in {namespace} yet: a run makes one, and waits until it reports its address"),
        n => format!("{n} in {namespace} report theirs"),
    };
    Ok(ok(format!("{EVENTING}/{ingress} is there; {seen}")))
}
