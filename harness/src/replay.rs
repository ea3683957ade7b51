//! For tests: a server that plays recorded conversations, so that clients meet the very bodies
//! that a real API server, gateway or Prometheus sent.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::platforms::cluster::api::{Api, Patience};

/// One answer, and the request that it belongs to.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// HTTP method.
    pub method: String,
    /// Path without the query; `*` at its end matches any rest.
    pub path: String,
    /// Words that the query must contain.
    pub query: Vec<String>,
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
    /// Body of the answer; an array of a watch is streamed, an event a line.
    pub body: Value,
    /// Whether the body is streamed and then left open.
    pub watch: bool,
    /// Whether the connection is closed without an answer.
    pub hangs_up: bool,
}

impl Exchange {
    /// An answer made by hand.
    pub fn new(method: &str, path: &str, status: u16, body: Value) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            status,
            headers: Vec::new(),
            body,
            watch: false,
            hangs_up: false,
        }
    }

    /// A recorded conversation: a file below `tests/fixtures`, without its `.json`.
    pub fn recorded(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (request, answer) = (&file["request"], &file["response"]);
        let full = request["path"].as_str().unwrap_or_default();
        let (path, query) = full.split_once('?').unwrap_or((full, ""));
        let keep = ["content-type", "www-authenticate", "x-call-id", "x-openfaas-internal", "retry-after"];
        let headers = answer["headers"].as_object().into_iter().flatten();
        Self {
            headers: headers
                .filter(|(name, _)| keep.contains(&name.to_lowercase().as_str()))
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            watch: query.contains("watch=") && answer["body"].is_array(),
            ..Self::new(
                request["method"].as_str().unwrap_or("GET"),
                path,
                answer["status"].as_u64().unwrap_or(200) as u16,
                answer["body"].clone(),
            )
        }
    }

    /// The same for another path.
    pub fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The same, only where the query contains this.
    pub fn asked_with(mut self, word: &str) -> Self {
        self.query.push(word.to_owned());
        self
    }

    /// A connection that is closed without an answer.
    pub fn hang_up(method: &str, path: &str) -> Self {
        Self { hangs_up: true, ..Self::new(method, path, 0, Value::Null) }
    }

    fn matches(&self, method: &str, path: &str, query: &str) -> bool {
        let fits = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        };
        fits && self.method == method
            && self.watch == query.contains("watch=")
            && self.query.iter().all(|word| query.contains(word.as_str()))
    }
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Asked {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `Authorization`, if there was one.
    pub authorization: Option<String>,
    /// Its body as JSON (a string where it is none).
    pub body: Value,
}

/// A server that plays a script. Of several exchanges that fit a request, the first is used up and
/// the last stays. What fits nothing is answered with 404 and a telling message.
pub struct Replay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Exchange>,
    asked: Vec<Asked>,
}

impl Replay {
    /// Starts it on a free port of the loopback.
    pub async fn start(script: impl IntoIterator<Item = Exchange>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), asked: Vec::new() }));
        let served = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(state.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it as an API server.
    pub fn api(&self) -> Api {
        let config = kube::Config::new(self.url().parse().unwrap());
        let patience = Patience {
            total: Duration::from_secs(5),
            attempt: Duration::from_secs(5),
            pause: Duration::from_millis(5),
        };
        crate::crypto::choose_provider();
        Api::new(kube::Client::try_from(config).unwrap(), patience)
    }

    /// Adds to the script.
    pub fn then(&self, exchange: Exchange) {
        self.state.lock().unwrap().script.push_back(exchange);
    }

    /// What came in so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// `METHOD path` of what came in so far, queries left out.
    pub fn calls(&self) -> Vec<String> {
        let line =
            |asked: Asked| format!("{} {}", asked.method, asked.path.split('?').next().unwrap_or_default());
        self.asked().into_iter().map(line).collect()
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let full = request.uri().to_string();
    let authorization =
        request.headers().get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let bytes = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let exchange = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked { method: method.clone(), path: full.clone(), authorization, body });
        let fits = |e: &Exchange| e.matches(&method, &path, &query);
        let mut fitting = state.script.iter().enumerate().filter(|(_, e)| fits(e)).map(|(i, _)| i);
        match (fitting.next(), fitting.next()) {
            (Some(first), Some(_)) => state.script.remove(first),
            (Some(only), None) => state.script.get(only).cloned(),
            (None, _) => None,
        }
    };
    let Some(exchange) = exchange else {
        let text = format!("the replay has no answer to {method} {full}");
        return Ok(Response::builder().status(404).body(whole(text)).unwrap());
    };
    if exchange.hangs_up {
        return Err(std::io::Error::other("the script hangs up here"));
    }
    let mut response = Response::builder().status(exchange.status);
    for (name, value) in &exchange.headers {
        response = response.header(name, value);
    }
    let body = match (&exchange.body, exchange.watch) {
        (Value::Array(events), true) => stream(events.clone()),
        (Value::String(text), _) => whole(text.clone()),
        (Value::Null, _) => whole(String::new()),
        (json, _) => whole(json.to_string()),
    };
    Ok(response.body(body).unwrap())
}

fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed()
}

/// An event a line, and then nothing more, as of a watch in a quiet cluster.
fn stream(events: Vec<Value>) -> Body {
    let lines = futures_util::stream::iter(
        events.into_iter().map(|event| Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))),
    );
    let open = futures_util::stream::pending();
    StreamBody::new(futures_util::StreamExt::chain(lines, open)).boxed()
}
