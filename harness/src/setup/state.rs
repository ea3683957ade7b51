//! What was set up, kept on the cluster itself: a ConfigMap with a record a component. It is written
//! before a component is begun, so that nothing is ever made that nobody remembers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{SetupError, objects::Reference, profile::Profile, variables::Given};
use crate::platforms::cluster::{Api, api::FIELD_MANAGER, resources::CONFIG_MAPS};

/// Where the record is.
pub const NAMESPACE: &str = "kube-system";
/// Its name.
pub const NAME: &str = "testbed-setup";
/// Key with the profile and what was wanted.
const CHOICE: &str = "choice";
/// Beginning of the keys of components.
const PREFIX: &str = "component.";

/// All that is remembered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What the last `up` chose.
    pub choice: Option<Choice>,
    /// By name.
    pub components: BTreeMap<String, Record>,
}

/// What an `up` chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its profile.
    pub profile: Profile,
    /// Its components, in their order.
    pub components: Vec<String>,
}

/// What is remembered of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of its plan: the same as now, or not.
    pub hash: String,
    /// Whether its last step was done, and nothing under it was touched since.
    pub done: bool,
    /// Namespace of whatever does not name its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Values that the user or the file gave.
    #[serde(default)]
    pub values: Given,
    /// What it made, in this order.
    pub made: Vec<Made>,
}

/// Something that a component made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// An object.
    Object(Reference),
    /// A release of Helm.
    Release {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// Fields of an object.
    Patch {
        /// Which object.
        of: Reference,
        /// Their owner.
        manager: String,
    },
}

impl Record {
    /// The objects among what was made.
    pub fn objects(&self) -> impl Iterator<Item = &Reference> {
        self.made.iter().filter_map(|made| match made {
            Made::Object(of) => Some(of),
            _ => None,
        })
    }

    /// Whether anything of it lies in a namespace.
    pub fn uses(&self, wanted: &str) -> bool {
        self.namespace.as_deref() == Some(wanted)
            || self.made.iter().any(|made| match made {
                Made::Object(of) => of.namespace.as_deref() == Some(wanted),
                Made::Release { namespace, .. } => namespace == wanted,
                // What somebody else made does not hold a namespace for us.
                Made::Patch { .. } => false,
            })
    }
}

impl State {
    /// Reads what the cluster remembers.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn load(api: &Api) -> Result<Self, SetupError> {
        let found = api.get(&CONFIG_MAPS, Some(NAMESPACE), NAME).await;
        let found = found.map_err(SetupError::api("reading what was set up"))?;
        found.map_or_else(|| Ok(Self::default()), |object| Self::read(&object["data"]))
    }

    fn read(data: &Value) -> Result<Self, SetupError> {
        let wrong = |key: &str, cause: serde_json::Error| SetupError::File {
            file: format!("ConfigMap {NAMESPACE}/{NAME}"),
            cause: format!("{key} cannot be read ({cause}); was it written by another version of harness?"),
        };
        let mut state = Self::default();
        for (key, value) in data.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            if let Some(name) = key.strip_prefix(PREFIX) {
                let record = serde_json::from_str(text).map_err(|error| wrong(key, error))?;
                state.components.insert(name.to_owned(), record);
            } else if key == CHOICE {
                state.choice = Some(serde_json::from_str(text).map_err(|error| wrong(key, error))?);
            }
        }
        Ok(state)
    }

    /// Writes it back; a cluster on which nothing is set up remembers nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn save(&self, api: &Api) -> Result<(), SetupError> {
        let failed = || SetupError::api("remembering what is set up");
        if self.components.is_empty() {
            api.delete(&CONFIG_MAPS, Some(NAMESPACE), NAME).await.map_err(failed())?;
            return Ok(());
        }
        api.apply_as(&format!("{FIELD_MANAGER}-setup"), &CONFIG_MAPS, Some(NAMESPACE), &self.object())
            .await
            .map_err(failed())?;
        Ok(())
    }

    fn object(&self) -> Value {
        let choice = self.choice.iter().map(|choice| (CHOICE.to_owned(), json!(choice).to_string()));
        let records = self
            .components
            .iter()
            .map(|(name, record)| (format!("{PREFIX}{name}"), json!(record).to_string()));
        let data: BTreeMap<String, String> = choice.chain(records).collect();
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": NAME, "namespace": NAMESPACE,
                "labels": { "app.kubernetes.io/part-of": "serverless-testbed" } },
            "data": data,
        })
    }

    /// Has these components, as far as they are set up, set up again by the next `up`.
    pub fn not_done<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if let Some(record) = self.components.get_mut(name) {
                record.done = false;
            }
        }
    }

    /// The values of a component the last time.
    pub fn values(&self, component: &str) -> Given {
        self.components.get(component).map(|record| record.values.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_keeps_to_the_schema() {
        let object = Reference {
            api: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("a".into()),
            name: "b".into(),
        };
        let record = Record {
            hash: "x".into(),
            done: true,
            namespace: Some("a".into()),
            values: Given::from([("K".into(), "v".into())]),
            made: vec![
                Made::Object(object.clone()),
                Made::Release { name: "r".into(), namespace: "n".into() },
                Made::Patch { of: object, manager: "m".into() },
            ],
        };
        let state = State {
            choice: Some(Choice { profile: Profile::Kind, components: vec!["c".into()] }),
            components: BTreeMap::from([("c".into(), record)]),
        };
        let written = state.object();
        assert_eq!(crate::schema_check::faults(&written), Vec::<String>::new());
        assert_eq!(State::read(&written["data"]).unwrap(), state);
        let said = State::read(&json!({ "component.c": "{" })).unwrap_err().to_string();
        assert!(said.contains("component.c cannot be read") && said.contains("another version"), "{said}");
    }
}
