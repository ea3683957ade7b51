//! Everything a run needs before the first deployment: binary, model, pictures, expected answers.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use models::{FoundModel, FoundPictures, Manifest, Places, find_model, find_pictures};

use super::{function_binary, inputs::Sent, null, own, spec};
use crate::{
    drive::{Payload, shapes::Files},
    experiment::{Experiment, LoadPoint, Site, Subject},
    platforms::FunctionSpec,
    workloads::{JudgeSpec, Kind},
};

/// Name of the function on every platform.
pub(super) const FUNCTION_NAME: &str = "classify";
/// Name of the model that our own code makes.
const GENERATED_MODEL: &str = "mobilenetv2-generated";
/// Name of the pictures that our own code draws.
const DRAWN_PICTURES: &str = "drawn";

/// What is deployed and what is sent.
pub struct Prepared {
    /// What every platform deploys.
    pub spec: FunctionSpec,
    /// What is sent.
    pub payloads: Arc<[Payload]>,
    /// What is sent at load points that choose payloads of their own, by the load point's name.
    pub by_load: BTreeMap<String, Arc<[Payload]>>,
    /// What is sent instead, where inputs come by reference; answers are judged by the payloads.
    pub sent: Option<Sent>,
    /// HTTP method.
    pub method: hyper::Method,
    /// What counts as a right answer.
    pub expected: Expected,
    /// What was degraded, one sentence each.
    pub notices: Vec<String>,
    /// The files that load shapes replay.
    pub files: Files,
    /// Where the load generator runs.
    pub generator: String,
    /// Digests and names for `environment.json`.
    pub facts: serde_json::Value,
}

/// What counts as a right answer.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The top class by payload, where an independent engine named one.
    Classes(Vec<Option<String>>),
    /// A success, with this text in it if there is one: a user's own function.
    Text(Option<String>),
    /// Length and checksum of what was sent: the null workload.
    Checksum,
    /// What the workload itself knows.
    Judged(JudgeSpec),
}

impl Expected {
    /// Whether nobody knows the right answer to some payload.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Classes(classes) if classes.iter().any(Option::is_none))
    }
}

impl Prepared {
    /// What is sent at a load point.
    pub fn payloads(&self, load: &LoadPoint) -> Arc<[Payload]> {
        self.by_load.get(&load.name).unwrap_or(&self.payloads).clone()
    }

    /// What is put into the requests of a load point: its payloads, or references to them.
    pub fn to_send(&self, load: &LoadPoint) -> Arc<[Payload]> {
        self.sent.as_ref().map_or_else(|| self.payloads(load), |sent| sent.payloads(&load.name))
    }

    /// The same where no load point says otherwise.
    pub fn usually_sent(&self) -> Arc<[Payload]> {
        self.sent.as_ref().map_or_else(|| self.payloads.clone(), Sent::usual)
    }

    /// What is deployed for one subject: the common spec with its platform's settings and its variant.
    pub fn spec_for(&self, subject: &Subject, experiment: &Experiment) -> FunctionSpec {
        spec::for_subject(&self.spec, experiment, subject)
    }
}

/// Where to look, as the command line says.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The function's binary, if given.
    pub function_binary: Option<PathBuf>,
    /// Where models and pictures are.
    pub places: Places,
}

