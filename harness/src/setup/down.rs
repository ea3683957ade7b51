//! Taking down: what was made, in the opposite order, and nothing else.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    SetupError, Site,
    apply::{self, Owner},
    components::Components,
    helm,
    objects::Reference,
    select,
    state::{Made, Record, State},
};
use crate::{
    platforms::cluster::{
        api::Selection,
        follow::keep,
        resources::{CRDS, NAMESPACES, Resource},
    },
    reports::format::plural,
};

/// How long a namespace or a definition of a kind may take to go.
const GOING: Duration = Duration::from_mins(5);

/// Which components are taken down, each before those that it needs. `only`: just these.
///
/// # Errors
/// If one is not set up, or another one that stays needs it.
pub fn order(components: &Components, state: &State, only: &[String]) -> Result<Vec<String>, SetupError> {
    let is_known = |name: &String| components.all().iter().any(|component| component.name == *name);
    // What an older version of the files knew goes first: nothing of today needs it.
    let unknown = state.components.keys().filter(|name| !is_known(name)).cloned();
    let known = select::ordered(components).into_iter().rev().map(|component| component.name.clone());
    let all: Vec<String> = unknown.chain(known.filter(|name| state.components.contains_key(name))).collect();
    if only.is_empty() {
        return Ok(all);
    }
    if let Some(name) = only.iter().find(|name| !all.contains(name)) {
        let there = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        return Err(SetupError::Usage(format!("{name} is not set up on this cluster; there is {there}")));
    }
    for name in all.iter().filter(|name| !only.contains(name) && is_known(name)) {
        let component = components.get(name)?;
        if let Some(need) = component.needs.iter().find(|need| only.contains(need)) {
            return Err(SetupError::Usage(format!(
                "{name} needs {need}; take both away: --only {need},{name}"
            )));
        }
    }
    Ok(all.into_iter().filter(|name| only.contains(name)).collect())
}

/// What goes with a component, in a line.
pub fn describe(name: &str, record: &Record) -> String {
    let count = |wanted: fn(&Made) -> bool| record.made.iter().filter(|made| wanted(made)).count();
    let objects = count(|made| matches!(made, Made::Object(of) if !of.is_namespace() && !of.is_definition()));
    let patches = count(|made| matches!(made, Made::Patch { .. }));
    let mut parts = Vec::new();
    for made in &record.made {
        if let Made::Release { name, namespace } = made {
            parts.push(format!("Helm release {namespace}/{name}"));
        }
    }
    if objects > 0 {
        parts.push(plural(objects, "object"));
    }
    if patches > 0 {
        parts.push(format!("what it set in {}", plural(patches, "object")));
    }
    let kinds = count(|made| matches!(made, Made::Object(of) if of.is_definition()));
    if kinds > 0 {
        parts.push(format!("{} with every object of them", plural(kinds, "kind")));
    }
    for of in record.objects().filter(|of| of.is_namespace()) {
        parts.push(format!("namespace {} with all that is in it, if it was made for this", of.name));
    }
    format!("{name}: {}", parts.join(", "))
}

/// Takes components down, in this order, and forgets each once it is gone.
///
/// # Errors
/// At the first that does not go; the same call goes on from there.
pub async fn down(
    site: &Site,
    components: &Components,
    state: &mut State,
    names: &[String],
) -> Result<(), SetupError> {
    for name in names {
        site.go_on()?;
        let Some(record) = state.components.get(name).cloned() else { continue };
        site.progress.say(&format!("removing {name}"));
        component(site, state, name, &record).await?;
        state.components.remove(name);
        if let Ok(component) = components.get(name) {
            // Fields that it had set are gone now; the manifests that they were of may want them.
            state.not_done(component.needs.iter().map(String::as_str));
        }
        if let Some(choice) = &mut state.choice {
            choice.components.retain(|chosen| chosen != name);
        }
        state.save(&site.api).await?;
        site.progress.advance(1);
    }
    Ok(())
}

/// The order in which things go is not that in which they came: controllers must still be there
/// while objects of their kinds go, or those wait for them for ever.
async fn component(site: &Site, state: &State, name: &str, record: &Record) -> Result<(), SetupError> {
    let namespace = record.namespace.as_deref();
    let turn = |made: &Made| match made {
        Made::Patch { .. } => 0,
        Made::Object(of) if of.is_definition() => 2,
        Made::Object(of) if of.is_namespace() => 4,
        Made::Object(of) if is_custom(of) => 1,
        Made::Object(_) | Made::Release { .. } => 3,
    };
    for wanted in 0..4 {
        for made in record.made.iter().rev().filter(|made| turn(made) == wanted) {
            site.go_on()?;
            one(site, made, namespace).await?;
        }
        for of in record.objects().filter(|of| wanted == 2 && of.is_definition()) {
            gone(site, &CRDS, of).await?;
        }
    }
    for of in record.objects().filter(|of| of.is_namespace()) {
        let mut others = state.components.iter().filter(|(other, _)| *other != name);
        if let Some((other, _)) = others.find(|(_, record)| record.uses(&of.name)) {
            site.progress.say(&format!("  namespace {} stays: {other} is in it", of.name));
            continue;
        }
        if apply::owner(site, of, None).await? == Owner::Stranger {
            site.progress.say(&format!("  namespace {} stays: it was there before", of.name));
            continue;
        }
        apply::delete(site, of, None).await?;
        gone(site, &NAMESPACES, of).await?;
    }
    Ok(())
}

