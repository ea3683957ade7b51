//! `components.toml`: what a cluster can be given, in which order, and on which profiles. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SetupError, profile::Profile};

/// All components, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    #[serde(rename = "component")]
    list: Vec<Component>,
}

/// A part of a cluster that is set up as one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What it is for, in a few words.
    pub about: String,
    /// Profiles on which it is set up without being asked for.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// Components that come first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Components that cannot stand beside it.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Namespace of whatever does not name its own; made if it is missing.
    pub namespace: Option<String>,
    /// Namespaces beside it that are its own: they go with it.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// What is done, in this order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What files of ours may leave open, as `${NAME}`.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
}

/// A value that the user may choose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is.
    pub about: String,
    /// Its value unless the user says otherwise; none: the user has to.
    pub default: Option<String>,
    /// How other programs call it; for the reader of the file.
    pub flag: Option<String>,
}

/// One step of a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StepTable")]
pub enum Step {
    /// A Helm chart.
    Chart {
        /// Its key in `versions.toml`.
        chart: String,
        /// Files with values; a later one counts more.
        values: Vec<String>,
    },
    /// A manifest of others, downloaded: its key in `versions.toml`.
    Manifest(String),
    /// Manifests of ours.
    Files(Vec<String>),
    /// A part of an object that something else made.
    Patch(Patch),
    /// A condition to wait for.
    Wait(Wait),
    /// A secret, made of chance where there is none.
    Secret(SecretWish),
    /// A folder of Grafana dashboards.
    Dashboards(String),
}

/// What a part of an object is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Its `apiVersion`, for kinds that are not common.
    pub api: Option<String>,
    /// Kind.
    pub kind: String,
    /// Namespace, for kinds that have one.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// File of ours with the part.
    pub file: String,
}

/// A condition of an object, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Its `apiVersion`, for kinds that are not common.
    pub api: Option<String>,
    /// Kind.
    pub kind: String,
    /// Namespace, for kinds that have one.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Type of the condition that has to be True.
    pub condition: Option<String>,
    /// Whether instead all of its replicas have to be ready, for kinds without conditions.
    #[serde(default)]
    pub ready: bool,
    /// Time limit.
    pub seconds: u64,
}

/// A secret that is made of chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretWish {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its keys, each with a value of chance.
    pub keys: Vec<String>,
    /// Keys whose values are no secret: a user's name.
    #[serde(default)]
    pub fixed: BTreeMap<String, String>,
}

/// A step as the file spells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    chart: Option<String>,
    values: Option<OneOrMore>,
    manifest: Option<String>,
    files: Option<Vec<String>>,
    patch: Option<Patch>,
    wait: Option<Wait>,
    secret: Option<SecretWish>,
    dashboards: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TryFrom<StepTable> for Step {
    type Error = String;

    fn try_from(table: StepTable) -> Result<Self, String> {
        let values = match table.values {
            None => Vec::new(),
            Some(_) if table.chart.is_none() => return Err("`values` belongs to a `chart`".to_owned()),
            Some(OneOrMore::One(file)) => vec![file],
            Some(OneOrMore::More(files)) => files,
        };
        let mut steps = [
            table.chart.map(|chart| Self::Chart { chart, values }),
            table.manifest.map(Self::Manifest),
            table.files.map(Self::Files),
            table.patch.map(Self::Patch),
            table.wait.map(Self::Wait),
            table.secret.map(Self::Secret),
            table.dashboards.map(Self::Dashboards),
        ]
        .into_iter()
        .flatten();
        match (steps.next(), steps.next()) {
            (Some(Self::Wait(wait)), None) if wait.ready == wait.condition.is_some() => Err(format!(
                "the wait for {} {} wants either `condition` or `ready = true`",
                wait.kind, wait.name
            )),
            (Some(step), None) => Ok(step),
            _ => Err("a step wants exactly one of chart, manifest, files, patch, wait, secret, dashboards"
                .to_owned()),
        }
    }
}

