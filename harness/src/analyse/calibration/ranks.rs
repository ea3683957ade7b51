//! Between which order statistics a quantile lies.

/// Ranks l and u with P(l-th smallest <= quantile <= u-th smallest) >= confidence; l = 0 and
/// u > n: no value of the sample bounds it on that side.
pub(super) fn ranks(n: u64, q: f64, confidence: f64) -> (u64, u64) {
    // Weights of the binomial distribution, outwards from its mode: each from the one before, so
    // that none under- or overflows where it matters.
    let mode = (((n + 1) as f64 * q) as u64).min(n);
    let odds = q / (1.0 - q);
    let mut weights = vec![0.0; n as usize + 1];
    weights[mode as usize] = 1.0;
    for k in mode..n {
        weights[k as usize + 1] = weights[k as usize] * odds * (n - k) as f64 / (k + 1) as f64;
    }
    for k in (0..mode).rev() {
        weights[k as usize] = weights[k as usize + 1] / odds * (k + 1) as f64 / (n - k) as f64;
    }
    let tail = weights.iter().sum::<f64>() * (1.0 - confidence) / 2.0;
    // l: the largest with P(B <= l - 1) <= tail; u: the smallest with P(B >= u) <= tail.
    let count_within = |weights: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        weights
            .take_while(|&&weight| {
                sum += weight;
                sum <= tail
            })
            .count() as u64
    };
    let low = count_within(&mut weights.iter());
    let high = n + 1 - count_within(&mut weights.iter().rev());
    (low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics, table A3: the median of 20, at 95 %.
        assert_eq!(ranks(20, 0.5, 0.95), (6, 15));
        // Five values cannot bound a median at 95 %, six can.
        assert_eq!(ranks(5, 0.5, 0.95), (0, 6));
        assert_eq!(ranks(6, 0.5, 0.95), (1, 6));
        // Far out the binomial is Poisson: 1000 values, p99.9, one expected beyond.
        assert_eq!(ranks(1000, 0.999, 0.999).1, 1001);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn intervals_cover_as_often_as_they_say(n in 10u64..3000, permille in 10u64..990) {
            let q = permille as f64 / 1000.0;
            let (low, high) = ranks(n, q, 0.95);
            // The exact coverage, by logarithms of the binomial's terms.
            let ln_choose = |k: u64| (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum::<f64>();
            let coverage: f64 = (low..high)
                .map(|k| (ln_choose(k) + k as f64 * q.ln() + (n - k) as f64 * (1.0 - q).ln()).exp())
                .sum();
            prop_assert!(coverage >= 0.95 - 1e-9, "{coverage}");
            prop_assert!(low as f64 <= q * n as f64 + 1.0 && q * n as f64 <= high as f64);
        }
    }
}
