//! Captioning: a picture goes out, its sentence has to come back.

use std::collections::BTreeMap;

use anyhow::Context;
use hyper::HeaderMap;
use models::{
    FoundFolder, LocateError, Manifest, Places, captioner, find_folder, find_pictures, put_folder, scenes,
};
use serde::Deserialize;
use serde_json::json;

use super::{JudgeSpec, Requests, Size};
use crate::{
    downloads,
    drive::{Judge, Judgement, Payload, answer::StatusJudge},
    experiment::{AUTO, Experiment, Site},
    record::Outcome,
};

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME: &str = "caption";
/// The captioner that the project brings with it.
pub const OWN_MODEL: &str = "scenes-captioner";
/// Name of the pictures that our own code draws.
const DRAWN_PICTURES: &str = "drawn";

/// Path and query of an invocation: greedy, or for a large size with four beams.
pub fn path(size: Size) -> String {
    format!("/predict?beams={}", beams(size))
}

fn beams(size: Size) -> u32 {
    match size {
        Size::Test | Size::Small => 1,
        Size::Large => 4,
    }
}

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub fn requests(experiment: &Experiment, places: &Places, say: &dyn Fn(&str)) -> anyhow::Result<Requests> {
    let choice = &experiment.function;
    let mut notices = Vec::new();
    let found = model(Some(choice.model.as_str()).filter(|name| *name != AUTO), places, say)?;
    notices.extend(notice_of(&found));
    let (set, mut pairs) = pictures(experiment, &found, places, &mut notices, say)?;
    if choice.size == Size::Test {
        pairs.truncate(1);
    }
    let unknown = pairs.iter().filter(|(_, expected)| expected.is_none()).count();
    if unknown > 0 {
        notices.push(format!(
            "No independent engine has named the caption of {unknown} of {} pictures for {}: the function's own \
             answer before the run is taken as right, so an answer that is wrong every time would pass.",
            pairs.len(),
            found.name
        ));
    }
    let (payloads, expected): (Vec<Payload>, _) = pairs.into_iter().unzip();
    let files: Vec<_> = payloads
        .iter()
        .map(|p| json!({ "name": p.name, "bytes": p.body.len(), "sha256": models::sha256_hex(&p.body) }))
        .collect();
    Ok(Requests {
        path: path(choice.size),
        expected: JudgeSpec::Captions { expected },
        env: environment(&found)?,
        notices,
        facts: json!({
            "model": { "name": found.name, "sha256": found.sha256, "licence": found.licence,
                       "verified": found.is_verified },
            "beams": beams(choice.size),
            "pictures": { "name": set, "files": files },
        }),
        payloads,
    })
}

/// The model that is wanted; without a wish the first that is there, and if none is, the project's own, which
/// the harness brings with it.
///
/// # Errors
/// If it cannot be had; the message names the remedy.
pub fn model(wanted: Option<&str>, places: &Places, say: &dyn Fn(&str)) -> Result<FoundFolder, LocateError> {
    let manifest = Manifest::builtin()?;
    let mut progress = downloads::lines(say);
    let found =
        match (find_folder(&manifest, NAME, wanted, places, &mut progress), manifest.folder(OWN_MODEL)) {
            (Err(error), Ok(own)) if error.is_absence() && wanted.is_none_or(|name| name == OWN_MODEL) => {
                put_folder(own, None, places, &mut progress)?;
                find_folder(&manifest, NAME, Some(OWN_MODEL), places, &mut progress)?
            }
            (found, _) => found?,
        };
    say(&format!("captions by {}", found.name));
    Ok(found)
}

/// What a reader has to know of a model.
pub fn notice_of(model: &FoundFolder) -> Option<String> {
    if model.name == OWN_MODEL {
        return Some(
            "The captions are those of the project's own small captioner, which knows drawn scenes alone: its cost \
             is its own, not that of ViT-GPT2. For that one run `harness models fetch vit-gpt2-image-captioning`."
                .into(),
        );
    }
    (!model.is_verified).then(|| {
        format!(
            "Nobody has verified the files of {}; the digest of those used here is {}.",
            model.name, model.sha256
        )
    })
}

