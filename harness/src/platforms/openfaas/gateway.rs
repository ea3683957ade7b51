//! The gateway's REST API. Codes and bodies follow what gateways answer, not their OpenAPI file:
//! errors are plain text, only 202 means that something was taken on, and an update that failed is
//! answered 200 with an empty body.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::login::GatewayLogin;
use crate::platforms::cluster::api::Patience;
use crate::words::{innermost, one_line};

/// How long a name that is being deleted is tried again. Its pods have 30 s to end.
const DELETION_WINDOW: Duration = Duration::from_mins(1);
/// Deadline of a trial invocation. The gateway itself would hold it for 100 s.
const INVOCATION_LIMIT: Duration = Duration::from_secs(10);

/// What is deployed. Texts and maps that are left out are left to the provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionDeployment {
    /// Name of the function.
    pub service: String,
    /// Its image.
    pub image: String,
    /// Its namespace.
    pub namespace: String,
    /// Environment.
    pub env_vars: BTreeMap<String, String>,
    /// Labels: scaling bounds, and marks.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Most that a replica may use.
    pub limits: Resources,
    /// What a replica is promised.
    pub requests: Resources,
    /// Whether its file system cannot be written.
    pub read_only_root_filesystem: bool,
    /// Names of Secrets in the function's namespace whose content it gets as files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// Quantities as Kubernetes spells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// `128Mi`.
    pub memory: String,
    /// `500m`.
    pub cpu: String,
}

/// What the gateway says of a function. Zeros are left out of its JSON.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionStatus {
    /// Its name.
    pub name: String,
    /// Its image, as asked for.
    pub image: String,
    /// Its namespace.
    pub namespace: String,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// Calls so far, from Prometheus.
    pub invocation_count: f64,
    /// Replicas that are wanted.
    pub replicas: u32,
    /// Replicas that can answer.
    pub available_replicas: u32,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// `/system/info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The provider.
    pub provider: ProviderInfo,
    /// The gateway's version.
    pub version: Version,
    /// The gateway's processor architecture.
    pub arch: String,
}

/// The provider behind the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProviderInfo {
    /// Its name, `faas-netes-ce`.
    pub provider: String,
    /// Its version.
    pub version: Version,
    /// `kubernetes`.
    pub orchestration: String,
}

/// A version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Release, `0.27.14`; `dev` for one built by hand.
    pub release: String,
    /// Commit.
    pub sha: String,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.release.is_empty(), self.sha.is_empty()) {
            (true, true) => f.write_str("unknown"),
            (true, false) => f.write_str(&self.sha),
            (false, true) => f.write_str(&self.release),
            (false, false) => write!(f, "{} ({})", self.release, self.sha),
        }
    }
}

/// Answer to an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// HTTP status.
    pub status: u16,
    /// Whether gateway or provider answered in the function's place.
    pub is_platforms: bool,
    /// `X-Boot-Id` of our function.
    pub boot_id: Option<String>,
    /// `X-Call-Id` of the gateway.
    pub call_id: Option<String>,
    /// The body's beginning, one line.
    pub said: String,
}

