//! The annotations of Grafana's HTTP API: what is there, and one more.
//! (Grafana documentation, "Annotations API".)

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize;

use super::{Annotation, TESTBED, cell_of};
use crate::{
    secret::Secret,
    words::{innermost, one_line},
};

/// How long an answer may take: a run waits for it between two deployments.
const LIMIT: Duration = Duration::from_secs(5);
/// Annotations that are asked for; without a limit Grafana gives 100.
const MOST: usize = 100_000;
/// Words of a refusal that are shown.
const SHOWN_CHARACTERS: usize = 200;

/// A Grafana, and the right to write into it.
#[derive(Debug, Clone)]
pub struct Grafana {
    client: reqwest::Client,
    url: String,
    token: Option<Secret>,
}

/// Why an annotation did not get there. Messages name the remedy.
#[derive(Debug, thiserror::Error)]
pub enum GrafanaError {
    /// The address cannot be used.
    #[error("--grafana {url}: {problem}; write for example http://10.0.0.1:3000")]
    Address {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody answers.
    #[error("{url} does not answer ({cause})")]
    Unreachable {
        /// Grafana's address.
        url: String,
        /// In the transport's words.
        cause: String,
    },
    /// The token is not good enough, or there is none.
    #[error(
        "{url} refuses ({status}): give a token of a service account that may edit, in GRAFANA_TOKEN or with \
         --grafana-token-file"
    )]
    Refused {
        /// Grafana's address.
        url: String,
        /// Of its answer.
        status: u16,
    },
    /// Something else.
    #[error("{url} answers {status} ({text}): is it Grafana?")]
    Odd {
        /// What was asked.
        url: String,
        /// Of the answer.
        status: u16,
        /// Its beginning.
        text: String,
    },
}

impl Grafana {
    /// A Grafana at an address; connects to nothing yet.
    ///
    /// # Errors
    /// If the address makes no sense, or carries a login.
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, GrafanaError> {
        let wrong = |url: &str, problem| Err(GrafanaError::Address { url: url.to_owned(), problem });
        if url.contains('@') {
            return wrong("URL", "the URL carries a login; the token comes from GRAFANA_TOKEN or a file");
        }
        let is_web =
            |uri: &hyper::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none();
        if !url.parse::<hyper::Uri>().is_ok_and(|uri| is_web(&uri)) {
            return wrong(url, "this is no address of a Grafana");
        }
        crate::crypto::choose_provider();
        let client =
            reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let Ok(client) = client.build() else { return wrong(url, "no HTTP client can be made") };
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The cells of a run that have an annotation.
    ///
    /// # Errors
    /// If Grafana does not say.
    pub async fn cells(&self, run: &str) -> Result<BTreeSet<String>, GrafanaError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            tags: Vec<String>,
        }
        let request = self.client.get(self.api()).query(&[
            ("tags", TESTBED),
            ("tags", run),
            ("type", "annotation"),
            ("limit", &MOST.to_string()),
        ]);
        let text = self.ask(request).await?;
        let found: Vec<Found> = serde_json::from_str(&text).map_err(|_| self.odd(200, &text))?;
        Ok(found.iter().filter_map(|found| cell_of(&found.tags)).map(str::to_owned).collect())
    }

    /// Adds an annotation; a second time it would be there twice.
    ///
    /// # Errors
    /// If Grafana does not take it.
    pub async fn add(&self, annotation: &Annotation) -> Result<(), GrafanaError> {
        self.ask(self.client.post(self.api()).json(annotation)).await.map(drop)
    }

    fn api(&self) -> String {
        format!("{}/api/annotations", self.url)
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<String, GrafanaError> {
        let unreachable = |error: reqwest::Error| GrafanaError::Unreachable {
            url: self.url.clone(),
            cause: if error.is_timeout() {
                format!("no answer within {} s", LIMIT.as_secs())
            } else {
                innermost(&error)
            },
        };
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(unreachable)?;
        match status {
            200 => Ok(text),
            401 | 403 => Err(GrafanaError::Refused { url: self.url.clone(), status }),
            _ => Err(self.odd(status, &text)),
        }
    }

    fn odd(&self, status: u16, text: &str) -> GrafanaError {
        let text = one_line(text).chars().take(SHOWN_CHARACTERS).collect();
        GrafanaError::Odd { url: self.api(), status, text }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::replay::{Exchange, Replay};

    fn annotation() -> Annotation {
        Annotation { time: 1, time_end: 2, tags: vec!["cell:a".into()], text: "a".into() }
    }

    #[tokio::test]
    async fn an_annotation_is_posted_with_the_token_and_found_again_by_its_tags() {
        let found = json!([
            { "id": 1, "time": 1, "timeEnd": 2, "text": "a", "tags": ["serverless-testbed", "r", "cell:a"] },
            { "id": 2, "time": 1, "timeEnd": 2, "text": "by hand", "tags": ["serverless-testbed", "r"] },
        ]);
        let added = json!({ "id": 3, "message": "Annotation added" });
        let server = Replay::start([
            Exchange::new("POST", "/grafana/api/annotations", 200, added),
            Exchange::new("GET", "/grafana/api/annotations", 200, found)
                .asked_with("tags=serverless-testbed")
                .asked_with("tags=r"),
        ])
        .await;
        let url = format!("{}/grafana/", server.url());
        let grafana = Grafana::new(&url, Some(Secret::new("hush"))).unwrap();
        grafana.add(&annotation()).await.unwrap();
        assert_eq!(grafana.cells("r").await.unwrap(), BTreeSet::from(["a".to_owned()]));
        let asked = server.asked();
        assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hush")));
        assert_eq!(asked[0].body, json!({ "time": 1, "timeEnd": 2, "tags": ["cell:a"], "text": "a" }));
        assert!(!format!("{grafana:?}").contains("hush"));
    }

    #[tokio::test]
    async fn whatever_goes_wrong_is_said_with_what_mends_it() {
        let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let server = Replay::start([
            Exchange::new("POST", "/a/api/annotations", 401, json!({ "message": "Unauthorized" })),
            Exchange::new("POST", "/b/api/annotations", 200, Value::Null),
            Exchange::new("POST", "/b/api/annotations", 302, Value::Null),
        ])
        .await;
        let add = async |url: String| {
            let grafana = Grafana::new(&url, None).unwrap();
            grafana.add(&annotation()).await.map_err(|error| error.to_string())
        };
        assert!(add(format!("http://{closed}")).await.unwrap_err().contains("does not answer"));
        assert!(add(format!("{}/a", server.url())).await.unwrap_err().contains("--grafana-token-file"));
        assert_eq!(add(format!("{}/b", server.url())).await, Ok(()));
        assert!(add(format!("{}/b", server.url())).await.unwrap_err().contains("answers 302"));
    }

    #[test]
    fn an_address_that_makes_no_sense_or_carries_a_login_is_refused_without_repeating_the_login() {
        let refused = |url: &str| Grafana::new(url, None).unwrap_err().to_string();
        for url in ["grafana:3000", "ftp://grafana", "http://grafana/?orgId=1", ""] {
            assert!(refused(url).contains("http://10.0.0.1:3000"), "{url}");
        }
        let login = refused("http://admin:hush@grafana");
        assert!(login.contains("GRAFANA_TOKEN") && !login.contains("hush"), "{login}");
    }
}
