//! The API server, in JSON: get, list, server-side apply, delete, watch; retries with bounds and
//! errors that name the remedy. Nothing else in the harness talks to it.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt};
use hyper::{Method, Request};
use kube::core::WatchEvent;
use serde_json::Value;

use super::resources::Resource;
use crate::words::{innermost, one_line};

/// Owner of the fields that the testbed sets.
pub const FIELD_MANAGER: &str = "serverless-testbed";

/// How long a question that fails for a passing reason is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until it is given up. An API server that restarts is away for half a minute.
    pub total: Duration,
    /// Deadline of one attempt.
    pub attempt: Duration,
    /// First pause; each next one is twice as long, up to two seconds.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(45),
            attempt: Duration::from_secs(20),
            pause: Duration::from_millis(200),
        }
    }
}

impl Patience {
    /// Ask once.
    pub const ONCE: Self =
        Self { total: Duration::ZERO, attempt: Duration::from_secs(20), pause: Duration::from_millis(200) };

    /// The same with this deadline for an attempt.
    #[must_use]
    pub fn within(self, attempt: Duration) -> Self {
        Self { attempt, ..self }
    }
}

/// What a list or watch selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Label selector; empty: all.
    pub labels: String,
    /// Field selector; empty: all.
    pub fields: String,
}

impl Selection {
    /// By labels.
    pub fn labelled(labels: impl Into<String>) -> Self {
        Self { labels: labels.into(), fields: String::new() }
    }

    /// By name.
    pub fn named(name: &str) -> Self {
        Self { labels: String::new(), fields: format!("metadata.name={name}") }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        [("labelSelector", &self.labels), ("fieldSelector", &self.fields)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key, value.clone()))
            .collect()
    }
}

/// Objects, and the version of the collection that they were read at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listed {
    /// The objects.
    pub items: Vec<Value>,
    /// Where a watch goes on from.
    pub resource_version: String,
}

/// One use of a right, for the check that the RBAC files grant just what is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: String,
    /// Plural name, with `/subresource` where there is one; or the path of no resource.
    pub resource: String,
}

