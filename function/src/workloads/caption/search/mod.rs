//! From a decoder's logits to a sentence: greedy and beam search with the semantics of `generate` in
//! Hugging Face `transformers`. Pure: it sees token ids and logits, and knows no engine.
//!
//! Written after the description of `GenerationMixin` in `transformers` 4.50 and later (`_sample` without
//! sampling for one beam, `_beam_search` for more), for one picture at a time. Arithmetic is in `f32`,
//! as there. Where several candidates have the very same score, the first one counts.

mod beam;
mod greedy;
mod rules;
#[cfg(test)]
mod tests;

pub use rules::Rules;

/// Gives the logits of the token that follows each of some sequences.
pub trait NextLogits {
    /// Why it cannot.
    type Error;

    /// One row of logits, as long as the vocabulary, for each sequence. All sequences have the same
    /// length. In the first call there is one, the prompt, and no parents; afterwards sequence `i` is
    /// sequence `parents[i]` of the call before with one token more, so that what was computed for that
    /// one can be used again.
    ///
    /// # Errors
    /// If the decoder fails.
    fn next(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> Result<Vec<Vec<f32>>, Self::Error>;
}

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Sequences that are followed at the same time; with one the search is greedy.
    pub beams: usize,
    /// Length at which a sequence ends, its start token counted (`max_length`); at least 2.
    pub max_length: usize,
    /// Exponent of the length by which a sequence's log-probability is divided.
    pub length_penalty: f32,
    /// When a beam search ends.
    pub early_stopping: EarlyStopping,
    /// The token that a sequence begins with.
    pub start: u32,
    /// Tokens that end a sequence.
    pub ends: Vec<u32>,
    /// What may not follow.
    pub rules: Rules,
}

/// When a beam search ends, once as many sequences have ended as there are beams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// At once.
    Yes,
    /// When the best sequence that goes on, divided by its present length, is no better than the worst that
    /// ended.
    No,
    /// When no sequence that goes on can become better than the worst that ended.
    Never,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The tokens, the start token first, the one that ended it last if one did.
    pub tokens: Vec<u32>,
    /// Sum of the log-probabilities of all tokens after the first, divided by their number to the power of
    /// the length penalty (`sequences_scores` in `transformers`).
    pub score: f32,
}

impl Search {
    /// Searches.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn run<N: NextLogits>(&self, decoder: &mut N) -> Result<Found, N::Error> {
        if self.beams == 1 { greedy::search(self, decoder) } else { beam::search(self, decoder) }
    }

    /// Whether a sequence with this last token and of this length ends here.
    fn ends_with(&self, token: u32, length: usize) -> bool {
        length >= self.max_length || self.ends.contains(&token)
    }

    /// A sum of log-probabilities of this many tokens, as sequences of different lengths are compared by.
    fn per_length(&self, sum: f32, tokens: usize) -> f32 {
        sum / (tokens as f64).powf(f64::from(self.length_penalty)) as f32
    }
}

/// `log_softmax`: the logarithms of the probabilities that the logits stand for.
fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    let log_sum = sum.ln();
    logits.iter().map(|logit| logit - highest - log_sum).collect()
}
