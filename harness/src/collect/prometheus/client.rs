//! Prometheus over HTTP: the few questions that the testbed asks it, with time limits, bounded
//! retries and errors that name the remedy. Nothing else in the harness talks to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_http_query::{
    Client, Error, Selector, TargetState,
    response::{Data, RangeVector},
};

/// A server that answers.
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
    patience: Patience,
    /// Its version, `2.42.0`.
    pub version: String,
}

/// How long a question may take and how often it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Limit of one attempt.
    pub attempt: Duration,
    /// Until a question that fails for a passing reason is given up.
    pub total: Duration,
    /// Between two attempts.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            total: Duration::from_secs(25),
            pause: Duration::from_millis(500),
        }
    }
}

/// A series as Prometheus gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value.
    pub points: Vec<(f64, f64)>,
}

/// A stretch of time, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first second.
    pub from_s: i64,
    /// Its last second.
    pub to_s: i64,
}

/// Why Prometheus did not say what was asked. One line, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrometheusError {
    /// No answer.
    #[error("Prometheus does not answer ({0}); check its address (--prometheus) and that it runs")]
    Unreachable(String),
    /// No answer in time.
    #[error(
        "Prometheus did not answer within {0:?}; it may be overloaded: give it more CPU, or measure fewer cells"
    )]
    TimedOut(Duration),
    /// 401 or 403.
    #[error("Prometheus wants a login ({0}); give one in its address, http://USER:PASSWORD@HOST:PORT")]
    Unauthorized(u16),
    /// Something else answers there.
    #[error("what answers there is not Prometheus ({0}); check its address (--prometheus)")]
    NotPrometheus(String),
    /// A query that it does not understand.
    #[error(
        "Prometheus refuses `{query}` ({cause}); this is a fault of the testbed's catalogue, or the server is very old"
    )]
    Query {
        /// The query.
        query: String,
        /// What it says.
        cause: String,
    },
    /// More than 11,000 points a series.
    #[error(
        "`{0}` has more points than Prometheus gives (11,000 a series); use a larger step or a shorter cell"
    )]
    TooManyPoints(String),
}

impl PrometheusError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut(_))
    }
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the client: its address may hold a password.
        f.debug_struct("Prometheus").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Prometheus {
    /// Connects to a server and asks for its version.
    ///
    /// # Errors
    /// If it does not answer, wants a login, or is not Prometheus.
    pub async fn connect(url: &str, patience: Patience) -> Result<Self, PrometheusError> {
        let http = reqwest::Client::builder()
            .timeout(patience.attempt)
            .tls_backend_preconfigured(tls().map_err(|e| PrometheusError::Unreachable(e.to_string()))?)
            .build()
            .map_err(|e| PrometheusError::Unreachable(e.without_url().to_string()))?;
        let client = Client::from(http, url)
            .map_err(|_| PrometheusError::NotPrometheus("no HOST:PORT in its address".to_owned()))?;
        let mut server = Self { client, patience, version: String::new() };
        let build = server.ask("its version", || server.client.build_information()).await?;
        build.version().split('+').next().unwrap_or_default().clone_into(&mut server.version);
        Ok(server)
    }

    /// Names of the metrics that have samples in a stretch of time.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn names(&self, span: Span) -> Result<BTreeSet<String>, PrometheusError> {
        let ask = || self.client.label_values("__name__").start(span.from_s).end(span.to_s).get();
        Ok(self.ask("the names of metrics", ask).await?.into_iter().collect())
    }

    /// Label sets of a metric in a stretch of time.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn label_sets(
        &self,
        metric: &str,
        span: Span,
    ) -> Result<Vec<BTreeMap<String, String>>, PrometheusError> {
        let ask = || async {
            let selector = Selector::new().metric(metric);
            self.client.series([selector])?.start(span.from_s).end(span.to_s).get().await
        };
        Ok(self.ask(metric, ask).await?.into_iter().map(|labels| labels.into_iter().collect()).collect())
    }

    /// The samples of a selector as they were scraped, nothing interpolated.
    ///
    /// # Errors
    /// If it does not answer or refuses the selector.
    pub async fn samples(&self, selector: &str, span: Span) -> Result<Vec<Sampled>, PrometheusError> {
        let query = format!("{selector}[{}s]", (span.to_s - span.from_s).max(1));
        let answer = self.ask(&query, || self.client.query(&query).at(span.to_s).get()).await?;
        Ok(matrix(answer.into_inner().0))
    }

    /// A query at even steps. Where that would yield too many points, the step is widened.
    ///
    /// # Errors
    /// If it does not answer, or refuses the query.
    pub async fn range(&self, query: &str, span: Span, step_s: f64) -> Result<Vec<Sampled>, PrometheusError> {
        let mut step_s = step_s;
        for _ in 0..4 {
            let ask = || self.client.query_range(query, span.from_s, span.to_s, step_s).get();
            match self.ask(query, ask).await {
                Err(PrometheusError::TooManyPoints(_)) => step_s *= 8.0,
                answer => return Ok(matrix(answer?.into_inner().0)),
            }
        }
        Err(PrometheusError::TooManyPoints(query.to_owned()))
    }

    /// The longest distance between two scrapes of any target; none without targets.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn scrape_interval(&self) -> Result<Option<Duration>, PrometheusError> {
        let targets = self.ask("its targets", || self.client.targets(Some(TargetState::Active))).await?;
        let seconds = targets.active().iter().map(|t| t.scrape_interval().as_seconds_f64());
        Ok(seconds.reduce(f64::max).map(|s| Duration::from_secs_f64(s.clamp(0.0, 3600.0))))
    }

    /// Its clock less ours, seconds; right to about the time of the answer.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn clock_ahead_s(&self) -> Result<f64, PrometheusError> {
        let answer = self.ask("its time", || self.client.query("time()").get()).await?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        match answer.data() {
            Data::Scalar(sample) => Ok(sample.value() - now.as_secs_f64()),
            _ => Err(PrometheusError::NotPrometheus("time() is no number".to_owned())),
        }
    }

    /// Asks until it is answered, refused for good, or patience ends.
    async fn ask<T, F>(&self, what: &str, question: impl Fn() -> F) -> Result<T, PrometheusError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        loop {
            let error = match question().await {
                Ok(answer) => return Ok(answer),
                Err(error) => translate(&error, what, self.patience),
            };
            if !error.is_passing() || started.elapsed() + self.patience.pause >= self.patience.total {
                return Err(error);
            }
            tokio::time::sleep(self.patience.pause).await;
        }
    }
}

