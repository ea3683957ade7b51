//! The two tables and the files fit together; every file keeps to the schemas of a real API server.

use std::{collections::BTreeSet, env, path::PathBuf};

use serde_json::Value;

use super::{components, folder, list, manifests, objects, steps, text, toml, words};
use crate::schema_check::faults_by_server;

/// The schemas of a real API server, where the checkout has them beside it.
fn schemas() -> Option<PathBuf> {
    let beside = folder().join("../../shared/schemas");
    let found = env::var_os("SCHEMAS_DIR").map_or(beside, PathBuf::from);
    found.is_dir().then_some(found)
}

/// Files that hold parts of objects.
fn parts(components: &[Value]) -> BTreeSet<&str> {
    steps(components).filter_map(|(_, step)| step["patch"]["file"].as_str()).collect()
}

#[test]
fn every_manifest_keeps_to_the_schemas_of_a_real_api_server() {
    let Some(schemas) = schemas() else {
        eprintln!("skipped: ../shared/schemas is not there, and SCHEMAS_DIR names no folder");
        return;
    };
    let components = components();
    let parts = parts(&components);
    let mut faults = Vec::new();
    for file in manifests() {
        for object in objects(&file) {
            let name = format!("{file}: {} {}", object["kind"], object["metadata"]["name"]);
            let found = faults_by_server(&schemas, &object);
            // A part leaves out what it does not set.
            let is_part = parts.contains(file.as_str());
            let found = found.into_iter().filter(|fault| !is_part || !fault.ends_with(": missing"));
            faults.extend(found.map(|fault| format!("{name}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_field_that_the_server_would_refuse_is_found() {
    let Some(schemas) = schemas() else {
        eprintln!("skipped: ../shared/schemas is not there, and SCHEMAS_DIR names no folder");
        return;
    };
    let mut pool = super::object("platforms/metallb/pool.yaml", "IPAddressPool", "testbed");
    pool["spec"]["address"] = "10.0.0.0/24".into();
    assert_eq!(faults_by_server(&schemas, &pool), [".spec.address: no such field"]);
    let mut policy = super::object("policies/network.yaml", "NetworkPolicy", "dns");
    policy["spec"]["policyTypes"] = "Egress".into();
    assert_eq!(faults_by_server(&schemas, &policy), [".spec.policyTypes: \"Egress\" is no \"array\""]);
    assert_eq!(
        faults_by_server(&schemas, &serde_json::json!({ "apiVersion": "x/v1" })),
        ["no schemas of x/v1"]
    );
}

#[test]
fn whatever_a_component_names_is_there() {
    let (components, versions) = (components(), toml("versions.toml"));
    let mut wrong = Vec::new();
    for (component, step) in steps(&components) {
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{}: {what}", component["name"]));
            }
        };
        for (table, key) in [("charts", &step["chart"]), ("manifests", &step["manifest"])] {
            if let Some(key) = key.as_str() {
                check(versions[table][key].is_object(), &format!("versions.toml has no [{table}.{key}]"));
            }
        }
        let named = [&step["values"], &step["patch"]["file"], &step["dashboards"]];
        let files = named.into_iter().filter_map(Value::as_str).chain(words(&step["files"]));
        for file in files {
            check(folder().join(file).exists(), &format!("there is no {file}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_lies_about_that_no_component_names() {
    let (components, versions) = (components(), toml("versions.toml"));
    let named: BTreeSet<&str> = steps(&components)
        .flat_map(|(_, step)| words(&step["files"]).into_iter().chain(step["patch"]["file"].as_str()))
        .collect();
    let unused: Vec<String> = manifests().into_iter().filter(|file| !named.contains(file.as_str())).collect();
    assert!(unused.is_empty(), "files: {unused:?}");
    for (table, key) in [("charts", "chart"), ("manifests", "manifest")] {
        let used: BTreeSet<&str> = steps(&components).filter_map(|(_, step)| step[key].as_str()).collect();
        let there: BTreeSet<&str> = versions[table].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(there, used, "{table}");
    }
}

#[test]
fn what_a_component_needs_comes_before_it_and_what_it_excludes_excludes_it() {
    let components = components();
    let mut before: Vec<&Value> = Vec::new();
    for component in &components {
        for need in list(&component["needs"]) {
            assert!(before.contains(&need), "{} needs {need}, which comes later", component["name"]);
        }
        for other in list(&component["excludes"]) {
            let other = components.iter().find(|c| c["name"] == *other).unwrap();
            assert!(list(&other["excludes"]).any(|name| *name == component["name"]), "{}", component["name"]);
            let both = list(&other["profiles"]).find(|p| list(&component["profiles"]).any(|own| own == *p));
            assert_eq!(both, None, "{} and {} exclude each other", component["name"], other["name"]);
        }
        assert!(!before.contains(&&component["name"]), "{} is there twice", component["name"]);
        before.push(&component["name"]);
    }
}

#[test]
fn a_profile_has_what_its_components_need() {
    let components = components();
    for component in &components {
        for profile in list(&component["profiles"]) {
            for need in list(&component["needs"]) {
                let needed = components.iter().find(|c| c["name"] == *need).unwrap();
                let has = list(&needed["profiles"]).any(|other| other == profile);
                assert!(has, "{} on {profile} needs {need}, which is not set up there", component["name"]);
            }
        }
    }
}

/// Namespaces that are there once a component and what it needs are set up.
fn namespaces(components: &[Value], name: &Value) -> BTreeSet<String> {
    let component = components.iter().find(|component| component["name"] == *name).unwrap();
    let own = component["namespace"].as_str().into_iter().chain(words(&component["namespaces"]));
    let needed = list(&component["needs"]).flat_map(|need| namespaces(components, need));
    own.map(str::to_owned).chain(needed).collect()
}

#[test]
fn every_object_is_put_into_a_namespace_that_is_there_by_then() {
    let components = components();
    let mut wrong = BTreeSet::new();
    for (component, step) in steps(&components) {
        let there = namespaces(&components, &component["name"]);
        for file in words(&step["files"]).into_iter().chain(step["patch"]["file"].as_str()) {
            let objects = objects(file);
            let used = objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str());
            let missing = used.filter(|namespace| !there.contains(*namespace));
            wrong.extend(missing.map(|namespace| format!("{}: {file}: {namespace}", component["name"])));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_part_is_of_the_object_that_its_step_names() {
    let components = components();
    let mut seen = 0;
    for (_, step) in steps(&components) {
        let patch = &step["patch"];
        let Some(file) = patch["file"].as_str() else { continue };
        let objects = objects(file);
        assert_eq!(objects.len(), 1, "{file}");
        let (object, metadata) = (&objects[0], &objects[0]["metadata"]);
        let is = [&object["kind"], &metadata["namespace"], &metadata["name"]];
        assert_eq!(is, [&patch["kind"], &patch["namespace"], &patch["name"]], "{file}");
        seen += 1;
    }
    assert!(seen > 5);
}

#[test]
fn images_are_those_of_the_versions_with_their_digest() {
    let versions = toml("versions.toml");
    let images = versions["images"].as_object().unwrap();
    let pinned =
        |image: &Value| format!("{}@{}", image["image"].as_str().unwrap(), image["digest"].as_str().unwrap());
    let allowed: BTreeSet<String> = images.values().map(pinned).collect();
    let mut used = BTreeSet::new();
    for file in manifests().into_iter().chain(["kind/cluster.yaml".to_owned()]) {
        let text = text(&file);
        let lines =
            text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "));
        used.extend(lines.map(str::to_owned));
    }
    assert_eq!(used, allowed);
}

#[test]
fn checksums_and_digests_look_like_some() {
    fn visit(path: &str, value: &Value, found: &mut usize) {
        for (key, inner) in value.as_object().into_iter().flatten() {
            let at = format!("{path}.{key}");
            if let (true, Some(sum)) = (matches!(key.as_str(), "sha256" | "digest"), inner.as_str()) {
                let hex = sum.trim_start_matches("sha256:");
                let is_sum =
                    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                assert!(is_sum, "{at}: {sum}");
                *found += 1;
            }
            visit(&at, inner, found);
        }
    }
    let mut found = 0;
    for table in ["charts", "manifests", "images", "tools"] {
        visit(table, &toml("versions.toml")[table], &mut found);
    }
    assert!(found >= 6);
}

#[test]
fn no_secret_is_written_down() {
    for file in manifests() {
        for object in objects(&file) {
            assert_ne!(object["kind"], "Secret", "{file}");
        }
    }
}
