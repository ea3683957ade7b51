//! Captioning by the real binary, over loopback: the project's own captioner and a scene that it was not
//! trained on; refusals; and what keeps it from starting.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use models::scenes::{PAYLOAD_SEED, held_out};
use support::http::{get, post};
use support::{Function, refused, start_bare};

fn fixture(model: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/caption").join(model).display().to_string()
}

/// A directory of models with the project's own captioner in it.
fn models_dir() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("scenes-captioner");
    fs::create_dir(&folder).unwrap();
    for (name, contents) in models::captioner::FILES {
        fs::write(folder.join(name), contents).unwrap();
    }
    (directory, folder)
}

fn start(settings: &[(&str, &str)]) -> Function {
    start_bare(&[&[("WORKLOAD", "caption")], settings].concat())
}

#[test]
fn a_scene_is_captioned_with_its_stages_and_its_instance_named() {
    let (directory, _) = models_dir();
    let function = start(&[("MODELS_DIR", &directory.path().display().to_string())]);
    let scene = held_out(PAYLOAD_SEED, 1).unwrap().remove(0);
    let known = models::captioner::expected().unwrap().remove(0);
    for (target, expected) in [("/predict?beams=1", known.greedy), ("/predict", known.beams_4)] {
        let reply = post(function.address, target, &scene.jpeg);
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        assert_eq!(body["caption"], expected.as_str());
        assert_eq!(body["model"]["name"], "scenes-captioner");
        assert!(body["instance"]["id"].is_string() && body["score"].is_number(), "{body}");
        let timing = reply.header("Server-Timing").unwrap();
        for stage in ["queue", "decode", "preprocess", "encoder", "decoder"] {
            assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
        }
    }
    let about = get(function.address, "/").json();
    assert!(about.to_string().contains("scenes-captioner"), "{about}");
}

#[test]
fn what_cannot_be_captioned_is_refused_by_a_problem_document() {
    let function = start(&[("MODEL", &fixture("plain"))]);
    let scene = held_out(PAYLOAD_SEED, 1).unwrap().remove(0).jpeg;
    for (target, body, status, problem) in [
        ("/predict?beams=9", &scene[..], 400, "bad-parameter"),
        ("/predict?max_tokens=0", &scene, 400, "bad-parameter"),
        ("/predict", b"no picture", 415, "unsupported-input"),
        ("/predict", &scene[..scene.len() / 2], 422, "damaged-input"),
    ] {
        let reply = post(function.address, target, body);
        assert_eq!(reply.status, status, "{target}: {reply:?}");
        assert_eq!(reply.json()["type"], format!("urn:function:problem:{problem}"));
    }
}

#[test]
fn a_model_that_is_nowhere_or_spoilt_keeps_it_from_starting_with_one_line() {
    let (code, errors) = refused(&[("WORKLOAD", "caption"), ("MODEL", "poet")]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.starts_with("function: MODEL=poet: expected one of: "), "{errors}");

    let (directory, folder) = models_dir();
    let models_dir = directory.path().display().to_string();
    fs::write(folder.join("config.json"), "{}").unwrap();
    let (code, errors) = refused(&[("WORKLOAD", "caption"), ("MODELS_DIR", &models_dir)]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("config.json is not the file that the manifest describes"), "{errors}");

    fs::remove_dir_all(&folder).unwrap();
    let (code, errors) = refused(&[("WORKLOAD", "caption"), ("MODELS_DIR", &models_dir)]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("harness models fetch scenes-captioner"), "{errors}");
}
