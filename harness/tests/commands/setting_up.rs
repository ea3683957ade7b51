//! `cluster up`, `status` and `down`, with programs that only write down how they are called.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Ran, api_server::ApiServer, kubeconfig};

const COMPONENT: &str = "testbed/component";
const STATE: &str = "/api/v1/namespaces/kube-system/configmaps/testbed-setup";
const THING: &str = "/apis/example.com/v1/namespaces/base/things/one";
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com";
const WEB: &str = "/apis/apps/v1/namespaces/base/deployments/web";
const SECRET: &str = "/api/v1/namespaces/base/secrets/login";
const SETTINGS: &str = "/api/v1/namespaces/base/configmaps/settings";
const EARLY: &str = "/api/v1/namespaces/shared/configmaps/early";
const EXTRA: &str = "/api/v1/namespaces/shared/configmaps/extra";

/// `base`: every kind of step but a chart, which `charted` has. `extra` lies in a namespace of others.
const COMPONENTS: &str = r#"
[[component]]
name = "base"
about = "what the rest stands on"
profiles = ["existing", "kind", "kubeadm"]
namespace = "base"
  [[component.step]]
  manifest = "things"
  [[component.step]]
  files = ["web.yaml"]
  [[component.step]]
  patch = { kind = "ConfigMap", namespace = "base", name = "settings", file = "part.yaml" }
  [[component.step]]
  secret = { namespace = "base", name = "login", keys = ["password"], fixed = { user = "admin" } }
  [[component.step]]
  wait = { kind = "Deployment", namespace = "base", name = "web", condition = "Available", seconds = 1 }
[component.variables]
SIZE = { about = "how big", default = "small" }

[[component]]
name = "extra"
about = "in a namespace that others made"
profiles = ["existing"]
needs = ["base"]
namespace = "shared"
  [[component.step]]
  patch = { kind = "ConfigMap", namespace = "shared", name = "early", file = "part.yaml" }
  [[component.step]]
  files = ["extra.yaml"]
  [[component.step]]
  dashboards = "boards"

[[component]]
name = "charted"
about = "from a chart"
namespace = "charted"
  [[component.step]]
  chart = "demo"
  values = "values.yaml"
"#;

/// A folder `cluster-setup`, programs on the PATH, and a home of its own.
struct Place {
    root: TempDir,
}

