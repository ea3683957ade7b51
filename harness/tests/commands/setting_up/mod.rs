//! `cluster up`, `status` and `down`, with programs that only write down how they are called. Here: the
//! folder, the programs and the cluster that the tests share.

mod components;
mod programs;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
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
