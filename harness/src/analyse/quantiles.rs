//! Exact percentiles of possibly censored observations.
//!
//! The estimate is the nearest rank: the ⌈n·p⌉-th smallest value, definition 1 of Hyndman and Fan,
//! "Sample Quantiles in Statistical Packages", The American Statistician 50(4), 1996. It is always a
//! value that was observed, "at least p of the requests took no longer", and it needs no
//! interpolation between a known and a censored value.

use std::collections::BTreeMap;

use super::{statistics::order, summary::Quantiles};

/// Percentiles that are reported, in tenths of a percent, with their names in `Quantiles`.
const REPORTED: [(u64, &str); 5] = [(500, "p50"), (900, "p90"), (950, "p95"), (990, "p99"), (999, "p99_9")];

/// Observations that must lie beyond p99.9 before it is reported. With fewer, the figure is one of
/// the few largest values, whatever the distribution is.
pub const BEYOND_P99_9: u64 = 10;

/// Confidence of the intervals of percentiles inside one interval of load.
const SAMPLING_CONFIDENCE: f64 = 0.95;

/// One observed time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The time, milliseconds; a censored one is known to be at least this long.
    pub ms: f64,
    /// Whether it was given up before its end was seen.
    pub censored: bool,
}

/// How many of `count` values lie beyond (strictly after, in order) the percentile `permille`/1000.
pub fn beyond(count: u64, permille: u64) -> u64 {
    count - rank(count, permille)
}

/// The 1-based nearest rank ⌈n·p⌉, in integers: 0.95 * 20 must be 19 exactly.
fn rank(count: u64, permille: u64) -> u64 {
    (count * permille).div_ceil(1000).max(1).min(count)
}

/// The percentile `permille`/1000 of ascending values; none without values.
pub fn nearest_rank(ascending: &[f64], permille: u64) -> Option<f64> {
    let index = rank(ascending.len() as u64, permille).checked_sub(1)?;
    ascending.get(index as usize).copied()
}

/// All reported percentiles, the mean and the largest.
///
/// Censored observations take part at their lower bound. The true value of one may be anything
/// above it, so each percentile at or after the rank of the smallest censored one is a lower bound
/// itself, and is named in `lower_bounds`; so are the mean and the largest.
pub fn quantiles(observations: impl IntoIterator<Item = Observation>) -> Quantiles {
    let finite = observations.into_iter().filter(|o| o.ms.is_finite());
    let mut runs: Vec<Run> =
        finite.map(|Observation { ms, censored }| Run { ms, count: 1, censored }).collect();
    // At equal times the complete one comes first: the censored one took at least as long.
    runs.sort_by(|a, b| a.ms.total_cmp(&b.ms).then(a.censored.cmp(&b.censored)));
    let sum_ms = runs.iter().map(|run| run.ms).sum();
    of_runs(&runs, sum_ms)
}

/// A value and how often it was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    /// The time, milliseconds.
    pub(super) ms: f64,
    /// How often.
    pub(super) count: u64,
    /// Whether these observations were given up before their end was seen.
    pub(super) censored: bool,
}

/// The value with this 1-based rank among ascending runs.
pub(super) fn value_at(runs: &[Run], rank: u64) -> Option<f64> {
    let mut reached = 0;
    runs.iter()
        .find(|run| {
            reached += run.count;
            reached >= rank
        })
        .map(|run| run.ms)
}

/// The same of ascending runs; `sum_ms` is the sum of all values.
pub(super) fn of_runs(runs: &[Run], sum_ms: f64) -> Quantiles {
    let count: u64 = runs.iter().map(|run| run.count).sum();
    if count == 0 {
        return Quantiles::default();
    }
    let before_first = runs.iter().take_while(|run| !run.censored).map(|run| run.count).sum::<u64>();
    let first_censored = (before_first < count).then_some(before_first + 1);
    let enough_for_p99_9 = beyond(count, 999) >= BEYOND_P99_9;
    let value = |permille| value_at(runs, rank(count, permille));
    let lower_bounds = first_censored.map_or_else(Vec::new, |first| {
        REPORTED
            .iter()
            .filter(|&&(permille, _)| rank(count, permille) >= first)
            .filter(|&&(permille, _)| permille != 999 || enough_for_p99_9)
            .map(|&(_, name)| name)
            .chain(["mean", "max"])
            .map(str::to_owned)
            .collect()
    });
    Quantiles {
        count,
        censored: runs.iter().filter(|run| run.censored).map(|run| run.count).sum(),
        mean: Some(sum_ms / count as f64),
        p50: value(500),
        p90: value(900),
        p95: value(950),
        p99: value(990),
        p99_9: value(999).filter(|_| enough_for_p99_9),
        max: runs.last().map(|run| run.ms),
        lower_bounds,
        sampling: sampling(runs, count),
    }
}

/// Order-statistic intervals of the percentiles for which they reach 95 %; none where an end would
/// fall on a censored observation or after one.
fn sampling(runs: &[Run], count: u64) -> BTreeMap<String, [f64; 2]> {
    let known = runs.iter().take_while(|run| !run.censored).map(|run| run.count).sum::<u64>();
    let interval = |&(permille, name): &(u64, &str)| {
        let found = order::ranks(count, permille as f64 / 1000.0, SAMPLING_CONFIDENCE)?;
        let reached = found.confidence >= SAMPLING_CONFIDENCE && found.high <= known;
        let ends = [value_at(runs, found.low)?, value_at(runs, found.high)?];
        reached.then(|| (name.to_owned(), ends))
    };
    REPORTED.iter().filter_map(interval).collect()
}