impl Place {
    fn new(server: &ApiServer) -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        let manifest = "apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: one, namespace: base }\n---\n\
                        apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                        metadata: { name: things.example.com }\n";
        let versions = format!(
            "[manifests.things]\nurl = \"{}/files/things.yaml\"\nsha256 = \"{}\"\n[tools.helm]\nversion = \"4.2.3\"\n\
             [charts.demo]\nrepository = \"https://charts.example\"\nchart = \"demo\"\nversion = \"1.2.3\"\n",
            server.url(),
            models::sha256_hex(manifest.as_bytes())
        );
        server.put("/files/things.yaml", Value::String(manifest.to_owned()));
        for (name, text) in [
            ("components.toml", COMPONENTS),
            ("versions.toml", &versions),
            (
                "web.yaml",
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n\
                 spec: { replicas: 1, selector: { matchLabels: { app: web } }, size: \"${SIZE}\" }\n",
            ),
            ("part.yaml", "data:\n  colour: blue\n"),
            (
                "extra.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\n---\n\
                 apiVersion: v1\nkind: ConfigMap\nmetadata: { name: early }\n",
            ),
            ("values.yaml", "a: 1\n"),
            ("boards/one.json", "{}"),
        ] {
            place.write(&format!("cluster-setup/{name}"), text);
        }
        std::fs::create_dir(place.path("bin")).unwrap();
        place.write("kubeconfig", &kubeconfig(&server.url()));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A program that writes down its name and arguments, and then does this.
    fn program(&self, name: &str, then: &str) {
        let log = self.path("calls");
        let script = format!("#!/bin/sh\necho \"{} $*\" >> {}\n{then}\n", base_name(name), log.display());
        self.write(name, &script);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A helm that puts a file where a chart's archive is to be.
    fn helm(&self) {
        self.program(
            "bin/helm",
            r#"while [ $# -gt 0 ]; do [ "$1" = --destination ] && echo chart > "$2/demo-1.2.3.tgz"; shift; done"#,
        );
    }

    /// How programs were called, a line each, without this place's own path.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.replace(&self.root.path().display().to_string(), "ROOT").lines().map(str::to_owned).collect()
    }

    fn run(&self, arguments: &str) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .arg("cluster")
            .args(arguments.split_whitespace())
            .current_dir(self.root.path())
            .env_clear()
            .env("HOME", self.root.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("KUBECONFIG", self.path("kubeconfig"))
            .stdin(Stdio::null());
        command
    }
}

fn base_name(path: &str) -> &str {
    Path::new(path).file_name().unwrap().to_str().unwrap()
}

/// A cluster with controllers that make everything ready at once, a namespace and a ConfigMap of others.
fn cluster() -> ApiServer {
    let available =
        json!({ "updatedReplicas": 1, "conditions": [{ "type": "Available", "status": "True" }] });
    let established = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
    let server = ApiServer::start().becoming(WEB, available).becoming(DEFINITION, established);
    for (path, namespace, name) in
        [("/api/v1/namespaces/shared", None, "shared"), (SETTINGS, Some("base"), "settings")]
    {
        server.put(
            path,
            json!({ "metadata": { "name": name, "namespace": namespace }, "data": { "theirs": "1" } }),
        );
    }
    server
}

/// What the cluster remembers of a component.
fn record(server: &ApiServer, component: &str) -> Value {
    let data = server.object(STATE)["data"][format!("component.{component}")].clone();
    data.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[test]
fn up_makes_everything_once_and_a_second_up_and_status_find_it_ready() {
    let server = cluster();
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --set SIZE=big");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "ready: base, extra\nnext: harness doctor\n");
    for path in ["/api/v1/namespaces/base", DEFINITION, THING, WEB, SECRET] {
        assert_eq!(server.object(path)["metadata"]["labels"][COMPONENT], "base", "{path}");
    }
    assert_eq!(server.object(WEB)["spec"]["size"], "big");
    let board = server.object("/api/v1/namespaces/shared/configmaps/dashboard-one");
    assert_eq!(board["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(server.object("/api/v1/namespaces/shared")["metadata"]["labels"], Value::Null, "not ours");
    let applied = server.applied();
    let order: Vec<&str> =
        applied.iter().map(|(path, ..)| path.as_str()).filter(|path| *path != STATE).collect();
    assert_eq!(order[..3], ["/api/v1/namespaces/base", DEFINITION, THING], "definitions come first");
    assert_eq!(applied[0].0, STATE, "it is remembered before it is made");
    let owner = |wanted: &str| applied.iter().find(|(path, ..)| path == wanted).unwrap().1.clone();
    assert_ne!(owner(SETTINGS), owner(WEB), "a part has an owner of its own");

    let password = server.object(SECRET)["stringData"]["password"].as_str().unwrap().to_owned();
    assert_eq!((password.len(), server.object(SECRET)["stringData"]["user"].clone()), (32, json!("admin")));
    assert!(!ran.out.contains(&password) && !ran.err.contains(&password));

    server.forget();
    let again = place.run("up --profile existing");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("base: as wanted\nextra: as wanted"), "{}", again.err);
    assert!(server.applied().iter().all(|(path, ..)| path == STATE), "{:?}", server.changes());
    assert_eq!(server.object(SECRET)["stringData"]["password"], password.as_str());

    let status = place.run("status --output json");
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    let lines: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!([&lines[0]["state"], &lines[1]["state"]], ["ready", "ready"], "{lines}");
}

#[test]
fn down_takes_away_what_up_made_in_the_opposite_order_and_leaves_what_others_made() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    let unasked = place.run("down --profile existing");
    assert_eq!(unasked.code, 2, "{}", unasked.err);
    let look = place.run("down --profile existing --dry-run");
    assert!(
        look.err.contains("extra: 3 objects, what it set in 1 object")
            && look.out.ends_with("nothing was touched\n"),
        "{}",
        look.err
    );
    assert!(server.has(EXTRA) && server.has(THING));

    server.forget();
    let ran = place.run("down --profile existing --yes");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "gone: extra, base\n");
    assert!(ran.err.contains("namespace shared stays: it was there before"), "{}", ran.err);
    for path in [EXTRA, EARLY, THING, DEFINITION, WEB, SECRET, "/api/v1/namespaces/base", STATE] {
        assert!(!server.has(path), "{path} is left");
    }
    assert!(server.has("/api/v1/namespaces/shared") && server.has(SETTINGS), "theirs");
    let deleted: Vec<String> =
        server.changes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    let at = |path: &str| deleted.iter().position(|line| line.ends_with(path)).unwrap();
    assert!(at(EXTRA) < at(THING) && at(THING) < at(DEFINITION) && at(DEFINITION) < at(WEB), "{deleted:#?}");
    let (path, manager, bare) = server.applied().into_iter().find(|(path, ..)| path == SETTINGS).unwrap();
    assert!(bare["data"].is_null() && manager.ends_with("-base-part"), "{path} {manager} {bare}");

    let again = place.run("down --profile existing --yes");
    assert_eq!((again.code, again.out.as_str()), (0, "nothing is set up on this cluster\n"));
}

#[test]
fn what_failed_half_way_is_remembered_and_gone_on_with() {
    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no such colour", "reason": "Invalid", "code": 422 });
    let server = cluster().refusing(&format!("PATCH {EXTRA}"), 422, refusal);
    let place = Place::new(&server);
    let ran = place.run("up --profile existing");
    assert_eq!(ran.code, 1);
    let last = ran.err.lines().last().unwrap();
    assert!(
        last.starts_with("error: applying ConfigMap extra: ") && last.contains("no such colour"),
        "{last}"
    );
    assert_eq!([&record(&server, "base")["done"], &record(&server, "extra")["done"]], [true, false]);
    let status = place.run("status");
    assert_eq!(status.code, 1);
    assert!(status.out.contains("differs  extra") && status.out.contains("did not end"), "{}", status.out);

    server.relent();
    let again = place.run("up --profile existing");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("base: as wanted"), "{}", again.err);
    assert_eq!(record(&server, "extra")["done"], true);
}

