//! Several sequences at the same time, the best of which wins.

use super::{EarlyStopping, Found, NextLogits, Search, log_probabilities};

/// A sequence that goes on.
#[derive(Debug, Clone)]
struct Beam {
    tokens: Vec<u32>,
    /// Sum of its log-probabilities.
    sum: f32,
}

/// A sequence with one token more.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    parent: usize,
    token: u32,
    sum: f32,
}

pub(super) fn search<N: NextLogits>(search: &Search, decoder: &mut N) -> Result<Found, N::Error> {
    let mut running = vec![Beam { tokens: vec![search.start], sum: 0.0 }];
    let mut parents = Vec::new();
    // The best that have ended, best first; at most as many as there are beams.
    let mut ended: Vec<Found> = Vec::new();
    // Enough that as many as there are beams can go on, whatever of them ends.
    let keep = search.beams * (1 + search.ends.len().max(1));
    loop {
        let sequences: Vec<Vec<u32>> = running.iter().map(|beam| beam.tokens.clone()).collect();
        let rows = decoder.next(&sequences, &parents)?;
        let candidates = best_candidates(search, &running, &rows, keep);
        // Tokens after the first, in the candidates.
        let length = sequences.first().map_or(1, Vec::len);
        let ends = |candidate: &Candidate| search.ends_with(candidate.token, length + 1);

        let found = |candidate: &Candidate| Found {
            tokens: grown(&running, candidate),
            score: search.per_length(candidate.sum, length),
        };
        // What ends further down the list is worse than as many sequences as there are beams.
        ended.extend(candidates.iter().take(search.beams).filter(|c| ends(c)).map(found));
        ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        ended.truncate(search.beams);

        let next: Vec<Candidate> =
            candidates.iter().filter(|c| !ends(c)).take(search.beams).copied().collect();
        if next.is_empty() || is_over(search, &ended, next[0].sum, length) {
            break;
        }
        parents = next.iter().map(|candidate| candidate.parent).collect();
        running = next
            .iter()
            .map(|candidate| Beam { tokens: grown(&running, candidate), sum: candidate.sum })
            .collect();
    }
    // The loop ends at the latest where all candidates have the full length, and so have ended.
    Ok(ended.into_iter().next().unwrap_or(Found { tokens: vec![search.start], score: f32::NEG_INFINITY }))
}

/// The likeliest continuations over all beams, likeliest first, equal ones in the order of beams and tokens.
fn best_candidates(search: &Search, running: &[Beam], rows: &[Vec<f32>], keep: usize) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (parent, (beam, logits)) in running.iter().zip(rows).enumerate() {
        let mut log_probabilities = log_probabilities(logits);
        search.rules.apply(&beam.tokens, &search.ends, &mut log_probabilities);
        candidates.extend(log_probabilities.iter().enumerate().map(|(token, log_probability)| Candidate {
            parent,
            token: token as u32,
            sum: beam.sum + log_probability,
        }));
    }
    let order = |a: &Candidate, b: &Candidate| {
        b.sum.total_cmp(&a.sum).then(a.parent.cmp(&b.parent)).then(a.token.cmp(&b.token))
    };
    if candidates.len() > keep {
        // A vocabulary of 50,000 times the beams need not be sorted.
        candidates.select_nth_unstable_by(keep, order);
        candidates.truncate(keep);
    }
    candidates.sort_unstable_by(order);
    // What was struck out is no continuation.
    candidates.retain(|candidate| candidate.sum > f32::NEG_INFINITY);
    candidates
}

fn grown(running: &[Beam], candidate: &Candidate) -> Vec<u32> {
    let mut tokens = running[candidate.parent].tokens.clone();
    tokens.push(candidate.token);
    tokens
}

/// Whether nothing better is to be expected. `best_sum` is the best sequence's that goes on, `length` the
/// number of its tokens after the first.
fn is_over(search: &Search, ended: &[Found], best_sum: f32, length: usize) -> bool {
    let Some(worst) = ended.get(search.beams - 1) else { return false };
    let hoped_length = match search.early_stopping {
        EarlyStopping::Yes => return true,
        // More tokens make a sum smaller, but divided by a higher number.
        EarlyStopping::Never if search.length_penalty > 0.0 => search.max_length - 1,
        EarlyStopping::Never | EarlyStopping::No => length,
    };
    search.per_length(best_sum, hoped_length) <= worst.score
}
