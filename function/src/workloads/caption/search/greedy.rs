//! The likeliest token at each step.

use super::{Found, NextLogits, Search, log_probabilities};

pub(super) fn search<N: NextLogits>(search: &Search, decoder: &mut N) -> Result<Found, N::Error> {
    let mut tokens = vec![search.start];
    let mut sum = 0.0;
    let mut parents: &[usize] = &[];
    loop {
        let mut rows = decoder.next(std::slice::from_ref(&tokens), parents)?;
        let logits = rows.first_mut().map_or(&mut [][..], Vec::as_mut_slice);
        let log_probabilities = log_probabilities(logits);
        search.rules.apply(&tokens, &search.ends, logits);
        let token = likeliest(logits);
        sum += log_probabilities.get(token).copied().unwrap_or(f32::NEG_INFINITY);
        tokens.push(token as u32);
        if search.ends_with(token as u32, tokens.len()) {
            let score = search.per_length(sum, tokens.len() - 1);
            return Ok(Found { tokens, score });
        }
        parents = &[0];
    }
}

/// Index of the highest value, the first of equal ones.
fn likeliest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