#[test]
fn a_wait_that_ends_in_vain_names_the_pod_and_what_it_hangs_on() {
    let server = ApiServer::start()
        .becoming(DEFINITION, json!({ "conditions": [{ "type": "Established", "status": "True" }] }));
    let waiting = json!({ "reason": "ImagePullBackOff", "message": "no such image" });
    server.put(
        "/api/v1/namespaces/base/pods/web-1",
        json!({ "metadata": { "name": "web-1", "labels": { "app": "web" } }, "status": { "phase": "Pending",
            "containerStatuses": [{ "name": "c", "state": { "waiting": waiting } }] } }),
    );
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --only base");
    assert_eq!(ran.code, 1);
    let last = ran.err.lines().last().unwrap();
    assert_eq!(
        last,
        "error: Deployment base/web is not as wanted (Available) after 1 s: pod web-1: the image cannot be pulled \
         (ImagePullBackOff: no such image); once that is mended, call `harness cluster up` again"
    );
}

#[test]
fn what_somebody_else_made_is_neither_taken_over_nor_taken_away() {
    let server = cluster();
    server.put(
        WEB,
        json!({ "metadata": { "name": "web", "namespace": "base" }, "spec": { "size": "theirs" } }),
    );
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --only base");
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("Deployment web is there, and `harness cluster` did not make it"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--without base"), "{}", ran.err);
    assert!(server.applied().is_empty(), "{:?}", server.applied());
    let status = place.run("status");
    assert!(status.out.contains("present  base") && status.code == 1, "{}", status.out);
    assert_eq!(place.run("down --profile existing --yes").code, 0);
    assert_eq!(server.object(WEB)["spec"]["size"], "theirs");
}

#[test]
fn a_value_is_kept_and_another_one_is_applied() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing --only base --set SIZE=big").code, 0);
    server.forget();
    assert_eq!(place.run("up --profile existing --only base --set SIZE=huge").code, 0);
    assert_eq!(server.object(WEB)["spec"]["size"], "huge");
    let again = place.run("up --profile existing --only base");
    assert!(again.err.contains("base: as wanted"), "{}", again.err);
    assert_eq!(server.object(WEB)["spec"]["size"], "huge");
}

