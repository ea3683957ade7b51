//! Image captioning: a sentence about a picture. The model is one that Hugging Face calls
//! VisionEncoderDecoder (ViT-GPT2 and its like), in the files of an ONNX export by `optimum`.

mod decoding;
mod engine;
mod generation;
mod merged;
mod preprocess;
mod resize;
mod search;
mod tokenizer;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use models::{FoundFolder, LocateError, Manifest, ManifestError, Places, Progress};
use serde_json::{Map, Value, json};

use self::engine::Engine;
use self::preprocess::Preprocessor;
use self::search::Search;
use self::tokenizer::Tokenizer;
use super::classify::picture;
use super::{Answer, Input, Query, Stopwatch, Workload, WorkloadError};
use crate::config::{Config, ConfigError};

/// Its name, as `WORKLOAD` spells it.
pub const NAME: &str = "caption";

/// Most beams that a request may ask for: each costs as much as a greedy search.
const MOST_BEAMS: usize = 8;
/// Most tokens that a request may ask for, unless the model itself can say fewer.
const MOST_TOKENS: usize = 64;

/// Makes the workload ready to be called.
///
/// # Errors
/// If a setting is bad or a file is missing.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Workload>> {
    let found = find_model(config)?;
    let caption = Caption::open(&found.path, true, config.max_pixels)
        .with_context(|| format!("cannot use {}", found.path.display()))?;
    Ok(Box::new(Caption { model: model_facts(&found), ..caption }))
}

/// A model, ready to be asked.
#[derive(Debug)]
struct Caption {
    engine: Engine,
    preprocessor: Preprocessor,
    tokenizer: Tokenizer,
    /// As the model wants it; requests may ask for other beams and lengths.
    search: Search,
    most_tokens: usize,
    max_pixels: u64,
    model: Map<String, Value>,
}

impl Caption {
    fn open(folder: &Path, remember: bool, max_pixels: u64) -> anyhow::Result<Self> {
        let config = json_file(folder, "config.json")?.context("there is no config.json")?;
        let generation =
            json_file(folder, "generation_config.json")?.unwrap_or_else(|| Value::Object(Map::new()));
        let search = generation::search(&generation, &config).context("generation_config.json")?;
        let preprocessor = file(folder, "preprocessor_config.json")?;
        let preprocessor = preprocessor.context("there is no preprocessor_config.json")?;
        let preprocessor = Preprocessor::from_json(&preprocessor).context("preprocessor_config.json")?;
        let most_tokens = most_tokens(&config);
        ensure!(
            search.beams <= MOST_BEAMS && search.max_length <= most_tokens,
            "generation_config.json asks for {} beams and {} tokens; at most {MOST_BEAMS} and {most_tokens} are possible",
            search.beams,
            search.max_length
        );
        Ok(Self {
            engine: Engine::load(folder, preprocessor.width, preprocessor.height, remember)?,
            tokenizer: tokenizer(folder, &search)?,
            preprocessor,
            search,
            most_tokens,
            max_pixels,
            model: Map::new(),
        })
    }

    /// The search that a request asks for.
    fn search(&self, query: &Query) -> Result<Search, WorkloadError> {
        let mut search = self.search.clone();
        search.beams = number(query, "beams", 1..=MOST_BEAMS, search.beams)?;
        search.max_length = number(query, "max_tokens", 2..=self.most_tokens, search.max_length)?;
        Ok(search)
    }
}