/// The twin runs the binary itself, on the model where it was found.
fn environment(model: &FoundFolder) -> anyhow::Result<BTreeMap<String, String>> {
    let path = model.path.canonicalize().with_context(|| format!("cannot find {}", model.path.display()))?;
    let mut env = BTreeMap::new();
    if model.licence.is_none() {
        // A folder of the user's own is named by its path.
        env.insert("MODEL".to_owned(), path.display().to_string());
        return Ok(env);
    }
    let around = path.parent().context("the model's folder lies in no directory")?;
    env.insert("MODEL".to_owned(), model.name.clone());
    env.insert("MODELS_DIR".to_owned(), around.display().to_string());
    Ok(env)
}

type Sent = (Payload, Option<String>);

/// Name of the set, and its pictures with their captions where they are known.
fn pictures(
    experiment: &Experiment,
    model: &FoundFolder,
    places: &Places,
    notices: &mut Vec<String>,
    say: &dyn Fn(&str),
) -> anyhow::Result<(String, Vec<Sent>)> {
    let wanted = Some(experiment.function.pictures.as_str()).filter(|name| *name != AUTO);
    if wanted.is_none() && model.name == OWN_MODEL {
        return drawn_scenes(experiment.function.size);
    }
    let manifest = Manifest::builtin()?;
    let mut progress = downloads::lines(say);
    let found = match find_pictures(&manifest, wanted, places, &mut progress) {
        // Only the twin's demonstration may go on without, and says so.
        Err(error) if error.is_absence() && wanted.is_none() && experiment.on == Site::Twin => {
            say(&format!("no photographs: {error}"));
            notices.push(
                "The pictures are drawn by our own code: no photographs were found. Set PICTURES_DIR, give \
                 --pictures, or let `harness models fetch` download them."
                    .into(),
            );
            find_pictures(&manifest, Some(DRAWN_PICTURES), places, &mut progress)?
        }
        found => found?,
    };
    anyhow::ensure!(
        !found.pictures.is_empty(),
        "there are no pictures in {}; give a folder with JPEG, PNG, WebP, BMP or GIF files",
        found.name
    );
    let payload = |p: models::FoundPicture| Payload {
        name: p.name,
        content_type: p.content_type.into(),
        body: p.bytes.into(),
    };
    Ok((found.name, found.pictures.into_iter().map(|picture| (payload(picture), None)).collect()))
}

/// The drawn scenes that the project's own captioner was not trained on, with what ONNX Runtime makes it say.
fn drawn_scenes(size: Size) -> anyhow::Result<(String, Vec<Sent>)> {
    let known = captioner::expected().context("models/captioner/expected.json")?;
    let drawn = scenes::held_out(scenes::PAYLOAD_SEED, scenes::PAYLOADS).context("cannot draw the scenes")?;
    let sent = drawn.into_iter().map(|scene| {
        // Found by what is drawn: another drawing has no expected caption.
        let sha256 = models::sha256_hex(&scene.jpeg);
        let known = known.iter().find(|known| known.sha256 == sha256);
        let caption = known.map(|known| if beams(size) == 1 { &known.greedy } else { &known.beams_4 });
        let payload =
            Payload { name: scene.name, content_type: "image/jpeg".into(), body: scene.jpeg.into() };
        (payload, caption.cloned())
    });
    Ok((format!("scenes {}", scenes::PAYLOAD_SEED), sent.collect()))
}

/// An answer has the caption that is expected of its picture, or it is wrong.
#[derive(Debug, Clone)]
pub struct CaptionJudge {
    /// The caption, by payload; none: any caption counts.
    pub expected: Vec<Option<String>>,
}

impl Judge for CaptionJudge {
    fn judge(&self, payload: usize, status: u16, headers: &HeaderMap, body: &[u8]) -> Judgement {
        let mut judgement = StatusJudge.judge(payload, status, headers, body);
        if judgement.outcome == Outcome::Ok {
            let right = match (caption(body), self.expected.get(payload)) {
                (Some(said), Some(expected)) => expected.as_ref().is_none_or(|expected| *expected == said),
                _ => false,
            };
            if !right {
                judgement.outcome = Outcome::WrongAnswer;
            }
        }
        judgement
    }

