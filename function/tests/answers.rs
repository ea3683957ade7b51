//! The contract over loopback: predictions, refusals, headers, metrics.

mod support;

use std::io::Write as _;

use models::Manifest;
use serde_json::{Map, Value};
use support::http::{Reply, connect, get, head, post, read_reply, send};
use support::{Function, contract, drawn, start};

/// Kind of a header's value, as far as a caller relies on it.
fn kind(value: &str) -> &'static str {
    match value {
        "true" | "false" => "flag",
        _ if value.parse::<u64>().is_ok() => "whole number",
        _ if value.parse::<f64>().is_ok() => "number",
        _ if humantime::parse_rfc3339(value).is_ok() => "time",
        _ => "text",
    }
}

fn check_headers(reply: &Reply, expected: &Value) {
    for (name, example) in expected["headers"].as_object().unwrap() {
        let (found, example) = (reply.header(name), example.as_str().unwrap());
        let found = found.unwrap_or_else(|| panic!("no header {name}: {reply:?}"));
        let exact = ["Content-Type", "Allow", "Retry-After"].contains(&name.as_str());
        if exact {
            assert_eq!(found, example, "{name}");
        } else if !["X-Boot-Id", "X-Init-Ms"].contains(&name.as_str()) {
            assert_eq!(kind(found), kind(example), "{name}: {found}");
        }
    }
    assert!(reply.header("X-Init-Ms").unwrap().parse::<f64>().unwrap() > 0.0);
    let boot_id = reply.header("X-Boot-Id").unwrap();
    assert!(boot_id.len() == 16 && boot_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{boot_id}");
}

/// Same members with the same types, all the way down.
fn same_shape(found: &Value, example: &Value, at: &str) {
    match (found, example) {
        (Value::Object(found), Value::Object(example)) => {
            let names = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(found), names(example), "members of {at}");
            for (name, example) in example {
                same_shape(&found[name], example, &format!("{at}/{name}"));
            }
        }
        (Value::Array(found), Value::Array(example)) => {
            assert_eq!(found.len(), example.len(), "{at}");
            for (index, (found, example)) in found.iter().zip(example).enumerate() {
                same_shape(found, example, &format!("{at}/{index}"));
            }
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Number(found), Value::Number(example)) => {
            assert!(found.is_u64() || !example.is_u64(), "{at}: {found}, but {example} is whole");
        }
        _ => panic!("{at}: found {found}, the contract has {example}"),
    }
}

#[test]
fn an_answer_is_what_the_contract_says_and_the_first_alone_is_cold() {
    let function = start(&[("INSTANCE_ID", "pod-7")]);
    let health = get(function.address, "/health");
    assert_eq!((health.status, health.header("X-Cold-Start")), (200, Some("false")));
    assert_eq!(health.header("X-Instance-Id"), Some("pod-7"));

    let expected = contract("success");
    let picture = drawn("drawn-stripes.jpg");
    for turn in 0..3_u64 {
        let reply = send(function.address, "POST", "/predict?top=2", &[("X-Testbed-Call", "42")], &picture);
        assert_eq!(reply.status, expected["status"]);
        check_headers(&reply, &expected);
        let body = reply.json();
        same_shape(&body, &expected["body"], "");
        assert_eq!(reply.header("X-Testbed-Call"), Some("42"));
        assert_eq!(reply.header("X-Cold-Start"), Some(if turn == 0 { "true" } else { "false" }));
        assert_eq!(body["instance"]["cold_start"], turn == 0);
        assert_eq!(body["instance"]["requests_served"], turn);
        assert_eq!(body["instance"]["boot_id"].as_str(), reply.header("X-Boot-Id"));
        assert_eq!(get(function.address, "/_/ready").header("X-Cold-Start"), Some("false"));

        let timing = server_timing(&reply);
        let stages: Vec<_> = timing.iter().map(|(stage, _)| stage.as_str()).collect();
        assert_eq!(stages, ["queue", "decode", "preprocess", "inference", "total"]);
        let sum: f64 = timing[..4].iter().map(|(_, ms)| ms).sum();
        assert!(sum <= timing[4].1 + 0.01, "{timing:?}");
        for (stage, ms) in &timing {
            assert!((body["timing_ms"][stage].as_f64().unwrap() - ms).abs() < 0.001, "{timing:?}: {body}");
        }
    }
}

fn server_timing(reply: &Reply) -> Vec<(String, f64)> {
    let entries = reply.header("Server-Timing").unwrap().split(", ");
    entries
        .map(|entry| {
            let (stage, ms) = entry.split_once(";dur=").unwrap();
            (stage.to_owned(), ms.parse().unwrap())
        })
        .collect()
}

