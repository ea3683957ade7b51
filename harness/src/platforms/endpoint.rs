//! URLs that are there already: nothing is deployed, nothing is removed, and little is known.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Deployed, FunctionSpec, Platform, PlatformError, PlatformKind, ReplicaSample, ZeroProof, limits,
    openfaas::gateway::http_client, setting,
};
use crate::{drive::Endpoint, words::innermost};

/// How long one URL may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What is said of a setting that nobody can look up.
const UNKNOWN: &str = "unknown: it was there already";

/// URLs that are there already.
#[derive(Debug)]
pub struct AnyEndpoint {
    urls: Vec<String>,
}

impl AnyEndpoint {
    /// Nothing is asked yet.
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls }
    }

    /// Where requests go: a URL without a path of its own gets the experiment's.
    fn endpoints(&self, spec: &FunctionSpec) -> Result<Vec<Endpoint>, PlatformError> {
        let refuse = |limit: String, remedy: &str| {
            Err(PlatformError::Limit { platform: "endpoint", limit, remedy: remedy.to_owned() })
        };
        if self.urls.is_empty() {
            return refuse(
                "no URL is given".to_owned(),
                "give one or more as --endpoint http://HOST:PORT/PATH",
            );
        }
        let mut endpoints = Vec::new();
        for url in &self.urls {
            let Ok(parsed) = reqwest::Url::parse(url) else {
                return refuse(
                    format!("'{url}' is no URL"),
                    "write for example http://127.0.0.1:8080/predict",
                );
            };
            let shown = format!("{}://{}", parsed.scheme(), parsed.host_str().unwrap_or_default());
            if !matches!(parsed.scheme(), "http" | "https") {
                return refuse(format!("{shown} is neither http nor https"), "write http:// or https://");
            }
            if !parsed.username().is_empty() || parsed.password().is_some() {
                let problem = format!("the URL of {shown} carries a login");
                return refuse(problem, "leave it out: a report would show it");
            }
            let has_path = parsed.path() != "/" || parsed.query().is_some();
            let url =
                if has_path { url.clone() } else { format!("{}{}", url.trim_end_matches('/'), spec.path) };
            endpoints.push(Endpoint { url, headers: Vec::new() });
        }
        Ok(endpoints)
    }
}

impl Platform for AnyEndpoint {
    async fn deploy(&mut self, spec: &FunctionSpec) -> Result<Deployed, PlatformError> {
        limits::accept(PlatformKind::Endpoint, spec)?;
        let endpoints = self.endpoints(spec)?;
        let started = Instant::now();
        let client = http_client().map_err(|cause| PlatformError::Control { platform: "endpoint", cause })?;
        for endpoint in &endpoints {
            is_there(&client, &endpoint.url).await.map_err(|cause| PlatformError::NotReady {
                platform: "endpoint",
                name: spec.name.clone(),
                waited_s: started.elapsed().as_secs_f64(),
                cause: format!("{} does not answer ({cause}); start it, or correct the URL", endpoint.url),
            })?;
        }
        let settings = settings(spec, &endpoints);
        Ok(Deployed { endpoints, ready_after: started.elapsed(), settings, pods: None })
    }

    /// Replicas are not known: each URL counts as one that is ready.
    async fn observe(&self) -> Result<ReplicaSample, PlatformError> {
        let count = self.urls.len() as u32;
        Ok(ReplicaSample { ready: count, desired: count, ..ReplicaSample::default() })
    }

    async fn remove(&mut self) -> Result<(), PlatformError> {
        Ok(())
    }

    /// The URLs as they are, whatever the name.
    async fn find(&mut self, _name: &str) -> Result<Option<Deployed>, PlatformError> {
        let endpoints: Vec<_> =
            self.urls.iter().map(|url| Endpoint { url: url.clone(), headers: Vec::new() }).collect();
        Ok((!endpoints.is_empty()).then(|| Deployed {
            endpoints,
            ready_after: Duration::ZERO,
            settings: BTreeMap::new(),
            pods: None,
        }))
    }

    async fn wait_for_zero(&self, _limit: Duration) -> Result<ZeroProof, PlatformError> {
        Err(PlatformError::Limit {
            platform: "endpoint",
            limit: "replicas behind a URL cannot be seen, so zero cannot be proved".to_owned(),
            remedy: "measure cold starts on knative".to_owned(),
        })
    }
}

