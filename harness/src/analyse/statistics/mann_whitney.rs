//! The exact two-sided rank test of two independent samples.
//!
//! Mann and Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger than
//! the Other", Annals of Mathematical Statistics 18(1), 1947. Under the null hypothesis each
//! way to deal the pooled ranks to the two samples is equally likely. The distribution of the rank
//! sum over all of them is counted by the shift algorithm of Streitberg and Röhmel, "Exact
//! Distributions for Permutation and Rank Tests", Statistical Software Newsletter 12, 1986, on
//! doubled mid-ranks, which are integers: so ties are exact, too.

use super::distributions::normal_cdf;

/// Observations of both samples together up to which the distribution is counted out. Above, the
/// normal approximation with corrections for ties and continuity is used; at this size it differs
/// from the exact value by less than 0.001.
pub const EXACT_UP_TO: usize = 100;

/// The probability, were there no difference, of a rank sum at least as far from its mean as the
/// one found. 1 if a sample is empty.
pub fn p_value(a: &[f64], b: &[f64]) -> f64 {
    let doubled = doubled_mid_ranks(a, b);
    let observed: usize = doubled[..a.len()].iter().sum();
    if a.is_empty() || b.is_empty() {
        1.0
    } else if doubled.len() > EXACT_UP_TO {
        approximate(&doubled, a.len(), observed)
    } else {
        exact(&doubled, a.len(), observed)
    }
}

/// The smallest p-value that samples of these sizes can yield: 2 / C(a + b, a).
pub fn smallest_p(a: usize, b: usize) -> f64 {
    let (low, high): (Vec<f64>, Vec<f64>) =
        ((0..a).map(|i| i as f64).collect(), (a..a + b).map(|i| i as f64).collect());
    p_value(&low, &high)
}

/// The largest p-value below `alpha` that samples of these sizes without ties can yield: the level
/// at which the test in truth works. None if it can never reject at `alpha`.
pub fn attainable_level(a: usize, b: usize, alpha: f64) -> Option<f64> {
    if a == 0 || b == 0 {
        return None;
    }
    if a + b > EXACT_UP_TO {
        return Some(alpha);
    }
    let ranks: Vec<usize> = (1..=a + b).map(|rank| 2 * rank).collect();
    let lowest: usize = ranks[..a].iter().sum();
    let mean = a * (a + b + 1);
    let ways = ways(&ranks, a);
    let all: f64 = ways.iter().sum();
    // Without ties both tails are alike.
    let mut tail = 0.0;
    let two_sided = (lowest..mean).step_by(2).map(|sum| {
        tail += ways[sum];
        2.0 * tail / all
    });
    two_sided.take_while(|&p| p < alpha).last()
}

/// Twice the mid-rank of each value of `a`, then of `b`, in the pooled sample.
fn doubled_mid_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let mut pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    pooled.sort_by(f64::total_cmp);
    // Ranks first + 1 ..= last share their mean, (first + 1 + last) / 2.
    let doubled = |v: &f64| pooled.partition_point(|w| w < v) + 1 + pooled.partition_point(|w| w <= v);
    a.iter().chain(b).map(doubled).collect()
}

fn exact(doubled: &[usize], taken: usize, observed: usize) -> f64 {
    let ways = ways(doubled, taken);
    // Distance from the mean rank sum, total * taken / n, times n to stay in integers.
    let (n, total) = (doubled.len(), ways.len() - 1);
    let distance = |sum: usize| (sum * n).abs_diff(total * taken);
    let far = |sum: &usize| distance(*sum) >= distance(observed);
    let extreme: f64 = (0..=total).filter(far).map(|sum| ways[sum]).sum();
    (extreme / ways.iter().sum::<f64>()).min(1.0)
}