/// The same for times that are all complete, in milliseconds.
pub fn complete(values_ms: impl IntoIterator<Item = f64>) -> Quantiles {
    quantiles(values_ms.into_iter().map(|ms| Observation { ms, censored: false }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_observed_yields_no_figures() {
        assert_eq!(complete([]), Quantiles::default());
        assert_eq!(nearest_rank(&[], 500), None);
    }

    #[test]
    fn ranks_are_exact_where_floating_point_would_be_off_by_one() {
        for n in [20, 100, 1000] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            assert_eq!(nearest_rank(&values, 950), Some(f64::from(n) * 19.0 / 20.0));
        }
        assert_eq!(nearest_rank(&[1.0, 2.0], 500), Some(1.0));
        assert_eq!(nearest_rank(&[1.0, 2.0, 3.0], 500), Some(2.0));
    }

    #[test]
    fn p99_9_appears_with_the_tenth_observation_beyond_it() {
        let upto = |n: u32| complete((0..n).map(f64::from));
        assert_eq!(upto(9_999).p99_9, None);
        assert_eq!(upto(10_000).p99_9, Some(9_989.0));
    }

    #[test]
    fn percentiles_that_enough_lie_beyond_have_an_interval() {
        let q = complete((1..=200).map(f64::from));
        // Ranks 86 and 115 leave out at most 2.5 % of Bin(200, 1/2) each.
        assert_eq!(q.sampling["p50"], [86.0, 115.0]);
        assert!(q.sampling.contains_key("p95") && !q.sampling.contains_key("p99"), "{:?}", q.sampling);
        let cut = quantiles((1..=200).map(|ms| Observation { ms: f64::from(ms), censored: ms > 150 }));
        assert_eq!(cut.sampling.keys().collect::<Vec<_>>(), ["p50"]);
    }

    #[test]
    fn a_percentile_at_the_rank_of_a_time_out_is_a_lower_bound() {
        // 100 observations; the six longest were given up at 50 ms, so rank 95 is one of them, rank 90 is not.
        let seen = (0..94).map(|ms| Observation { ms: f64::from(ms) / 10.0, censored: false });
        let cut = (0..6).map(|_| Observation { ms: 50.0, censored: true });
        let q = quantiles(seen.chain(cut));
        assert_eq!(q.censored, 6);
        assert_eq!(q.p95, Some(50.0));
        assert_eq!(q.lower_bounds, ["p95", "p99", "mean", "max"]);
    }

    #[test]
    fn a_long_complete_answer_above_a_short_time_out_is_a_lower_bound_too() {
        let q = quantiles([
            Observation { ms: 1.0, censored: false },
            Observation { ms: 5.0, censored: true },
            Observation { ms: 9.0, censored: false },
        ]);
        assert!(q.lower_bounds.contains(&"max".to_owned()), "the one given up at 5 ms may have taken 20");
        assert!(q.lower_bounds.contains(&"p50".to_owned()));
    }

    #[test]
    fn at_equal_times_the_complete_one_comes_first() {
        let q =
            quantiles([Observation { ms: 5.0, censored: true }, Observation { ms: 5.0, censored: false }]);
        assert!(!q.lower_bounds.contains(&"p50".to_owned()));
    }

    proptest! {
        #[test]
        fn nearest_rank_is_the_smallest_value_that_enough_do_not_exceed(
            mut values in prop::collection::vec(0.0f64..1e6, 1..300), permille in 1u64..=1000
        ) {
            let brute = values.iter().copied()
                .filter(|v| {
                    let not_exceeding = values.iter().filter(|w| *w <= v).count() as u64;
                    not_exceeding * 1000 >= permille * values.len() as u64
                })
                .fold(f64::INFINITY, f64::min);
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(nearest_rank(&values, permille), Some(brute));
        }

        #[test]
        fn raising_a_censored_value_never_changes_a_percentile_that_is_not_a_lower_bound(
            known in prop::collection::vec(0.0f64..100.0, 1..80),
            cut in prop::collection::vec((0.0f64..100.0, 0.0f64..500.0), 1..10),
        ) {
            let observed = known.iter().map(|&ms| Observation { ms, censored: false });
            let bounds = cut.iter().map(|&(ms, _)| Observation { ms, censored: true });
            let seen = quantiles(observed.clone().chain(bounds));
            let truth = quantiles(observed.chain(cut.iter().map(|&(ms, more)| Observation { ms: ms + more, censored: false })));
            for (name, seen_ms, true_ms) in [("p50", seen.p50, truth.p50), ("p90", seen.p90, truth.p90), ("p95", seen.p95, truth.p95), ("max", seen.max, truth.max)] {
                if seen.lower_bounds.iter().any(|bound| bound == name) {
                    prop_assert!(true_ms >= seen_ms, "{name}");
                } else {
                    prop_assert_eq!(true_ms, seen_ms, "{}", name);
                }
            }
        }
    }
}
