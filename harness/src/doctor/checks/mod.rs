//! The checks, in order.

mod cluster;
mod eventing;
mod image;
mod knative;
mod openfaas;
mod prometheus;
mod rights;
mod room;
mod storage;

use super::{Check, Part};

/// Name of the first check of all.
pub(super) const ROOT: &str = "API server";

/// Every check. The first of each part is its root.
pub(super) const ALL: [Check; 29] = [
    Check { name: ROOT, part: Part::Cluster, run: |p| Box::pin(cluster::server(p)) },
    Check { name: "rights", part: Part::Cluster, run: |p| Box::pin(rights::rights(p)) },
    Check { name: "namespace", part: Part::Cluster, run: |p| Box::pin(cluster::namespace(p)) },
    Check { name: "clock", part: Part::Cluster, run: |p| Box::pin(cluster::clock(p)) },
    Check { name: "nodes", part: Part::Cluster, run: |p| Box::pin(room::nodes(p)) },
    Check { name: "room", part: Part::Cluster, run: |p| Box::pin(room::room(p)) },
    Check { name: "usage figures", part: Part::Cluster, run: |p| Box::pin(cluster::usage(p)) },
    Check { name: "leftovers", part: Part::Cluster, run: |p| Box::pin(cluster::leftovers(p)) },
    Check { name: "image", part: Part::Cluster, run: |p| Box::pin(image::image(p)) },
    Check { name: "Knative Serving", part: Part::Knative, run: |p| Box::pin(knative::serving(p)) },
    Check { name: "Knative controllers", part: Part::Knative, run: |p| Box::pin(knative::controllers(p)) },
    Check { name: "Knative ingress", part: Part::Knative, run: |p| Box::pin(knative::ingress(p)) },
    Check { name: "Knative routing", part: Part::Knative, run: |p| Box::pin(knative::routing(p)) },
    Check { name: "Knative metrics", part: Part::Knative, run: |p| Box::pin(knative::metrics(p)) },
    Check { name: "OpenFaaS gateway", part: Part::OpenFaas, run: |p| Box::pin(openfaas::gateway(p)) },
    Check { name: "OpenFaaS login", part: Part::OpenFaas, run: |p| Box::pin(openfaas::login(p)) },
    Check { name: "OpenFaaS edition", part: Part::OpenFaas, run: |p| Box::pin(openfaas::edition(p)) },
    Check { name: "OpenFaaS functions", part: Part::OpenFaas, run: |p| Box::pin(openfaas::functions(p)) },
    Check { name: "OpenFaaS time limits", part: Part::OpenFaas, run: |p| Box::pin(openfaas::time_limits(p)) },
    Check { name: "OpenFaaS sidecars", part: Part::OpenFaas, run: |p| Box::pin(openfaas::sidecars(p)) },
    Check { name: "Prometheus", part: Part::Prometheus, run: |p| Box::pin(prometheus::server(p)) },
    Check { name: "Prometheus targets", part: Part::Prometheus, run: |p| Box::pin(prometheus::targets(p)) },
    Check { name: "Knative Eventing", part: Part::Eventing, run: |p| Box::pin(eventing::installed(p)) },
    Check { name: "Eventing parts", part: Part::Eventing, run: |p| Box::pin(eventing::controllers(p)) },
    Check { name: "Broker class", part: Part::Eventing, run: |p| Box::pin(eventing::class(p)) },
    Check { name: "Broker address", part: Part::Eventing, run: |p| Box::pin(eventing::address(p)) },
    Check { name: "object storage", part: Part::Storage, run: |p| Box::pin(storage::server(p)) },
    Check { name: "storage key", part: Part::Storage, run: |p| Box::pin(storage::key(p)) },
    Check { name: "storage bucket", part: Part::Storage, run: |p| Box::pin(storage::bucket(p)) },
];