/// In how many ways so many of the ranks add up to each sum, from 0 to the sum of all.
fn ways(doubled: &[usize], taken: usize) -> Vec<f64> {
    let total: usize = doubled.iter().sum();
    // ways[k][s]: in how many ways k of the ranks seen so far add up to s.
    let mut ways = vec![vec![0.0_f64; total + 1]; taken + 1];
    ways[0][0] = 1.0;
    for (seen, &rank) in doubled.iter().enumerate() {
        for k in (1..=taken.min(seen + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(k);
            for (sum, without) in more[0][rank..].iter_mut().zip(&fewer[k - 1]) {
                *sum += without;
            }
        }
    }
    ways.swap_remove(taken)
}

/// Lehmann, "Nonparametrics", 1975, section 1.3: the variance of the rank sum with ties is that of a
/// draw without replacement from the mid-ranks.
fn approximate(doubled: &[usize], taken: usize, observed: usize) -> f64 {
    let n = doubled.len() as f64;
    let a = taken as f64;
    let mean_rank = doubled.iter().sum::<usize>() as f64 / 2.0 / n;
    let variance_of_ranks =
        doubled.iter().map(|&d| (d as f64 / 2.0 - mean_rank).powi(2)).sum::<f64>() / (n - 1.0);
    let sd = (a * (n - a) / n * variance_of_ranks).sqrt();
    if sd == 0.0 {
        return 1.0;
    }
    let distance = (observed as f64 / 2.0 - a * mean_rank).abs();
    (2.0 * normal_cdf(-(distance - 0.5).max(0.0) / sd)).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn five_against_five_without_overlap_is_two_in_252() {
        close(p_value(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]), 2.0 / 252.0);
        close(smallest_p(5, 5), 2.0 / 252.0);
        close(smallest_p(3, 3), 2.0 / 20.0);
    }

    #[test]
    fn tail_counts_agree_with_the_published_table() {
        // Mann and Whitney 1947, table I: P(U <= u), one-sided, for n = m = 4: 1, 2, 4, 7, 12 of 70.
        let of_u = |u: usize| {
            // Four against four with U = u: move the largest of the low sample up past u of the others.
            let low = [1.0, 2.0, 3.0, 4.5 + u as f64];
            let high = [5.0, 6.0, 7.0, 8.0];
            p_value(&low, &high)
        };
        for (u, ways) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 7.0), (4, 12.0)] {
            close(of_u(u), 2.0 * ways / 70.0);
        }
    }

    #[test]
    fn equal_samples_say_nothing() {
        close(p_value(&[1.0; 5], &[1.0; 5]), 1.0);
        close(p_value(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 1.0);
        close(p_value(&[], &[1.0]), 1.0);
    }

    #[test]
    fn the_attainable_level_lies_below_the_wanted_one() {
        // U <= 2 of 25: 1 + 1 + 2 = 4 ways a side.
        close(attainable_level(5, 5, 0.05).unwrap(), 8.0 / 252.0);
        close(attainable_level(5, 5, 0.025).unwrap(), 4.0 / 252.0);
        assert_eq!(attainable_level(3, 3, 0.05), None);
        assert_eq!(attainable_level(0, 5, 0.05), None);
    }

    #[test]
    fn the_approximation_takes_over_smoothly() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i * 7 % 50)).collect();
        let b: Vec<f64> = (0..50).map(|i| f64::from(i * 7 % 50) + 6.3).collect();
        let doubled = doubled_mid_ranks(&a, &b);
        let observed = doubled[..50].iter().sum();
        let (exactly, about) = (exact(&doubled, 50, observed), approximate(&doubled, 50, observed));
        assert!(exactly > 0.005 && exactly < 0.1, "{exactly}");
        assert!((exactly - about).abs() < 1e-3, "{exactly} against {about}");
        assert!(p_value(&[1.0; 80], &[1.0; 80]) >= 1.0);
    }

    /// The definition itself: every way to choose which of the pooled values are `a`.
    fn by_enumeration(a: &[f64], b: &[f64]) -> f64 {
        let doubled = doubled_mid_ranks(a, b);
        let n = doubled.len();
        let centre = doubled.iter().sum::<usize>() * a.len();
        let distance = |sum: usize| (sum * n).abs_diff(centre);
        let observed = distance(doubled[..a.len()].iter().sum());
        let subsets = (0_u32..1 << n).filter(|set| set.count_ones() as usize == a.len());
        let sums = subsets.map(|set| (0..n).filter(|i| set & (1 << i) != 0).map(|i| doubled[i]).sum());
        let (far, all) = sums.fold((0.0, 0.0), |(far, all), sum: usize| {
            (far + f64::from(u8::from(distance(sum) >= observed)), all + 1.0)
        });
        far / all
    }

    proptest! {
        #[test]
        fn counting_agrees_with_enumerating_every_permutation_ties_included(
            a in prop::collection::vec(0u8..6, 1..6), b in prop::collection::vec(0u8..6, 1..6)
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = (a.into_iter().map(f64::from).collect(), b.into_iter().map(f64::from).collect());
            prop_assert!((p_value(&a, &b) - by_enumeration(&a, &b)).abs() < 1e-12);
            prop_assert!((p_value(&a, &b) - p_value(&b, &a)).abs() < 1e-12);
        }
    }
}
