//! For tests: what lies in `cluster-setup` fits together, keeps to the API server's schemas, and fits what
//! the harness deploys there.

mod charts;
mod files;
mod monitors;
mod policies;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Folders of `cluster-setup` whose YAML is applied to a cluster.
const FOLDERS: [&str; 5] = ["platforms", "monitoring", "policies", "kind/small", "rbac"];
/// Values of charts, which no API server sees.
const VALUES: &str = "values.yaml";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster-setup")
}

fn text(file: &str) -> String {
    let path = folder().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn toml(file: &str) -> Value {
    toml::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A list in a value; none is empty.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> Vec<&str> {
    list(value).filter_map(Value::as_str).collect()
}

/// Every component, in order.
fn components() -> Vec<Value> {
    list(&toml("components.toml")["component"]).cloned().collect()
}

/// Every step of every component, with the component.
fn steps(components: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    components.iter().flat_map(|component| list(&component["step"]).map(move |step| (component, step)))
}

/// All YAML that is applied, by its path within `cluster-setup`.
fn manifests() -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<String> = FOLDERS.map(str::to_owned).into();
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(folder().join(&place)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{place}/{name}");
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else if name != VALUES && Path::new(&name).extension().is_some_and(|ending| ending == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The objects of a file, the defaults of all variables filled in.
fn objects(file: &str) -> Vec<Value> {
    let components = components();
    let variables: BTreeMap<&String, &str> = components
        .iter()
        .flat_map(|component| component["variables"].as_object().into_iter().flatten())
        .map(|(name, variable)| (name, variable["default"].as_str().unwrap()))
        .collect();
    let mut text = text(file);
    for (name, value) in variables {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    assert!(!text.contains("${"), "{file}: a variable has no default in components.toml");
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The object of that kind and name among the objects of a file.
fn object(file: &str, kind: &str, name: &str) -> Value {
    let is_it = |o: &Value| o["kind"] == kind && o["metadata"]["name"] == name;
    objects(file).into_iter().find(is_it).unwrap_or_else(|| panic!("{file}: no {kind} {name}"))
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) selects labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let same =
        selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    let fits = |expression: &Value| {
        let label = &labels[expression["key"].as_str().unwrap()];
        match expression["operator"].as_str().unwrap() {
            "Exists" => !label.is_null(),
            "DoesNotExist" => label.is_null(),
            "In" => list(&expression["values"]).any(|value| value == label),
            other => panic!("{other} is not known here"),
        }
    };
    same && list(&selector["matchExpressions"]).all(fits)
}

/// Names of the ports of all containers of a pod.
fn ports(pod_spec: &Value) -> Vec<&str> {
    let containers = list(&pod_spec["containers"]);
    containers.flat_map(|c| list(&c["ports"])).filter_map(|port| port["name"].as_str()).collect()
}
