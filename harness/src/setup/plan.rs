//! From components to a list of actions: files read and filled, charts and manifests resolved to
//! addresses. Pure but for the reading of our own files, which the caller does.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    SetupError,
    components::{Component, Patch, SecretWish, Step, Wait},
    objects::{self, Reference, api_of},
    variables::{self, Given},
    versions::{Chart, Manifest, Versions},
};
use crate::platforms::cluster::api::FIELD_MANAGER;

/// A component, ready to be set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Namespace of whatever does not name its own.
    pub namespace: Option<String>,
    /// Namespaces to make where they are missing.
    pub namespaces: Vec<String>,
    /// What is done, in this order.
    pub actions: Vec<Action>,
    /// The values that were put in.
    pub values: Given,
    /// Of all of the above: the same as the last time, or not.
    pub hash: String,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Helm installs a chart, or brings it up to date.
    Helm(Release),
    /// Every object of a download is applied.
    Manifest {
        /// Its key in `versions.toml`.
        key: String,
        /// Where it is.
        source: Manifest,
    },
    /// These objects are applied.
    Apply {
        /// File or folder that they come from.
        from: String,
        /// In this order.
        objects: Vec<Value>,
    },
    /// A part of an object is applied, by an owner of fields of its own.
    Patch {
        /// The part.
        object: Value,
        /// The owner.
        manager: String,
    },
    /// A condition is waited for.
    Wait(Wait),
    /// A secret is made where there is none.
    Secret(SecretWish),
}

/// A chart on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What is installed.
    pub chart: Chart,
    /// Texts of its files of values; a later one counts more.
    pub values: Vec<String>,
    /// Their names.
    pub files: Vec<String>,
}

/// Where files of ours come from: their paths are relative to the folder of `components.toml`.
pub trait Source {
    /// Text of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn text(&self, file: &str) -> Result<String, SetupError>;

    /// Names of the JSON files of a folder, sorted.
    ///
    /// # Errors
    /// If it cannot be read.
    fn json_files(&self, folder: &str) -> Result<Vec<String>, SetupError>;
}

/// Plans one component. `given`: values of the user; `last`: those of the last time.
///
/// # Errors
/// What is wrong with its files.
pub fn part(
    component: &Component,
    versions: &Versions,
    source: &dyn Source,
    given: &Given,
    last: &Given,
) -> Result<Part, SetupError> {
    let values = variables::values(component, given, last)?;
    let planner = Planner { component, versions, source, values: &values };
    let actions = component.steps.iter().map(|step| planner.action(step)).collect::<Result<Vec<_>, _>>()?;
    let mut namespaces: Vec<String> =
        component.namespace.iter().chain(&component.namespaces).cloned().collect();
    namespaces.dedup();
    let all = json!({ "namespace": component.namespace, "namespaces": namespaces, "actions": actions });
    Ok(Part {
        name: component.name.clone(),
        about: component.about.clone(),
        namespace: component.namespace.clone(),
        namespaces,
        actions,
        hash: models::sha256_hex(all.to_string().as_bytes()),
        values,
    })
}

struct Planner<'a> {
    component: &'a Component,
    versions: &'a Versions,
    source: &'a dyn Source,
    values: &'a Given,
}

