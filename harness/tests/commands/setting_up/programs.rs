//! Helm, kind and the scripts over SSH: how they are called, ended and missed.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::{super::kubeconfig, Place, cluster, record};

#[test]
fn a_chart_is_pulled_checked_and_installed_by_helm() {
    let server = cluster();
    let place = Place::new(&server);
    place.helm();
    let ran = place.run("up --profile existing --only charted");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let cache = "ROOT/.cache/serverless-testbed/cluster-setup";
    assert_eq!(
        place.calls(),
        [
            format!("helm pull demo --repo https://charts.example --version 1.2.3 --destination {cache}"),
            format!(
                "helm upgrade --install charted {cache}/demo-1.2.3.tgz --version 1.2.3 --values \
                 {cache}/values-charted-0.yaml --namespace charted"
            ),
        ]
    );
    server.put(
        "/api/v1/namespaces/charted/secrets/sh.helm.release.v1.charted.v1",
        json!({ "metadata": { "name": "x", "labels": { "owner": "helm", "name": "charted", "status": "deployed" } } }),
    );
    let status = place.run("status");
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    assert_eq!(place.run("down --profile existing --yes").code, 0);
    let last = place.calls().pop().unwrap();
    assert_eq!(last, "helm uninstall charted --ignore-not-found --wait --timeout 5m --namespace charted");

    // Another archive of the same version is not the one that was seen the first time.
    std::fs::write(place.path(".cache/serverless-testbed/cluster-setup/demo-1.2.3.tgz"), "other").unwrap();
    server.put("/api/v1/namespaces/charted/secrets/sh.helm.release.v1.charted.v1", json!({ "metadata": {} }));
    let ran = place.run("up --profile existing --only charted");
    assert!(ran.code == 1 && ran.err.contains("another file the first time"), "{}", ran.err);
}

#[test]
fn ctrl_c_ends_helm_and_the_next_up_goes_on() {
    let server = cluster();
    let place = Place::new(&server);
    place.helm();
    let archive = ".cache/serverless-testbed/cluster-setup/demo-1.2.3.tgz";
    place.write(archive, "chart");
    place.program("bin/helm", "trap 'echo ended >> calls; exit 1' TERM; sleep 60 & wait");
    let mut up = place.command("up --profile existing --only base,charted");
    let up = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while place.calls().is_empty() {
        assert!(Instant::now() < deadline, "helm was not called");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(i32::try_from(up.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = up.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.ends_with("error: interrupted; the same command again goes on from here\n"), "{said}");
    assert_eq!(place.calls().last().unwrap(), "ended");
    assert_eq!([&record(&server, "base")["done"], &record(&server, "charted")["done"]], [true, false]);

    place.helm();
    let again = place.run("up --profile existing --only base,charted");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("base: as wanted\n"), "{}", again.err);
    assert_eq!(record(&server, "charted")["done"], true);
}

#[test]
fn a_missing_program_is_said_before_anything_is_asked() {
    let server = cluster();
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --only charted");
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: helm is not on the PATH; install helm 4.2.3\n"));
    let ran = place.run("up --profile kind --only base");
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: kind is not on the PATH; install kind\n"));
    assert_eq!(server.asked(), 0);
}

#[test]
fn kind_makes_the_cluster_once_and_throws_it_away() {
    let server = cluster();
    let place = Place::new(&server);
    place.write("kubeconfig", &kubeconfig(&server.url()).replace("fake", "kind-testbed"));
    place.program("bin/kind", "[ \"$1\" != get ] || cat clusters 2>/dev/null || true");
    let ran = place.run("up --profile kind --only base");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.ends_with("next: harness doctor --context kind-testbed\n"), "{}", ran.out);
    std::fs::write(place.path("clusters"), "other\ntestbed\n").unwrap();
    assert_eq!(place.run("up --profile kind --only base").code, 0);
    assert_eq!(place.run("down --profile kind --yes").code, 0);
    assert_eq!(
        place.calls(),
        [
            "kind get clusters",
            "kind create cluster --name testbed --config cluster-setup/kind/cluster.yaml --wait 5m",
            "kind get clusters",
            "kind delete cluster --name testbed",
        ]
    );
}

#[test]
fn machines_over_ssh_become_a_cluster_step_by_step() {
    let server = cluster();
    let place = Place::new(&server);
    place.program("bin/ssh", "");
    place.program(
        "cluster-setup/kubeadm/cluster.sh",
        "echo 'STEP 1/2 node0: packages'; mkdir -p .local/state/testbed; cp kubeconfig \"$2\"; echo 'STEP 2/2 node0: join'",
    );
    place.program("cluster-setup/kubeadm/reset.sh", "");
    let ran = place.run("up --profile kubeadm --nodes me@node0,node1 --only base");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("STEP 1/2 node0: packages\n"), "{}", ran.err);
    let own = place.path(".local/state/testbed/kubeconfig").display().to_string();
    assert!(ran.out.ends_with(&format!("next: KUBECONFIG={own} harness doctor\n")), "{}", ran.out);
    assert_eq!(place.run("down --profile kubeadm --nodes me@node0,node1 --yes").code, 0);
    assert_eq!(
        place.calls(),
        [
            "cluster.sh --kubeconfig ROOT/.local/state/testbed/kubeconfig me@node0 node1",
            "reset.sh me@node0 node1"
        ]
    );
}
