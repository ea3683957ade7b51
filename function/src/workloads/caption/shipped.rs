//! The captioner that the project ships, run by this program, against what ONNX Runtime answers and
//! against the truth.

use std::fs;

use models::scenes::{Captioned, PAYLOAD_SEED, PAYLOADS, held_out};

use super::*;

/// Scenes of no other seed in this repository.
const OTHER_SEED: u64 = 31;
const OTHER_SCENES: u32 = 60;

fn shipped() -> Caption {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in models::captioner::FILES {
        fs::write(folder.path().join(name), contents).unwrap();
    }
    Caption::open(folder.path(), true, 1_000_000).unwrap()
}

fn caption(captioner: &Caption, scene: &Captioned, beams: usize) -> String {
    let query = Query::parse(&format!("beams={beams}")).unwrap();
    let body = bytes::Bytes::from(scene.jpeg.clone());
    let answer = captioner.handle(&body.into(), &query).unwrap();
    answer.body["caption"].as_str().unwrap().to_owned()
}

#[test]
fn the_shipped_captioner_says_what_another_engine_says() {
    let captioner = shipped();
    let scenes = held_out(PAYLOAD_SEED, PAYLOADS).unwrap();
    for (scene, known) in scenes.iter().zip(models::captioner::expected().unwrap()) {
        assert_eq!(known.picture, scene.name);
        assert_eq!(caption(&captioner, scene, 1), known.greedy, "{}, greedy", scene.name);
        assert_eq!(caption(&captioner, scene, 4), known.beams_4, "{}, four beams", scene.name);
    }
}

#[test]
fn the_shipped_captioner_is_as_often_right_as_was_measured() {
    let captioner = shipped();
    let scenes = held_out(OTHER_SEED, OTHER_SCENES).unwrap();
    let right = scenes.iter().filter(|scene| caption(&captioner, scene, 1) == scene.caption).count();
    let stated = models::captioner::description().unwrap().accuracy.held_out.accuracy;
    // Three standard deviations of a share among so few scenes.
    let slack = 3.0 * (stated * (1.0 - stated) / f64::from(OTHER_SCENES)).sqrt();
    let share = right as f64 / f64::from(OTHER_SCENES);
    assert!(share >= stated - slack, "{right} of {OTHER_SCENES} right, {stated} stated");
}