/// Why the API server did not do what was asked. One line, with the remedy.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// No answer.
    #[error(
        "the API server does not answer ({cause}); check that it runs and that the context is the right one"
    )]
    Unreachable {
        /// What the transport says.
        cause: String,
    },
    /// 401.
    #[error(
        "the API server does not accept the login (401); log in again or renew the kubeconfig's credentials"
    )]
    Unauthorized,
    /// 403.
    #[error(
        "not allowed: {message}; apply cluster-setup/rbac/testbed.yaml or ask the cluster's owner for these rights"
    )]
    Forbidden {
        /// What the server says.
        message: String,
    },
    /// Any other refusal.
    #[error("the API server refuses to {what} ({code} {reason}): {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        code: u16,
        /// Its reason, a word.
        reason: String,
        /// Its message.
        message: String,
    },
    /// An answer that makes no sense.
    #[error("the API server's answer to {what} cannot be read: {cause}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl ApiError {
    /// HTTP status of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unauthorized => Some(401),
            Self::Forbidden { .. } => Some(403),
            Self::Unreachable { .. } | Self::Answer { .. } => None,
        }
    }

    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(code, 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// The API server.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    patience: Patience,
    calls: Arc<Mutex<BTreeSet<Call>>>,
    /// Whether the caller needs an administrator's rights anyway, beyond the table of rights.
    #[cfg_attr(not(test), expect(dead_code, reason = "the table is compared in tests alone"))]
    as_administrator: bool,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Api {
    /// Wraps a client.
    pub fn new(client: kube::Client, patience: Patience) -> Self {
        Self { client, patience, calls: Arc::default(), as_administrator: false }
    }

    /// The same server, asked by what only an administrator can do: setting up the cluster itself.
    #[must_use]
    pub fn as_administrator(&self) -> Self {
        Self { as_administrator: true, ..self.clone() }
    }

    /// The same server, asked with another patience.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The client itself, for what is no plain question (port-forwards).
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Every right used so far.
    pub fn calls(&self) -> BTreeSet<Call> {
        self.calls.lock().map(|calls| calls.clone()).unwrap_or_default()
    }

    /// Notes the use of a right; [`Api`]'s own methods do it themselves.
    ///
    /// # Panics
    /// In tests, if the table of rights does not cover it.
    pub fn note(&self, verb: &'static str, group: &str, resource: &str) {
        let call = Call { verb, group: group.to_owned(), resource: resource.to_owned() };
        // Every test that makes a call checks that the manifest of rights covers it.
        #[cfg(test)]
        assert!(
            self.as_administrator || super::rights::covers(&call),
            "{call:?} is not in platforms/cluster/rights.rs"
        );
        if let Ok(mut calls) = self.calls.lock() {
            calls.insert(call);
        }
    }

    /// One object; none if it is not there (or its kind is not known to the server).
    ///
    /// # Errors
    /// Whatever else the server answers.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, ApiError> {
        self.note("get", resource.group, resource.plural);
        let path = format!("{}/{name}", resource.path(namespace));
        let what = format!("get {} {name}", resource.kind);
        absent_is_none(self.ask(&Question::new(Method::GET, path, what)).await)
    }

    /// All objects of a kind, in a namespace or in all.
    ///
    /// # Errors
    /// Whatever the server answers; a kind that it does not know is 404.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selection: &Selection,
    ) -> Result<Listed, ApiError> {
        self.note("list", resource.group, resource.plural);
        let path = with_query(resource.path(namespace), &selection.query());
        let what = format!("list {}", resource.plural);
        let mut answer = self.ask(&Question::new(Method::GET, path, what)).await?;
        let version = answer["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut items: Vec<Value> = match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        // Items of a list come without these; everything downstream may count on them.
        for item in &mut items {
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = resource.kind.into();
        }
        Ok(Listed { items, resource_version: version })
    }

    /// Server-side apply: afterwards the object is as given. Takes fields over from other managers.
    ///
    /// # Errors
    /// A refusal of the server or of an admission webhook.
    pub async fn apply(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ApiError> {
        self.apply_with(resource, namespace, object, FIELD_MANAGER, &[]).await
    }

    /// The same as another owner of fields: what an earlier apply of this owner set and this object
    /// leaves out is taken back.
    ///
    /// # Errors
    /// A refusal of the server or of an admission webhook.
    pub async fn apply_as(
        &self,
        manager: &str,
        resource: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ApiError> {
        self.apply_with(resource, namespace, object, manager, &[]).await
    }

    /// What [`Api::apply`] would answer, without doing it.
    ///
    /// # Errors
    /// A refusal of the server or of an admission webhook.
    pub async fn try_apply(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let dry_run = [("dryRun", "All".to_owned())];
        self.apply_with(resource, namespace, object, FIELD_MANAGER, &dry_run).await
    }

    async fn apply_with(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        object: &Value,
        manager: &str,
        more: &[(&'static str, String)],
    ) -> Result<Value, ApiError> {
        // An apply that makes the object needs both rights.
        self.note("patch", resource.group, resource.plural);
        self.note("create", resource.group, resource.plural);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut query = vec![("fieldManager", manager.to_owned()), ("force", "true".to_owned())];
        query.extend_from_slice(more);
        let path = with_query(format!("{}/{name}", resource.path(namespace)), &query);
        let mut question = Question::new(Method::PATCH, path, format!("apply {} {name}", resource.kind));
        // JSON is YAML.
        question.body = Some(("application/apply-patch+yaml", object.to_string()));
        self.ask(&question).await
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    /// Whatever the server answers.
    pub async fn merge(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        self.note("patch", resource.group, resource.plural);
        let target = format!("{}/{name}", resource.path(namespace));
        let target = with_query(target, &[("fieldManager", FIELD_MANAGER.into())]);
        let mut question = Question::new(Method::PATCH, target, format!("patch {} {name}", resource.kind));
        question.body = Some(("application/merge-patch+json", patch.to_string()));
        self.ask(&question).await
    }

    /// Deletes an object and, in the background, what it owns. False: it was not there.
    ///
    /// # Errors
    /// Whatever else the server answers.
    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<bool, ApiError> {
        self.note("delete", resource.group, resource.plural);
        let path = format!("{}/{name}", resource.path(namespace));
        // Without it a Job would leave its pods behind (its API's default is to orphan them).
        let path = with_query(path, &[("propagationPolicy", "Background".to_owned())]);
        let what = format!("delete {} {name}", resource.kind);
        let deleted = self.ask(&Question::new(Method::DELETE, path, what)).await;
        Ok(absent_is_none(deleted)?.is_some())
    }

    /// The JSON at a path that is no resource: `/version`, `/apis`, a node's proxy.
    ///
    /// # Errors
    /// Whatever the server answers.
    pub async fn get_path(&self, path: &str) -> Result<Value, ApiError> {
        self.ask(&Question::new(Method::GET, path.to_owned(), format!("get {path}"))).await
    }

    /// The text at a path: a pod's log, a kubelet's metrics.
    ///
    /// # Errors
    /// Whatever the server answers.
    pub async fn get_text(&self, path: &str) -> Result<String, ApiError> {
        self.ask_text(&Question::new(Method::GET, path.to_owned(), format!("get {path}"))).await
    }

    /// Creates something that is asked by being created (a `SelfSubjectAccessReview`). Not retried.
    ///
    /// # Errors
    /// Whatever the server answers.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let mut question = Question::new(Method::POST, path.to_owned(), format!("post {path}"));
        question.body = Some(("application/json", body.to_string()));
        let text = self.attempt(&question).await?;
        question.read(&text)
    }

    /// Changes of a collection from a version on, until the server ends the stream.
    ///
    /// # Errors
    /// If the stream cannot be opened. [`super::follow::follow`] keeps one alive.
    pub async fn watch(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selection: &Selection,
        from: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, ApiError>> + Send + use<>, ApiError> {
        self.note("watch", resource.group, resource.plural);
        let mut query = vec![
            ("watch", "true".to_owned()),
            ("resourceVersion", from.to_owned()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("timeoutSeconds", "290".to_owned()),
        ];
        query.extend(selection.query());
        let what = format!("watch {}", resource.plural);
        let question = Question::new(Method::GET, with_query(resource.path(namespace), &query), what.clone());
        let opened = self.client.request_events::<Value>(question.request()?);
        let stream = tokio::time::timeout(self.patience.attempt, opened)
            .await
            .map_err(|_| ApiError::Unreachable { cause: format!("no answer to {what} in time") })?
            .map_err(|error| translate(error, &what))?;
        Ok(stream.map(move |event: kube::Result<_>| event.map_err(|error| translate(error, &what))))
    }

    async fn ask(&self, question: &Question) -> Result<Value, ApiError> {
        let text = self.ask_text(question).await?;
        question.read(&text)
    }

    /// Asks until it is answered, refused for good, or patience ends.
    async fn ask_text(&self, question: &Question) -> Result<String, ApiError> {
        let started = Instant::now();
        let mut pause = self.patience.pause;
        loop {
            match self.attempt(question).await {
                Err(error) if error.is_passing() && started.elapsed() + pause < self.patience.total => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                answer => return answer,
            }
        }
    }

    async fn attempt(&self, question: &Question) -> Result<String, ApiError> {
        let asked = self.client.request_text(question.request()?);
        match tokio::time::timeout(self.patience.attempt, asked).await {
            Ok(answer) => answer.map_err(|error| translate(error, &question.what)),
            Err(_) => Err(ApiError::Unreachable {
                cause: format!("no answer to {} within {:?}", question.what, self.patience.attempt),
            }),
        }
    }
}

/// One question, which can be asked again.
struct Question {
    method: Method,
    path: String,
    /// In words, for messages.
    what: String,
    body: Option<(&'static str, String)>,
}

impl Question {
    fn new(method: Method, path: String, what: String) -> Self {
        Self { method, path, what, body: None }
    }

    fn request(&self) -> Result<Request<Vec<u8>>, ApiError> {
        let mut request = Request::builder().method(&self.method).uri(&self.path);
        let body = match &self.body {
            Some((content_type, body)) => {
                request = request.header(hyper::header::CONTENT_TYPE, *content_type);
                body.clone().into_bytes()
            }
            None => Vec::new(),
        };
        request.body(body).map_err(|error| self.unreadable(&error))
    }

    fn read(&self, text: &str) -> Result<Value, ApiError> {
        serde_json::from_str(text).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, cause: &dyn std::fmt::Display) -> ApiError {
        ApiError::Answer { what: self.what.clone(), cause: cause.to_string() }
    }
}

fn absent_is_none(answer: Result<Value, ApiError>) -> Result<Option<Value>, ApiError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_query(path: String, query: &[(&'static str, String)]) -> String {
    if query.is_empty() {
        return path;
    }
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Percent-encoding of everything but unreserved characters (RFC 3986, section 2.3).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn translate(error: kube::Error, what: &str) -> ApiError {
    match error {
        kube::Error::Api(status) => match status.code {
            401 => ApiError::Unauthorized,
            403 => ApiError::Forbidden { message: one_line(&status.message) },
            code => ApiError::Refused {
                what: what.to_owned(),
                code,
                reason: status.reason.clone(),
                message: one_line(&status.message),
            },
        },
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            ApiError::Answer { what: what.to_owned(), cause: error.to_string() }
        }
        kube::Error::Auth(cause) => ApiError::Unreachable { cause: format!("the login failed: {cause}") },
        other => ApiError::Unreachable { cause: innermost(&other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_escaped_in_queries() {
        let selection = Selection::labelled("a/b=c,d");
        assert_eq!(with_query("/p".into(), &selection.query()), "/p?labelSelector=a%2Fb%3Dc%2Cd");
        assert_eq!(with_query("/p".into(), &[]), "/p");
    }

    #[test]
    fn passing_failures_are_told_from_lasting_ones() {
        let refused = |code| ApiError::Refused {
            what: "get x".into(),
            code,
            reason: String::new(),
            message: String::new(),
        };
        assert!(ApiError::Unreachable { cause: String::new() }.is_passing());
        assert!([429, 502, 503, 504].into_iter().all(|code| refused(code).is_passing()));
        assert!(![400, 404, 409, 410, 422, 500].into_iter().any(|code| refused(code).is_passing()));
        assert!(!ApiError::Unauthorized.is_passing());
    }
}