#[test]
fn what_stands_on_something_is_set_up_again_with_it() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    assert_eq!(place.run("up --profile existing --only base --set SIZE=big").code, 0);
    let status = place.run("status");
    assert!(status.out.contains("differs  extra"), "{}", status.out);
    let again = place.run("up --profile existing");
    assert!(again.err.contains("base: as wanted\nextra: in a namespace"), "{}", again.err);
    assert_eq!(place.run("status").code, 0);
    assert_eq!(place.run("down --profile existing --only extra --yes").code, 0);
    assert_eq!(record(&server, "base")["done"], false, "its own values of what extra had set may be wanted");
}

#[test]
fn what_the_files_no_longer_hold_is_taken_away() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    place.write("cluster-setup/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n");
    let status = place.run("status");
    assert!(status.out.contains("differs  extra"), "{}", status.out);
    assert_eq!(place.run("up --profile existing").code, 0);
    assert!(!server.has(EXTRA) && server.has("/api/v1/namespaces/shared/configmaps/other"));
}

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

#[test]
fn a_dry_run_wants_no_cluster_and_no_internet() {
    let server = cluster();
    let place = Place::new(&server);
    std::fs::remove_file(place.path("kubeconfig")).unwrap();
    let ran = place.run("up --profile existing --with charted --dry-run");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    for line in [
        "  make Namespace base unless it is there\n",
        "/files/things.yaml (sha256 ",
        "  apply Deployment web\n",
        "  set in ConfigMap base/settings: data.colour\n",
        "  make Secret base/login unless it is there, with random password\n",
        "  wait for Deployment base/web: Available, up to 1 s\n",
        "  helm upgrade --install charted ",
    ] {
        assert!(ran.out.contains(line), "{line} is missing in\n{}", ran.out);
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn mistakes_are_said_in_one_line() {
    let server = cluster();
    let place = Place::new(&server);
    for (arguments, word) in [
        (
            "up --profile existing --with nosuch",
            "there is no component nosuch; there are base, extra, charted",
        ),
        ("up --profile existing --set NOSUCH=1", "leave open only SIZE (how big)"),
        ("up --profile existing --without base", "extra needs base"),
        ("up --profile kind --nodes a", "--nodes belongs to the profiles kubeadm and cloudlab"),
        ("up --profile existing --setup nowhere", "there is no components.toml in it"),
        (
            "down --profile existing --only extra --yes",
            "extra is not set up on this cluster; there is nothing",
        ),
    ] {
        let ran = place.run(arguments);
        assert_eq!(
            (ran.code, ran.err.lines().filter(|l| l.starts_with("error: ")).count()),
            (2, 1),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(word), "{arguments}: {}", ran.err);
    }
    std::fs::rename(place.path("cluster-setup"), place.path("elsewhere")).unwrap();
    let ran = place.run("status");
    assert!(ran.code == 2 && ran.err.contains("name the folder with --setup"), "{}", ran.err);
}
