//! How each component is: ready, there, missing, or another one than the files say.

use futures_util::StreamExt;
use serde::Serialize;

use super::{
    SetupError, Site,
    apply::{Owner, owner},
    components::Wait,
    helm,
    plan::{Action, Part, made_by},
    state::{Made, Record, State},
    wait,
};

/// Questions to the API server at once.
const AT_ONCE: usize = 16;

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As the files say, and all its conditions hold.
    Ready,
    /// There, but not ready, or not made by us.
    Present,
    /// Not there.
    Missing,
    /// There, but not as the files say.
    Differs,
}

impl Standing {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Differs => "differs",
        }
    }
}

/// A component's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its name.
    pub component: String,
    /// What it is for.
    pub about: String,
    /// How it is.
    pub state: Standing,
    /// Whether it was asked for.
    pub wanted: bool,
    /// Why it is so, unless it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How every component is that is wanted or there. `wanted`: names.
///
/// # Errors
/// If the cluster does not say.
pub async fn all(
    site: &Site,
    state: &State,
    parts: &[Part],
    wanted: &[String],
) -> Result<Vec<Line>, SetupError> {
    let mut lines = Vec::new();
    for part in parts {
        let record = state.components.get(&part.name);
        let wanted = wanted.contains(&part.name);
        if wanted || record.is_some() {
            let (state, reason) = standing(site, part, record).await?;
            lines.push(Line {
                component: part.name.clone(),
                about: part.about.clone(),
                state,
                wanted,
                reason,
            });
        }
    }
    // What an older version of the files knew.
    let unknown = state.components.keys().filter(|name| !parts.iter().any(|part| part.name == **name));
    lines.extend(unknown.map(|name| Line {
        component: name.clone(),
        about: "no longer in components.toml".to_owned(),
        state: Standing::Differs,
        wanted: false,
        reason: Some(format!("take it away with `harness cluster down --only {name}`")),
    }));
    Ok(lines)
}

/// How a component is, and why unless it is ready.
///
/// # Errors
/// If the cluster does not say.
pub async fn standing(
    site: &Site,
    part: &Part,
    record: Option<&Record>,
) -> Result<(Standing, Option<String>), SetupError> {
    let Some(record) = record else { return strangers(site, part).await };
    if !record.done {
        return Ok((
            Standing::Differs,
            Some("setting it up did not end, or what it stands on was changed; `up` goes on".to_owned()),
        ));
    }
    if record.hash != part.hash {
        let reason = "set up from other files or versions; `up` brings it up to date";
        return Ok((Standing::Differs, Some(reason.to_owned())));
    }
    let gone = gone(site, record).await?;
    if let Some(first) = gone.first() {
        let count = crate::reports::format::plural(gone.len(), "thing");
        return Ok((Standing::Differs, Some(format!("{count} gone, first {first}; `up` makes it again"))));
    }
    for wanted in waits(part) {
        if let Some(reason) = unmet(site, wanted).await? {
            return Ok((Standing::Present, Some(reason)));
        }
    }
    Ok((Standing::Ready, None))
}

fn waits(part: &Part) -> impl Iterator<Item = &Wait> {
    part.actions.iter().filter_map(|action| match action {
        Action::Wait(wait) => Some(wait),
        _ => None,
    })
}

/// What of a component's is not there any more.
async fn gone(site: &Site, record: &Record) -> Result<Vec<String>, SetupError> {
    let namespace = record.namespace.as_deref();
    let asked = record.made.iter().map(async |made| match made {
        Made::Object(of) => Ok((owner(site, of, namespace).await? == Owner::Nobody).then(|| of.to_string())),
        Made::Release { name, namespace } => {
            Ok((!helm::is_there(site, name, namespace).await?).then(|| format!("release {name}")))
        }
        Made::Patch { .. } => Ok(None),
    });
    let answers: Vec<Result<Option<String>, SetupError>> =
        futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}

/// Why a condition does not hold now; none: it does.
async fn unmet(site: &Site, wanted: &Wait) -> Result<Option<String>, SetupError> {
    let of = wanted.of();
    let failed = || SetupError::api(format!("looking for {of}"));
    let Some(served) = site.kinds.find(&of.api, &of.kind).await.map_err(failed())? else {
        return Ok(Some(format!("{of} is not there")));
    };
    let namespace = served.within(of.namespace.as_deref());
    let found = site.api.get(&served.resource, namespace, &of.name).await.map_err(failed())?;
    let Some(object) = found else { return Ok(Some(format!("{of} is not there"))) };
    let Some(reason) = wait::unmet(&object, wanted) else { return Ok(None) };
    let cause = wait::hanging(site, Some(&object), namespace).await.unwrap_or(reason);
    Ok(Some(format!("{of}: {cause}")))
}

/// A component that we did not set up: somebody else may have.
async fn strangers(site: &Site, part: &Part) -> Result<(Standing, Option<String>), SetupError> {
    let known = part.actions.iter().flat_map(made_by).filter_map(|made| match made {
        Made::Object(of) if !of.is_namespace() => Some(of),
        _ => None,
    });
    for of in known.chain(waits(part).map(Wait::of)) {
        if owner(site, &of, part.namespace.as_deref()).await? == Owner::Stranger {
            let reason = format!("{of} is there, but `harness cluster` did not make it");
            return Ok((Standing::Present, Some(reason)));
        }
    }
    Ok((Standing::Missing, Some(format!("`harness cluster up --only {}` sets it up", part.name))))
}
