//! What is on a picture: decode, preprocess, infer, rank.

mod engine;
mod jpeg;
pub(in crate::workloads) mod picture;
pub(in crate::workloads) mod preprocess;
mod rank;

use anyhow::Context as _;
use models::{Class, FoundModel, LocateError, Manifest, ManifestError, Model, Places, Progress};
use serde_json::{Map, Value, json};

use self::engine::Engine;
use self::preprocess::Preprocessor;
use crate::config::{Config, ConfigError};
use crate::workloads::{Answer, Input, Query, Stopwatch, Workload, WorkloadError};

/// As `WORKLOAD` spells it.
pub const NAME: &str = "classify";

const DEFAULT_TOP: usize = 5;

/// A model, ready to be asked.
#[derive(Debug)]
pub struct Classify {
    engine: Engine,
    preprocessor: Preprocessor,
    classes: Vec<Class>,
    class_offset: usize,
    max_pixels: u64,
    model: Map<String, Value>,
}

impl Classify {
    /// Finds the model that the settings name and makes it ready.
    ///
    /// # Errors
    /// A `ConfigError` if no model has that name; else if the file is missing or unfit.
    pub fn load(config: &Config) -> anyhow::Result<Self> {
        let FoundModel { model, path, .. } = find_model(config)?;
        let onnx = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_onnx(&model, &onnx, config.max_pixels)
            .with_context(|| format!("cannot use {}", path.display()))
    }

    fn from_onnx(model: &Model, onnx: &[u8], max_pixels: u64) -> anyhow::Result<Self> {
        Ok(Self {
            engine: Engine::load(onnx, model, 1)?,
            preprocessor: Preprocessor::new(&model.input)?,
            classes: model.output.class_list()?,
            class_offset: model.output.class_offset,
            max_pixels,
            model: [("name", &model.name), ("sha256", &model.sha256)]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.as_str().into()))
                .collect(),
        })
    }

    fn top(&self, query: &Query) -> Result<usize, WorkloadError> {
        let most = self.classes.len();
        let Some(text) = query.get("top") else {
            return Ok(DEFAULT_TOP.min(most));
        };
        text.parse().ok().filter(|top| (1..=most).contains(top)).ok_or_else(|| {
            WorkloadError::BadParameter(format!("top={text}: expected a whole number from 1 to {most}"))
        })
    }
}

impl Workload for Classify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let mut about = Map::new();
        about.insert("model".into(), self.model.clone().into());
        about
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        self.engine.run(self.engine.input(|_zeros| Ok(()))?).map(drop)
    }

    fn handle(&self, input: &Input, query: &Query) -> Result<Answer, WorkloadError> {
        let top = self.top(query)?;
        let mut watch = Stopwatch::start();
        let picture = picture::decode(&input.body, self.max_pixels)?;
        watch.lap("decode");
        let tensor =
            self.engine.input(|values| self.preprocessor.write(&picture, self.max_pixels, values))?;
        watch.lap("preprocess");
        let logits = self.engine.run(tensor)?;
        watch.lap("inference");

        let predictions: Vec<_> = rank::top_classes(&logits, self.class_offset, top)
            .into_iter()
            .filter_map(|(index, confidence)| {
                let class = self.classes.get(index)?;
                let label = class.label.split(',').next().unwrap_or_default();
                Some(json!({ "class_id": class.class_id, "label": label, "confidence": confidence }))
            })
            .collect();
        let mut body = self.about();
        body.insert("predictions".into(), predictions.into());
        Ok(Answer { body, stages: watch.stages(), ..Answer::default() })
    }
}

/// The model that the settings ask for, looked up as the harness does it.
fn find_model(config: &Config) -> anyhow::Result<FoundModel> {
    let places = Places { models_dir: config.models_dir.clone(), ..Places::from_env() };
    let mut announced = false;
    let mut announce = |progress: Progress<'_>| {
        if !std::mem::replace(&mut announced, true) {
            eprintln!("function: downloading {} from {}", progress.file, progress.url);
        }
    };
    models::find_model(&Manifest::builtin()?, config.model.as_deref(), &places, &mut announce).map_err(
        |error| match error {
            LocateError::Manifest(ManifestError::Unknown { name, known, .. }) => {
                ConfigError::new("MODEL", name, format!("one of: {known}")).into()
            }
            other => other.into(),
        },
    )
}

#[cfg(test)]
mod tests;
