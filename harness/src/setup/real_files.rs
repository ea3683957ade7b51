//! The real `components.toml` and `versions.toml`: every key and file is there, each profile makes a
//! plan, and nothing of ours carries the label by which runs are cleaned away.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::{
    base::Base,
    components::Step,
    download::Cache,
    dry_run,
    folder::Folder,
    objects::Reference,
    plan::{self, Action, Part},
    profile::Profile,
    select::{self, Wishes},
    variables::Given,
};
use crate::platforms::cluster::labels::MANAGED_BY;

const PROFILES: [Profile; 5] =
    [Profile::Cloudlab, Profile::Kubeadm, Profile::Kind, Profile::Minikube, Profile::Existing];

fn folder() -> Folder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster-setup");
    Folder::open(Some(&path)).unwrap()
}

fn parts(folder: &Folder, profile: Profile, wishes: &Wishes) -> Vec<Part> {
    let chosen = select::select(&folder.components, profile, wishes).unwrap();
    let none = Given::new();
    chosen.iter().map(|c| plan::part(c, &folder.versions, folder, &none, &none).unwrap()).collect()
}

/// Every component, whatever its profiles.
fn all_parts(folder: &Folder) -> Vec<Part> {
    let none = Given::new();
    let all = folder.components.all().iter();
    all.map(|c| plan::part(c, &folder.versions, folder, &none, &none).unwrap()).collect()
}

fn objects(parts: &[Part]) -> Vec<(&str, &Value)> {
    let mut found = Vec::new();
    for part in parts {
        for action in &part.actions {
            match action {
                Action::Apply { objects, .. } => {
                    found.extend(objects.iter().map(|object| (part.name.as_str(), object)));
                }
                Action::Patch { object, .. } => found.push((part.name.as_str(), object)),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn every_component_makes_a_plan_and_every_key_of_the_versions_is_used() {
    let folder = folder();
    assert!(!all_parts(&folder).is_empty());
    let mut used = BTreeSet::new();
    for step in folder.components.all().iter().flat_map(|component| &component.steps) {
        match step {
            Step::Chart { chart: key, .. } | Step::Manifest(key) => drop(used.insert(key.as_str())),
            _ => {}
        }
    }
    let unused: Vec<&str> = folder.versions.keys().filter(|key| !used.contains(key)).collect();
    assert!(unused.is_empty(), "in versions.toml, but no component has it: {unused:?}");
}

#[test]
fn no_object_carries_the_label_by_which_runs_are_cleaned_away() {
    let folder = folder();
    for (component, object) in objects(&all_parts(&folder)) {
        let of = Reference::of(object);
        assert_ne!(object["metadata"]["labels"][MANAGED_BY.0], MANAGED_BY.1, "{component}: {of}");
    }
}

#[test]
fn no_object_is_made_twice_but_namespaces() {
    let folder = folder();
    let parts = all_parts(&folder);
    let mut seen = BTreeSet::new();
    for part in &parts {
        for action in &part.actions {
            let Action::Apply { objects, .. } = action else { continue };
            for of in objects.iter().map(Reference::of).filter(|of| !of.is_namespace()) {
                assert!(seen.insert(of.clone()), "{}: {of} is made by another step too", part.name);
            }
        }
    }
}

#[test]
fn every_object_lies_in_a_namespace_that_is_there_by_then() {
    let folder = folder();
    let parts = all_parts(&folder);
    let made_by = |name: &str| {
        let part = parts.iter().find(|part| part.name == name).unwrap();
        let objects =
            objects(std::slice::from_ref(part)).into_iter().map(|(_, object)| Reference::of(object));
        let of_files = objects.filter(Reference::is_namespace).map(|of| of.name);
        part.namespaces.iter().cloned().chain(of_files).collect::<BTreeSet<String>>()
    };
    for component in folder.components.all() {
        let mut under = vec![component];
        let mut there = BTreeSet::from(["kube-system".to_owned()]);
        while let Some(next) = under.pop() {
            there.extend(made_by(&next.name));
            under.extend(next.needs.iter().map(|need| folder.components.get(need).unwrap()));
        }
        let part = parts.iter().find(|part| part.name == component.name).unwrap();
        for (_, object) in objects(std::slice::from_ref(part)) {
            let of = Reference::of(object);
            let is_there = of.namespace.as_ref().is_none_or(|namespace| there.contains(namespace));
            assert!(is_there, "{}: nothing that it needs makes the namespace of {of}", component.name);
        }
    }
}

#[test]
fn no_two_patches_have_the_same_owner() {
    let folder = folder();
    let mut seen = BTreeSet::new();
    for part in all_parts(&folder) {
        for action in part.actions {
            if let Action::Patch { object, manager } = action {
                assert!(seen.insert((Reference::of(&object), manager.clone())), "{}: {manager}", part.name);
            }
        }
    }
}

#[test]
fn every_wait_has_a_limit_that_a_slow_pull_can_keep() {
    let folder = folder();
    for component in folder.components.all() {
        for step in &component.steps {
            if let Step::Wait(wait) = step {
                assert!(wait.seconds >= 30 && wait.seconds <= 1800, "{}: {}", component.name, wait.seconds);
            }
        }
    }
}

#[test]
fn what_each_profile_would_do_reads_like_this() {
    let folder = folder();
    let cache = Cache::at(Path::new("CACHE"));
    for profile in PROFILES {
        let base = Base {
            profile,
            nodes: match profile {
                Profile::Cloudlab | Profile::Kubeadm => vec!["me@node0".into(), "me@node1".into()],
                _ => Vec::new(),
            },
            lan: None,
            kubeconfig: None,
            context: None,
            own_kubeconfig: "STATE/testbed/kubeconfig".into(),
        };
        let make = base.make(|name| format!("cluster-setup/{name}"));
        let access = base.access(|_| false);
        let parts = parts(&folder, profile, &Wishes::default());
        let text = dry_run::lines(make.as_ref(), &parts, &cache, &access);
        insta::assert_snapshot!(format!("up_{profile}"), text);
    }
    let istio = Wishes { networking: Some("istio".into()), ..Wishes::default() };
    let parts = parts(&folder, Profile::Cloudlab, &istio);
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert!(names.contains(&"istio") && !names.contains(&"kourier"), "{names:?}");
}
