//! Which rate to probe next: doubling or halving until the capacity is bracketed, then bisection, then
//! a few probes far below it for the curve.

/// Rates at which the curve below the capacity is filled, as shares of it.
const CURVE_SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// A probe this near (as a ratio) makes a filling one needless.
const NEAR: f64 = 1.15;
/// Probes of a search at most.
const MOST_PROBES: usize = 24;
/// Rates that are tried.
const SLOWEST_RPS: f64 = 0.05;
const FASTEST_RPS: f64 = 1e5;

/// A search: where it begins and how narrow its bracket must become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// First rate, requests a second.
    pub start_rps: f64,
    /// It ends when the bracket is narrower than this share of its upper end, 0..1.
    pub precision: f64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Try this rate.
    Probe {
        /// Requests a second.
        rate_rps: f64,
    },
    /// Try this rate for the curve alone; the search is over.
    Curve {
        /// Requests a second.
        rate_rps: f64,
    },
    /// There is nothing more to try.
    Done,
}

/// What the probes so far say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bracket {
    /// Highest rate that held, below the lowest that did not; 0: none.
    pub low_rps: f64,
    /// Lowest rate that did not hold; none: all held.
    pub high_rps: Option<f64>,
    /// Why the search ends although the bracket is not narrow, if it does.
    pub stopped: Option<String>,
    /// Whether the search is over.
    pub is_over: bool,
}

impl Search {
    /// Where the search stands; `probes`: rates of the search and whether they held.
    pub fn bracket(&self, probes: &[(f64, bool)]) -> Bracket {
        let high_rps = probes.iter().filter(|p| !p.1).map(|p| p.0).min_by(f64::total_cmp);
        let below = |rate: f64| high_rps.is_none_or(|high| rate < high);
        let low_rps = probes.iter().filter(|p| p.1 && below(p.0)).map(|p| p.0).fold(0.0, f64::max);
        let narrow = high_rps.is_some_and(|high| low_rps > 0.0 && (high - low_rps) / high <= self.precision);
        let stopped = if narrow {
            None
        } else if probes.len() >= MOST_PROBES {
            Some(format!("it ended after {MOST_PROBES} probes"))
        } else if high_rps.is_some_and(|high| high <= SLOWEST_RPS) {
            Some(format!("not even {SLOWEST_RPS} requests/s were held"))
        } else if low_rps >= FASTEST_RPS {
            Some(format!("{FASTEST_RPS} requests/s were held, and more is not tried"))
        } else {
            None
        };
        Bracket { low_rps, high_rps, is_over: narrow || stopped.is_some(), stopped }
    }

    /// What to do after these probes; `curve`: rates that were tried for the curve.
    pub fn next(&self, probes: &[(f64, bool)], curve: &[f64]) -> Next {
        let bracket = self.bracket(probes);
        if !bracket.is_over {
            let rate_rps = match (bracket.low_rps, bracket.high_rps) {
                (_, None) if probes.is_empty() => self.start_rps,
                (low, None) => low * 2.0,
                (0.0, Some(high)) => high / 2.0,
                (low, Some(high)) => (low * high).sqrt(),
            };
            return Next::Probe { rate_rps: three_digits(rate_rps.clamp(SLOWEST_RPS, FASTEST_RPS)) };
        }
        let tried = || probes.iter().map(|p| p.0).chain(curve.iter().copied());
        let near = |a: f64, b: f64| (a / b).max(b / a) < NEAR;
        CURVE_SHARES
            .into_iter()
            .map(|share| three_digits(share * bracket.low_rps))
            .find(|&rate| rate >= SLOWEST_RPS && !tried().any(|other| near(rate, other)))
            .map_or(Next::Done, |rate_rps| Next::Curve { rate_rps })
    }
}

/// Rounded, so that people can read and repeat it.
fn three_digits(value: f64) -> f64 {
    // Through text, so that it is 3.45 and not 3.4500000000000002.
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches a server that holds every rate up to its threshold; rates of the search and of the curve.
    fn found(search: Search, threshold: f64) -> (Vec<(f64, bool)>, Vec<f64>) {
        let (mut probes, mut curve) = (Vec::new(), Vec::new());
        loop {
            assert!(probes.len() + curve.len() < 100, "it never ends: {probes:?}");
            match search.next(&probes, &curve) {
                Next::Probe { rate_rps } => probes.push((rate_rps, rate_rps <= threshold)),
                Next::Curve { rate_rps } => curve.push(rate_rps),
                Next::Done => return (probes, curve),
            }
        }
    }

    proptest! {
        #[test]
        fn the_threshold_of_a_server_is_bracketed_as_narrowly_as_asked(
            threshold in 0.5..20_000.0_f64, miss in 0.02..50.0_f64, precision in 0.03..0.3_f64,
        ) {
            let search = Search { start_rps: threshold * miss, precision };
            let (probes, curve) = found(search, threshold);
            let bracket = search.bracket(&probes);
            prop_assert!(bracket.is_over && bracket.stopped.is_none(), "{bracket:?}");
            let high = bracket.high_rps.unwrap();
            prop_assert!(bracket.low_rps <= threshold && threshold < high, "{bracket:?}");
            prop_assert!((high - bracket.low_rps) / high <= precision);
            // Doublings to get there, and the bisection of one octave.
            let most = 1.0 + miss.log2().abs() + 2.0 + (1.0 / precision).log2() + 2.0;
            prop_assert!(probes.len() as f64 <= most, "{} probes: {probes:?}", probes.len());
            prop_assert!(curve.iter().all(|&rate| rate < bracket.low_rps));
        }

        /// Noise near the threshold moves the result by no more than the noise.
        #[test]
        fn wrong_answers_near_the_threshold_leave_the_result_near_it(seed in any::<u64>()) {
            use rand::{RngExt, SeedableRng, rngs::StdRng};
            let mut noise = StdRng::seed_from_u64(seed);
            let search = Search { start_rps: 10.0, precision: 0.05 };
            let mut probes = Vec::new();
            while let Next::Probe { rate_rps } = search.next(&probes, &[]) {
                let sure = (rate_rps - 100.0_f64).abs() > 10.0;
                probes.push((rate_rps, if sure { rate_rps < 100.0 } else { noise.random() }));
            }
            let bracket = search.bracket(&probes);
            prop_assert!(bracket.low_rps > 80.0 && bracket.low_rps <= 110.0, "{probes:?}");
        }
    }

    #[test]
    fn a_server_that_holds_nothing_or_everything_ends_the_search_with_a_word() {
        let search = Search { start_rps: 10.0, precision: 0.1 };
        let (probes, curve) = found(search, 0.0);
        let bracket = search.bracket(&probes);
        assert_eq!((bracket.low_rps, bracket.high_rps), (0.0, Some(0.05)));
        assert_eq!(bracket.stopped.as_deref(), Some("not even 0.05 requests/s were held"));
        assert!(curve.is_empty());
        let (probes, _) = found(search, 1e9);
        let bracket = search.bracket(&probes);
        assert!(bracket.stopped.is_some_and(|why| why.contains("were held, and more")));
        assert_eq!(bracket.high_rps, None);
    }

    #[test]
    fn the_curve_is_filled_only_where_no_probe_was_near() {
        let (probes, curve) = found(Search { start_rps: 50.0, precision: 0.1 }, 100.0);
        assert_eq!(probes.first(), Some(&(50.0, true)));
        assert_eq!(curve, [25.0, 75.0]);
    }
}
