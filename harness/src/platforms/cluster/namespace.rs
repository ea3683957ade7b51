//! The namespace that functions are put into: made if it is missing, and then marked as the run's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Api, ApiError, RunLabel, api::Selection, follow::keep, resources::NAMESPACES};

/// How long a namespace of that name that is being deleted is waited for.
const LEAVING: Duration = Duration::from_mins(2);

/// Manifest of a namespace.
pub fn manifest(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

/// Makes the namespace if it is missing. True: it was made, and carries the run's label; one that
/// was there already is left as it is, so that `harness clean` does not take it away.
///
/// # Errors
/// If it can neither be read nor made, or if one of this name is still being deleted.
pub async fn ensure(api: &Api, name: &str, run: &RunLabel) -> Result<bool, ApiError> {
    match api.get(&NAMESPACES, None, name).await {
        Ok(Some(found)) if found["metadata"]["deletionTimestamp"].is_null() => return Ok(false),
        Ok(Some(_)) => wait_until_gone(api, name).await?,
        Ok(None) => {}
        // Without the right to read namespaces: whoever runs this has made it, or the first apply
        // says that it is missing.
        Err(ApiError::Forbidden { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    api.apply(&NAMESPACES, None, &manifest(name, &run.labels())).await?;
    Ok(true)
}

/// Takes the namespace away if this run made it; whatever else lies in it by then goes as well,
/// so it is only called once the run's functions are gone. True: it was taken away.
///
/// # Errors
/// If it can be neither read nor deleted.
pub async fn leave(api: &Api, name: &str, run: &RunLabel) -> Result<bool, ApiError> {
    let Some(found) = api.get(&NAMESPACES, None, name).await? else { return Ok(false) };
    let labels = &found["metadata"]["labels"];
    let ours = run.labels().iter().all(|(key, value)| labels[key] == value.as_str());
    if !ours {
        return Ok(false);
    }
    api.delete(&NAMESPACES, None, name).await
}

/// Waits until a namespace that is being deleted is gone.
async fn wait_until_gone(api: &Api, name: &str) -> Result<(), ApiError> {
    let deadline = Instant::now() + LEAVING;
    let mut kept = keep(api, NAMESPACES, None, Selection::named(name)).await?;
    while !kept.objects().is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !matches!(tokio::time::timeout(left, kept.changed()).await, Ok(Some(_))) {
            return Err(ApiError::Refused {
                what: format!("make the namespace {name}"),
                code: 409,
                reason: "Terminating".to_owned(),
                message: "one of this name is still being deleted; wait, or choose another namespace"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Exchange, Replay};

    const PATH: &str = "/api/v1/namespaces/bench";

    fn absent() -> Exchange {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "namespaces \"bench\" not found", "reason": "NotFound", "code": 404,
        });
        Exchange::new("GET", PATH, 404, status)
    }

    #[test]
    fn the_manifest_keeps_to_the_schema() {
        let labels = RunLabel::new("r1").labels();
        assert_eq!(crate::schema_check::faults(&manifest("bench", &labels)), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_missing_namespace_is_made_with_the_runs_label() {
        let server = Replay::start([absent(), Exchange::new("PATCH", PATH, 201, json!({}))]).await;
        assert!(ensure(&server.api(), "bench", &RunLabel::new("r1")).await.unwrap());
        assert_eq!(server.asked()[1].body["metadata"]["labels"]["testbed/run"], "r1");
    }

    #[tokio::test]
    async fn only_the_run_that_made_it_takes_it_away() {
        let made = json!({ "metadata": { "name": "bench", "labels": RunLabel::new("r1").labels() } });
        let server = Replay::start([
            Exchange::new("GET", PATH, 200, made),
            Exchange::new("DELETE", PATH, 200, json!({})),
        ])
        .await;
        assert!(!leave(&server.api(), "bench", &RunLabel::new("r2")).await.unwrap());
        assert!(leave(&server.api(), "bench", &RunLabel::new("r1")).await.unwrap());
        assert_eq!(server.calls().iter().filter(|call| call.starts_with("DELETE")).count(), 1);
    }

    #[tokio::test]
    async fn one_that_was_there_is_left_without_a_label() {
        let there = json!({ "metadata": { "name": "bench" } });
        let server = Replay::start([Exchange::new("GET", PATH, 200, there)]).await;
        assert!(!ensure(&server.api(), "bench", &RunLabel::new("r1")).await.unwrap());
        assert_eq!(server.calls(), ["GET /api/v1/namespaces/bench"]);
    }

    #[tokio::test]
    async fn one_that_is_being_deleted_is_waited_for_and_made_anew() {
        let leaving = json!({ "metadata": {
            "name": "bench", "uid": "1", "resourceVersion": "7", "deletionTimestamp": "2026-11-21T00:00:00Z" } });
        let gone = json!([{ "type": "DELETED", "object": { "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "bench", "uid": "1", "resourceVersion": "8" } } }]);
        let list = json!({ "metadata": { "resourceVersion": "7" }, "items": [leaving] });
        let server = Replay::start([
            Exchange::new("GET", PATH, 200, leaving),
            Exchange::new("GET", "/api/v1/namespaces", 200, list),
            Exchange { watch: true, ..Exchange::new("GET", "/api/v1/namespaces", 200, gone) },
            Exchange::new("PATCH", PATH, 201, json!({})),
        ])
        .await;
        assert!(ensure(&server.api(), "bench", &RunLabel::new("r1")).await.unwrap());
    }
}
