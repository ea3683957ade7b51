//! Everything a run needs before the first deployment: binary, model, pictures, expected answers.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, bail};
use models::{FoundModel, FoundPictures, Manifest, Places, find_model, find_pictures};

use super::{
    function_binary, null, own,
    sent::{self, Expected, Sent},
    spec,
};
use crate::{
    downloads,
    drive::{Payload, shapes::Files},
    experiment::{AUTO, Experiment, LoadPoint, Site, Subject},
    platforms::FunctionSpec,
    workloads::Kind,
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
    pub sent: Sent,
    /// What is sent at load points that choose payloads of their own, by the load point's name.
    pub by_load: BTreeMap<String, Sent>,
    /// HTTP method.
    pub method: hyper::Method,
    /// What was degraded, one sentence each.
    pub notices: Vec<String>,
    /// The files that load shapes replay.
    pub files: Files,
    /// Where the load generator runs.
    pub generator: String,
    /// Digests and names for `environment.json`.
    pub facts: serde_json::Value,
}

impl Prepared {
    /// What is sent at a load point.
    pub fn sent(&self, load: &LoadPoint) -> &Sent {
        self.by_load.get(&load.name).unwrap_or(&self.sent)
    }

    /// Whether nobody knows the right answer to some payload yet.
    pub fn is_open(&self) -> bool {
        self.sent.is_open() || self.by_load.values().any(Sent::is_open)
    }

    /// Reads the files that load points choose for themselves.
    fn add_files(&mut self, experiment: &Experiment) -> anyhow::Result<()> {
        for load in &experiment.load {
            let Some(sent) = sent::of_files(experiment, load.payload.as_ref())? else { continue };
            if sent.is_open() {
                self.notices.push(format!(
                    "Nobody has named the right answers to the {} files of {}: the function's own answers before the \
                     run are taken as right, so an answer that is wrong every time would pass.",
                    sent.payloads.len(),
                    load.name
                ));
            }
            let files: Vec<_> = sent
                .payloads
                .iter()
                .map(|p| {
                    serde_json::json!({
                "name": p.name, "bytes": p.body.len(), "sha256": models::sha256_hex(&p.body) })
                })
                .collect();
            self.facts["payloads_of_load_points"][&load.name] =
                serde_json::json!({ "files": files, "weights": sent.weights.as_ref() });
            self.by_load.insert(load.name.clone(), sent);
        }
        Ok(())
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
    let mut prepared = usual(experiment, sources, say).await?;
    prepared.add_files(experiment)?;
    Ok(prepared)
}

/// What is sent where a load point chooses nothing else.
async fn usual(
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
        Kind::Pdf => {
            crate::workloads::pdf::name_renderer(experiment)?;
            return super::made::prepare(Kind::Pdf, experiment, sources, say).await;
        }
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
        Site::Twin => {
            Some(function_binary::find_or_build(sources.function_binary.as_deref(), &[], say).await?)
        }
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
    let payloads: Vec<_> = pictures
        .pictures
        .into_iter()
        .map(|p| Payload { name: p.name, content_type: p.content_type.into(), body: p.bytes.into() })
        .collect();
    Ok(Prepared {
        spec: spec(experiment, binary, &model)?,
        sent: Sent::new(payloads, Expected::Classes(expected)),
        by_load: BTreeMap::new(),
        method: hyper::Method::POST,
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
    let wanted = (experiment.function.model != AUTO).then(|| experiment.function.model.clone());
    let mut progress = downloads::lines(say);
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
        AUTO if model.model.generated => Some(DRAWN_PICTURES.to_string()),
        AUTO => None,
        name => Some(name.to_string()),
    };
    let mut progress = downloads::lines(say);
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
