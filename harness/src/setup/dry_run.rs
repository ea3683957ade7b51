//! What `up` would do, in lines: nothing is asked, nothing is downloaded. Pure.

use std::fmt::Write as _;

use super::{
    base::Access,
    components::SecretWish,
    download::Cache,
    helm,
    objects::Reference,
    plan::{Action, Part, Release},
    program::Call,
};

/// All lines.
pub fn lines(base: Option<&Call>, parts: &[Part], cache: &Cache, access: &Access) -> String {
    let mut out = String::new();
    match base {
        Some(call) => _ = writeln!(out, "the cluster:\n  {call}"),
        None => out.push_str("the cluster: the one that is there\n"),
    }
    for part in parts {
        _ = writeln!(out, "{}: {}", part.name, part.about);
        for name in &part.namespaces {
            _ = writeln!(out, "  make Namespace {name} unless it is there");
        }
        for action in &part.actions {
            for line in action_lines(action, cache, access) {
                _ = writeln!(out, "  {line}");
            }
        }
    }
    out
}

fn action_lines(action: &Action, cache: &Cache, access: &Access) -> Vec<String> {
    match action {
        Action::Helm(release) => helm_lines(release, cache, access),
        Action::Manifest { source, .. } => {
            let sum = match &source.sha256 {
                Some(sum) => format!("sha256 {sum}"),
                None => "sha256 kept from the first download".to_owned(),
            };
            vec![format!("download {} ({sum})", source.url), "apply every object of it".to_owned()]
        }
        Action::Apply { objects, .. } => {
            objects.iter().map(|object| format!("apply {}", Reference::of(object))).collect()
        }
        Action::Patch { object, .. } => {
            vec![format!("set in {}: {}", Reference::of(object), fields(object).join(", "))]
        }
        Action::Wait(wait) => {
            vec![format!("wait for {}: {}, up to {} s", wait.of(), wait.what(), wait.seconds)]
        }
        Action::Secret(SecretWish { namespace, name, keys, .. }) => vec![format!(
            "make Secret {namespace}/{name} unless it is there, with random {}",
            keys.join(", ")
        )],
    }
}

fn helm_lines(release: &Release, cache: &Cache, access: &Access) -> Vec<String> {
    let sum = match &release.chart.sha256 {
        Some(sum) => format!("compare its sha256 with {sum}"),
        None => "compare its sha256 with that of the first download".to_owned(),
    };
    let mut lines = vec![helm::pull(release, cache).to_string(), sum];
    if !release.files.is_empty() {
        lines.push(format!("values from {}", release.files.join(", ")));
    }
    lines.push(helm::install(release, cache, access).to_string());
    lines
}

/// Which fields a part of an object sets.
fn fields(object: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        match field.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let of = ["labels", "annotations"].into_iter().filter(|key| !value[key].is_null());
                found.extend(of.map(|key| format!("metadata.{key}")));
            }
            other => {
                let inner = value.as_object().into_iter().flatten();
                found.extend(inner.map(|(key, _)| format!("{other}.{key}")));
            }
        }
    }
    found
}