impl Components {
    /// Reads the file and checks what it says of itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, SetupError> {
        let wrong = |cause: String| SetupError::File { file: super::COMPONENTS_FILE.into(), cause };
        let components: Self =
            toml::from_str(text).map_err(|error| wrong(crate::words::one_line(&error.to_string())))?;
        components.check().map_err(wrong)?;
        Ok(components)
    }

    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Component] {
        &self.list
    }

    /// The one of this name.
    ///
    /// # Errors
    /// If there is none; with all names.
    pub fn get(&self, name: &str) -> Result<&Component, SetupError> {
        self.list.iter().find(|component| component.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.list.iter().map(|component| component.name.as_str()).collect();
            SetupError::Usage(format!("there is no component {name}; there are {}", names.join(", ")))
        })
    }

    fn check(&self) -> Result<(), String> {
        for (index, component) in self.list.iter().enumerate() {
            let name = &component.name;
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
                return Err(format!("`{name}` is no name: up to 40 small letters, digits and -"));
            }
            if self.list[..index].iter().any(|other| other.name == *name) {
                return Err(format!("the component {name} is there twice"));
            }
            if component.steps.is_empty() {
                return Err(format!("the component {name} has no step"));
            }
            for other in component.needs.iter().chain(&component.excludes) {
                if other == name || !self.list.iter().any(|component| component.name == *other) {
                    return Err(format!("{name} names {other}, which is no other component"));
                }
            }
            if let Some(both) = component.needs.iter().find(|other| component.excludes.contains(other)) {
                return Err(format!("{name} both needs and excludes {both}"));
            }
            let has_chart = component.steps.iter().any(|step| matches!(step, Step::Chart { .. }));
            if has_chart && component.namespace.is_none() {
                return Err(format!("{name} has a chart and wants a namespace for it"));
            }
            let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if let Some(bad) = component.variables.keys().find(|key| !key.chars().all(is_name)) {
                return Err(format!("the variable {bad} of {name} is no name: capitals, digits and _"));
            }
        }
        self.check_order()
    }

    /// Refuses needs that go round in a circle.
    fn check_order(&self) -> Result<(), String> {
        let mut done: Vec<&str> = Vec::new();
        while done.len() < self.list.len() {
            let next = self.list.iter().find(|component| {
                !done.contains(&component.name.as_str())
                    && component.needs.iter().all(|need| done.contains(&need.as_str()))
            });
            let Some(next) = next else {
                let left: Vec<&str> =
                    self.list.iter().map(|c| c.name.as_str()).filter(|name| !done.contains(name)).collect();
                return Err(format!("these need each other in a circle: {}", left.join(", ")));
            };
            done.push(&next.name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Components::read(text).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_step_is_read() {
        let text = r#"
            [[component]]
            name = "a"
            about = "all steps"
            profiles = ["kind", "existing"]
            namespace = "n"
              [[component.step]]
              chart = "c"
              values = "v.yaml"
              [[component.step]]
              manifest = "m"
              [[component.step]]
              files = ["f.yaml"]
              [[component.step]]
              patch = { kind = "ConfigMap", namespace = "n", name = "x", file = "p.yaml" }
              [[component.step]]
              wait = { kind = "Deployment", namespace = "n", name = "x", condition = "Available", seconds = 30 }
              [[component.step]]
              secret = { namespace = "n", name = "s", keys = ["k"] }
              [[component.step]]
              dashboards = "d"
            [component.variables]
            POOL = { about = "addresses", default = "x", flag = "--pool" }"#;
        let components = Components::read(text).unwrap();
        let component = components.get("a").unwrap();
        assert_eq!(component.profiles, [Profile::Kind, Profile::Existing]);
        assert_eq!(component.steps.len(), 7);
        assert_eq!(component.steps[0], Step::Chart { chart: "c".into(), values: vec!["v.yaml".into()] });
        assert_eq!(component.variables["POOL"].default.as_deref(), Some("x"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name() {
        let part = |name: &str, rest: &str| {
            format!(
                "[[component]]\nname = \"{name}\"\nabout = \"\"\n{rest}\n[[component.step]]\nfiles = []\n"
            )
        };
        for (text, word) in [
            (part("A b", ""), "`A b` is no name"),
            (part("a", "") + &part("a", ""), "a is there twice"),
            (part("a", "needs = [\"b\"]"), "a names b"),
            (part("a", "needs = [\"b\"]") + &part("b", "needs = [\"a\"]"), "in a circle: a, b"),
            (part("a", "profiles = [\"moon\"]"), "moon"),
            (part("a", "nonsense = 1"), "nonsense"),
            (part("a", "") + "chart = \"c\"", "exactly one of"),
            (
                part("a", "") + "[[component.step]]\nwait = { kind = \"Pod\", name = \"x\", seconds = 1 }",
                "either `condition` or `ready = true`",
            ),
            (part("a", "") + "values = \"c\"", "`values` belongs to a `chart`"),
            (part("a", "") + "[[component.step]]\nchart = \"c\"", "wants a namespace"),
            ("[[component]]\nname = \"a\"\nabout = \"\"\nstep = []".to_owned(), "a has no step"),
        ] {
            let said = refusal(&text);
            assert!(said.contains(word) && said.contains("components.toml"), "{said}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_names() {
        let text = "[[component]]\nname = \"a\"\nabout = \"\"\n[[component.step]]\nfiles = []";
        let said = Components::read(text).unwrap().get("b").unwrap_err().to_string();
        assert_eq!(said, "there is no component b; there are a");
    }
}
