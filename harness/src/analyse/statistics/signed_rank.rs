//! The exact two-sided signed-rank test of paired differences.
//!
//! Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1(6), 1945. Under the
//! null hypothesis the sign of each difference is a fair coin, whatever its size. The distribution of
//! the rank sum of the positive ones over all signs is counted, on doubled mid-ranks, which are
//! integers: so ties are exact, too (Pratt, "Remarks on Zeros and Ties in the Wilcoxon Signed Rank
//! Procedures", JASA 54, 1959: differences of zero are ranked and then count for neither side).

/// The probability, were there no difference, of a rank sum at least as far from its mean as the one
/// found. 1 without differences.
pub fn p_value(differences: &[f64]) -> f64 {
    let ranks = doubled_mid_ranks(differences);
    let signed: Vec<(usize, f64)> =
        ranks.into_iter().zip(differences.iter().copied()).filter(|(_, d)| *d != 0.0).collect();
    let total: usize = signed.iter().map(|(rank, _)| rank).sum();
    let positive: usize = signed.iter().filter(|(_, d)| *d > 0.0).map(|(rank, _)| rank).sum();
    // ways[s]: over how many of the signs the positive ranks add up to s. Doubles are exact up to 2^53.
    let mut ways = vec![0.0_f64; total + 1];
    ways[0] = 1.0;
    for (rank, _) in &signed {
        for sum in (*rank..=total).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let distance = |sum: usize| (2 * sum).abs_diff(total);
    let far: f64 = (0..=total).filter(|&sum| distance(sum) >= distance(positive)).map(|sum| ways[sum]).sum();
    (far / (signed.len() as f64).exp2()).min(1.0)
}

/// The largest p-value below `alpha` that so many pairs without ties can yield; none if the test can
/// never reject at `alpha`. The smallest possible one is 2 / 2^n.
pub fn attainable_level(pairs: usize, alpha: f64) -> Option<f64> {
    let all: Vec<f64> = (1..=pairs).map(|rank| rank as f64).collect();
    let sums = 0..=pairs * (pairs + 1) / 2;
    let with_sum = |negative: usize| {
        // Some set of ranks has each sum: greedily the largest that still fit.
        let mut left = negative;
        let mut differences = all.clone();
        for difference in differences.iter_mut().rev() {
            let rank = *difference as usize;
            if rank <= left {
                left -= rank;
                *difference = -*difference;
            }
        }
        p_value(&differences)
    };
    sums.map(with_sum).take_while(|&p| p < alpha).last()
}

/// Twice the mid-rank of each difference's size.
fn doubled_mid_ranks(differences: &[f64]) -> Vec<usize> {
    let mut sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let doubled =
        |d: &f64| sizes.partition_point(|s| *s < d.abs()) + 1 + sizes.partition_point(|s| *s <= d.abs());
    differences.iter().map(doubled).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All signs tried one by one.
    fn by_enumeration(differences: &[f64]) -> f64 {
        let ranks = doubled_mid_ranks(differences);
        let kept: Vec<(usize, f64)> =
            ranks.into_iter().zip(differences.iter().copied()).filter(|(_, d)| *d != 0.0).collect();
        let centre: f64 = kept.iter().map(|(rank, _)| *rank as f64 / 2.0).sum();
        let found: f64 = kept.iter().filter(|(_, d)| *d > 0.0).map(|(rank, _)| *rank as f64).sum();
        let all = 1u32 << kept.len();
        let far = (0..all).filter(|signs| {
            let sum: f64 = kept
                .iter()
                .enumerate()
                .filter(|(i, _)| signs & (1 << i) != 0)
                .map(|(_, (rank, _))| *rank as f64)
                .sum();
            (sum - centre).abs() >= (found - centre).abs() - 1e-9
        });
        far.count() as f64 / f64::from(all)
    }

    #[test]
    fn eight_pairs_from_a_textbook() {
        // Wilcoxon's own table: with n = 8 a smaller rank sum of 3 has a two-sided p of 10/256.
        let differences = [-3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert!((p_value(&differences) - 10.0 / 256.0).abs() < 1e-12, "{}", p_value(&differences));
        assert!((p_value(&[1.0, 2.0, 3.0, 4.0, 5.0]) - 2.0 / 32.0).abs() < 1e-12);
        assert_eq!(p_value(&[]), 1.0);
        assert_eq!(p_value(&[0.0, 0.0]), 1.0);
    }

    #[test]
    fn five_pairs_can_never_show_anything_and_six_can() {
        assert_eq!(attainable_level(5, 0.05), None);
        assert_eq!(attainable_level(6, 0.05), Some(2.0 / 64.0));
        assert_eq!(attainable_level(8, 0.05), Some(10.0 / 256.0));
    }

    proptest! {
        #[test]
        fn counting_agrees_with_trying_all_signs(differences in prop::collection::vec(-4i32..5, 0..9)) {
            let differences: Vec<f64> = differences.into_iter().map(f64::from).collect();
            prop_assert!((p_value(&differences) - by_enumeration(&differences)).abs() < 1e-9);
        }
    }
}
