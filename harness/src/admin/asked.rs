//! What one request to a workload of our function is, whoever deployed it, and what counts as a right
//! answer; and what a function says that it is.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use models::{Manifest, Places, find_pictures};
use serde_json::Value;

use super::invoke::{self, Question};
use crate::{
    collect::event_counts::page,
    drive::{Endpoint, Payload},
    experiment::{Experiment, Site},
    interrupt::Interrupt,
    record::Outcome,
    workloads::{JudgeSpec, Kind, Size, caption, null},
};

/// Pictures that our own code draws: everybody has them.
const DRAWN_PICTURES: &str = "drawn";
/// A word of every answer of `classify`.
const CLASS: &str = "\"class_id\"";

/// What a function says of itself on its first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What it serves.
    pub workload: Kind,
    /// The model that it uses, if it uses one.
    pub model: Option<String>,
}

/// One request, and what counts as a right answer to it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// What is sent.
    pub payload: Payload,
    /// What counts as a right answer.
    pub expected: JudgeSpec,
}

/// Asks a function for its first page. `endpoint` may be its base, or an invocation of it.
///
/// # Errors
/// If nobody answers, or it is not our function.
pub async fn about(endpoint: &Endpoint, timeout: Duration, interrupt: Interrupt) -> anyhow::Result<About> {
    let base = endpoint.url.split('?').next().unwrap_or_default();
    let path = if base.ends_with(null::PATH) { &endpoint.url[base.len() - null::PATH.len()..] } else { "" };
    let question = Question {
        endpoint: page(endpoint, path, "/"),
        method: hyper::Method::GET,
        payload: Payload { name: "(none)".into(), content_type: String::new(), body: Bytes::new() },
        expected: JudgeSpec::Status,
        timeout,
    };
    let answers = invoke::ask(&question, 1, interrupt).await?;
    let answer = answers.into_iter().next().context("interrupted")?;
    let url = &question.endpoint.url;
    if matches!(answer.record.outcome, Outcome::Connect | Outcome::Timeout) {
        bail!("{url} does not answer ({}); is the function running?", answer.record.outcome.name());
    }
    said(&answer.body).with_context(|| {
        format!(
            "{url} does not say which workload it serves (status {}); name it with --workload, or what is sent with \
             --body",
            answer.record.status
        )
    })
}

fn said(page: &[u8]) -> Option<About> {
    let page: Value = serde_json::from_slice(page).ok()?;
    let workload = page["workload"].as_str()?.parse().ok()?;
    Some(About { workload, model: page["uses"]["model"].as_str().map(str::to_owned) })
}

/// The first request of a run of this workload. Where the function's model is not known, any class or
/// caption counts as right.
///
/// # Errors
/// If something is missing on this machine.
pub fn request(about: &About, size: Size, places: &Places, say: &dyn Fn(&str)) -> anyhow::Result<Asked> {
    let mut experiment = Experiment::default_on(Site::Cluster);
    experiment.choose_workload(about.workload);
    experiment.function.size = size;
    if about.workload == Kind::Classify {
        return classify(about, &experiment, places);
    }
    if about.workload == Kind::Caption {
        // Its scenes are drawn: nothing needs to be found or fetched.
        caption::OWN_MODEL.clone_into(&mut experiment.function.model);
    }
    let requests = about.workload.requests(&experiment, places, say)?;
    let is_other_model = about.model.as_deref() != Some(caption::OWN_MODEL);
    let expected = match requests.expected {
        JudgeSpec::Captions { expected } if is_other_model => {
            JudgeSpec::Captions { expected: vec![None; expected.len()] }
        }
        known => known,
    };
    let payload = requests.payloads.into_iter().next().context("the workload has no request")?;
    Ok(Asked { path: requests.path, payload, expected })
}

/// The first of the pictures that our own code draws.
fn classify(about: &About, experiment: &Experiment, places: &Places) -> anyhow::Result<Asked> {
    let manifest = Manifest::builtin().context("this build is broken")?;
    let found = find_pictures(&manifest, Some(DRAWN_PICTURES), places, &mut |_| ())
        .context("cannot draw a picture; give a file with --body")?;
    let picture =
        found.pictures.into_iter().next().context("no picture was drawn; give a file with --body")?;
    let class = about.model.as_ref().and_then(|model| picture.expected.get(model)).cloned();
    let expected = match class {
        Some(class) => JudgeSpec::Classes { expected: vec![class] },
        None => JudgeSpec::Contains { text: Some(CLASS.to_owned()) },
    };
    let payload =
        Payload { name: picture.name, content_type: picture.content_type.into(), body: picture.bytes.into() };
    Ok(Asked { path: Kind::Classify.path(&experiment.function), payload, expected })
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::replay::{Exchange, Replay};

    fn of(workload: Kind, model: Option<&str>) -> Asked {
        let cache = tempfile::tempdir().unwrap();
        let places = Places { cache: Some(cache.path().into()), ..Places::default() };
        let about = About { workload, model: model.map(str::to_owned) };
        request(&about, Size::Test, &places, &|_| ()).unwrap()
    }

    #[test]
    fn every_workload_has_a_request_of_its_own_and_a_judge_that_can_say_no() {
        for kind in Kind::ALL {
            let asked = of(kind, None);
            assert!(asked.path.starts_with("/predict"), "{kind}");
            assert!(!asked.payload.body.is_empty(), "{kind}");
            let judge = asked.expected.thorough_judge();
            let judged = judge.judge(0, 200, &HeaderMap::new(), b"something else");
            assert_eq!(judged.outcome, Outcome::WrongAnswer, "{kind}");
        }
        assert_eq!(of(Kind::Classify, None).payload.content_type, "image/jpeg");
        assert_eq!(of(Kind::GradeC, None).payload.content_type, "application/json");
    }

    #[test]
    fn the_caption_is_known_of_the_projects_own_captioner_alone() {
        let known = of(Kind::Caption, Some(caption::OWN_MODEL)).expected;
        assert!(matches!(known, JudgeSpec::Captions { expected } if expected[0].is_some()));
        let other = of(Kind::Caption, Some("vit-gpt2-image-captioning")).expected;
        assert_eq!(other, JudgeSpec::Captions { expected: vec![None] });
    }

    #[tokio::test]
    async fn a_function_is_asked_what_it_serves_wherever_its_address_points() {
        let first =
            json!({ "name": "function", "workload": "caption", "uses": { "model": "scenes-captioner" } });
        let server = Replay::start([
            Exchange::new("GET", "/", 200, first.clone()),
            Exchange::new("GET", "/function/captions/", 200, first),
            Exchange::new("GET", "/other/", 200, json!({ "hello": "world" })),
        ])
        .await;
        let ask = async |path: &str| {
            let endpoint = Endpoint { url: format!("{}{path}", server.url()), headers: Vec::new() };
            about(&endpoint, Duration::from_secs(5), Interrupt::never()).await
        };
        let captions = About { workload: Kind::Caption, model: Some("scenes-captioner".into()) };
        for path in ["", "/", "/predict?beams=4", "/function/captions", "/function/captions/predict"] {
            assert_eq!(ask(path).await.unwrap(), captions, "{path}");
        }
        let error = ask("/other/predict").await.unwrap_err().to_string();
        assert!(error.contains("name it with --workload"), "{error}");
    }
}
