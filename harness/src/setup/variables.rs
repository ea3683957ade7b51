//! Values that files of ours leave open: `${NAME}`. Pure.

use std::collections::BTreeMap;

use super::{SetupError, components::Component};

/// What the user gave, by name.
pub type Given = BTreeMap<String, String>;

/// Reads `NAME=VALUE` as the command line has it.
///
/// # Errors
/// If there is no name or no `=`.
pub fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it wants to be NAME=VALUE".to_owned()),
    }
}

/// Refuses a name that none of these components leaves open.
///
/// # Errors
/// With the names that there are.
pub fn check(given: &Given, components: &[&Component]) -> Result<(), SetupError> {
    let open: BTreeMap<&str, &str> = components
        .iter()
        .flat_map(|component| &component.variables)
        .map(|(name, variable)| (name.as_str(), variable.about.as_str()))
        .collect();
    match given.keys().find(|name| !open.contains_key(name.as_str())) {
        None => Ok(()),
        Some(name) if open.is_empty() => Err(SetupError::Usage(format!(
            "--set {name}: the chosen components leave nothing open; remove it, or choose another component"
        ))),
        Some(name) => {
            let all: Vec<String> = open.iter().map(|(name, about)| format!("{name} ({about})")).collect();
            Err(SetupError::Usage(format!(
                "--set {name}: the chosen components leave open only {}",
                all.join(", ")
            )))
        }
    }
}

/// The values of a component: those given now, else those of the last time, else its own.
///
/// # Errors
/// If one has no value.
pub fn values(component: &Component, given: &Given, last: &Given) -> Result<Given, SetupError> {
    let value = |(name, variable): (&String, &super::components::Variable)| {
        let value = given.get(name).or_else(|| last.get(name)).or(variable.default.as_ref());
        let value = value.cloned().ok_or_else(|| {
            SetupError::Usage(format!(
                "{} wants {name} ({}): give it with --set {name}=VALUE",
                component.name, variable.about
            ))
        })?;
        Ok((name.clone(), value))
    };
    component.variables.iter().map(value).collect()
}

/// A file's text with the values put in. `$${NAME}` stays `${NAME}`.
///
/// # Errors
/// If a name has no value.
pub fn fill(file: &str, text: &str, values: &Given) -> Result<String, SetupError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &after[2..];
            continue;
        }
        out.push_str(before);
        let wrong = |cause: String| SetupError::File { file: file.to_owned(), cause };
        let (name, after) =
            after[2..].split_once('}').ok_or_else(|| wrong("a ${ is not closed".to_owned()))?;
        let value = values.get(name).ok_or_else(|| {
            wrong(format!(
                "the component has no variable {name}; declare it in components.toml, or write $${{{name}}}"
            ))
        })?;
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::components::Components;

    fn given(pairs: &[(&str, &str)]) -> Given {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_are_replaced_and_a_doubled_sign_stays() {
        let values = given(&[("A", "1"), ("B", "${A}")]);
        assert_eq!(fill("f", "x ${A}-${B} $${A} $5", &values).unwrap(), "x 1-${A} ${A} $5");
        let said = fill("pool.yaml", "${POOOL}", &values).unwrap_err().to_string();
        assert!(said.contains("pool.yaml") && said.contains("no variable POOOL"), "{said}");
    }

    #[test]
    fn what_is_given_counts_more_than_the_last_time_and_that_more_than_the_file() {
        let text = "[[component]]\nname = \"a\"\nabout = \"\"\n[[component.step]]\nfiles = []\n[component.variables]\n\
                    X = { about = \"x\", default = \"1\" }\nY = { about = \"an address\" }";
        let components = Components::read(text).unwrap();
        let component = components.get("a").unwrap();
        let (now, last) = (given(&[("X", "3")]), given(&[("X", "2"), ("Y", "y")]));
        assert_eq!(values(component, &now, &last).unwrap(), given(&[("X", "3"), ("Y", "y")]));
        assert_eq!(values(component, &Given::new(), &last).unwrap()["X"], "2");
        assert_eq!(
            values(component, &now, &Given::new()).unwrap_err().to_string(),
            "a wants Y (an address): give it with --set Y=VALUE"
        );
        assert_eq!(
            check(&given(&[("Z", "")]), &[component]).unwrap_err().to_string(),
            "--set Z: the chosen components leave open only X (x), Y (an address)"
        );
    }

    #[test]
    fn a_setting_is_a_name_and_a_value() {
        assert_eq!(parse("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert!(parse("A").is_err() && parse("=b").is_err());
    }
}
