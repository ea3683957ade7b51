//! Kubernetes objects of manifests: reading files of them, their names, and the label by which the
//! set-up knows its own. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SetupError;

/// Says which component of the set-up made an object. Not the label of runs: `harness clean --all`
/// must not take the platforms away.
pub const COMPONENT: &str = "testbed/component";

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// `v1`, `apps/v1`.
    pub api: String,
    /// Kind.
    pub kind: String,
    /// Namespace, where the manifest names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Reference {
    /// A namespace.
    pub fn namespace(name: &str) -> Self {
        Self { api: "v1".into(), kind: "Namespace".into(), namespace: None, name: name.to_owned() }
    }

    /// Of an object.
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            api: text(&object["apiVersion"]),
            kind: text(&object["kind"]),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: text(&object["metadata"]["name"]),
        }
    }

    /// Whether it is a namespace.
    pub fn is_namespace(&self) -> bool {
        self.kind == "Namespace" && self.api == "v1"
    }

    /// Whether it defines a kind.
    pub fn is_definition(&self) -> bool {
        self.kind == "CustomResourceDefinition"
    }

    /// The object without any field: applied by an owner of fields, it gives them up.
    pub fn bare(&self) -> Value {
        let mut object =
            json!({ "apiVersion": self.api, "kind": self.kind, "metadata": { "name": self.name } });
        if let Some(namespace) = &self.namespace {
            object["metadata"]["namespace"] = namespace.as_str().into();
        }
        object
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        write!(f, "{} {namespace}{}", self.kind, self.name)
    }
}

/// Reads the objects of a YAML file in the order in which they are applied: definitions of kinds and
/// namespaces first, since the rest may be of those kinds or in those namespaces.
///
/// # Errors
/// What is wrong with it.
pub fn read(file: &str, text: &str) -> Result<Vec<Value>, SetupError> {
    let wrong = |cause: String| SetupError::File { file: file.to_owned(), cause };
    // As kubectl reads it: `defaultMode: 0420` is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| wrong(crate::words::one_line(&error.to_string())))?;
    let mut objects = Vec::new();
    for document in documents {
        match document {
            Value::Null => {}
            mut list if list["kind"] == "List" => match list["items"].take() {
                Value::Array(items) => objects.extend(items),
                _ => return Err(wrong("a List has no items".to_owned())),
            },
            object => objects.push(object),
        }
    }
    for object in &objects {
        let of = Reference::of(object);
        if of.api.is_empty() || of.kind.is_empty() || of.name.is_empty() {
            return Err(wrong("it holds something without apiVersion, kind or metadata.name".to_owned()));
        }
    }
    objects.sort_by_key(|object| rank(&Reference::of(object)));
    Ok(objects)
}

fn rank(of: &Reference) -> u8 {
    match of {
        of if of.is_definition() => 0,
        of if of.is_namespace() => 1,
        _ => 2,
    }
}

/// Puts the label of a component on an object.
pub fn label(object: &mut Value, component: &str) {
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[COMPONENT] = component.into();
}

/// The component that made an object; none: it is somebody else's.
pub fn component_of(object: &Value) -> Option<&str> {
    object["metadata"]["labels"][COMPONENT].as_str()
}

/// The `apiVersion` of a kind that is common enough to be left out; none: it has to be said.
pub fn api_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" | "ConfigMap" | "Secret" | "Service" | "ServiceAccount" | "Pod" | "Node" => "v1",
        "Deployment" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "Job" => "batch/v1",
        "HorizontalPodAutoscaler" => "autoscaling/v2",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "APIService" => "apiregistration.k8s.io/v1",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_in_the_order_in_which_they_can_be_applied() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: ns }\n---\n---\n\
                    apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Namespace, metadata: { name: ns } }\n---\n\
                    apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: x.y }\n";
        let names: Vec<String> =
            read("f", text).unwrap().iter().map(|object| Reference::of(object).to_string()).collect();
        assert_eq!(names, ["CustomResourceDefinition x.y", "Namespace ns", "ConfigMap ns/a"]);
    }

    #[test]
    fn modes_of_files_are_octal() {
        let text = "apiVersion: v1\nkind: X\nmetadata: { name: a }\nmode: 0420\ntext: \"0420\"\n";
        let object = &read("f", text).unwrap()[0];
        assert_eq!((&object["mode"], &object["text"]), (&json!(0o420), &json!("0420")));
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        for text in ["a: 1", "apiVersion: v1\nkind: Secret", "{"] {
            let said = read("pool.yaml", text).unwrap_err().to_string();
            assert!(said.starts_with("pool.yaml: "), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn the_label_is_added_to_those_that_there_are() {
        let mut object = json!({ "metadata": { "name": "a", "labels": { "b": "c" } } });
        label(&mut object, "metallb");
        assert_eq!(object["metadata"]["labels"], json!({ "b": "c", COMPONENT: "metallb" }));
        assert_eq!(component_of(&object), Some("metallb"));
        assert_eq!(component_of(&json!({ "metadata": {} })), None);
    }
}
