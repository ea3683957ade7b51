//! What a model's `generation_config.json` and `config.json` ask of the search. What this program cannot do
//! is refused by name, so that no caption differs silently from that of `transformers`.

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::search::{EarlyStopping, Rules, Search};

/// Length of a caption where the model does not say otherwise: that of the model card of
/// `nlpconnect/vit-gpt2-image-captioning`.
const MAX_LENGTH: usize = 16;
/// Beams where the model does not say otherwise, from the same card.
const BEAMS: usize = 4;

/// Settings that say nothing of the search, or only of sampling, which is refused as a whole.
const WITHOUT_EFFECT: &[&str] = &[
    "_from_model_config",
    "cache_implementation",
    "do_sample",
    "epsilon_cutoff",
    "eta_cutoff",
    "min_p",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "return_dict_in_generate",
    "temperature",
    "top_h",
    "top_k",
    "top_p",
    "transformers_version",
    "typical_p",
    "use_cache",
];

/// Settings of which one value alone is the same as leaving them out.
const NEUTRAL: &[(&str, f64)] = &[
    ("diversity_penalty", 0.0),
    ("encoder_no_repeat_ngram_size", 0.0),
    ("encoder_repetition_penalty", 1.0),
    ("num_beam_groups", 1.0),
    ("num_return_sequences", 1.0),
    ("repetition_penalty", 1.0),
];

/// The settings that this program follows.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Known {
    max_length: usize,
    max_new_tokens: Option<usize>,
    min_length: usize,
    num_beams: usize,
    length_penalty: f32,
    early_stopping: Value,
    no_repeat_ngram_size: usize,
    decoder_start_token_id: Option<u32>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMore>,
    /// All others.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Token ids: a number, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

impl Default for Known {
    fn default() -> Self {
        Self {
            max_length: MAX_LENGTH,
            max_new_tokens: None,
            min_length: 0,
            num_beams: BEAMS,
            length_penalty: 1.0,
            early_stopping: Value::Bool(false),
            no_repeat_ngram_size: 0,
            decoder_start_token_id: None,
            bos_token_id: None,
            eos_token_id: None,
            others: Map::new(),
        }
    }
}

/// The search that a model asks for: `generation` is its `generation_config.json`, and what is not there is
/// taken from its `config.json`.
///
/// # Errors
/// If a setting is none of those that this program follows, or a token is missing.
pub fn search(generation: &Value, config: &Value) -> anyhow::Result<Search> {
    let mut settings = generation.as_object().context("it is no JSON object")?.clone();
    // Older models have their special tokens here alone.
    for name in ["decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id"] {
        let named = settings.get(name).is_some_and(|value| !value.is_null());
        if let Some(value) = config.get(name).filter(|value| !named && !value.is_null()) {
            settings.insert(name.to_owned(), value.clone());
        }
    }
    settings.retain(|_, value| !value.is_null());
    let known: Known = serde_json::from_value(Value::Object(settings))?;
    refuse(&known.others)?;
    let max_length = known.max_new_tokens.map_or(known.max_length, |tokens| tokens.saturating_add(1));
    ensure!(max_length >= 2, "max_length {max_length} leaves no room for a token after the first");
    ensure!(known.num_beams >= 1, "num_beams must be 1 or more");
    Ok(Search {
        beams: known.num_beams,
        max_length,
        length_penalty: known.length_penalty,
        early_stopping: early_stopping(&known.early_stopping)?,
        start: known
            .decoder_start_token_id
            .or(known.bos_token_id)
            .context("neither decoder_start_token_id nor bos_token_id is given")?,
        ends: match known.eos_token_id {
            Some(OneOrMore::One(id)) => vec![id],
            Some(OneOrMore::More(ids)) => ids,
            None => Vec::new(),
        },
        rules: Rules { min_length: known.min_length, no_repeat_ngram: known.no_repeat_ngram_size },
    })
}

