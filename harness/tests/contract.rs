//! The harness's side of the HTTP contract with the function: the same JSON files that the
//! function's tests assert its answers against, read as answers.

use std::{collections::BTreeMap, fs, path::PathBuf};

use harness::{
    drive::{Judge, answer::facts},
    record::Outcome,
    workloads::classify::{ClassifyJudge, top_class},
};
use hyper::{HeaderMap, header::HeaderName};
use serde::Deserialize;

#[derive(Deserialize)]
struct Contract {
    status: u16,
    headers: BTreeMap<String, String>,
    body: serde_json::Value,
}

impl Contract {
    fn headers(&self) -> HeaderMap {
        let pair = |(name, value): (&String, &String)| {
            (HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap())
        };
        self.headers.iter().map(pair).collect()
    }

    fn outcome(&self, expected: &str) -> Outcome {
        let judge = ClassifyJudge { expected: vec![expected.into()] };
        judge.judge(0, self.status, &self.headers(), self.body.to_string().as_bytes()).outcome
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/contract")
}

fn contract(name: &str) -> Contract {
    serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

#[test]
fn a_prediction_is_judged_by_its_top_class_and_its_headers_are_facts() {
    let success = contract("success.json");
    let body = success.body.to_string();
    let top = top_class(body.as_bytes()).expect("the contract's body has predictions");
    assert_eq!(success.outcome(&top), Outcome::Ok);
    assert_eq!(success.outcome("n00000000"), Outcome::WrongAnswer);

    let read = facts(&success.headers());
    let instance = &success.body["instance"];
    let named = format!("{}/{}", instance["id"].as_str().unwrap(), instance["boot_id"].as_str().unwrap());
    assert!(read.from_function);
    assert_eq!(read.instance.as_deref(), Some(named.as_str()));
    assert_eq!(Some(read.cold), instance["cold_start"].as_bool());
    let server = read.server.expect("the contract's Server-Timing is read");
    let total_us = success.body["timing_ms"]["total"].as_f64().unwrap() * 1000.0;
    assert!((f64::from(server.total_us) - total_us).abs() < 1.0, "{server:?}");
    assert!(server.inference_us > 0 && server.decode_us > 0 && server.preprocess_us > 0, "{server:?}");
}

#[test]
fn every_problem_document_is_the_functions_failure_or_an_announced_refusal() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("problem-") {
            continue;
        }
        seen += 1;
        let problem = contract(&name);
        let refusal = problem.headers.keys().any(|header| header.eq_ignore_ascii_case("retry-after"));
        let wanted = if refusal { Outcome::Overload } else { Outcome::Function };
        assert_eq!(problem.outcome("n1"), wanted, "{name}");
        assert_eq!(Some(u64::from(problem.status)), problem.body["status"].as_u64(), "{name}");
    }
    assert!(seen >= 10, "only {seen} problem documents were found");
}
