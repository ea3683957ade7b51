//! A small API server: objects by their path, listed by label, gone when deleted.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// A recorded body.
pub fn recorded(name: &str) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/commands").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Labels of whatever a run made.
pub fn labels(run: &str) -> Value {
    json!({ "app.kubernetes.io/managed-by": "serverless-testbed", "testbed/run": run })
}

#[derive(Default)]
struct State {
    /// By the object's path.
    objects: BTreeMap<String, Value>,
    /// Status and body that every path with this beginning gets instead; `METHOD /path`.
    refusals: Vec<(String, u16, Value)>,
    asked: Vec<String>,
}

/// The server; its threads end with the test's process.
pub struct ApiServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let served = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = served.clone();
                // A client that goes away is its own affair.
                std::thread::spawn(move || _ = serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts an object in the collection at `path`; its name and namespace come from it.
    pub fn with(self, collection: &str, object: Value) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.state.lock().unwrap().objects.insert(format!("{collection}/{name}"), object);
        self
    }

    /// Refuses what begins with `METHOD /path`.
    pub fn refusing(self, what: &str, status: u16, body: Value) -> Self {
        self.state.lock().unwrap().refusals.push((what.to_owned(), status, body));
        self
    }

    pub fn has(&self, path: &str) -> bool {
        self.state.lock().unwrap().objects.contains_key(path)
    }

    /// `METHOD /path` of all requests but reading ones.
    pub fn changes(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|line| !line.starts_with("GET ")).cloned().collect()
    }

    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(());
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let mut words = first.split_whitespace();
    let (method, full) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = full.split_once('?').unwrap_or((full, ""));
    let (status, body) = answer(&mut state.lock().unwrap(), method, path, query);
    let text = if let Value::String(text) = body { text } else { body.to_string() };
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn answer(state: &mut State, method: &str, path: &str, query: &str) -> (u16, Value) {
    let line = format!("{method} {path}");
    state.asked.push(line.clone());
    if let Some((_, status, body)) = state.refusals.iter().find(|(what, ..)| line.starts_with(what.as_str()))
    {
        return (*status, body.clone());
    }
    match method {
        "GET" if path == "/version" => (200, recorded("version")),
        "GET" if state.objects.contains_key(path) => (200, state.objects[path].clone()),
        "GET" if is_collection(path) => (200, list(state, path, query)),
        "DELETE" if state.objects.remove(path).is_some() => {
            (200, json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
        }
        _ => (
            404,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("{path} not found"), "reason": "NotFound", "code": 404 }),
        ),
    }
}

fn is_collection(path: &str) -> bool {
    ["services", "deployments", "namespaces", "pods"]
        .iter()
        .any(|plural| path.ends_with(&format!("/{plural}")))
}

/// Items of a collection, in one namespace or, without one in the path, in all.
fn list(state: &State, path: &str, query: &str) -> Value {
    let selector = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
    let selector = selector.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",");
    let (root, plural) = path.rsplit_once('/').unwrap();
    let inside = |key: &str| {
        let (collection, _) = key.rsplit_once('/').unwrap();
        collection == path
            || (collection.starts_with(&format!("{root}/namespaces/"))
                && collection.ends_with(&format!("/{plural}")))
    };
    let matches = |object: &Value| {
        let wanted = selector.split(',').filter(|part| !part.is_empty());
        wanted.into_iter().all(|part| match part.split_once('=') {
            Some((key, value)) => object["metadata"]["labels"][key] == value,
            None => !object["metadata"]["labels"][part].is_null(),
        })
    };
    let items: Vec<Value> = state
        .objects
        .iter()
        .filter(|(key, object)| inside(key) && matches(object))
        .map(|(_, o)| o.clone())
        .collect();
    let mut list = recorded("empty-list");
    list["items"] = items.into();
    list
}