/// Why the gateway did not do what was asked. One line, with the remedy; never the password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    /// No answer.
    #[error(
        "the gateway at {url} does not answer ({cause}); check that it runs, or give its address as \
         --gateway http://HOST:PORT"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// What the transport says.
        cause: String,
    },
    /// 401.
    #[error(
        "the gateway does not accept the login (401; it came from {login}); give the right one with \
         --gateway-password-file FILE or OPENFAAS_PASSWORD"
    )]
    Unauthorized {
        /// Where the login came from.
        login: String,
    },
    /// 400.
    #[error("the gateway refuses to {what} (400): {message}")]
    Invalid {
        /// What was asked.
        what: String,
        /// What the gateway says.
        message: String,
    },
    /// The function is there already.
    #[error("a function {name} is there already; remove it, or deploy it with an update")]
    Exists {
        /// Its name.
        name: String,
    },
    /// The function's last life has not ended.
    #[error("function {name} is still being deleted; wait until its pods are gone, and deploy again")]
    BeingDeleted {
        /// Its name.
        name: String,
    },
    /// No such function.
    #[error("there is no function {name} ({message}); deploy it first")]
    Absent {
        /// Its name.
        name: String,
        /// What the gateway says.
        message: String,
    },
    /// An update that was answered 200.
    #[error(
        "the gateway answered the update of {name} with {status} in place of 202, which means that \
         nothing was updated (a rejected image, or a conflict); remove {name}, deploy it anew, and \
         read the provider's log"
    )]
    NotUpdated {
        /// The function.
        name: String,
        /// The status.
        status: u16,
    },
    /// Any other refusal.
    #[error("the gateway cannot {what} ({status}): {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        status: u16,
        /// What the gateway says.
        message: String,
    },
    /// An answer that makes no sense.
    #[error("the gateway's answer to {what} cannot be read ({cause}); is it an OpenFaaS gateway?")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No HTTP client.
    #[error("no HTTP client can be made for the gateway: {0}")]
    Client(String),
}

impl GatewayError {
    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// An OpenFaaS gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    client: reqwest::Client,
    url: String,
    login: Arc<GatewayLogin>,
    patience: Patience,
}

