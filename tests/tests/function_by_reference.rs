//! The real function against the embedded object storage: inputs by reference, results written back,
//! and every refusal of the contract.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use harness::platforms::twin::s3::{Credentials, Server, Store};
use serde_json::{Value, json};
use tests::binary;

#[path = "../../function/tests/support/http.rs"]
#[allow(dead_code, reason = "the function's own tests use the rest")]
mod http;

use http::{Reply, get, post, send};

const REFERENCE: (&str, &str) = ("Content-Type", "application/vnd.testbed.reference+json");
const BUCKETS: [&str; 3] = ["inputs", "results", "private"];

/// A storage, and a null function that may use two of its three buckets.
struct Running {
    store: Arc<Store>,
    credentials: Credentials,
    _storage: Server,
    /// Its end closes the storage's port and its kept connections.
    runtime: Option<tokio::runtime::Runtime>,
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start() -> Self {
        Self::with(|credentials| credentials.secret_key.clone())
    }

    /// The function is told this secret.
    fn with(secret: impl Fn(&Credentials) -> String) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let credentials = Credentials::random();
        let store = Arc::new(Store::new(&BUCKETS.map(str::to_owned), 1 << 24));
        let storage = runtime.block_on(Server::start(credentials.clone(), Arc::clone(&store))).unwrap();
        let mut child = Command::new(binary("function"))
            .env_clear()
            .envs([("PORT", "0"), ("BIND", "127.0.0.1"), ("WORKLOAD", "null"), ("MAX_BODY_BYTES", "100000")])
            .env("S3_ENDPOINT", format!("http://{}", storage.address()))
            .envs([("S3_ALLOWED_BUCKETS", "inputs,results"), ("S3_TIMEOUT_SECONDS", "5")])
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key)
            .env("AWS_SECRET_ACCESS_KEY", secret(&credentials))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|rest| rest.split_once(": ")).unwrap().0;
        let address = address.parse().unwrap();
        Self { store, credentials, _storage: storage, runtime: Some(runtime), child, address }
    }

    fn put(&self, key: &str, content: &[u8], content_type: &str) -> String {
        self.store.put("inputs", key, content.to_vec().into(), content_type).unwrap()
    }

    fn refer(&self, reference: &Value) -> Reply {
        send(self.address, "POST", "/predict", &[REFERENCE], reference.to_string().as_bytes())
    }

    fn input(&self, key: &str) -> Reply {
        self.refer(&json!({ "object": { "bucket": "inputs", "key": key } }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stages(reply: &Reply) -> Vec<&str> {
    let timing = reply.header("Server-Timing").unwrap();
    timing.split(", ").map(|stage| stage.split_once(';').unwrap().0).collect()
}

#[test]
fn an_input_by_reference_is_answered_as_the_same_input_in_the_request() {
    let running = Running::start();
    let keys =
        ["plain.bin", "a/b/c d+e&f=g", "ä/😀 100%.jpg", "a%2Fb", "q?x=1#y", "~()*'!", "back\\slash", "..."];
    for key in keys {
        let etag = running.put(key, key.as_bytes(), "application/octet-stream");
        let answer = running.input(key);
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
        let inline = post(running.address, "/predict", key.as_bytes()).json();
        let answered = answer.json();
        for member in ["bytes", "checksum"] {
            assert_eq!(answered[member], inline[member], "{key}");
        }
        assert_eq!(
            answered["storage"],
            json!({ "bytes_in": key.len(), "bytes_out": 0, "etag": etag, "retries": 0, "result": null })
        );
        assert_eq!(inline["storage"], Value::Null);
        assert_eq!(stages(&answer), ["download", "queue", "checksum", "total"]);
    }
    let expected: usize = keys.iter().map(|key| key.len()).sum();
    let metrics = String::from_utf8(get(running.address, "/metrics").body).unwrap();
    let line = format!("function_storage_bytes_total{{direction=\"in\"}} {expected}");
    assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    assert!(metrics.contains("function_stage_duration_seconds_count{stage=\"download\"} 8"), "{metrics}");
}

#[test]
fn a_result_is_written_back_and_the_answer_names_it() {
    let running = Running::start();
    running.put("in/a", b"testbeds!", "text/plain");
    let ours = json!({ "object": { "bucket": "inputs", "key": "in/a" },
                       "result": { "bucket": "results", "key": "out/ä.json" } });
    let answer = running.refer(&ours);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(stages(&answer), ["download", "queue", "checksum", "upload", "total"]);
    let kept = running.store.get("results", "out/ä.json").unwrap();
    assert_eq!(kept.content_type, "application/json");
    let written: Value = serde_json::from_slice(&kept.bytes).unwrap();
    assert_eq!(written, json!({ "bytes": 9, "checksum": "9775a3571affdde6" }), "the result and nothing else");
    let said = &answer.json()["storage"];
    assert_eq!(said["result"], json!({ "bucket": "results", "key": "out/ä.json", "etag": kept.etag }));
    assert_eq!(said["bytes_out"], kept.bytes.len());
    let header = format!("bytes_in=9, bytes_out={}, retries=0", kept.bytes.len());
    assert_eq!(answer.header("X-Storage"), Some(header.as_str()));

    let sebs =
        json!({ "object": { "key": "a" }, "bucket": { "bucket": "inputs", "input": "in", "output": "out" } });
    assert_eq!(running.refer(&sebs).status, 200);
    assert_eq!(running.store.get("inputs", "out/a").unwrap().bytes, kept.bytes);
}

#[test]
fn an_object_that_is_a_form_is_read_as_one() {
    let running = Running::start();
    let form =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ntestbeds!\r\n--b--\r\n";
    running.put("form", form.as_bytes(), "multipart/form-data; boundary=b");
    let answer = running.input("form").json();
    assert_eq!((&answer["bytes"], &answer["checksum"]), (&json!(9), &json!("9775a3571affdde6")));
    assert_eq!(answer["storage"]["bytes_in"], form.len());
    running.put("broken", b"no form", "multipart/form-data; boundary=b");
    assert_eq!(running.input("broken").json()["type"], "urn:function:problem:unreadable-body");
    running.put("empty", b"", "text/plain");
    assert_eq!(running.input("empty").json()["type"], "urn:function:problem:empty-body");
}

/// A refusal is the one of the contract, and holds no secret.
fn check(running: &Running, name: &str, reply: &Reply) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("contract/problem-{name}.json"));
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(reply.status, expected["status"].as_u64().unwrap() as u16, "{name}: {reply:?}");
    let body = reply.json();
    assert_eq!(body["type"], expected["body"]["type"], "{body}");
    assert_eq!(reply.header("Content-Type"), Some("application/problem+json"));
    let text = body.to_string();
    let Credentials { access_key, secret_key } = &running.credentials;
    assert!(!text.contains(access_key) && !text.contains(secret_key), "{text}");
}

#[test]
fn every_refusal_is_the_one_of_the_contract() {
    let running = Running::start();
    let etag = running.put("k", b"first", "text/plain");
    running.put("k", b"second", "text/plain");
    running.put("large", &vec![0; 100_001], "text/plain");
    running.store.put("private", "k", "x".into(), "text/plain").unwrap();
    let object = |bucket: &str, key: &str| json!({ "object": { "bucket": bucket, "key": key } });
    let mut foreign = object("inputs", "k");
    foreign["result"] = json!({ "bucket": "private", "key": "out" });
    for (name, reference) in [
        ("bad-reference", json!({ "object": "k" })),
        ("bad-reference", object("inputs", "../private/k")),
        ("bad-reference", object("inputs", "/private/k")),
        ("bucket-not-allowed", object("private", "k")),
        ("bucket-not-allowed", object("inputs/../private", "k")),
        ("bucket-not-allowed", object("http://127.0.0.1:1", "k")),
        ("bucket-not-allowed", foreign),
        ("object-not-found", object("inputs", "none")),
        ("object-changed", json!({ "object": { "bucket": "inputs", "key": "k", "etag": etag } })),
        ("object-too-large", object("inputs", "large")),
    ] {
        check(&running, name, &running.refer(&reference));
    }
    // The same words as ordinary JSON are just an input.
    let plain =
        send(running.address, "POST", "/predict", &[("Content-Type", "application/json")], b"{\"object\":1}");
    assert_eq!((plain.status, plain.json()["bytes"].as_u64()), (200, Some(12)));
    let index = get(running.address, "/").json();
    assert_eq!(index["references"]["buckets"], json!(["inputs", "results"]));
    assert!(!index.to_string().contains(&running.credentials.secret_key));
}

#[test]
fn a_storage_that_is_gone_or_refuses_is_named_and_the_function_lives_on() {
    let mut running = Running::start();
    running.put("k", b"x", "text/plain");
    assert_eq!(running.input("k").status, 200);
    drop(running.runtime.take());
    let down = running.input("k");
    check(&running, "storage-failed", &down);
    let detail = down.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("the object storage did not read inputs/k: "), "{detail}");
    assert_eq!(post(running.address, "/predict", b"still here").status, 200);

    let wrong = Running::with(|_| "not-the-secret".to_owned());
    wrong.put("k", b"x", "text/plain");
    let refused = wrong.input("k");
    check(&wrong, "storage-failed", &refused);
    assert!(refused.json()["detail"].as_str().unwrap().contains("refuses the function's credentials"));
}

#[test]
fn a_function_without_the_settings_refuses_references_and_bad_settings_end_it() {
    let function = || {
        let mut command = Command::new(binary("function"));
        command.env_clear().envs([("PORT", "0"), ("BIND", "127.0.0.1"), ("WORKLOAD", "null")]);
        command
    };
    let output = function().env("S3_ALLOWED_BUCKETS", "inputs").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("S3_ENDPOINT=: expected the storage's address") && error.lines().count() == 1,
        "{error}"
    );
    let output = function()
        .envs([
            ("S3_ALLOWED_BUCKETS", "inputs"),
            ("S3_ENDPOINT", "https://127.0.0.1:1"),
            ("S3_CA_FILE", "no/such"),
        ])
        .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("S3_CA_FILE=no/such") && !error.contains("hush"), "{error}");
}
