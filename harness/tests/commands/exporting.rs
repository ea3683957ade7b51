//! `export`, which touches no cluster.

use serde_json::Value;

use super::harness;

const IMAGE: &str =
    "--image r.example/function@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn knative_and_plain_manifests_are_whole_and_carry_the_labels() {
    let home = tempfile::tempdir().unwrap();
    for (platform, kinds) in [
        ("knative", vec!["Namespace", "Service"]),
        ("deployment", vec!["Namespace", "Deployment", "Service"]),
    ] {
        let ran = harness(&home, None, &format!("export {platform} {IMAGE} --namespace mine"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let objects = documents(&ran.out);
        let found: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
        assert_eq!(found, kinds, "{}", ran.out);
        for object in &objects {
            assert_eq!(object["metadata"]["labels"]["testbed/run"], "manual", "{}", ran.out);
        }
        assert!(objects[1..].iter().all(|o| o["metadata"]["namespace"] == "mine"));
    }
}

#[test]
fn a_stack_file_names_gateway_image_and_labels() {
    let home = tempfile::tempdir().unwrap();
    let ran = harness(&home, None, &format!("export openfaas {IMAGE} --gateway http://gw.example:8080"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let [stack] = documents(&ran.out).try_into().unwrap();
    assert_eq!(stack["provider"]["gateway"], "http://gw.example:8080");
    let function = &stack["functions"]["classify"];
    assert!(function["image"].as_str().unwrap().starts_with("r.example/function@sha256:"));
    assert_eq!(function["labels"]["testbed/run"], "manual");
}

#[test]
fn what_runs_strangers_code_is_written_for_the_cluster_alone_unless_a_flag_says_otherwise() {
    let home = tempfile::tempdir().unwrap();
    let visibility = |flags: &str| {
        let ran = harness(&home, None, &format!("export knative {IMAGE} {flags}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        documents(&ran.out)[1]["metadata"]["labels"]["networking.knative.dev/visibility"].clone()
    };
    assert_eq!(visibility("--workload grade-c"), "cluster-local");
    assert_eq!(visibility("--workload grade-c --allow-public-grading"), Value::Null);
    assert_eq!(visibility("--workload null"), Value::Null);

    let refused = [
        format!("export openfaas {IMAGE} --workload grade-python"),
        format!("deploy openfaas {IMAGE} --workload grade-python"),
        format!("compare {IMAGE} --workload grade-python --platforms knative,openfaas"),
    ];
    for line in refused {
        let ran = harness(&home, None, &line);
        assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{line}: {}", ran.err);
        assert!(ran.err.contains("--allow-public-grading"), "{line}: {}", ran.err);
    }
}

#[test]
fn a_folder_gets_the_file_and_the_line_that_applies_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("out");
    let ran = harness(&home, None, &format!("export knative {IMAGE} -o {}", folder.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.err, "apply it with: kubectl apply --server-side -f knative.yaml\n");
    assert_eq!(ran.out.trim(), folder.join("knative.yaml").display().to_string());
    assert_eq!(documents(&std::fs::read_to_string(folder.join("knative.yaml")).unwrap()).len(), 2);
}
