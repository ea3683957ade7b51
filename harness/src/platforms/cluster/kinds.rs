//! Kinds of objects that only the API server knows: from the `apiVersion` and `kind` of a manifest
//! to the path of its collection.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Api, ApiError, resources::Resource};

/// How long a kind whose definition was just accepted may take to be served.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
/// Pause between two questions for it.
const PAUSE: Duration = Duration::from_millis(250);

/// A kind as the server serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Where its API is.
    pub resource: Resource,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
}

impl Served {
    /// The namespace to ask in: none for what lies in none.
    pub fn within<'a>(&self, namespace: Option<&'a str>) -> Option<&'a str> {
        self.is_namespaced.then(|| namespace.unwrap_or("default"))
    }
}

/// What was learnt of the server's kinds.
#[derive(Debug)]
pub struct Kinds {
    api: Api,
    /// By `apiVersion`, then `kind`.
    known: Mutex<BTreeMap<String, BTreeMap<String, Served>>>,
}

impl Kinds {
    /// Nothing is known yet.
    pub fn new(api: &Api) -> Self {
        Self { api: api.clone(), known: Mutex::default() }
    }

    /// The kind, if the server serves it now.
    ///
    /// # Errors
    /// If the server does not say.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Option<Served>, ApiError> {
        if let Some(served) = self.look_up(api_version, kind) {
            return Ok(Some(served));
        }
        let path = match api_version.split_once('/') {
            Some((group, version)) => format!("/apis/{group}/{version}"),
            None => format!("/api/{api_version}"),
        };
        let answer = match self.api.get_path(&path).await {
            Err(error) if error.code() == Some(404) => return Ok(None),
            answer => answer?,
        };
        self.learn(api_version, &answer);
        Ok(self.look_up(api_version, kind))
    }

    /// The kind, waited for shortly: a definition is established a moment before it is served.
    ///
    /// # Errors
    /// If the server does not serve it.
    pub async fn need(&self, api_version: &str, kind: &str) -> Result<Served, ApiError> {
        let started = Instant::now();
        loop {
            if let Some(served) = self.find(api_version, kind).await? {
                return Ok(served);
            }
            if started.elapsed() + PAUSE > SERVED_WITHIN {
                return Err(ApiError::Refused {
                    what: format!("find the kind {kind}"),
                    code: 404,
                    reason: "NotFound".to_owned(),
                    message: format!(
                        "it serves no {kind} of {api_version}; set up the component that defines it first"
                    ),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn look_up(&self, api_version: &str, kind: &str) -> Option<Served> {
        self.known.lock().ok()?.get(api_version)?.get(kind).copied()
    }

    fn learn(&self, api_version: &str, answer: &Value) {
        let Ok(mut known) = self.known.lock() else { return };
        let of_version = known.entry(api_version.to_owned()).or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        for item in answer["resources"].as_array().into_iter().flatten() {
            let (Some(plural), Some(kind)) = (item["name"].as_str(), item["kind"].as_str()) else { continue };
            // `deployments/scale` is no kind of its own.
            if plural.contains('/') || of_version.contains_key(kind) {
                continue;
            }
            let resource = Resource::named_by_server(group, version, plural, kind);
            let is_namespaced = item["namespaced"] == true;
            of_version.insert(kind.to_owned(), Served { resource, is_namespaced });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::{Exchange, Replay};

    fn served(plural: &str, kind: &str, is_namespaced: bool) -> Value {
        json!({ "name": plural, "kind": kind, "namespaced": is_namespaced, "verbs": [] })
    }

    #[tokio::test]
    async fn a_kind_is_asked_for_once_and_its_subresources_are_no_kinds() {
        let list = json!({ "resources": [
            served("ipaddresspools/status", "IPAddressPool", true), served("ipaddresspools", "IPAddressPool", true)] });
        let server = Replay::start([Exchange::new("GET", "/apis/metallb.io/v1beta1", 200, list)]).await;
        let kinds = Kinds::new(&server.api());
        for _ in 0..2 {
            let found = kinds.find("metallb.io/v1beta1", "IPAddressPool").await.unwrap().unwrap();
            assert_eq!(
                found.resource.path(found.within(Some("metallb-system"))),
                "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
            );
        }
        assert_eq!(server.calls(), ["GET /apis/metallb.io/v1beta1"]);
    }

    #[tokio::test]
    async fn a_definition_that_is_not_served_yet_is_waited_for() {
        let path = "/apis/metallb.io/v1beta1";
        let list = json!({ "resources": [served("ipaddresspools", "IPAddressPool", true)] });
        let server = Replay::start([
            crate::platforms::cluster::testing::refusal("GET", path, 404, "not found"),
            Exchange::new("GET", path, 200, list),
        ])
        .await;
        let kinds = Kinds::new(&server.api());
        assert_eq!(kinds.find("metallb.io/v1beta1", "IPAddressPool").await.unwrap(), None);
        assert!(kinds.need("metallb.io/v1beta1", "IPAddressPool").await.unwrap().is_namespaced);
    }

    #[tokio::test]
    async fn what_lies_in_no_namespace_is_asked_for_in_none() {
        let list = json!({ "resources": [served("nodes", "Node", false), served("pods", "Pod", true)] });
        let server = Replay::start([Exchange::new("GET", "/api/v1", 200, list)]).await;
        let kinds = Kinds::new(&server.api());
        assert_eq!(kinds.find("v1", "Node").await.unwrap().unwrap().within(Some("a")), None);
        assert_eq!(kinds.find("v1", "Pod").await.unwrap().unwrap().within(None), Some("default"));
    }
}
