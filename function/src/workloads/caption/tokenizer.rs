//! From token ids to text: the decoding half of a byte-level BPE tokenizer, as GPT-2's. Encoding is never
//! needed, so neither are the merges.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The bytes that each token stands for.
#[derive(Debug)]
pub struct Tokenizer {
    /// By id; none for special tokens, which are left out of the text, and for ids that do not exist.
    tokens: Vec<Option<Vec<u8>>>,
}

/// `tokenizer.json`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    decoder: Option<Decoder>,
    model: Model,
}

#[derive(Debug, Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

#[derive(Debug, Deserialize)]
struct Decoder {
    r#type: String,
}

#[derive(Debug, Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
}

/// Most ids that a vocabulary may have: far more than any has, far less than memory.
const MOST_IDS: u32 = 10_000_000;

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// If it is none, or not of a byte-level tokenizer.
    pub fn from_tokenizer_json(text: &[u8]) -> anyhow::Result<Self> {
        let file: File = serde_json::from_slice(text)?;
        match file.decoder {
            Some(Decoder { r#type }) if r#type == "ByteLevel" => {}
            other => bail!(
                "its decoder is {}; only byte-level tokenizers (GPT-2's) are known",
                other.map_or_else(|| "missing".to_owned(), |decoder| decoder.r#type)
            ),
        }
        let mut tokenizer = Self::from_vocabulary(&file.model.vocab)?;
        for added in file.added_tokens {
            let bytes = (!added.special).then(|| added.content.into_bytes());
            tokenizer.set(added.id, bytes)?;
        }
        Ok(tokenizer)
    }

    /// Reads `vocab.json`; `special` are the tokens to leave out of the text.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_vocab_json(text: &[u8], special: &[u32]) -> anyhow::Result<Self> {
        let mut tokenizer = Self::from_vocabulary(&serde_json::from_slice(text)?)?;
        for &id in special {
            tokenizer.set(id, None)?;
        }
        Ok(tokenizer)
    }

    fn from_vocabulary(vocabulary: &HashMap<String, u32>) -> anyhow::Result<Self> {
        let bytes_of = byte_of_each_character();
        let mut tokenizer = Self { tokens: Vec::new() };
        for (token, &id) in vocabulary {
            // Special tokens may hold any character; they are set afterwards.
            let bytes = token.chars().map(|character| bytes_of.get(&character).copied()).collect();
            tokenizer.set(id, bytes)?;
        }
        Ok(tokenizer)
    }

    fn set(&mut self, id: u32, bytes: Option<Vec<u8>>) -> anyhow::Result<()> {
        ensure!(id < MOST_IDS, "it has a token with the id {id}");
        let index = id as usize;
        if self.tokens.len() <= index {
            self.tokens.resize(index + 1, None);
        }
        *self.tokens.get_mut(index).context("resized just now")? = bytes;
        Ok(())
    }

    /// The text of these tokens, special ones left out, without space around it.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter_map(|&id| self.tokens.get(id as usize)?.as_deref())
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

/// GPT-2 writes each byte as one visible character: those that are visible in Latin-1 as themselves, the
/// others, in order, as the characters from U+0100 on. From
/// <https://github.com/openai/gpt-2/blob/master/src/encoder.py>, `bytes_to_unicode`.
fn byte_of_each_character() -> HashMap<char, u8> {
    let mut next = 0x100_u32;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let visible = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            if visible {
                return Some((char::from(byte), byte));
            }
            let character = char::from_u32(next)?;
            next += 1;
            Some((character, byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "added_tokens": [
            { "id": 0, "content": "<|endoftext|>", "special": true },
            { "id": 6, "content": "<sun>", "special": false }
        ],
        "decoder": { "type": "ByteLevel" },
        "model": { "type": "BPE", "vocab":
            { "<|endoftext|>": 0, "a": 1, "Ġcat": 2, "Ċ": 3, "Ã": 4, "©": 5 }, "merges": [] }
    }"#;

    #[test]
    fn tokens_become_text_without_special_ones_and_without_space_around() {
        let tokenizer = Tokenizer::from_tokenizer_json(FILE.as_bytes()).unwrap();
        assert_eq!(tokenizer.decode(&[0, 1, 2, 2, 0]), "a cat cat");
        assert_eq!(tokenizer.decode(&[2, 3]), "cat");
        assert_eq!(tokenizer.decode(&[1, 6]), "a<sun>");
        assert_eq!(tokenizer.decode(&[0, 0]), "");
    }

    #[test]
    fn a_character_of_several_bytes_may_be_split_over_tokens_and_a_broken_one_is_marked() {
        let tokenizer = Tokenizer::from_tokenizer_json(FILE.as_bytes()).unwrap();
        assert_eq!(tokenizer.decode(&[4, 5]), "é");
        assert_eq!(tokenizer.decode(&[1, 4]), "a\u{FFFD}");
        assert_eq!(tokenizer.decode(&[1, 99]), "a", "an id without a token says nothing");
    }

    #[test]
    fn a_vocabulary_alone_is_enough() {
        let vocabulary = r#"{ "<|endoftext|>": 0, "a": 1, "Ġcat": 2 }"#;
        let tokenizer = Tokenizer::from_vocab_json(vocabulary.as_bytes(), &[0]).unwrap();
        assert_eq!(tokenizer.decode(&[0, 1, 2, 0]), "a cat");
    }

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        let mut bytes: Vec<u8> = byte_of_each_character().into_values().collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        assert_eq!(byte_of_each_character()[&'Ġ'], b' ');
    }

    #[test]
    fn another_kind_of_tokenizer_is_refused() {
        let other = FILE.replace("ByteLevel", "WordPiece");
        let message = Tokenizer::from_tokenizer_json(other.as_bytes()).unwrap_err().to_string();
        assert!(message.contains("WordPiece"), "{message}");
        let huge = FILE.replace("\"id\": 6", "\"id\": 4000000000");
        assert!(Tokenizer::from_tokenizer_json(huge.as_bytes()).is_err());
    }
}