    fn spec(&self) -> Option<serde_json::Value> {
        JudgeSpec::Captions { expected: self.expected.clone() }.value()
    }
}

/// The caption in an answer's body; none if it is not such an answer.
pub fn caption(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        caption: String,
    }
    serde_json::from_slice::<Answer>(body).ok().map(|answer| answer.caption)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_caption_of_the_payload_is_ok_and_another_is_wrong() {
        let judge = CaptionJudge { expected: vec![Some("a cat".into()), None] };
        let outcome = |payload, status, body: &str| {
            judge.judge(payload, status, &HeaderMap::new(), body.as_bytes()).outcome
        };
        assert_eq!(outcome(0, 200, r#"{"caption":"a cat","tokens":[0,1]}"#), Outcome::Ok);
        assert_eq!(outcome(0, 200, r#"{"caption":"a dog"}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(1, 200, r#"{"caption":"a dog"}"#), Outcome::Ok);
        assert_eq!(outcome(1, 200, r#"{"predictions":[]}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(2, 200, r#"{"caption":"a cat"}"#), Outcome::WrongAnswer);
        assert_eq!(outcome(0, 429, ""), Outcome::Overload);
    }

    /// A folder of the user's own, with pictures of the user's own.
    fn of_folders(size: Size) -> Requests {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let mut experiment = Experiment::default();
        experiment.function.model = folder.path().display().to_string();
        experiment.function.pictures = DRAWN_PICTURES.into();
        experiment.function.size = size;
        let places = Places { cache: Some(folder.path().join("cache")), ..Places::default() };
        requests(&experiment, &places, &|_| ()).unwrap()
    }

    #[test]
    fn a_test_sends_one_picture_greedily_and_a_large_run_all_of_them_with_four_beams() {
        let (test, large) = (of_folders(Size::Test), of_folders(Size::Large));
        assert_eq!((test.payloads.len(), test.path.as_str()), (1, "/predict?beams=1"));
        assert_eq!((large.payloads.len(), large.path.as_str()), (8, "/predict?beams=4"));
        assert_eq!(large.expected, JudgeSpec::Captions { expected: vec![None; 8] });
    }

    #[test]
    fn captions_that_nobody_named_and_files_that_nobody_verified_are_said() {
        let made = of_folders(Size::Small);
        assert!(
            made.notices.iter().any(|notice| notice.starts_with("Nobody has verified")),
            "{:?}",
            made.notices
        );
        assert!(made.notices.iter().any(|notice| notice.contains("8 of 8 pictures")), "{:?}", made.notices);
        assert!(made.env["MODEL"].starts_with('/'));
        assert_eq!(made.facts["model"]["verified"], false);
    }

    #[test]
    fn the_projects_own_captioner_is_sent_scenes_whose_captions_another_engine_named() {
        let cache = tempfile::tempdir().unwrap();
        let places = Places { cache: Some(cache.path().into()), ..Places::default() };
        let of = |size| {
            let mut experiment = Experiment::default();
            experiment.function.size = size;
            requests(&experiment, &places, &|_| ()).unwrap()
        };
        let (test, small) = (of(Size::Test), of(Size::Small));
        assert_eq!((test.payloads.len(), small.payloads.len()), (1, scenes::PAYLOADS as usize));
        let JudgeSpec::Captions { expected } = &small.expected else { panic!("{:?}", small.expected) };
        assert!(expected.iter().all(|caption| caption.as_ref().is_some_and(|said| said.contains(" on "))));
        assert_eq!(small.env["MODEL"], OWN_MODEL);
        assert!(std::path::Path::new(&small.env["MODELS_DIR"]).join(OWN_MODEL).join("config.json").is_file());
        assert_eq!(small.notices.len(), 1, "{:?}", small.notices);
        assert_eq!(small.facts["model"]["verified"], true);
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_known_ones() {
        let error = model(Some("poet"), &Places::default(), &|_| ()).unwrap_err().to_string();
        assert!(error.contains("vit-gpt2-image-captioning"), "{error}");
    }
}