#[test]
fn refusals_are_those_of_the_contract() {
    let function = start(&[("MAX_BODY_BYTES", "100000"), ("MAX_PIXELS", "80000")]);
    let address = function.address;
    let picture = drawn("drawn-rings.jpg");
    let form = ("Content-Type", "multipart/form-data; boundary=b");
    let no_file = b"--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n";
    let mut big = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(80_001, 1).write_to(&mut big, image::ImageFormat::Png).unwrap();
    let half = &picture[..picture.len() / 2];
    for (name, reply) in [
        ("empty-body", post(address, "/predict", b"")),
        ("empty-body", post(address, "/", b"")),
        ("unreadable-body", send(address, "POST", "/predict", &[form], no_file)),
        ("unreadable-body", send(address, "POST", "/predict", &[form], b"no form at all")),
        ("bad-parameter", post(address, "/predict?top=0", &picture)),
        ("bad-parameter", post(address, "/predict?top=1001", &picture)),
        ("bad-parameter", post(address, "/predict?top=abc", &picture)),
        ("not-found", get(address, "/nowhere")),
        ("method-not-allowed", get(address, "/predict")),
        ("body-too-large", post(address, "/predict", &[0; 100_001])),
        ("input-too-large", post(address, "/predict", big.get_ref())),
        ("unsupported-input", post(address, "/predict", b"just text")),
        ("damaged-input", post(address, "/predict", half)),
    ] {
        let expected = contract(&format!("problem-{name}"));
        assert_eq!(reply.status, expected["status"], "{name}: {reply:?}");
        check_headers(&reply, &expected);
        let body = reply.json();
        same_shape(&body, &expected["body"], "");
        assert_eq!(body["type"], expected["body"]["type"]);
        assert_eq!(body["title"], expected["body"]["title"]);
    }
    let range = post(address, "/predict?top=0", &picture).json();
    assert_eq!(range["detail"], "top=0: expected a whole number from 1 to 1000");
    let wrong_method = send(address, "DELETE", "/health", &[], b"");
    assert_eq!((wrong_method.status, wrong_method.header("Allow")), (405, Some("GET, HEAD")));
    // After all that it still works.
    assert_eq!(
        post(address, "/predict?top=1000", &picture).json()["predictions"].as_array().unwrap().len(),
        1000
    );
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read_whole() {
    let function = start(&[("MAX_BODY_BYTES", "1000")]);
    // Announced: the answer comes although not one byte of the body does.
    let mut announced = connect(function.address);
    let headers = [("Content-Length", "1000000000")];
    announced.write_all(head("POST", "/predict", &headers).as_bytes()).unwrap();
    assert_eq!(read_reply(announced).status, 413);
    // In chunks: the answer comes as soon as the limit is passed, without the last chunk.
    let mut chunked = connect(function.address);
    let headers = [("Transfer-Encoding", "chunked")];
    chunked.write_all(head("POST", "/predict", &headers).as_bytes()).unwrap();
    for _ in 0..2 {
        chunked.write_all(b"1f4\r\n").unwrap();
        chunked.write_all(&[b'x'; 500]).unwrap();
        chunked.write_all(b"\r\n").unwrap();
    }
    chunked.write_all(b"1\r\nx\r\n").unwrap();
    let mut first_line = [0; 12];
    std::io::Read::read_exact(&mut chunked, &mut first_line).unwrap();
    assert_eq!(&first_line, b"HTTP/1.1 413");
}

#[test]
fn drawn_pictures_get_the_classes_of_the_manifest_raw_and_as_a_form() {
    let function = start(&[]);
    let manifest = Manifest::builtin().unwrap();
    let set = manifest.pictures.iter().find(|set| set.drawn).unwrap();
    let mut checked = 0;
    for picture in &set.pictures {
        let Some(expected) = picture.expected.get(support::MODEL) else { continue };
        let file = drawn(&picture.file);
        let raw = post(function.address, "/predict", &file).json();
        assert_eq!(raw["predictions"][0]["class_id"], expected.as_str(), "{}", picture.file);
        let form = as_form(&function, &file);
        assert_eq!(form["predictions"], raw["predictions"]);
        checked += 1;
    }
    assert!(checked >= 3, "the manifest expects something of {checked} drawn pictures");
}

/// The picture as curl's `-F comment=hello -F file=@picture` sends it.
fn as_form(function: &Function, file: &[u8]) -> Value {
    let mut form = b"--xyz\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\nhello\r\n--xyz\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\
        Content-Type: image/jpeg\r\n\r\n"
        .to_vec();
    form.extend_from_slice(file);
    form.extend_from_slice(b"\r\n--xyz--\r\n");
    let headers = [("Content-Type", "multipart/form-data; boundary=xyz")];
    let reply = send(function.address, "POST", "/", &headers, &form);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[test]
fn pages_for_people_and_machines_are_there() {
    let function = start(&[("INFERENCE_THREADS", "2")]);
    assert_eq!(post(function.address, "/predict", &drawn("drawn-grid.jpg")).status, 200);
    assert_eq!(post(function.address, "/predict", b"text").status, 415);
    for path in ["/health", "/healthz", "/_/health", "/_/ready"] {
        assert_eq!(get(function.address, path).status, 200, "{path}");
        assert_eq!(send(function.address, "HEAD", path, &[], b"").status, 200, "{path}");
    }
    let index = get(function.address, "/").json();
    assert_eq!(index["uses"]["model"]["name"], support::MODEL);
    assert_eq!(index["limits"]["queue"], 64);
    let metrics = String::from_utf8(get(function.address, "/metrics").body).unwrap();
    for line in [
        "function_requests_total{code=\"200\"} 1",
        "function_requests_total{code=\"415\"} 1",
        "function_stage_duration_seconds_count{stage=\"inference\"} 1",
        "function_in_flight 0",
        "function_queue_length 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}
