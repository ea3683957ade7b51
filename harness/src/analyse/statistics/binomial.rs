//! Tails of the binomial distribution, for one-sided tests on shares.

/// P(X <= k) of `n` trials that each succeed with probability `p` (0 < p < 1).
///
/// Summed term by term from the recurrence P(i+1) = P(i) (n-i)/(i+1) p/(1-p) (Johnson, Kemp and Kotz,
/// "Univariate Discrete Distributions", 2005, section 3.4), in logarithms, so that 0.99^n never
/// vanishes. Takes time in proportion to `k`.
pub fn at_most(n: u64, k: u64, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    let odds_ln = (p / (1.0 - p)).ln();
    let mut term_ln = n as f64 * (-p).ln_1p();
    // The sum is kept relative to the largest term so far.
    let (mut largest_ln, mut sum) = (term_ln, 1.0);
    for i in 0..k {
        term_ln += ((n - i) as f64 / (i + 1) as f64).ln() + odds_ln;
        if term_ln > largest_ln {
            sum = sum * (largest_ln - term_ln).exp() + 1.0;
            largest_ln = term_ln;
        } else {
            sum += (term_ln - largest_ln).exp();
        }
    }
    (largest_ln + sum.ln()).exp().min(1.0)
}

/// P(X >= k) of the same.
pub fn at_least(n: u64, k: u64, p: f64) -> f64 {
    match k {
        0 => 1.0,
        k if k > n => 0.0,
        k => (1.0 - at_most(n, k - 1, p)).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_cases_are_those_that_one_can_count() {
        // Four tosses of a coin: 1, 5, 11, 15 and 16 of 16.
        let found: Vec<f64> = (0..=4).map(|k| at_most(4, k, 0.5) * 16.0).collect();
        for (found, counted) in found.iter().zip([1.0, 5.0, 11.0, 15.0, 16.0]) {
            assert!((found - counted).abs() < 1e-12, "{found} {counted}");
        }
        assert!((at_least(4, 3, 0.5) - 5.0 / 16.0).abs() < 1e-12);
        // None of 3,000 at 0.1 %: 0.999^3000.
        assert!((at_most(3000, 0, 0.001) - 0.999_f64.powi(3000)).abs() < 1e-12);
        // Far out nothing underflows to a wrong figure: the mean of 10^6 at 1 % is 10^4.
        assert!((at_most(1_000_000, 10_000, 0.01) - 0.5).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn both_tails_make_one_and_more_is_likelier(n in 1u64..2000, part in 0.0..1.0_f64, p in 0.001..0.5_f64) {
            let k = (part * n as f64) as u64;
            let (below, above) = (at_most(n, k, p), at_least(n, k + 1, p));
            prop_assert!((below + above - 1.0).abs() < 1e-9);
            prop_assert!(at_most(n, k + 1, p) >= below - 1e-12);
        }
    }
}
