//! Plain questions to ingress, gateway and Prometheus: status, server and text of a GET.

use std::time::Duration;

use serde_json::Value;

use crate::platforms::cluster::Login;
use crate::words::innermost;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A client.
#[derive(Debug)]
pub(super) struct Http(Option<reqwest::Client>);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Server` header.
    pub(super) server: String,
    pub(super) text: String,
}

impl Answer {
    /// Its text as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Http {
    pub(super) fn new() -> Self {
        crate::crypto::choose_provider();
        let client =
            reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self(client.build().ok())
    }

    /// Asks, with a Host header or a login where one is given.
    pub(super) async fn get(
        &self,
        url: &str,
        host: Option<&str>,
        login: Option<&Login>,
    ) -> Result<Answer, String> {
        let client = self.0.as_ref().ok_or("no HTTP client could be made")?;
        let mut request = client.get(url);
        if let Some(host) = host {
            request = request.header(reqwest::header::HOST, host);
        }
        if let Some(login) = login {
            request = request.basic_auth(&login.user, Some(login.password.reveal()));
        }
        let answer = request.send().await.map_err(|error| innermost(&error))?;
        let status = answer.status().as_u16();
        let server =
            answer.headers().get("server").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let text = answer.text().await.map_err(|error| innermost(&error))?;
        Ok(Answer { status, server, text })
    }
}
