//! The search on made-up logits, compared with every sequence that there is.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

const END: u32 = 0;
const START: u32 = 1;

/// Logits that follow from the sequence alone, from a seed.
struct MadeUp {
    vocabulary: u32,
    seed: u64,
    /// Sequences of the last call, to check what is called parents.
    last: Vec<Vec<u32>>,
}

impl MadeUp {
    fn new(vocabulary: u32, seed: u64) -> Self {
        Self { vocabulary, seed, last: Vec::new() }
    }

    fn row(&self, sequence: &[u32]) -> Vec<f32> {
        (0..self.vocabulary)
            .map(|token| {
                // SplitMix64 over the sequence and the token.
                let mut state = self.seed;
                for &part in sequence.iter().chain([&token]) {
                    state = (state ^ u64::from(part + 1)).wrapping_add(0x9e37_79b9_7f4a_7c15);
                    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    state ^= state >> 31;
                }
                (state >> 40) as f32 / (1 << 21) as f32
            })
            .collect()
    }
}

impl NextLogits for MadeUp {
    type Error = Infallible;

    fn next(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> Result<Vec<Vec<f32>>, Infallible> {
        if self.last.is_empty() {
            assert_eq!((sequences.len(), parents.len()), (1, 0));
        } else {
            assert_eq!(sequences.len(), parents.len());
            for (sequence, &parent) in sequences.iter().zip(parents) {
                assert_eq!(sequence[..sequence.len() - 1], self.last[parent]);
            }
        }
        self.last = sequences.to_vec();
        Ok(sequences.iter().map(|sequence| self.row(sequence)).collect())
    }
}

fn settings(beams: usize, max_length: usize, early_stopping: EarlyStopping, length_penalty: f32) -> Search {
    Search {
        beams,
        max_length,
        length_penalty,
        early_stopping,
        start: START,
        ends: vec![END],
        rules: Rules::default(),
    }
}

/// Every sequence that may be, with its score.
fn all(search: &Search, decoder: &MadeUp) -> Vec<Found> {
    let mut open = vec![(vec![search.start], 0.0)];
    let mut ended = Vec::new();
    while let Some((tokens, sum)) = open.pop() {
        let mut row = log_probabilities(&decoder.row(&tokens));
        search.rules.apply(&tokens, &search.ends, &mut row);
        for (token, log_probability) in row.into_iter().enumerate().filter(|(_, l)| l.is_finite()) {
            let mut grown = tokens.clone();
            grown.push(token as u32);
            let sum: f32 = sum + log_probability;
            if search.ends_with(token as u32, grown.len()) {
                ended.push(Found { score: search.per_length(sum, grown.len() - 1), tokens: grown });
            } else {
                open.push((grown, sum));
            }
        }
    }
    ended
}

proptest! {
    #[test]
    fn with_as_many_beams_as_there_are_paths_the_best_of_all_sequences_is_found(
        vocabulary in 2..5_u32,
        max_length in 2..6_usize,
        seed: u64,
        length_penalty in prop_oneof![Just(0.0_f32), Just(1.0), Just(2.0), Just(-0.5)],
        min_length in 0..4_usize,
        no_repeat_ngram in 0..4_usize,
    ) {
        let paths = (vocabulary as usize).pow(max_length as u32);
        let mut search = settings(paths, max_length, EarlyStopping::Never, length_penalty);
        search.rules = Rules { min_length, no_repeat_ngram };
        let mut decoder = MadeUp::new(vocabulary, seed);
        let every = all(&search, &decoder);
        let best = every.iter().map(|found| found.score).fold(f32::NEG_INFINITY, f32::max);
        let found = search.run(&mut decoder).unwrap();
        // Rules may leave no way to end at all.
        if !every.is_empty() {
            prop_assert!(every.contains(&found), "{found:?}");
            prop_assert!(found.score.total_cmp(&best).is_eq(), "{} is not {best}", found.score);
        }
    }

    #[test]
    fn one_beam_that_stops_early_finds_what_the_greedy_search_finds(
        vocabulary in 2..40_u32,
        max_length in 2..12_usize,
        seed: u64,
        min_length in 0..6_usize,
        no_repeat_ngram in 0..4_usize,
    ) {
        let mut search = settings(1, max_length, EarlyStopping::Yes, 1.0);
        search.rules = Rules { min_length, no_repeat_ngram };
        let greedy = greedy::search(&search, &mut MadeUp::new(vocabulary, seed)).unwrap();
        // A greedy search has to choose something, even where everything is struck out.
        prop_assume!(greedy.score.is_finite() && all_allowed(&search, &greedy));
        let beam = beam::search(&search, &mut MadeUp::new(vocabulary, seed)).unwrap();
        prop_assert_eq!(greedy, beam);
    }

    #[test]
    fn what_is_found_ends_where_it_has_to_and_not_before_its_least_length(
        beams in 1..9_usize,
        max_length in 2..14_usize,
        seed: u64,
        min_length in 0..8_usize,
    ) {
        let mut search = settings(beams, max_length, EarlyStopping::No, 1.0);
        search.rules = Rules { min_length, no_repeat_ngram: 0 };
        let found = search.run(&mut MadeUp::new(30, seed)).unwrap();
        prop_assert!(found.tokens.len() >= 2 && found.tokens.len() <= max_length);
        let end = found.tokens.iter().position(|&token| token == END);
        prop_assert!(end.is_none_or(|at| at + 1 == found.tokens.len() && at >= min_length), "{found:?}");
        prop_assert!(end.is_some() || found.tokens.len() == max_length);
    }
}

fn all_allowed(search: &Search, found: &Found) -> bool {
    (1..found.tokens.len()).all(|at| {
        let mut values = vec![0.0; 64];
        search.rules.apply(&found.tokens[..at], &search.ends, &mut values);
        values[found.tokens[at] as usize] == 0.0
    })
}

/// A fixed table: what follows the last token.
struct Table(Vec<Vec<f32>>);

impl NextLogits for Table {
    type Error = Infallible;

