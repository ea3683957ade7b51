//! For tests: checks a manifest against the schemas that a real API server published (trimmed to
//! `tests/fixtures/schemas/*.json`: `status` and most volumes are left out). A field that the schema does not
//! know is a fault here, as it is for server-side apply.

use std::{fs, path::Path};

use serde_json::{Map, Value};

/// Files below `tests/fixtures/schemas`.
const FILES: [&str; 6] = ["knative-service", "eventing", "deployment", "job", "core", "rbac"];

/// Everything in which an object departs from the schema of its `apiVersion` and `kind`; a line each.
pub fn faults(object: &Value) -> Vec<String> {
    for file in FILES {
        let schemas = read(file);
        if let Some(schema) = schemas.values().find(|schema| is_of(schema, object)) {
            let mut faults = Vec::new();
            Checker { schemas: &schemas, faults: &mut faults }.check(schema, object, "");
            return faults;
        }
    }
    vec![format!("no schema for {} {}", object["apiVersion"], object["kind"])]
}

/// The same, by the schemas as the server published them: `GROUP_VERSION.json` in a folder, as a
/// checkout in CI has them beside it (`../shared/schemas`).
pub fn faults_by_server(folder: &Path, object: &Value) -> Vec<String> {
    let (api, kind) = (object["apiVersion"].as_str().unwrap_or_default(), &object["kind"]);
    let file = if api.contains('/') { api.replace('/', "_") } else { format!("core_{api}") };
    let Ok(text) = fs::read_to_string(folder.join(format!("{file}.json"))) else {
        return vec![format!("no schemas of {api}")];
    };
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let Value::Object(schemas) = plain(file["components"]["schemas"].take()) else {
        return vec![format!("the schemas of {api} cannot be read")];
    };
    // Definitions of others' kinds carry no `x-kubernetes-group-version-kind`.
    let is_it = |name: &str| name.rsplit('.').next() == kind.as_str() && !name.contains(".apimachinery.");
    let Some((_, schema)) = schemas.iter().find(|(name, _)| is_it(name)) else {
        return vec![format!("no schema for {api} {kind}")];
    };
    let mut faults = Vec::new();
    Checker { schemas: &schemas, faults: &mut faults }.check(schema, object, "");
    faults
}

/// A schema as OpenAPI writes it. For kinds that others defined the server published the parts of its own
/// structure instead: `{"SchemaProps": {"type": ...}, "ArbitraryKeys": {"x-...": ...}}`.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if fields.contains_key("SchemaProps") {
                for part in ["SchemaProps", "ArbitraryKeys", "SwaggerSchemaProps"] {
                    if let Some(Value::Object(inner)) = fields.remove(part) {
                        fields.extend(inner);
                    }
                }
            }
            Value::Object(fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        other => other,
    }
}

fn read(file: &str) -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schemas/{file}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    match file["schemas"].take() {
        Value::Object(schemas) => schemas,
        other => panic!("{}: {other}", path.display()),
    }
}

fn is_of(schema: &Value, object: &Value) -> bool {
    schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().any(|of| {
        let (group, version) = (of["group"].as_str().unwrap_or_default(), of["version"].as_str().unwrap());
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        object["apiVersion"] == api_version && object["kind"] == of["kind"]
    })
}

struct Checker<'a> {
    schemas: &'a Map<String, Value>,
    faults: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn check(&mut self, schema: &Value, value: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/components/schemas/");
            return match self.schemas.get(name) {
                Some(schema) => self.check(schema, value, at),
                None => self.faults.push(format!("{at}: the fixture lacks the schema {name}")),
            };
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array())
            && !choices.iter().any(|choice| self.allows(choice, value))
        {
            self.faults.push(format!("{at}: {value} is none of the allowed kinds"));
        }
        if schema["x-kubernetes-int-or-string"] == true {
            if !value.is_string() && !value.is_i64() {
                self.faults.push(format!("{at}: {value} is neither an integer nor a string"));
            }
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            self.faults.push(format!("{at}: {value} is not allowed"));
        }
        self.check_type(schema, value, at);
    }

    fn allows(&self, schema: &Value, value: &Value) -> bool {
        let mut faults = Vec::new();
        Checker { schemas: self.schemas, faults: &mut faults }.check(schema, value, "");
        faults.is_empty()
    }

    fn check_type(&mut self, schema: &Value, value: &Value, at: &str) {
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        };
        if !fits {
            return self.faults.push(format!("{at}: {value} is no {}", schema["type"]));
        }
        match value {
            Value::Object(fields) => self.check_fields(schema, fields, at),
            Value::Array(items) if schema["items"].is_object() => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn check_fields(&mut self, schema: &Value, fields: &Map<String, Value>, at: &str) {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.faults.push(format!("{at}.{name}: missing"));
            }
        }
        // An object without properties (`labels` of a selector, free-form parts) may hold anything.
        let closed = schema["properties"].is_object()
            && schema["x-kubernetes-preserve-unknown-fields"] != true
            && schema["additionalProperties"].is_null();
        for (name, value) in fields {
            let inner = format!("{at}.{name}");
            if let Some(known) = schema["properties"].get(name) {
                self.check(known, value, &inner);
            } else if schema["additionalProperties"].is_object() {
                self.check(&schema["additionalProperties"], value, &inner);
            } else if closed {
                self.faults.push(format!("{inner}: no such field"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_wrong_types_and_missing_ones_are_told_with_their_place() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x", "labels": { "a": 1 } },
            "spec": { "ports": [{ "port": 80, "targetPort": "http" }, { "targetPort": 8080 }], "nonsense": true },
        });
        assert_eq!(
            faults(&service),
            [
                ".metadata.labels.a: 1 is no \"string\"",
                ".spec.nonsense: no such field",
                ".spec.ports[1].port: missing"
            ]
        );
    }

    #[test]
    fn what_a_server_would_take_has_no_faults_and_what_it_would_refuse_has() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" },
            "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": { "spec": { "containers": [
                { "name": "c", "resources": { "limits": { "cpu": "500m", "memory": "1Gi" } } } ] } } },
        });
        assert_eq!(faults(&deployment), Vec::<String>::new());
        let service = json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": { "name": "x" },
            "spec": { "template": { "spec": { "nonsense": true, "containerConcurrency": "1" } } },
        });
        assert_eq!(
            faults(&service),
            [
                ".spec.template.spec.containers: missing",
                ".spec.template.spec.containerConcurrency: \"1\" is no \"integer\"",
                ".spec.template.spec.nonsense: no such field"
            ]
        );
        assert_eq!(faults(&json!({ "apiVersion": "v9", "kind": "X" })), ["no schema for \"v9\" \"X\""]);
    }
}