fn translate(error: &Error, what: &str, patience: Patience) -> PrometheusError {
    match error {
        Error::Prometheus(refusal) if refusal.is_timeout() => PrometheusError::TimedOut(patience.attempt),
        Error::Prometheus(refusal) if refusal.is_unavailable() || refusal.is_internal() => {
            PrometheusError::Unreachable(refusal.to_string())
        }
        Error::Prometheus(refusal) if refusal.message().contains("maximum resolution") => {
            PrometheusError::TooManyPoints(what.to_owned())
        }
        Error::Prometheus(refusal) => {
            PrometheusError::Query { query: what.to_owned(), cause: refusal.message().to_owned() }
        }
        Error::Client(failure) => match failure.inner() {
            Some(cause) if cause.is_timeout() => PrometheusError::TimedOut(patience.attempt),
            Some(cause) => match cause.status().map(|status| status.as_u16()) {
                Some(code @ (401 | 403)) => PrometheusError::Unauthorized(code),
                Some(code @ (500 | 502..=504)) => PrometheusError::Unreachable(format!("status {code}")),
                Some(code) => PrometheusError::NotPrometheus(format!("status {code}")),
                None if cause.is_decode() => PrometheusError::NotPrometheus(root(cause)),
                None => PrometheusError::Unreachable(root(cause)),
            },
            None => PrometheusError::NotPrometheus(failure.to_string()),
        },
        other => PrometheusError::NotPrometheus(other.to_string()),
    }
}

/// The innermost cause: it says most, and holds no address (which may hold a password).
fn root(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "no connection".to_owned(), ToString::to_string)
}

fn matrix(data: Data) -> Vec<Sampled> {
    let Data::Matrix(vectors) = data else { return Vec::new() };
    let sampled = |vector: RangeVector| {
        let (labels, samples) = vector.into_inner();
        // NaN stands for nothing (0 / 0); it has no place in JSON either.
        let points = samples.iter().map(|s| (s.timestamp(), s.value())).filter(|p| p.1.is_finite());
        Sampled { points: points.collect(), labels: labels.into_iter().collect() }
    };
    vectors.into_iter().map(sampled).filter(|sampled| !sampled.points.is_empty()).collect()
}

/// TLS with Mozilla's roots; for plain HTTP it goes unused.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