/// Whether an object is of a kind that some definition adds to Kubernetes.
fn is_custom(of: &Reference) -> bool {
    let Some((group, _)) = of.api.split_once('/') else { return false };
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// Takes one thing away.
///
/// # Errors
/// If the cluster or helm refuses.
pub async fn one(site: &Site, made: &Made, namespace: Option<&str>) -> Result<(), SetupError> {
    match made {
        Made::Object(of) => {
            site.progress.now(&format!("removing {of}"));
            apply::delete(site, of, namespace).await.map(drop)
        }
        Made::Release { name, namespace } => {
            if !helm::is_there(site, name, namespace).await? {
                return Ok(());
            }
            super::program::need("helm", &site.versions)?;
            site.progress.now(&format!("helm removes {name}"));
            helm::uninstall(name, namespace, &site.access).run(&site.interrupt, |_| ()).await.map(drop)
        }
        Made::Patch { of, manager } => apply::release(site, of, manager).await,
    }
}

/// Waits until an object is gone.
async fn gone(site: &Site, resource: &Resource, of: &Reference) -> Result<(), SetupError> {
    let failed = || SetupError::api(format!("waiting until {of} is gone"));
    // Somebody else's stays.
    if !matches!(apply::owner(site, of, None).await?, Owner::Component(_)) {
        return Ok(());
    }
    site.progress.now(&format!("waiting until {of} is gone"));
    let deadline = Instant::now() + GOING;
    let mut kept = keep(&site.api, *resource, None, Selection::named(&of.name)).await.map_err(failed())?;
    while !kept.objects().is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let changed = tokio::select! {
            () = site.interrupt.raised() => return Err(SetupError::Interrupted),
            changed = tokio::time::timeout(left, kept.changed()) => changed,
        };
        if !matches!(changed, Ok(Some(_))) {
            let why = kept.objects().values().next().and_then(|object| {
                let conditions = object["status"]["conditions"].as_array()?;
                let told = conditions.iter().filter(|condition| condition["status"] == "True");
                told.filter_map(|condition| condition["message"].as_str()).next_back().map(str::to_owned)
            });
            return Err(SetupError::Leaving(format!(
                "{of} is being deleted, but is still there after {} min ({}); look at it with `kubectl describe`, \
                 then call the same command again",
                GOING.as_secs() / 60,
                why.as_deref().unwrap_or("it does not say why")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components() -> Components {
        let part = |name: &str, needs: &str| {
            format!(
                "[[component]]\nname = \"{name}\"\nabout = \"\"\nneeds = [{needs}]\n[[component.step]]\nfiles = []\n"
            )
        };
        Components::read(&(part("a", "") + &part("b", "\"a\"") + &part("c", ""))).unwrap()
    }

    fn state(names: &str) -> State {
        let components = names.split_whitespace().map(|name| (name.to_owned(), Record::default())).collect();
        State { choice: None, components }
    }

    fn ordered(set_up: &str, only: &str) -> Result<String, String> {
        let only: Vec<String> = only.split_whitespace().map(str::to_owned).collect();
        let names = order(&components(), &state(set_up), &only).map_err(|error| error.to_string())?;
        Ok(names.join(" "))
    }

    #[test]
    fn what_needs_others_goes_before_them_and_what_nobody_knows_any_more_goes_first() {
        assert_eq!(ordered("a b c old", "").unwrap(), "old c b a");
        assert_eq!(ordered("a c", "").unwrap(), "c a");
        assert_eq!(ordered("a b c", "a b").unwrap(), "b a");
    }

    #[test]
    fn what_another_one_needs_does_not_go_alone() {
        assert_eq!(ordered("a b", "a").unwrap_err(), "b needs a; take both away: --only a,b");
        assert_eq!(ordered("a", "a").unwrap(), "a");
        assert_eq!(ordered("a", "c").unwrap_err(), "c is not set up on this cluster; there is a");
    }

    #[test]
    fn kinds_of_kubernetes_itself_are_told_from_added_ones() {
        let of = |api: &str| Reference { api: api.into(), ..Reference::namespace("x") };
        for api in ["v1", "apps/v1", "rbac.authorization.k8s.io/v1", "autoscaling/v2"] {
            assert!(!is_custom(&of(api)), "{api}");
        }
        assert!(is_custom(&of("metallb.io/v1beta1")) && is_custom(&of("serving.knative.dev/v1")));
    }

    #[test]
    fn what_goes_is_said_in_a_line() {
        let object = |kind: &str, name: &str| {
            Made::Object(Reference { kind: kind.into(), ..Reference::namespace(name) })
        };
        let record = Record {
            made: vec![
                object("Namespace", "n"),
                object("CustomResourceDefinition", "x.y"),
                object("ConfigMap", "c"),
                Made::Release { name: "r".into(), namespace: "n".into() },
                Made::Patch { of: Reference::namespace("p"), manager: "m".into() },
            ],
            ..Record::default()
        };
        assert_eq!(
            describe("a", &record),
            "a: Helm release n/r, 1 object, what it set in 1 object, 1 kind with every object of them, \
             namespace n with all that is in it, if it was made for this"
        );
    }
}