impl Workload for Caption {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let mut about = Map::new();
        about.insert("model".into(), self.model.clone().into());
        about.insert("cache".into(), self.engine.has_cache().into());
        about
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        // With a cache, the second token is the first that takes what is remembered.
        let search = Search { beams: 2, max_length: 3, ..self.search.clone() };
        let seen = self.engine.encode(self.engine.input(|_zeros| Ok(()))?)?;
        search.run(&mut self.engine.decoding(seen)).map(drop)
    }

    fn handle(&self, input: &Input, query: &Query) -> Result<Answer, WorkloadError> {
        let search = self.search(query)?;
        let mut watch = Stopwatch::start();
        let picture = picture::decode(&input.body, self.max_pixels)?;
        watch.lap("decode");
        let pixels =
            self.engine.input(|values| self.preprocessor.write(&picture, self.max_pixels, values))?;
        watch.lap("preprocess");
        let seen = self.engine.encode(pixels)?;
        watch.lap("encoder");
        let found = search.run(&mut self.engine.decoding(seen))?;
        watch.lap("decoder");

        let mut body = Map::new();
        body.insert("model".into(), self.model.clone().into());
        body.insert("caption".into(), self.tokenizer.decode(&found.tokens).into());
        body.insert("tokens".into(), found.tokens.into());
        body.insert("score".into(), json!(found.score));
        Ok(Answer { body, stages: watch.stages(), ..Answer::default() })
    }
}

fn number(
    query: &Query,
    name: &str,
    range: std::ops::RangeInclusive<usize>,
    default: usize,
) -> Result<usize, WorkloadError> {
    let Some(text) = query.get(name) else { return Ok(default) };
    text.parse().ok().filter(|value| range.contains(value)).ok_or_else(|| {
        let (least, most) = range.into_inner();
        WorkloadError::BadParameter(format!("{name}={text}: expected a whole number from {least} to {most}"))
    })
}

/// The contents of a file; none if there is no such file.
fn file(folder: &Path, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    fs::read(&path).map(Some).with_context(|| format!("cannot read {}", path.display()))
}

fn json_file(folder: &Path, name: &str) -> anyhow::Result<Option<Value>> {
    let Some(text) = file(folder, name)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).with_context(|| format!("{name} is no JSON"))
}

fn tokenizer(folder: &Path, search: &Search) -> anyhow::Result<Tokenizer> {
    if let Some(text) = file(folder, "tokenizer.json")? {
        return Tokenizer::from_tokenizer_json(&text).context("tokenizer.json");
    }
    let text = file(folder, "vocab.json")?.context("there is neither tokenizer.json nor vocab.json")?;
    let special: Vec<u32> = search.ends.iter().copied().chain([search.start]).collect();
    Tokenizer::from_vocab_json(&text, &special).context("vocab.json")
}

/// How long a sequence the decoder can take, by the names that configurations have for it.
fn most_tokens(config: &Value) -> usize {
    let decoder = config.get("decoder").unwrap_or(config);
    ["n_positions", "n_ctx", "max_position_embeddings"]
        .iter()
        .find_map(|name| decoder.get(name)?.as_u64())
        .map_or(MOST_TOKENS, |positions| MOST_TOKENS.min(positions as usize))
}

fn model_facts(found: &FoundFolder) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("name".into(), found.name.clone().into());
    facts.insert("sha256".into(), found.sha256.clone().into());
    facts
}

/// The model that the settings ask for, looked up as the harness does it.
fn find_model(config: &Config) -> anyhow::Result<FoundFolder> {
    let places = Places { models_dir: config.models_dir.clone(), ..Places::from_env() };
    let mut announced = String::new();
    let mut announce = |progress: Progress<'_>| {
        if announced != progress.file {
            progress.file.clone_into(&mut announced);
            eprintln!("function: downloading {} from {}", progress.file, progress.url);
        }
    };
    let found =
        models::find_folder(&Manifest::builtin()?, NAME, config.model.as_deref(), &places, &mut announce);
    let found = found.map_err(|error| -> anyhow::Error {
        match error {
            LocateError::Manifest(ManifestError::Unknown { name, known, .. }) => {
                ConfigError::new("MODEL", name, format!("one of: {known}")).into()
            }
            other => other.into(),
        }
    })?;
    if !found.is_verified {
        eprintln!(
            "function: nobody has verified the files of {}; their digest is {}",
            found.name, found.sha256
        );
    }
    Ok(found)
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