fn settings(spec: &FunctionSpec, endpoints: &[Endpoint]) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<_, _> =
        setting::ON_CLUSTER.iter().map(|key| ((*key).to_owned(), UNKNOWN.to_owned())).collect();
    let urls = endpoints.iter().map(|e| e.url.as_str()).collect::<Vec<_>>().join(", ");
    let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
    set(setting::PLATFORM, "endpoint".to_owned());
    set(setting::PATH, spec.path.clone());
    set(setting::ENTRY, urls);
    if endpoints.len() > 1 {
        set(setting::BALANCING, format!("the generator: one of {} URLs at random", endpoints.len()));
    }
    settings
}

/// Whether anything speaks HTTP there: whatever status it answers a HEAD with.
async fn is_there(client: &reqwest::Client, url: &str) -> Result<(), String> {
    let answer = client.head(url).timeout(ANSWER_LIMIT).send().await;
    answer.map(drop).map_err(|error| {
        if error.is_timeout() {
            return format!("nothing within {} s", ANSWER_LIMIT.as_secs());
        }
        innermost(&error)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        platforms::openfaas::tests::spec,
        replay::{Exchange, Replay},
    };

    fn endpoint(urls: &[&str]) -> AnyEndpoint {
        AnyEndpoint::new(urls.iter().map(|&url| url.to_owned()).collect())
    }

    #[tokio::test]
    async fn any_status_counts_as_being_there_and_only_a_bare_url_gets_the_path() {
        let server = Replay::start([Exchange::new("HEAD", "/*", 405, Value::Null)]).await;
        let (bare, own) = (format!("{}/", server.url()), format!("{}/mine?x=1", server.url()));
        let mut platform = endpoint(&[&bare, &own]);
        let deployed = platform.deploy(&spec()).await.unwrap();
        let urls: Vec<_> = deployed.endpoints.iter().map(|e| e.url.replace(&server.url(), "")).collect();
        assert_eq!(urls, ["/predict?top=5", "/mine?x=1"]);
        assert_eq!(server.calls(), ["HEAD /predict", "HEAD /mine"]);
        assert!(setting::ON_CLUSTER.iter().all(|key| deployed.settings.contains_key(*key)));
        assert_eq!(deployed.settings[setting::IMAGE], "unknown: it was there already");
        assert_eq!(platform.observe().await.unwrap().ready, 2);
        platform.remove().await.unwrap();
        assert_eq!(server.calls().len(), 2);
    }

    #[tokio::test]
    async fn a_url_that_nobody_listens_at_is_not_ready_with_the_cause() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = endpoint(&[&url]).deploy(&spec()).await.unwrap_err();
        assert!(matches!(error, PlatformError::NotReady { .. }));
        assert!(error.to_string().contains("Connection refused"), "{error}");
        let server = Replay::start([Exchange::hang_up("HEAD", "/*")]).await;
        let error = endpoint(&[&server.url()]).deploy(&spec()).await.unwrap_err();
        assert!(matches!(error, PlatformError::NotReady { .. }), "{error}");
    }

    #[tokio::test]
    async fn urls_that_cannot_be_used_are_refused_without_showing_a_login() {
        let mut messages = Vec::new();
        for urls in [&[][..], &["predict"], &["ftp://127.0.0.1/x"], &["http://me:hunter2@127.0.0.1/"]] {
            messages.push(endpoint(urls).deploy(&spec()).await.unwrap_err().to_string());
        }
        insta::assert_snapshot!(messages.join("\n"), @r#"
        endpoint cannot do this: no URL is given; give one or more as --endpoint http://HOST:PORT/PATH
        endpoint cannot do this: 'predict' is no URL; write for example http://127.0.0.1:8080/predict
        endpoint cannot do this: ftp://127.0.0.1 is neither http nor https; write http:// or https://
        endpoint cannot do this: the URL of http://127.0.0.1 carries a login; leave it out: a report would show it
        "#);
        assert!(endpoint(&["http://127.0.0.1/"]).wait_for_zero(Duration::ZERO).await.is_err());
    }
}
