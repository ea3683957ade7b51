//! A small API server: objects by their path, applied, listed by label, watched, gone when deleted.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use std::time::Duration;

use serde_json::{Value, json};

/// Kinds that it serves: `apiVersion`, kind, plural, whether they lie in namespaces.
const KINDS: [(&str, &str, &str, bool); 7] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Pod", "pods", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("example.com/v1", "Thing", "things", true),
];
/// The definition without which the last of them is not served.
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com";

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
    /// What was applied: path, owner of fields, object.
    applied: Vec<(String, String, Value)>,
    /// Status that the object of a path gets, as from a controller, once it is applied.
    becoming: BTreeMap<String, Value>,
    /// Changes so far: what happened, to which path, and the object.
    log: Vec<(&'static str, String, Value)>,
}

impl State {
    fn changed(&mut self, what: &'static str, path: &str, mut object: Value) {
        object["metadata"]["uid"] = path.into();
        object["metadata"]["resourceVersion"] = (self.log.len() + 1).to_string().into();
        match what {
            "DELETED" => drop(self.objects.remove(path)),
            _ => drop(self.objects.insert(path.to_owned(), object.clone())),
        }
        self.log.push((what, path.to_owned(), object));
    }
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

    /// Has the object of a path get this status once it is applied.
    pub fn becoming(self, path: &str, status: Value) -> Self {
        self.state.lock().unwrap().becoming.insert(path.to_owned(), status);
        self
    }

    /// Puts an object, or any text, there now.
    pub fn put(&self, path: &str, what: Value) {
        let mut state = self.state.lock().unwrap();
        if what.is_object() {
            state.changed("ADDED", path, what);
        } else {
            state.objects.insert(path.to_owned(), what);
        }
    }

    /// Refuses nothing any more.
    pub fn relent(&self) {
        self.state.lock().unwrap().refusals.clear();
    }

    /// Forgets what was asked so far.
    pub fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.asked.clear();
        state.applied.clear();
    }

    pub fn object(&self, path: &str) -> Value {
        self.state.lock().unwrap().objects.get(path).cloned().unwrap_or_default()
    }

    /// What was applied: path, owner of fields, object.
    pub fn applied(&self) -> Vec<(String, String, Value)> {
        self.state.lock().unwrap().applied.clone()
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
    let mut text = String::new();
    reader.take(length).read_to_string(&mut text)?;
    let mut words = first.split_whitespace();
    let (method, full) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = full.split_once('?').unwrap_or((full, ""));
    if query.contains("watch=true") {
        return watch(stream, state, path, query);
    }
    let (status, body) = answer(&mut state.lock().unwrap(), method, path, query, &text);
    let text = if let Value::String(text) = body { text } else { body.to_string() };
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Tells changes as they come; its thread ends with the test's process.
fn watch(mut stream: TcpStream, state: &Mutex<State>, path: &str, query: &str) -> std::io::Result<()> {
    let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
    let mut told: usize = from.and_then(|version| version.parse().ok()).unwrap_or(0);
    write!(stream, "HTTP/1.1 200 x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
    loop {
        let news: Vec<_> = state.lock().unwrap().log.iter().skip(told).cloned().collect();
        told += news.len();
        for (what, of, object) in news.iter().filter(|(_, of, _)| is_in(of, path)) {
            if matches(object, of, query) {
                writeln!(stream, "{}", json!({ "type": what, "object": object }))?;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn answer(state: &mut State, method: &str, path: &str, query: &str, text: &str) -> (u16, Value) {
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
        "GET" if kinds(state, path).is_some() => (200, kinds(state, path).unwrap_or_default()),
        "PATCH" => {
            let object: Value = serde_json::from_str(text).unwrap();
            let manager = query.split('&').find_map(|pair| pair.strip_prefix("fieldManager="));
            state.applied.push((path.to_owned(), manager.unwrap_or_default().to_owned(), object.clone()));
            let mut whole = state.objects.get(path).cloned().unwrap_or_else(|| json!({}));
            merge(&mut whole, &object);
            if let Some(status) = state.becoming.get(path) {
                whole["status"] = status.clone();
            }
            let what = if state.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
            state.changed(what, path, whole.clone());
            (200, whole)
        }
        "DELETE" if state.objects.contains_key(path) => {
            let object = state.objects[path].clone();
            state.changed("DELETED", path, object);
            (200, json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
        }
        _ => (
            404,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("{path} not found"), "reason": "NotFound", "code": 404 }),
        ),
    }
}

/// What the server says of the kinds of a version; none: it is not such a path.
fn kinds(state: &State, path: &str) -> Option<Value> {
    let version = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))?;
    let of_version = KINDS.iter().filter(|(api, ..)| *api == version);
    let served =
        of_version.filter(|(_, kind, ..)| *kind != "Thing" || state.objects.contains_key(DEFINITION));
    let resources: Vec<Value> = served
        .map(
            |(_, kind, plural, namespaced)| json!({ "name": plural, "kind": kind, "namespaced": namespaced }),
        )
        .collect();
    (!resources.is_empty()).then(|| json!({ "kind": "APIResourceList", "resources": resources }))
}

/// Puts fields on top of fields, as an apply does, only that nothing is ever taken away.
fn merge(whole: &mut Value, part: &Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, part) => whole.clone_from(part),
    }
}

fn is_collection(path: &str) -> bool {
    let plurals = KINDS.iter().map(|(_, _, plural, _)| *plural).chain(["services"]);
    plurals.into_iter().any(|plural| path.ends_with(&format!("/{plural}")))
}

/// Whether an object lies in a collection: of a namespace or, without one in the path, of all.
fn is_in(object: &str, path: &str) -> bool {
    let (root, plural) = path.rsplit_once('/').unwrap();
    let (collection, _) = object.rsplit_once('/').unwrap();
    collection == path
        || (collection.starts_with(&format!("{root}/namespaces/"))
            && collection.ends_with(&format!("/{plural}")))
}

/// Whether an object is what a query selects by label or name.
fn matches(object: &Value, path: &str, query: &str) -> bool {
    let asked = |name: &str| {
        let text = query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
        text.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",")
    };
    let named = asked("fieldSelector=");
    if named.strip_prefix("metadata.name=").is_some_and(|name| path.rsplit('/').next() != Some(name)) {
        return false;
    }
    let selector = asked("labelSelector=");
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => object["metadata"]["labels"][key] == value,
        // `status in (...)`: nothing here is ever pending.
        None if part.contains(['(', ')', '%']) => false,
        None => !object["metadata"]["labels"][part].is_null(),
    })
}

/// Items of a collection.
fn list(state: &State, path: &str, query: &str) -> Value {
    let items: Vec<Value> = state
        .objects
        .iter()
        .filter(|(key, object)| is_in(key, path) && matches(object, key, query))
        .map(|(_, object)| object.clone())
        .collect();
    let mut list = recorded("empty-list");
    list["metadata"]["resourceVersion"] = state.log.len().to_string().into();
    list["items"] = items.into();
    list
}