    fn next(&mut self, sequences: &[Vec<u32>], _parents: &[usize]) -> Result<Vec<Vec<f32>>, Infallible> {
        Ok(sequences.iter().map(|s| self.0[s[s.len() - 1] as usize].clone()).collect())
    }
}

/// After the start comes 2 with probability 0.6 or 3 with 0.4. After 2 all is even, after 3 the end is sure.
fn garden_path() -> Table {
    let no = f32::NEG_INFINITY;
    let even = 0.25_f32.ln();
    Table(vec![vec![no; 4], vec![no, no, 0.6_f32.ln(), 0.4_f32.ln()], vec![even; 4], vec![0.0, no, no, no]])
}

#[test]
fn a_greedy_search_walks_into_the_garden_and_two_beams_do_not() {
    let greedy = settings(1, 3, EarlyStopping::No, 1.0).run(&mut garden_path()).unwrap();
    assert_eq!(greedy.tokens, [START, 2, END]);
    let beam = settings(2, 3, EarlyStopping::No, 1.0).run(&mut garden_path()).unwrap();
    assert_eq!(beam.tokens, [START, 3, END]);
    assert!((beam.score - 0.4_f32.ln() / 2.0).abs() < 1e-6, "two tokens, the end counted: {}", beam.score);
}

#[test]
fn a_length_penalty_decides_between_short_and_long() {
    let no = f32::NEG_INFINITY;
    // The end at once with 0.5; or 2 with 0.5, and then the end is nearly sure.
    let mut table = Table(vec![vec![no; 3], vec![0.0, no, 0.0], vec![0.0, no, -3.0]]);
    let short = settings(2, 4, EarlyStopping::Never, 0.0).run(&mut table).unwrap();
    assert_eq!(short.tokens, [START, END]);
    let long = settings(2, 4, EarlyStopping::Never, 1.0).run(&mut table).unwrap();
    assert_eq!(long.tokens, [START, 2, END]);
}

#[test]
fn a_run_of_tokens_occurs_once_only_where_that_is_a_rule() {
    // 2 is always the likeliest, then 3.
    let mut table = Table(vec![vec![-9.0, -9.0, 1.0, 0.0]; 4]);
    let mut search = settings(1, 7, EarlyStopping::No, 1.0);
    assert_eq!(search.run(&mut table).unwrap().tokens, [1, 2, 2, 2, 2, 2, 2]);
    search.rules.no_repeat_ngram = 2;
    assert_eq!(search.run(&mut table).unwrap().tokens, [1, 2, 2, 3, 2, 0]);
    search.rules.no_repeat_ngram = 1;
    assert_eq!(search.run(&mut table).unwrap().tokens, [1, 2, 3, 0]);
}

#[test]
fn a_sequence_does_not_end_before_its_least_length() {
    let mut table = Table(vec![vec![5.0, -9.0, 1.0, 0.0]; 4]);
    let mut search = settings(1, 7, EarlyStopping::No, 1.0);
    search.rules.min_length = 3;
    assert_eq!(search.run(&mut table).unwrap().tokens, [1, 2, 2, 0]);
}
