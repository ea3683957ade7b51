//! The workload as a whole, on tiny models with random weights, against what `transformers` answers.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Deserialize;

use super::*;

/// What `models/scripts/export_tiny_caption.py` wrote.
#[derive(Deserialize)]
struct Expected {
    by: String,
    answers: Vec<ExpectedAnswer>,
}

#[derive(Deserialize)]
struct ExpectedAnswer {
    picture: String,
    beams: usize,
    tokens: Vec<u32>,
    caption: String,
    /// Of a beam search; a greedy one has none there.
    score: Option<f32>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/caption")
}

fn open(model: &str, remember: bool) -> Caption {
    Caption::open(&fixtures().join(model), remember, 1_000_000).unwrap()
}

fn body(picture: &str) -> Bytes {
    fs::read(fixtures().join("pictures").join(picture)).unwrap().into()
}

fn ask(caption: &Caption, picture: &str, query: &str) -> Result<Answer, WorkloadError> {
    caption.handle(&body(picture).into(), &Query::parse(query).unwrap())
}

fn expected(model: &str) -> Expected {
    serde_json::from_slice(&fs::read(fixtures().join(model).join("expected.json")).unwrap()).unwrap()
}

/// Compares every answer of a model; gives how many there are.
fn check(model: &str, caption: &Caption) -> usize {
    let Expected { by, answers } = expected(model);
    assert!(by.contains("transformers"), "{by}");
    for known in &answers {
        let what = format!("{model}, {}, {} beams", known.picture, known.beams);
        let answer = ask(caption, &known.picture, &format!("beams={}", known.beams)).unwrap().body;
        assert_eq!(answer["tokens"], json!(known.tokens), "{what}");
        assert_eq!(answer["caption"], known.caption, "{what}");
        if let Some(score) = known.score {
            let found = answer["score"].as_f64().unwrap() as f32;
            assert!((found - score).abs() < 1e-4 * score.abs().max(1.0), "{what}: {found}, not {score}");
        }
    }
    answers.len()
}

#[test]
fn every_token_is_that_of_transformers_with_and_without_cache_greedily_and_with_beams() {
    let mut checked = 0;
    for model in ["plain", "penalty", "never", "rules"] {
        for remember in [true, false] {
            let caption = open(model, remember);
            assert_eq!(caption.engine.has_cache(), remember);
            checked += check(model, &caption);
        }
    }
    assert_eq!(checked, 4 * 2 * 4 * 4, "models, caches, pictures, beams");
}

#[test]
fn decoders_merged_into_one_file_say_the_same_with_and_without_cache() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("penalty")).unwrap() {
        let entry = entry.unwrap();
        if !["decoder_model.onnx", "decoder_with_past_model.onnx"]
            .contains(&&*entry.file_name().to_string_lossy())
        {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    for remember in [true, false] {
        let caption = Caption::open(folder.path(), remember, 1_000_000).unwrap();
        assert_eq!(caption.engine.has_cache(), remember);
        check("penalty", &caption);
    }
}

#[test]
fn an_answer_names_its_caption_tokens_score_and_stages() {
    let caption = open("plain", true);
    caption.warm_up().unwrap();
    let answer = ask(&caption, "house.png", "beams=2&max_tokens=5").unwrap();
    let stages: Vec<_> = answer.stages.iter().map(|(name, _)| *name).collect();
    assert_eq!(stages, ["decode", "preprocess", "encoder", "decoder"]);
    assert!(answer.body["tokens"].as_array().unwrap().len() <= 5);
    assert!(answer.body["score"].as_f64().unwrap() < 0.0);
    assert!(answer.body.contains_key("model"));
}

#[test]
fn without_parameters_the_models_own_settings_hold() {
    let caption = open("never", true);
    let own = caption.search(&Query::default()).unwrap();
    assert_eq!((own.beams, own.max_length), (3, 12));
    let asked = caption.search(&Query::parse("beams=8&max_tokens=32").unwrap()).unwrap();
    assert_eq!((asked.beams, asked.max_length), (8, 32));
}

#[test]
fn a_parameter_out_of_its_range_is_refused_with_the_range() {
    let caption = open("never", false);
    for (query, part) in [
        ("beams=0", "1 to 8"),
        ("beams=9", "1 to 8"),
        ("beams=four", "1 to 8"),
        ("max_tokens=1", "2 to 32"),
        ("max_tokens=33", "2 to 32"),
    ] {
        match ask(&caption, "noise.png", query) {
            Err(WorkloadError::BadParameter(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_picture_is_refused_and_nothing_is_guessed() {
    let caption = open("never", false);
    let answer = caption.handle(&b"no picture".as_slice().into(), &Query::default());
    assert!(matches!(answer, Err(WorkloadError::Unsupported(_))), "{answer:?}");
    let half = body("discs.png");
    let answer = caption.handle(&half.slice(..half.len() / 2).into(), &Query::default());
    assert!(matches!(answer, Err(WorkloadError::Damaged(_))), "{answer:?}");
}

#[test]
fn a_missing_or_unfit_file_is_named() {
    let complaint = |model: &Path| format!("{:#}", Caption::open(model, true, 1_000_000).unwrap_err());
    let folder = tempfile::tempdir().unwrap();
    assert!(complaint(folder.path()).contains("config.json"));
    for file in ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"] {
        fs::copy(fixtures().join("never").join(file), folder.path().join(file)).unwrap();
    }
    assert!(complaint(folder.path()).contains("encoder_model.onnx"));
    fs::write(folder.path().join("encoder_model.onnx"), "no model").unwrap();
    assert!(complaint(folder.path()).contains("encoder_model.onnx"));
    fs::copy(fixtures().join("never/encoder_model.onnx"), folder.path().join("encoder_model.onnx")).unwrap();
    assert!(complaint(folder.path()).contains("decoder_model.onnx"));
    fs::copy(fixtures().join("never/encoder_model.onnx"), folder.path().join("decoder_model.onnx")).unwrap();
    let message = complaint(folder.path());
    assert!(message.contains("pixel_values"), "{message}");
}

#[test]
fn a_model_is_found_by_the_path_of_its_folder_and_an_unknown_name_is_refused() {
    let config = |model: &str| {
        Config::from_lookup(|name| match name {
            "MODEL" => Some(model.to_owned()),
            "MODELS_DIR" => Some(fixtures().display().to_string()),
            _ => None,
        })
        .unwrap()
    };
    let found = find_model(&config(&fixtures().join("plain").display().to_string())).unwrap();
    assert_eq!((found.name.as_str(), found.is_verified), ("plain", false));
    let error = find_model(&config("poet")).unwrap_err();
    assert!(error.is::<ConfigError>() && error.to_string().contains("vit-gpt2"), "{error}");
}
