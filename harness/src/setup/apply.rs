//! Objects on the cluster: whose they are, made, changed in part, and taken away.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    SetupError, Site,
    components::{SecretWish, Wait},
    objects::{self, Reference, component_of},
};
use crate::platforms::cluster::{
    ApiError,
    api::FIELD_MANAGER,
    applying::again_within,
    resources::{NAMESPACES, SECRETS},
};

/// How long a webhook that is just being started is asked again.
const WEBHOOK: Duration = Duration::from_mins(2);
/// How long a definition of a kind may take to be established, seconds.
const ESTABLISHED_S: u64 = 60;
/// Letters of a value of chance: 32 of 62 kinds are 190 bits.
const SECRET_LENGTH: usize = 32;

/// Owner of the fields that components set.
fn manager() -> String {
    format!("{FIELD_MANAGER}-setup")
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It is not there.
    Nobody,
    /// A component of ours made it.
    Component(String),
    /// Somebody else made it.
    Stranger,
}

/// Whose an object is. `namespace`: of what does not name its own.
///
/// # Errors
/// If the cluster does not say.
pub async fn owner(site: &Site, of: &Reference, namespace: Option<&str>) -> Result<Owner, SetupError> {
    let failed = || SetupError::api(format!("looking for {of}"));
    // Of a kind that is not known there is nothing.
    let Some(served) = site.kinds.find(&of.api, &of.kind).await.map_err(failed())? else {
        return Ok(Owner::Nobody);
    };
    let namespace = served.within(of.namespace.as_deref().or(namespace));
    let found = site.api.get(&served.resource, namespace, &of.name).await.map_err(failed())?;
    Ok(found.map_or(Owner::Nobody, |object| match component_of(&object) {
        Some(component) => Owner::Component(component.to_owned()),
        None => Owner::Stranger,
    }))
}

/// Makes a namespace of a component where it is missing.
///
/// # Errors
/// If it can be neither read nor made.
pub async fn namespace(site: &Site, name: &str, component: &str) -> Result<(), SetupError> {
    if owner(site, &Reference::namespace(name), None).await? == Owner::Nobody {
        let mut object = Reference::namespace(name).bare();
        objects::label(&mut object, component);
        let made = site.api.apply_as(&manager(), &NAMESPACES, None, &object).await;
        made.map_err(SetupError::api(format!("making the namespace {name}")))?;
    }
    Ok(())
}

/// Applies objects in their order; definitions of kinds are waited for before the rest.
///
/// # Errors
/// What the server refuses in the end.
pub async fn all(site: &Site, objects: &[Value], namespace: Option<&str>) -> Result<(), SetupError> {
    let (definitions, rest): (Vec<&Value>, Vec<&Value>) =
        objects.iter().partition(|object| Reference::of(object).is_definition());
    for object in &definitions {
        one(site, object, namespace).await?;
    }
    for object in definitions {
        let of = Reference::of(object);
        let wait = Wait {
            api: Some(of.api),
            kind: of.kind,
            namespace: None,
            name: of.name,
            condition: Some("Established".to_owned()),
            ready: false,
            seconds: ESTABLISHED_S,
        };
        super::wait::until(site, &wait).await?;
    }
    for object in rest {
        one(site, object, namespace).await?;
    }
    Ok(())
}

async fn one(site: &Site, object: &Value, namespace: Option<&str>) -> Result<(), SetupError> {
    site.go_on()?;
    let of = Reference::of(object);
    let mut object = object.clone();
    if of.is_namespace() {
        // Namespaces are shared: the label stays that of whoever made it, and goes to nobody else's.
        match owner(site, &of, None).await? {
            Owner::Nobody => {}
            Owner::Component(first) => objects::label(&mut object, &first),
            Owner::Stranger => {
                if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
                    labels.remove(objects::COMPONENT);
                }
            }
        }
    }
    site.progress.now(&format!("applying {of}"));
    apply(site, &manager(), &object, namespace).await
}

/// Applies a part of an object, by an owner of fields of its own.
///
/// # Errors
/// What the server refuses in the end.
pub async fn patch(site: &Site, object: &Value, manager: &str) -> Result<(), SetupError> {
    site.progress.now(&format!("setting fields of {}", Reference::of(object)));
    apply(site, manager, object, None).await
}

async fn apply(
    site: &Site,
    manager: &str,
    object: &Value,
    namespace: Option<&str>,
) -> Result<(), SetupError> {
    let of = Reference::of(object);
    let failed = || SetupError::api(format!("applying {of}"));
    let served = site.kinds.need(&of.api, &of.kind).await.map_err(failed())?;
    let namespace = served.within(of.namespace.as_deref().or(namespace));
    let mut object = object.clone();
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    let ask = || site.api.apply_as(manager, &served.resource, namespace, &object);
    tokio::select! {
        () = site.interrupt.raised() => Err(SetupError::Interrupted),
        applied = again_within(WEBHOOK, ask) => applied.map(drop).map_err(failed()),
    }
}

/// Makes a secret of chance where there is none.
///
/// # Errors
/// If it can be neither read nor made.
pub async fn secret(site: &Site, wish: &SecretWish, component: &str) -> Result<(), SetupError> {
    let SecretWish { namespace, name, keys, fixed } = wish;
    let failed = || SetupError::api(format!("making the Secret {namespace}/{name}"));
    if site.api.get(&SECRETS, Some(namespace), name).await.map_err(failed())?.is_some() {
        return Ok(());
    }
    site.progress.now(&format!("making the Secret {namespace}/{name}"));
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace }, "stringData": fixed });
    for key in keys {
        object["stringData"][key] = chance().into();
    }
    objects::label(&mut object, component);
    site.api.apply_as(&manager(), &SECRETS, Some(namespace), &object).await.map_err(failed())?;
    Ok(())
}

fn chance() -> String {
    use rand::distr::{Alphanumeric, SampleString};
    Alphanumeric.sample_string(&mut rand::rng(), SECRET_LENGTH)
}

/// Takes an object away, if a component of ours made it. True: it was there.
///
/// # Errors
/// If the server refuses.
pub async fn delete(site: &Site, of: &Reference, namespace: Option<&str>) -> Result<bool, SetupError> {
    if !matches!(owner(site, of, namespace).await?, Owner::Component(_)) {
        return Ok(false);
    }
    let failed = || SetupError::api(format!("removing {of}"));
    let Some(served) = site.kinds.find(&of.api, &of.kind).await.map_err(failed())? else {
        return Ok(false);
    };
    let namespace = served.within(of.namespace.as_deref().or(namespace));
    let ask = || site.api.delete(&served.resource, namespace, &of.name);
    again_within(WEBHOOK, ask).await.map_err(failed())
}

/// Gives up the fields that a patch set, where the object is still there.
///
/// # Errors
/// If the server refuses.
pub async fn release(site: &Site, of: &Reference, manager: &str) -> Result<(), SetupError> {
    let failed = || SetupError::api(format!("giving up fields of {of}"));
    let Some(served) = site.kinds.find(&of.api, &of.kind).await.map_err(failed())? else { return Ok(()) };
    let namespace = served.within(of.namespace.as_deref());
    // An apply would make what is not there.
    if site.api.get(&served.resource, namespace, &of.name).await.map_err(failed())?.is_none() {
        return Ok(());
    }
    let mut object = of.bare();
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    let ask = || site.api.apply_as(manager, &served.resource, namespace, &object);
    match again_within(WEBHOOK, ask).await {
        // It went between the two questions.
        Err(ApiError::Refused { code: 404, .. }) => Ok(()),
        released => released.map(drop).map_err(failed()),
    }
}