impl Planner<'_> {
    fn action(&self, step: &Step) -> Result<Action, SetupError> {
        Ok(match step {
            Step::Chart { chart, values } => self.helm(chart, values)?,
            Step::Manifest(key) => {
                Action::Manifest { key: key.clone(), source: self.versions.manifest(key)?.clone() }
            }
            Step::Files(files) => self.apply(files)?,
            Step::Patch(patch) => self.patch(patch)?,
            Step::Wait(wait) => {
                let api = self.api(wait.api.as_ref(), &wait.kind)?;
                Action::Wait(Wait { api: Some(api), ..wait.clone() })
            }
            Step::Secret(secret) => Action::Secret(secret.clone()),
            Step::Dashboards(folder) => self.dashboards(folder)?,
        })
    }

    fn helm(&self, key: &str, files: &[String]) -> Result<Action, SetupError> {
        let values = files.iter().map(|file| self.filled(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Action::Helm(Release {
            name: self.component.name.clone(),
            // `Components::read` saw to it that there is one.
            namespace: self.component.namespace.clone().unwrap_or_default(),
            chart: self.versions.chart(key)?.clone(),
            values,
            files: files.to_vec(),
        }))
    }

    fn apply(&self, files: &[String]) -> Result<Action, SetupError> {
        let mut all = Vec::new();
        for file in files {
            all.extend(objects::read(file, &self.filled(file)?)?);
        }
        for object in &mut all {
            objects::label(object, &self.component.name);
        }
        Ok(Action::Apply { from: files.join(", "), objects: all })
    }

    fn patch(&self, patch: &Patch) -> Result<Action, SetupError> {
        let Patch { kind, namespace, name, file, .. } = patch;
        let wrong = |cause: String| SetupError::File { file: file.clone(), cause };
        let api = self.api(patch.api.as_ref(), kind)?;
        let text = self.filled(file)?;
        let part: Value = serde_saphyr::from_str(&text)
            .map_err(|error| wrong(crate::words::one_line(&error.to_string())))?;
        let Value::Object(fields) = part else {
            return Err(wrong("a patch wants to be a part of one object".to_owned()));
        };
        let of = Reference { api, kind: kind.clone(), namespace: namespace.clone(), name: name.clone() };
        let mut object = of.bare();
        for (field, value) in fields {
            match field.as_str() {
                "metadata" => {
                    let same = |key: &str| value[key].is_null() || value[key] == object["metadata"][key];
                    if !same("name") || !same("namespace") {
                        return Err(wrong(format!("its name or namespace is not that of {of}")));
                    }
                    for key in ["labels", "annotations"].into_iter().filter(|key| !value[key].is_null()) {
                        object["metadata"][key] = value[key].clone();
                    }
                }
                "apiVersion" | "kind" if value != object[&field] => {
                    return Err(wrong(format!("its {field} is not that of {of}")));
                }
                _ => object[&field] = value,
            }
        }
        let stem = file.rsplit('/').next().unwrap_or(file);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        let manager: String = format!("{FIELD_MANAGER}-{}-{stem}", self.component.name);
        // The API server takes no longer one.
        Ok(Action::Patch { object, manager: manager.chars().take(128).collect() })
    }

    fn dashboards(&self, folder: &str) -> Result<Action, SetupError> {
        let mut all = Vec::new();
        for file in self.source.json_files(folder)? {
            let path = format!("{folder}/{file}");
            let stem = file.trim_end_matches(".json");
            let mut object = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": format!("dashboard-{stem}"), "labels": { "grafana_dashboard": "1" } },
                "data": { file: self.source.text(&path)? },
            });
            if let Some(namespace) = &self.component.namespace {
                object["metadata"]["namespace"] = namespace.as_str().into();
            }
            objects::label(&mut object, &self.component.name);
            all.push(object);
        }
        Ok(Action::Apply { from: folder.to_owned(), objects: all })
    }

    fn filled(&self, file: &str) -> Result<String, SetupError> {
        variables::fill(file, &self.source.text(file)?, self.values)
    }

    fn api(&self, said: Option<&String>, kind: &str) -> Result<String, SetupError> {
        said.cloned().or_else(|| api_of(kind).map(str::to_owned)).ok_or_else(|| SetupError::File {
            file: super::COMPONENTS_FILE.to_owned(),
            cause: format!("{}: say which `api` the kind {kind} is of", self.component.name),
        })
    }
}

/// What of a cluster an action makes, as far as is known before a download.
pub fn made_by(action: &Action) -> Vec<super::state::Made> {
    use super::state::Made;
    match action {
        Action::Helm(Release { name, namespace, .. }) => {
            vec![Made::Release { name: name.clone(), namespace: namespace.clone() }]
        }
        Action::Apply { objects, .. } => {
            objects.iter().map(|object| Made::Object(Reference::of(object))).collect()
        }
        Action::Patch { object, manager } => {
            vec![Made::Patch { of: Reference::of(object), manager: manager.clone() }]
        }
        Action::Secret(SecretWish { namespace, name, .. }) => vec![Made::Object(Reference {
            api: "v1".into(),
            kind: "Secret".into(),
            namespace: Some(namespace.clone()),
            name: name.clone(),
        })],
        Action::Manifest { .. } | Action::Wait(_) => Vec::new(),
    }
}
