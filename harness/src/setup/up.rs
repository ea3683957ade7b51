//! Setting up: component by component, each remembered before it is begun and after it is done.

use std::collections::BTreeSet;

use super::{
    SetupError, Site,
    apply::{self, Owner},
    components::Components,
    helm,
    objects::{self, Reference},
    plan::{Action, Part, made_by},
    state::{Choice, Made, Record, State},
    status::{Standing, standing},
    wait,
};
use crate::reports::format::plural;

/// Refuses a component beside which one is set up already that excludes it.
///
/// # Errors
/// Which, and what to do.
pub fn check_beside(components: &Components, state: &State, parts: &[Part]) -> Result<(), SetupError> {
    for part in parts {
        let component = components.get(&part.name)?;
        if let Some(other) = component.excludes.iter().find(|other| state.components.contains_key(*other)) {
            return Err(SetupError::Usage(format!(
                "{other} is set up on this cluster, and {} cannot stand beside it; take it away first with \
                 `harness cluster down --only {other}`",
                part.name
            )));
        }
    }
    Ok(())
}

/// Sets up these components, in this order. What is as wanted already is passed over.
///
/// # Errors
/// At the first that fails; the same call goes on from there.
pub async fn up(
    site: &Site,
    components: &Components,
    state: &mut State,
    parts: &[Part],
    choice: Choice,
) -> Result<(), SetupError> {
    state.choice = Some(choice);
    for part in parts {
        site.go_on()?;
        let steps = part.actions.len();
        let record = state.components.get(&part.name);
        if record.is_some() && standing(site, part, record).await?.0 == Standing::Ready {
            site.progress.say(&format!("{}: as wanted", part.name));
            site.progress.advance(steps);
            continue;
        }
        site.progress.say(&format!("{}: {}", part.name, part.about));
        let mut part = part.clone();
        fetch(site, &mut part).await?;
        // What stands on it may have changed parts of it, which are now as the manifest has them.
        let above = components.all().iter().filter(|other| other.needs.contains(&part.name));
        state.not_done(above.map(|other| other.name.as_str()));
        set_up(site, state, &part).await?;
        site.progress.say(&format!("{}: ready, {}", part.name, plural(steps, "step")));
    }
    if state.components.is_empty() { Ok(()) } else { state.save(&site.api).await }
}

/// Downloads manifests, and puts their objects in their place.
async fn fetch(site: &Site, part: &mut Part) -> Result<(), SetupError> {
    for action in &mut part.actions {
        let Action::Manifest { key, source } = action else { continue };
        site.go_on()?;
        site.progress.now(&format!("fetching {}", source.url));
        let (cache, name, wanted) = (site.cache.clone(), key.clone(), source.clone());
        let text = tokio::task::spawn_blocking(move || cache.manifest(&name, &wanted))
            .await
            .map_err(|error| SetupError::Download(format!("{}: {error}", source.url)))??;
        let mut objects = objects::read(key, &text)?;
        for object in &mut objects {
            objects::label(object, &part.name);
        }
        *action = Action::Apply { from: source.url.clone(), objects };
    }
    Ok(())
}

async fn set_up(site: &Site, state: &mut State, part: &Part) -> Result<(), SetupError> {
    let before = state.components.get(&part.name).cloned().unwrap_or_default();
    let made = made(part);
    refuse_strangers(site, part, &before).await?;

    let mut remembered = made.clone();
    remembered.extend(before.made.iter().filter(|old| !made.contains(old)).cloned());
    let mut record = Record {
        hash: part.hash.clone(),
        done: false,
        namespace: part.namespace.clone(),
        values: part.values.clone(),
        made: remembered,
    };
    state.components.insert(part.name.clone(), record.clone());
    state.save(&site.api).await?;

    for name in &part.namespaces {
        apply::namespace(site, name, &part.name).await?;
    }
    for action in &part.actions {
        site.go_on()?;
        perform(site, part, action).await?;
        site.progress.advance(1);
    }
    for old in before.made.iter().filter(|old| !made.contains(old)) {
        super::down::one(site, old, before.namespace.as_deref()).await?;
    }
    record.made = made;
    record.done = true;
    state.components.insert(part.name.clone(), record);
    state.save(&site.api).await
}

/// What the component makes, namespaces first, each once.
fn made(part: &Part) -> Vec<Made> {
    let namespaces = part.namespaces.iter().map(|name| Made::Object(Reference::namespace(name)));
    let mut seen = BTreeSet::new();
    let all = namespaces.chain(part.actions.iter().flat_map(made_by));
    all.filter(|made| seen.insert(made.clone())).collect()
}

/// What somebody else made is not taken over, and so never taken away either. A namespace may be
/// shared, and a secret that is there is used. What an interrupted `up` had in mind was nobody's then;
/// a part that was applied before the whole has made it without a label.
async fn refuse_strangers(site: &Site, part: &Part, before: &Record) -> Result<(), SetupError> {
    for action in part.actions.iter().filter(|action| !matches!(action, Action::Secret(_))) {
        for made in made_by(action) {
            site.go_on()?;
            let (is_strange, what) = match &made {
                Made::Object(of) if !of.is_namespace() && !before.made.contains(&made) => {
                    let owner = apply::owner(site, of, part.namespace.as_deref()).await?;
                    (owner == Owner::Stranger, of.to_string())
                }
                Made::Release { name, namespace } if !before.made.contains(&made) => {
                    let is_there = helm::is_there(site, name, namespace).await?;
                    (is_there, format!("the Helm release {namespace}/{name}"))
                }
                _ => continue,
            };
            if is_strange {
                return Err(SetupError::Foreign { what, component: part.name.clone() });
            }
        }
    }
    Ok(())
}

async fn perform(site: &Site, part: &Part, action: &Action) -> Result<(), SetupError> {
    match action {
        Action::Helm(release) => helm::perform(site, release).await,
        Action::Apply { objects, .. } => apply::all(site, objects, part.namespace.as_deref()).await,
        Action::Patch { object, manager } => apply::patch(site, object, manager).await,
        Action::Wait(wanted) => wait::until(site, wanted).await,
        Action::Secret(wish) => apply::secret(site, wish, &part.name).await,
        // `fetch` has put its objects in its place.
        Action::Manifest { key, .. } => {
            Err(SetupError::Download(format!("the manifest {key} was not downloaded; call `up` again")))
        }
    }
}
