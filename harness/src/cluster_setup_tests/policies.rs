//! The policies of the namespace fit what the harness puts there: load workers are `restricted`, functions
//! are reached by their platform, and a quota refuses neither.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{list, object, objects, selects};
use crate::platforms::{
    cluster::{
        RunLabel, testing,
        workers::{self, WorkerPodsChoice},
    },
    deployment, knative,
};

fn run() -> BTreeMap<String, String> {
    RunLabel::new("r1").labels()
}

/// Pod template of the load workers.
fn worker() -> Value {
    let choice = WorkerPodsChoice {
        count: 2,
        image: "registry.example.com/harness".into(),
        node_selector: BTreeMap::new(),
        cpu_cores: 1.0,
        memory_mib: 256,
    };
    workers::manifest::job("load-workers-1", "testbed", &run(), &choice)["spec"]["template"].clone()
}

/// Pod template of a plain Deployment.
fn deployed() -> Value {
    let made = deployment::manifests(&testing::spec(1, 1), "testbed", &run()).unwrap();
    made[0]["spec"]["template"].clone()
}

/// Pod of Knative, as recorded.
fn on_knative() -> Value {
    let recording: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/kubernetes/pods-of-revision.json")).unwrap();
    recording["response"]["body"]["items"][0].clone()
}

/// Names of the network policies that select a pod and speak of a direction.
fn policies(direction: &str, pod: &Value) -> Vec<String> {
    let all = objects("policies/network.yaml").into_iter();
    let found = all.filter(|policy| {
        let spec = &policy["spec"];
        selects(&spec["podSelector"], &pod["metadata"]["labels"])
            && list(&spec["policyTypes"]).any(|d| d == direction)
    });
    let mut names: Vec<String> =
        found.map(|policy| policy["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    names.retain(|name| name != "nothing-else");
    names
}

/// What the pod security standard `restricted` asks of a container, as the API server words it.
fn not_restricted(pod: &Value) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let of_pod = &pod["spec"]["securityContext"];
    for container in list(&pod["spec"]["containers"]) {
        let own = &container["securityContext"];
        let set = |key: &str| if own[key].is_null() { &of_pod[key] } else { &own[key] };
        let checks = [
            (own["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation"),
            (own["capabilities"]["drop"] == json!(["ALL"]), "capabilities"),
            (*set("runAsNonRoot") == true, "runAsNonRoot"),
            (set("seccompProfile")["type"] == "RuntimeDefault", "seccompProfile"),
        ];
        faults.extend(checks.into_iter().filter(|(holds, _)| !holds).map(|(_, name)| name));
    }
    faults
}

#[test]
fn load_workers_are_restricted_and_have_a_read_only_root() {
    let worker = worker();
    assert_eq!(not_restricted(&worker), Vec::<&str>::new());
    assert_eq!(worker["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
}

/// README.md of the folder says why; whoever changes that changes the label of the namespace.
#[test]
fn functions_are_held_to_baseline_and_the_difference_is_told() {
    let labels = object("policies/namespace.yaml", "Namespace", "testbed")["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
    assert_eq!(labels["pod-security.kubernetes.io/warn"], "restricted");
    assert_eq!(
        not_restricted(&deployed()),
        ["allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile"]
    );
}

#[test]
fn whatever_of_ours_has_no_reason_to_be_more_is_restricted() {
    for file in super::manifests() {
        for object in objects(&file) {
            let template = &object["spec"]["template"];
            let is_whole = !template["spec"]["containers"][0]["image"].is_null();
            if matches!(object["kind"].as_str(), Some("Deployment" | "Job")) && is_whole {
                assert_eq!(
                    not_restricted(template),
                    Vec::<&str>::new(),
                    "{file} {}",
                    object["metadata"]["name"]
                );
            }
        }
    }
}

#[test]
fn each_kind_of_pod_is_let_in_and_out_by_the_policy_made_for_it() {
    assert_eq!(policies("Ingress", &worker()), Vec::<String>::new());
    assert_eq!(policies("Egress", &worker()), ["dns", "load-workers-out"]);
    assert_eq!(policies("Ingress", &deployed()), ["deployed-functions-in"]);
    assert_eq!(policies("Egress", &deployed()), ["dns", "functions-out"]);
    assert_eq!(policies("Ingress", &on_knative()), ["knative-functions-in"]);
    assert_eq!(policies("Egress", &on_knative()), ["dns", "functions-out"]);
}

#[test]
fn functions_reach_names_brokers_and_objects_and_nothing_else() {
    let mut reached: Vec<String> = Vec::new();
    for policy in ["dns", "functions-out"] {
        let policy = object("policies/network.yaml", "NetworkPolicy", policy);
        for rule in list(&policy["spec"]["egress"]) {
            let to = list(&rule["to"]).map(|to| {
                to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str().unwrap()
            });
            reached.extend(to.map(str::to_owned));
            assert!(list(&rule["ports"]).count() > 0);
        }
    }
    assert_eq!(reached, ["kube-system", "knative-eventing", "minio"]);
}

#[test]
fn the_quota_asks_only_for_what_every_pod_has() {
    let quota = object("policies/quota.yaml", "ResourceQuota", "testbed");
    for key in quota["spec"]["hard"].as_object().unwrap().keys() {
        assert!(!key.starts_with("limits."), "the queue-proxy has no limits");
    }
    for (file, namespace) in
        [("policies/quota.yaml", "testbed"), ("policies/openfaas-fn.yaml", "openfaas-fn")]
    {
        let range = object(file, "LimitRange", "testbed");
        assert_eq!(range["metadata"]["namespace"], namespace);
        let limits = &range["spec"]["limits"][0];
        assert!(
            limits["default"].is_null() && limits["max"].is_null(),
            "a limit would slow the queue-proxy down"
        );
        assert!(!limits["defaultRequest"]["cpu"].is_null() && !limits["defaultRequest"]["memory"].is_null());
    }
}

#[test]
fn both_platforms_give_a_function_what_it_asks_for_without_the_range() {
    let spec = testing::spec(1, 1);
    let service = knative::manifest::manifests(&spec, "testbed", &run()).unwrap();
    let of_knative = &service[0]["spec"]["template"]["spec"]["containers"][0]["resources"];
    let of_deployment = &deployed()["spec"]["containers"][0]["resources"];
    assert_eq!(of_knative, of_deployment);
    assert_eq!(of_knative["requests"], of_knative["limits"]);
}
