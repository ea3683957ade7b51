//! The image's configuration, a base's inherited.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Layer,
    document::{History, ImageConfig, RootFs, RuntimeConfig},
};

/// How our own layers begin to say where they come from.
const CREATED_BY: &str = "harness image build: ";
/// The base's words on its own program, which is not started any more.
const NOT_INHERITED: [&str; 5] = ["Healthcheck", "OnBuild", "StopSignal", "ArgsEscaped", "Image"];

/// What the new image says of itself.
pub(super) struct Parts<'a> {
    /// Architecture of the program.
    pub architecture: &'a str,
    /// When it was made, RFC 3339.
    pub created: &'a str,
    /// Added to the base's environment; replaces variables of the same name.
    pub env: &'a BTreeMap<String, String>,
    /// Added to the base's labels; replaces labels of the same name.
    pub labels: BTreeMap<String, String>,
    /// `uid:gid`.
    pub user: &'a str,
    /// Path of the program.
    pub entrypoint: &'a str,
    /// Port that everybody may reach, if there is one.
    pub port: Option<u16>,
    /// The new layers, lowest first.
    pub layers: &'a [Layer],
}

/// The configuration of the new layers on top of a base.
pub(super) fn on_base(base: Option<ImageConfig>, parts: Parts<'_>) -> ImageConfig {
    let base = base.unwrap_or_else(|| ImageConfig {
        created: None,
        architecture: parts.architecture.into(),
        variant: None,
        os: "linux".into(),
        config: RuntimeConfig::default(),
        rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new() },
        history: Vec::new(),
    });
    let mut diff_ids = base.rootfs.diff_ids;
    let mut history = complete(base.history, diff_ids.len());
    for layer in parts.layers {
        diff_ids.push(layer.diff_id.clone());
        history.push(History {
            created: Some(parts.created.into()),
            created_by: Some(format!("{CREATED_BY}{}", layer.holds)),
            ..History::default()
        });
    }
    let mut other = base.config.other;
    other.retain(|key, _| !NOT_INHERITED.contains(&key.as_str()));
    let mut labels = base.config.labels;
    labels.extend(parts.labels);
    ImageConfig {
        created: Some(parts.created.into()),
        architecture: base.architecture,
        variant: base.variant,
        os: base.os,
        config: RuntimeConfig {
            user: Some(parts.user.into()),
            exposed_ports: parts.port.map(exposed).into_iter().collect(),
            env: environment(&base.config.env, parts.env),
            entrypoint: vec![parts.entrypoint.into()],
            cmd: Vec::new(),
            working_dir: base.config.working_dir.filter(|dir| !dir.is_empty()).or(Some("/".into())),
            labels,
            other,
        },
        rootfs: RootFs { kind: "layers".into(), diff_ids },
        history,
    }
}

fn exposed(port: u16) -> (String, Value) {
    (format!("{port}/tcp"), Value::Object(serde_json::Map::new()))
}

/// What a layer holds, if its history says that it is one of ours.
pub(super) fn holds(created_by: &str) -> Option<&str> {
    created_by.strip_prefix(CREATED_BY)
}

/// The base's variables in their order, then the new ones by name.
fn environment(base: &[String], added: &BTreeMap<String, String>) -> Vec<String> {
    let kept = base.iter().filter(|pair| !added.contains_key(pair.split('=').next().unwrap_or_default()));
    kept.cloned().chain(added.iter().map(|(name, value)| format!("{name}={value}"))).collect()
}

/// A history with an entry for each layer: some builders write none, or too few.
fn complete(mut history: Vec<History>, layers: usize) -> Vec<History> {
    let told = history.iter().filter(|entry| !entry.empty_layer).count();
    if told > layers {
        history.clear();
    }
    let missing = layers.saturating_sub(history.iter().filter(|entry| !entry.empty_layer).count());
    history.extend((0..missing).map(|_| History {
        comment: Some("a layer of the base, of which the base says nothing".into()),
        ..History::default()
    }));
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(empty_layer: bool) -> History {
        History { empty_layer, ..History::default() }
    }

    #[test]
    fn the_bases_variables_stay_unless_they_are_set_anew() {
        let base = ["PATH=/usr/bin".to_string(), "MODEL=old".into(), "FLAG".into()];
        let added = [("MODEL".to_string(), "new".to_string()), ("A".into(), "x=y".into())].into();
        assert_eq!(environment(&base, &added), ["PATH=/usr/bin", "FLAG", "A=x=y", "MODEL=new"]);
    }

    #[test]
    fn the_history_has_an_entry_for_each_layer() {
        let told = |history: &[History]| history.iter().filter(|e| !e.empty_layer).count();
        for (given, layers) in [(vec![], 2), (vec![entry(false), entry(true)], 2), (vec![entry(false); 3], 2)]
        {
            assert_eq!(told(&complete(given, layers)), layers);
        }
        assert_eq!(complete(vec![entry(true), entry(false)], 1), [entry(true), entry(false)]);
    }
}
