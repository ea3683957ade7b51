//! `clean` and `remove`.

use serde_json::{Value, json};

use super::{
    api_server::{ApiServer, labels},
    on,
    showing::{CORE, DEPLOYMENTS, KNATIVE, with_knative, with_openfaas},
};

const NAMESPACE: &str = "/api/v1/namespaces/space";

fn full() -> ApiServer {
    let meta = |name: &str, labels: Value| json!({ "name": name, "namespace": "space", "labels": labels });
    let deployment = json!({ "metadata": meta("plain", labels("r1")),
        "spec": { "replicas": 1, "selector": { "matchLabels": { "testbed/function": "plain" } } } });
    with_openfaas(with_knative(ApiServer::start()))
        .with(CORE, json!({ "metadata": { "name": "space", "labels": labels("r1") } }))
        .with(&format!("{DEPLOYMENTS}/space/deployments"), deployment)
        .with(
            &format!("{CORE}/space/services"),
            json!({ "metadata": meta("plain", labels("r1")), "spec": {} }),
        )
}

#[test]
fn a_dry_run_names_everything_and_touches_nothing() {
    let server = full();
    let ran = on(&server, "clean --all --dry-run");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for thing in [
        "Knative Service default/rec-hello of run r1",
        "OpenFaaS function openfaas-fn/classify of run r2",
        "Deployment space/plain of run r1",
        "Service space/plain of run r1",
        "namespace space of run r1",
    ] {
        assert!(ran.err.contains(thing), "{thing} is missing in\n{}", ran.err);
    }
    assert_eq!(ran.out, "would be removed: 5; nothing was touched\n");
    assert!(server.changes().is_empty());
}

#[test]
fn clean_removes_everything_of_every_run_and_may_be_repeated() {
    let server = full();
    let ran = on(&server, "clean --all --yes");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.ends_with("nothing is left\n"), "{}", ran.out);
    let changes = server.changes();
    assert_eq!(changes.len(), 6, "an OpenFaaS function is a Deployment and a Service: {changes:?}");
    assert_eq!(changes.last().unwrap(), &format!("DELETE {NAMESPACE}"), "a namespace goes last");
    let made_by_knative = format!("{DEPLOYMENTS}/default/deployments/rec-hello-00001-deployment");
    assert!(server.has(&made_by_knative), "what a controller made goes with its owner");

    let again = on(&server, "clean --all --yes");
    assert_eq!((again.code, again.out.as_str()), (0, "nothing of the testbed is there\n"), "{}", again.err);
}

#[test]
fn a_gateway_that_answers_is_asked_to_remove_its_function() {
    let server = full().refusing("DELETE /system/functions", 202, Value::String(String::new()));
    let ran = on(&server, &format!("clean --run r2 --yes --gateway {}", server.url()));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(server.changes(), ["DELETE /system/functions"]);
}

#[test]
fn clean_of_one_run_leaves_the_others_and_what_people_made_themselves() {
    let server = full().with(
        &format!("{CORE}/default/services"),
        json!({ "metadata": { "name": "theirs",
        "namespace": "default" }, "spec": {} }),
    );
    let ran = on(&server, "clean --run r2 --yes --output json");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let outcome: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(outcome["gone"], json!(["OpenFaaS function openfaas-fn/classify of run r2"]));
    assert!(server.has(&format!("{KNATIVE}/rec-hello")));
    assert!(server.has(&format!("{CORE}/default/services/theirs")));
}

#[test]
fn a_namespace_that_holds_other_peoples_things_is_kept_and_said() {
    let theirs = json!({ "metadata": { "name": "theirs", "namespace": "space" }, "spec": {} });
    let server = full().with(&format!("{CORE}/space/pods"), theirs);
    let ran = on(&server, "clean --all --yes");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(server.has(NAMESPACE));
    assert!(
        ran.out.contains("LEFT: namespace space of run r1: kept, because it holds Pod theirs"),
        "{}",
        ran.out
    );
}

#[test]
fn what_may_not_be_removed_is_left_with_the_reason_and_the_rest_goes() {
    let forbidden = super::api_server::recorded("forbidden");
    let server = full().refusing("DELETE /apis/apps/v1/namespaces/space", 403, forbidden);
    let ran = on(&server, "clean --all --yes");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("LEFT: Deployment space/plain of run r1: not allowed"), "{}", ran.out);
    assert!(!server.has(&format!("{KNATIVE}/rec-hello")));
}

#[test]
fn without_a_terminal_nothing_is_removed_without_yes() {
    let server = full();
    for arguments in ["clean --all", "remove --all", "remove knative"] {
        let ran = on(&server, arguments);
        assert_eq!(ran.code, 2, "{arguments}");
        assert_eq!(
            ran.err,
            "error: this is no terminal to ask on; say --yes, or look first with --dry-run\n"
        );
    }
    assert_eq!(on(&server, "clean").code, 2, "neither a run nor all");
    assert_eq!(server.asked(), 0);
}

#[test]
fn remove_takes_the_functions_of_one_platform_and_of_one_run() {
    let server = full();
    let ran = on(&server, "remove deployment --run r1 --yes");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(
        server.changes(),
        [
            format!("DELETE {DEPLOYMENTS}/space/deployments/plain"),
            format!("DELETE {CORE}/space/services/plain")
        ]
    );
    let by_hand = on(&server, "remove --all --yes");
    assert_eq!((by_hand.code, by_hand.out.as_str()), (0, "nothing of the testbed is there\n"));
}