fn early_stopping(value: &Value) -> anyhow::Result<EarlyStopping> {
    match value {
        Value::Bool(true) => Ok(EarlyStopping::Yes),
        Value::Bool(false) => Ok(EarlyStopping::No),
        Value::String(text) if text == "never" => Ok(EarlyStopping::Never),
        other => bail!("early_stopping is {other}; true, false and \"never\" are known"),
    }
}

/// Refuses settings that would change the caption and that this program does not follow.
fn refuse(others: &Map<String, Value>) -> anyhow::Result<()> {
    ensure!(
        !others.get("do_sample").is_some_and(|value| *value == Value::Bool(true)),
        "do_sample is true: sampled captions cannot be checked; set it to false"
    );
    for (name, value) in others {
        let neutral = NEUTRAL.iter().find(|(known, _)| known == name).map(|(_, neutral)| *neutral);
        let harmless = match neutral {
            Some(neutral) => value.as_f64() == Some(neutral),
            None => {
                WITHOUT_EFFECT.contains(&name.as_str())
                    || *value == Value::Bool(false)
                    || value.as_array().is_some_and(Vec::is_empty)
                    || value.as_object().is_some_and(Map::is_empty)
            }
        };
        ensure!(
            harmless,
            "the setting {name} = {value} is not one that this program follows; remove it, or take another model"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaint(generation: &Value) -> String {
        search(generation, &json!({ "decoder_start_token_id": 1 })).unwrap_err().to_string()
    }

    #[test]
    fn the_published_models_settings_give_sixteen_tokens_and_four_beams() {
        let generation = json!({ "_from_model_config": true, "bos_token_id": 50256, "eos_token_id": 50256,
            "decoder_start_token_id": 50256, "pad_token_id": 50256, "transformers_version": "4.27.0.dev0" });
        let found = search(&generation, &json!({})).unwrap();
        assert_eq!((found.max_length, found.beams, found.start, found.ends), (16, 4, 50256, vec![50256]));
        assert_eq!((found.length_penalty, found.early_stopping), (1.0, EarlyStopping::No));
        assert_eq!(found.rules, Rules::default());
    }

    #[test]
    fn all_settings_that_are_followed_are_read() {
        let generation = json!({ "max_new_tokens": 9, "min_length": 3, "num_beams": 2, "length_penalty": 0.5,
            "early_stopping": "never", "no_repeat_ngram_size": 2, "eos_token_id": [5, 6], "use_cache": false,
            "repetition_penalty": 1, "bad_words_ids": null, "suppress_tokens": [] });
        let config = json!({ "decoder_start_token_id": 7, "eos_token_id": 8 });
        let found = search(&generation, &config).unwrap();
        assert_eq!((found.max_length, found.beams, found.start, found.ends), (10, 2, 7, vec![5, 6]));
        assert_eq!((found.length_penalty, found.early_stopping), (0.5, EarlyStopping::Never));
        assert_eq!(found.rules, Rules { min_length: 3, no_repeat_ngram: 2 });
    }

    #[test]
    fn a_setting_that_is_not_followed_is_refused_by_its_name() {
        for (setting, name) in [
            (json!({ "repetition_penalty": 1.2 }), "repetition_penalty"),
            (json!({ "num_beam_groups": 2 }), "num_beam_groups"),
            (json!({ "forced_eos_token_id": 3 }), "forced_eos_token_id"),
            (json!({ "renormalize_logits": true }), "renormalize_logits"),
            (json!({ "do_sample": true }), "do_sample"),
            (json!({ "early_stopping": "soon" }), "early_stopping"),
            (json!({ "max_length": 1 }), "max_length"),
            (json!({ "num_beams": 0 }), "num_beams"),
        ] {
            assert!(complaint(&setting).contains(name), "{}", complaint(&setting));
        }
        let message = search(&json!({}), &json!({})).unwrap_err().to_string();
        assert!(message.contains("decoder_start_token_id"), "{message}");
    }
}
