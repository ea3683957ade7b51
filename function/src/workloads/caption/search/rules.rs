//! What may not follow: the logits processors of `transformers` that the generation settings may ask for.

/// Tokens that are struck out before one is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Sequences shorter than this (start token counted) do not end; 0: no such rule.
    pub min_length: usize,
    /// No run of this many tokens occurs twice; 0: no such rule.
    pub no_repeat_ngram: usize,
}

impl Rules {
    /// Sets to minus infinity what may not follow `sequence`.
    pub(super) fn apply(&self, sequence: &[u32], ends: &[u32], values: &mut [f32]) {
        // `MinLengthLogitsProcessor`.
        if sequence.len() < self.min_length {
            strike_out(ends, values);
        }
        // `NoRepeatNGramLogitsProcessor`: the last tokens have been seen before, with what after them?
        if let Some(known) = self.no_repeat_ngram.checked_sub(1)
            && let Some(last) = sequence.len().checked_sub(known).map(|from| &sequence[from..])
        {
            let repeated: Vec<u32> = sequence
                .windows(self.no_repeat_ngram)
                .filter(|run| run[..known] == *last)
                .map(|run| run[known])
                .collect();
            strike_out(&repeated, values);
        }
    }
}

fn strike_out(tokens: &[u32], values: &mut [f32]) {
    for &token in tokens {
        if let Some(value) = values.get_mut(token as usize) {
            *value = f32::NEG_INFINITY;
        }
    }
}
