//! Applying a function's manifests: retries of what passes, and refusals in words that name the
//! remedy.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Api, ApiError, api::Selection, labels::MANAGED_BY, pods, resources::Resource};
use crate::platforms::{PlatformError, PlatformKind};

/// How long a conflict, or a webhook that is just being restarted, is asked again.
const PASSING: Duration = Duration::from_secs(6);
/// First pause between attempts; each next one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long pods of an earlier deployment may take to go.
pub const GONE_LIMIT: Duration = Duration::from_mins(6);

/// Applies a manifest. Conflicts (409) and webhooks that do not answer are asked again.
///
/// # Errors
/// What the server refuses in the end.
pub async fn apply(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    object: &Value,
) -> Result<Value, ApiError> {
    again_within(PASSING, move || api.apply(resource, Some(namespace), object)).await
}

/// Asks until it is answered, or refused for another reason than a conflict (409) or a webhook that
/// does not answer, or the time is up.
///
/// # Errors
/// What the server refuses in the end.
pub async fn again_within<T, F>(limit: Duration, ask: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let started = Instant::now();
    let mut pause = PAUSE;
    loop {
        match ask().await {
            Err(error) if passes(&error) && started.elapsed() + pause <= limit => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            answer => return answer,
        }
    }
}

fn passes(error: &ApiError) -> bool {
    match error {
        ApiError::Refused { code: 409, .. } => true,
        ApiError::Refused { code: 500, message, .. } => message.contains("failed calling webhook"),
        _ => false,
    }
}

/// Takes away what an earlier run left under the name, and refuses to touch what is somebody else's.
///
/// # Errors
/// If an object of the name is not the testbed's, or cannot be removed.
pub async fn make_room(
    api: &Api,
    platform: PlatformKind,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), PlatformError> {
    let found = api.get(resource, Some(namespace), name).await.map_err(|e| explained(platform, e))?;
    let Some(found) = found else { return Ok(()) };
    if found["metadata"]["labels"][MANAGED_BY.0] != MANAGED_BY.1 {
        return Err(PlatformError::Limit {
            platform: platform.name(),
            limit: format!(
                "a {} {name} that the testbed did not make is in namespace {namespace}",
                resource.kind
            ),
            remedy: "choose another name or namespace, or remove it yourself".to_owned(),
        });
    }
    api.delete(resource, Some(namespace), name).await.map_err(|e| explained(platform, e))?;
    Ok(())
}

/// Waits until the pods that a selector matches are gone.
///
/// # Errors
/// Which are left when the time is up.
pub async fn wait_until_gone(
    api: &Api,
    platform: PlatformKind,
    namespace: &str,
    selector: &str,
) -> Result<(), PlatformError> {
    let left = pods::wait_until_gone(api, namespace, selector, GONE_LIMIT).await;
    let left = left.map_err(|e| explained(platform, e))?;
    if left.is_empty() {
        return Ok(());
    }
    Err(PlatformError::Control {
        platform: platform.name(),
        cause: format!(
            "after {} min these pods are still there and hold their CPU: {}; look at them with `kubectl -n {namespace} describe pod`",
            GONE_LIMIT.as_secs() / 60,
            left.join(", ")
        ),
    })
}

/// A refusal in words: what the plan asks for and the cluster does not give is a limit, the rest a
/// failure of the control interface.
pub fn explained(platform: PlatformKind, error: ApiError) -> PlatformError {
    let limit = |limit: String, remedy: &str| PlatformError::Limit {
        platform: platform.name(),
        limit,
        remedy: remedy.to_owned(),
    };
    match error {
        ApiError::Refused { code: 400 | 422, message, .. } => limit(
            format!("the cluster refuses the manifest: {}", without_preamble(&message)),
            "change the function's settings in the experiment",
        ),
        ApiError::Refused { code: 404, message, .. } if message.contains("namespaces \"") => {
            limit(message, "make the namespace, or choose another one")
        }
        ApiError::Forbidden { message } if message.contains("exceeded quota") => {
            limit(message, "raise the namespace's quota, or lower replicas, cpu-cores or memory-mib")
        }
        other => PlatformError::Control { platform: platform.name(), cause: other.to_string() },
    }
}

/// A webhook's message without what every one of them begins with.
fn without_preamble(message: &str) -> &str {
    let message = message.split_once("denied the request: ").map_or(message, |(_, rest)| rest);
    message.strip_prefix("validation failed: ").unwrap_or(message)
}

/// The pods of a selector as the API server has them, those that are being deleted left out.
///
/// # Errors
/// If they cannot be listed.
pub async fn live_pods(api: &Api, namespace: &str, selector: &str) -> Result<Vec<Value>, ApiError> {
    let selection = Selection::labelled(selector);
    let listed = api.list(&super::resources::PODS, Some(namespace), &selection).await?;
    Ok(listed.items.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
}
