//! Which components, in which order: the profile's, and what the user asks for beside or instead.
//! Pure.

use std::collections::BTreeSet;

use super::{
    SetupError,
    components::{Component, Components},
    profile::Profile,
};

/// What the user asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Just these, and nothing that they need; empty: the profile's.
    pub only: Vec<String>,
    /// These too, and what they need.
    pub with: Vec<String>,
    /// Not these.
    pub without: Vec<String>,
    /// The networking layer, in place of the profile's.
    pub networking: Option<String>,
}

/// The components to set up, each after those that it needs.
///
/// # Errors
/// If a name is unknown, two of them exclude each other, or one lacks what it needs.
pub fn select<'a>(
    components: &'a Components,
    profile: Profile,
    wishes: &Wishes,
) -> Result<Vec<&'a Component>, SetupError> {
    let named = wishes.only.iter().chain(&wishes.with).chain(&wishes.without).chain(&wishes.networking);
    for name in named {
        components.get(name)?;
    }
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    if wishes.only.is_empty() {
        let own = components.all().iter().filter(|component| component.profiles.contains(&profile));
        chosen.extend(own.map(|component| component.name.as_str()));
        if let Some(layer) = &wishes.networking {
            exchange(components, &mut chosen, layer)?;
        }
        for name in &wishes.with {
            add(components, &mut chosen, name)?;
        }
        for name in &wishes.without {
            chosen.remove(name.as_str());
        }
    } else if wishes.with.is_empty() && wishes.without.is_empty() && wishes.networking.is_none() {
        chosen.extend(wishes.only.iter().map(String::as_str));
    } else {
        return Err(SetupError::Usage(
            "--only names everything that is set up: leave --with, --without and --networking out".into(),
        ));
    }
    check(components, &chosen, wishes.only.is_empty())?;
    Ok(ordered(components).into_iter().filter(|c| chosen.contains(c.name.as_str())).collect())
}

/// All components, each after those that it needs.
pub fn ordered(components: &Components) -> Vec<&Component> {
    let mut order: Vec<&Component> = Vec::new();
    // `Components::read` saw to it that needs do not go round in a circle.
    while let Some(next) = components.all().iter().find(|component| {
        let is_there = |name: &str| order.iter().any(|done| done.name == name);
        !is_there(&component.name) && component.needs.iter().all(|need| is_there(need))
    }) {
        order.push(next);
    }
    order
}

/// Puts a networking layer in the place of those that it excludes.
fn exchange<'a>(
    components: &'a Components,
    chosen: &mut BTreeSet<&'a str>,
    layer: &str,
) -> Result<(), SetupError> {
    let layer = components.get(layer)?;
    if layer.excludes.is_empty() {
        let choices: Vec<&str> =
            components.all().iter().filter(|c| !c.excludes.is_empty()).map(|c| c.name.as_str()).collect();
        return Err(SetupError::Usage(format!(
            "{} is no networking layer; there are {}",
            layer.name,
            choices.join(", ")
        )));
    }
    // With a layer goes whatever cannot be without it.
    let mut gone: Vec<&str> = layer.excludes.iter().map(String::as_str).collect();
    while let Some(name) = gone.pop() {
        if chosen.remove(name) {
            let dependents = components.all().iter().filter(|c| c.needs.iter().any(|need| need == name));
            gone.extend(dependents.map(|c| c.name.as_str()));
        }
    }
    add(components, chosen, &layer.name)
}

/// Adds a component and what it needs.
fn add<'a>(components: &'a Components, chosen: &mut BTreeSet<&'a str>, name: &str) -> Result<(), SetupError> {
    let component = components.get(name)?;
    if chosen.insert(&component.name) {
        for need in &component.needs {
            add(components, chosen, need)?;
        }
    }
    Ok(())
}

fn check(components: &Components, chosen: &BTreeSet<&str>, is_whole: bool) -> Result<(), SetupError> {
    if chosen.is_empty() {
        return Err(SetupError::Usage("no component is chosen; name one with --with or --only".into()));
    }
    for name in chosen {
        let component = components.get(name)?;
        if let Some(other) = component.excludes.iter().find(|other| chosen.contains(other.as_str())) {
            return Err(SetupError::Usage(format!(
                "{name} and {other} cannot stand beside each other; choose with --networking or --without"
            )));
        }
        if is_whole && let Some(need) = component.needs.iter().find(|n| !chosen.contains(n.as_str())) {
            return Err(SetupError::Usage(format!(
                "{name} needs {need}; add --with {need}, or leave {name} out with --without {name}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `network` needs either layer by name of `serving` alone; `events` needs `kafka` and `serving`.
    fn components() -> Components {
        let part = |name: &str, profiles: &str, needs: &str, excludes: &str| {
            format!(
                "[[component]]\nname = \"{name}\"\nabout = \"\"\nprofiles = [{profiles}]\nneeds = [{needs}]\n\
                 excludes = [{excludes}]\n[[component.step]]\nfiles = []\n"
            )
        };
        let text = part("events", "", "\"kafka\", \"serving\"", "")
            + &part("serving", "\"kind\", \"cloudlab\"", "", "")
            + &part("istio", "\"cloudlab\"", "\"serving\"", "\"kourier\"")
            + &part("mesh", "\"cloudlab\"", "\"istio\"", "")
            + &part("kourier", "\"kind\"", "\"serving\"", "\"istio\"")
            + &part("kafka", "", "", "");
        Components::read(&text).unwrap()
    }

    fn names(profile: Profile, wishes: &Wishes) -> Result<String, String> {
        let components = components();
        let chosen = select(&components, profile, wishes).map_err(|error| error.to_string())?;
        Ok(chosen.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" "))
    }

    fn list(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_profile_has_its_components_in_the_order_of_their_needs() {
        let none = Wishes::default();
        assert_eq!(names(Profile::Cloudlab, &none).unwrap(), "serving istio mesh");
        let with = Wishes { with: list("events"), ..Wishes::default() };
        assert_eq!(names(Profile::Kind, &with).unwrap(), "serving kourier kafka events");
        let only = Wishes { only: list("events"), ..Wishes::default() };
        assert_eq!(names(Profile::Kind, &only).unwrap(), "events");
    }

    #[test]
    fn another_networking_layer_takes_the_place_of_the_first_and_of_what_stands_on_it() {
        let kourier = Wishes { networking: Some("kourier".into()), ..Wishes::default() };
        assert_eq!(names(Profile::Cloudlab, &kourier).unwrap(), "serving kourier");
        let kafka = Wishes { networking: Some("kafka".into()), ..Wishes::default() };
        assert_eq!(
            names(Profile::Cloudlab, &kafka).unwrap_err(),
            "kafka is no networking layer; there are istio, kourier"
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let both = Wishes { with: list("kourier"), ..Wishes::default() };
        assert!(names(Profile::Cloudlab, &both).unwrap_err().contains("--networking or --without"));
        let lacking = Wishes { without: list("serving"), ..Wishes::default() };
        assert!(names(Profile::Kind, &lacking).unwrap_err().starts_with("kourier needs serving; add --with"));
        let unknown = Wishes { only: list("nosuch"), ..Wishes::default() };
        assert!(
            names(Profile::Kind, &unknown).unwrap_err().starts_with("there is no component nosuch; there")
        );
        let mixed = Wishes { only: list("kafka"), with: list("events"), ..Wishes::default() };
        assert!(names(Profile::Kind, &mixed).unwrap_err().contains("--only names everything"));
        assert!(
            names(Profile::Existing, &Wishes::default()).unwrap_err().starts_with("no component is chosen")
        );
    }
}