/// Finds or makes all that is needed, and fills `auto` in the experiment with what was found.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub async fn prepare(
    experiment: &mut Experiment,
    sources: &Sources,
    say: &dyn Fn(&str),
) -> anyhow::Result<Prepared> {
    if let Some(own) = &experiment.function.own {
        return own::prepare(experiment, own);
    }
    match experiment.function.workload.parse().map_err(anyhow::Error::msg)? {
        Kind::Classify => {}
        Kind::Null => return null::prepare(experiment, sources, say).await,
        made => return super::made::prepare(made, experiment, sources, say).await,
    }
    let manifest = Manifest::builtin()?;
    let mut notices = Vec::new();
    let model = model(&manifest, experiment, &sources.places, &mut notices, say)?;
    let pictures = pictures(&manifest, experiment, &model, &sources.places, &mut notices, say)?;
    let expected: Vec<_> =
        pictures.pictures.iter().map(|p| p.expected.get(&model.model.name).cloned()).collect();
    let unknown = expected.iter().filter(|e| e.is_none()).count();
    if unknown > 0 {
        notices.push(format!(
            "No independent engine has named the top class of {unknown} of {} pictures for {}: the function's own \
             answer before the run is taken as right, so an answer that is wrong every time would pass.",
            expected.len(),
            model.model.name
        ));
    }
    // A cluster runs the image; the binary is not needed here.
    let binary = match experiment.on {
        Site::Twin => Some(function_binary::find_or_build(sources.function_binary.as_deref(), say).await?),
        Site::Cluster => None,
    };
    let digest = |path: &PathBuf| {
        crate::collect::environment::sha256_file(path)
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let facts = serde_json::json!({
        "function_sha256": binary.as_ref().map(digest).transpose()?,
        "image": experiment.function.image,
        "model": { "name": model.model.name, "sha256": model.model.sha256, "generated": model.model.generated,
                   "licence": model.model.licence },
        "pictures": { "name": pictures.name, "drawn": pictures.drawn,
            "files": pictures.pictures.iter().map(|p| serde_json::json!({
                "name": p.name, "bytes": p.bytes.len(), "sha256": p.sha256 })).collect::<Vec<_>>() },
    });
    let payloads = pictures
        .pictures
        .into_iter()
        .map(|p| Payload { name: p.name, content_type: p.content_type.into(), body: p.bytes.into() })
        .collect();
    Ok(Prepared {
        spec: spec(experiment, binary, &model)?,
        payloads,
        by_load: BTreeMap::new(),
        sent: None,
        method: hyper::Method::POST,
        expected: Expected::Classes(expected),
        notices,
        files: Files::default(),
        generator: "this machine".to_owned(),
        facts,
    })
}

fn model(
    manifest: &Manifest,
    experiment: &mut Experiment,
    places: &Places,
    notices: &mut Vec<String>,
    say: &dyn Fn(&str),
) -> anyhow::Result<FoundModel> {
    let wanted = (experiment.function.model != super::AUTO).then(|| experiment.function.model.clone());
    let mut progress = super::progress::download_lines(say);
    let found = match find_model(manifest, wanted.as_deref(), places, &mut progress) {
        // Only the twin's demonstration may go on without real weights, and says so.
        Err(error) if error.is_absence() && wanted.is_none() && experiment.on == Site::Twin => {
            say(&format!("no model with real weights: {error}"));
            find_model(manifest, Some(GENERATED_MODEL), places, &mut progress)?
        }
        found => found?,
    };
    if found.model.generated {
        notices.push(
            "The model's weights are generated: the same MobileNetV2 graph with seeded random weights. Its cost is \
             right, its answers are meaningless. For the real ones set MODELS_DIR, or let `harness models fetch` \
             download them."
                .into(),
        );
    }
    experiment.function.model.clone_from(&found.model.name);
    Ok(found)
}

fn pictures(
    manifest: &Manifest,
    experiment: &mut Experiment,
    model: &FoundModel,
    places: &Places,
    notices: &mut Vec<String>,
    say: &dyn Fn(&str),
) -> anyhow::Result<FoundPictures> {
    let wanted = match experiment.function.pictures.as_str() {
        // Generated weights have expected answers for the drawn pictures alone.
        super::AUTO if model.model.generated => Some(DRAWN_PICTURES.to_string()),
        super::AUTO => None,
        name => Some(name.to_string()),
    };
    let mut progress = super::progress::download_lines(say);
    let found = match find_pictures(manifest, wanted.as_deref(), places, &mut progress) {
        // As with the weights: only the twin's demonstration may go on without, and says so.
        Err(error) if error.is_absence() && wanted.is_none() && experiment.on == Site::Twin => {
            say(&format!("no photographs: {error}"));
            find_pictures(manifest, Some(DRAWN_PICTURES), places, &mut progress)?
        }
        found => found?,
    };
    if found.pictures.is_empty() {
        bail!(
            "there are no pictures in {}; give a folder with JPEG, PNG, WebP, BMP or GIF files",
            found.name
        );
    }
    if found.drawn && !model.model.generated {
        notices.push(
            "The pictures are drawn by our own code: no photographs were found. Set PICTURES_DIR, give --pictures, \
             or let `harness models fetch` download them."
                .into(),
        );
    }
    experiment.function.pictures.clone_from(&found.name);
    Ok(found)
}

fn spec(
    experiment: &Experiment,
    binary: Option<PathBuf>,
    model: &FoundModel,
) -> anyhow::Result<FunctionSpec> {
    let mut spec = spec::common(experiment, FUNCTION_NAME);
    if let Some(binary) = binary {
        // The twin runs the binary itself, on the model where it was found.
        let folder = model.path.parent().context("the model's path has no folder")?.canonicalize()?;
        spec.env.insert("MODELS_DIR".into(), folder.display().to_string());
        spec.binary = binary;
    }
    Ok(spec)
}