impl Gateway {
    /// A gateway at `http://HOST:PORT`; nothing is asked yet.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(url: &str, login: GatewayLogin, patience: Patience) -> Result<Self, GatewayError> {
        let client = http_client().map_err(GatewayError::Client)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, login: Arc::new(login), patience })
    }

    /// The same gateway, asked with another patience.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where a function is called, synchronously.
    pub fn function_url(&self, name: &str) -> String {
        format!("{}/function/{name}", self.url)
    }

    /// Versions of gateway and provider.
    ///
    /// # Errors
    /// Whatever the gateway answers.
    pub async fn info(&self) -> Result<Info, GatewayError> {
        self.read(&Question::get("/system/info", "say its version")).await
    }

    /// The namespaces that functions may be in.
    ///
    /// # Errors
    /// Whatever the gateway answers.
    pub async fn namespaces(&self) -> Result<Vec<String>, GatewayError> {
        self.read(&Question::get("/system/namespaces", "list namespaces")).await
    }

    /// All functions.
    ///
    /// # Errors
    /// Whatever the gateway answers.
    pub async fn functions(&self) -> Result<Vec<FunctionStatus>, GatewayError> {
        self.read(&Question::get("/system/functions", "list functions")).await
    }

    /// One function; none if it is not there. Just after a deployment that may be so for some
    /// milliseconds, until the provider's cache has it.
    ///
    /// # Errors
    /// Whatever else the gateway answers.
    pub async fn function(&self, name: &str) -> Result<Option<FunctionStatus>, GatewayError> {
        let question = Question::get(&format!("/system/function/{name}"), &format!("find function {name}"));
        match self.ask(&question).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (StatusCode::OK, body) => question.parse(&body).map(Some),
            (status, body) => Err(self.refusal(&question, status, &body)),
        }
    }

    /// Deploys a new function.
    ///
    /// # Errors
    /// [`GatewayError::Exists`], [`GatewayError::BeingDeleted`], or whatever else it answers.
    pub async fn deploy(&self, function: &FunctionDeployment) -> Result<(), GatewayError> {
        let name = &function.service;
        let question = Question::new(Method::POST, "/system/functions", &format!("deploy {name}"))
            .with(&serde_json::json!(function));
        let (status, body) = self.ask(&question).await?;
        if status == StatusCode::ACCEPTED {
            return Ok(());
        }
        let said = told(&body);
        if status == StatusCode::INTERNAL_SERVER_ERROR && said.contains("object is being deleted") {
            return Err(GatewayError::BeingDeleted { name: name.clone() });
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR && said.contains("already exists") {
            return Err(GatewayError::Exists { name: name.clone() });
        }
        Err(self.refusal(&question, status, &body))
    }

    /// Changes a function that is there.
    ///
    /// # Errors
    /// [`GatewayError::Absent`]; [`GatewayError::NotUpdated`] for any success that is not 202.
    pub async fn update(&self, function: &FunctionDeployment) -> Result<(), GatewayError> {
        let name = &function.service;
        let question = Question::new(Method::PUT, "/system/functions", &format!("update {name}"))
            .with(&serde_json::json!(function));
        match self.ask(&question).await? {
            (StatusCode::ACCEPTED, _) => Ok(()),
            (StatusCode::NOT_FOUND, body) => {
                Err(GatewayError::Absent { name: name.clone(), message: told(&body) })
            }
            (status, _) if status.is_success() => {
                Err(GatewayError::NotUpdated { name: name.clone(), status: status.as_u16() })
            }
            (status, body) => Err(self.refusal(&question, status, &body)),
        }
    }

    /// Puts a function there: deploys it, updates the one that is there, or waits until its last
    /// life has ended. Returns when the attempt began that was accepted.
    ///
    /// # Errors
    /// Whatever else the gateway answers.
    pub async fn put_in_place(&self, function: &FunctionDeployment) -> Result<Instant, GatewayError> {
        let started = Instant::now();
        let mut pause = self.patience.pause;
        loop {
            let attempt = Instant::now();
            let refused = match self.deploy(function).await {
                Ok(()) => return Ok(attempt),
                Err(GatewayError::Exists { .. }) => match self.update(function).await {
                    Ok(()) => return Ok(attempt),
                    // Gone between the two questions.
                    Err(gone @ GatewayError::Absent { .. }) => gone,
                    Err(error) => return Err(error),
                },
                Err(dying @ GatewayError::BeingDeleted { .. }) => dying,
                Err(error) => return Err(error),
            };
            if started.elapsed() + pause > DELETION_WINDOW {
                return Err(refused);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Sets the number of replicas. The Community Edition silently makes 1 to 5 of it.
    ///
    /// # Errors
    /// [`GatewayError::Absent`], or whatever else it answers.
    pub async fn scale(&self, name: &str, replicas: u32) -> Result<(), GatewayError> {
        let path = format!("/system/scale-function/{name}");
        let question = Question::new(Method::POST, &path, &format!("scale {name}"))
            .with(&serde_json::json!({ "serviceName": name, "replicas": replicas }));
        match self.ask(&question).await? {
            (StatusCode::ACCEPTED, _) => Ok(()),
            (StatusCode::INTERNAL_SERVER_ERROR, body) if body.starts_with(b"Unable to lookup function") => {
                Err(GatewayError::Absent { name: name.to_owned(), message: told(&body) })
            }
            (status, body) => Err(self.refusal(&question, status, &body)),
        }
    }

    /// Deletes a function. False: it was not there.
    ///
    /// # Errors
    /// Whatever else the gateway answers.
    pub async fn delete(&self, name: &str, namespace: &str) -> Result<bool, GatewayError> {
        let question = Question::new(Method::DELETE, "/system/functions", &format!("delete {name}"))
            .with(&serde_json::json!({ "functionName": name, "namespace": namespace }));
        match self.ask(&question).await? {
            (StatusCode::ACCEPTED, _) => Ok(true),
            (StatusCode::NOT_FOUND, _) => Ok(false),
            (status, body) => Err(self.refusal(&question, status, &body)),
        }
    }

    /// Whether gateway and provider say that they are well.
    ///
    /// # Errors
    /// What they say else.
    pub async fn health(&self) -> Result<(), GatewayError> {
        let question = Question::get("/healthz", "say that it is well");
        match self.ask(&question).await? {
            (StatusCode::OK, _) => Ok(()),
            (status, body) => Err(self.refusal(&question, status, &body)),
        }
    }

    /// GETs a path of a function, once, without login.
    ///
    /// # Errors
    /// If the gateway closes the connection or does not answer in time.
    pub async fn try_function(&self, name: &str, path: &str) -> Result<Invocation, GatewayError> {
        let url = format!("{}{path}", self.function_url(name));
        let sent = self.client.get(url).timeout(INVOCATION_LIMIT).send().await;
        let answer = sent.map_err(|error| self.unreachable(&error))?;
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (boot_id, call_id) = (header("x-boot-id"), header("x-call-id"));
        let is_marked = header("x-openfaas-internal").is_some();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let said = told(&body);
        // A look-up that fails is answered before the call gets its id.
        let is_platforms = is_marked || (status == 404 && said.starts_with("error finding function"));
        Ok(Invocation { status, is_platforms, boot_id, call_id, said })
    }

    /// The client that asks, for calls that are none of the control API.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    async fn read<T: DeserializeOwned>(&self, question: &Question) -> Result<T, GatewayError> {
        match self.ask(question).await? {
            (StatusCode::OK, body) => question.parse(&body),
            (status, body) => Err(self.refusal(question, status, &body)),
        }
    }

    /// Asks until it is answered, refused for good, or patience ends.
    async fn ask(&self, question: &Question) -> Result<(StatusCode, Bytes), GatewayError> {
        let started = Instant::now();
        let mut pause = self.patience.pause;
        loop {
            let answer = match self.attempt(question).await {
                Ok((status, body)) if matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                    Err(self.refusal(question, status, &body))
                }
                answer => answer,
            };
            match answer {
                Err(error) if error.is_passing() && started.elapsed() + pause < self.patience.total => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                answer => return answer,
            }
        }
    }

    async fn attempt(&self, question: &Question) -> Result<(StatusCode, Bytes), GatewayError> {
        let url = format!("{}{}", self.url, question.path);
        let mut request = self.client.request(question.method.clone(), url).timeout(self.patience.attempt);
        if let Some(login) = &self.login.login {
            request = request.basic_auth(&login.user, Some(login.password.reveal()));
        }
        if let Some(body) = &question.body {
            request = request.header("content-type", "application/json").body(body.clone());
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(GatewayError::Unauthorized { login: self.login.from.clone() });
        }
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, body))
    }

    /// Says in one line why a request failed.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> GatewayError {
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
        GatewayError::Unreachable { url: self.url.clone(), cause }
    }

    fn refusal(&self, question: &Question, status: StatusCode, body: &[u8]) -> GatewayError {
        let what = question.what.clone();
        let message = match told(body) {
            said if said.is_empty() => "it says nothing more".to_owned(),
            said => said,
        };
        match status {
            StatusCode::BAD_REQUEST => GatewayError::Invalid { what, message },
            StatusCode::NOT_FOUND if message == "404 page not found" => {
                GatewayError::Answer { what, cause: format!("{} has no {}", self.url, question.path) }
            }
            _ => GatewayError::Refused { what, status: status.as_u16(), message },
        }
    }
}

/// One question, which can be asked again.
struct Question {
    method: Method,
    path: String,
    /// In words, for messages.
    what: String,
    body: Option<String>,
}

impl Question {
    fn new(method: Method, path: &str, what: &str) -> Self {
        Self { method, path: path.to_owned(), what: what.to_owned(), body: None }
    }

    fn get(path: &str, what: &str) -> Self {
        Self::new(Method::GET, path, what)
    }

    fn with(self, body: &serde_json::Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, GatewayError> {
        serde_json::from_slice(body)
            .map_err(|error| GatewayError::Answer { what: self.what.clone(), cause: error.to_string() })
    }
}

/// An HTTP client with TLS as the load's connections have it: Mozilla's roots, no proxy, and no
/// redirects, which would change a method.
///
/// # Errors
/// Why it cannot be made.
pub fn http_client() -> Result<reqwest::Client, String> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())
}

/// A plain-text body in one line of bounded length.
pub(super) fn told(body: &[u8]) -> String {
    let line = one_line(&String::from_utf8_lossy(body));
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
