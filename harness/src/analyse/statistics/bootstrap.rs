//! Bootstrap intervals for a statistic of two samples.
//!
//! The bias-corrected and accelerated interval (BCa) of Efron, "Better Bootstrap Confidence
//! Intervals", Journal of the American Statistical Association 82(397), 1987; for two samples with
//! the acceleration of Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
//! equation 5.29, from jackknife influence values. Each sample is resampled by itself.
//!
//! At five trials a sample this interval alone misses the truth more often than 5 % of the time;
//! the verdict therefore also asks the exact rank test.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::distributions::{normal_cdf, normal_quantile};

/// Resamples of one interval.
pub const RESAMPLES: u32 = 10_000;

/// How an interval is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Resamples drawn.
    pub resamples: u32,
    /// Confidence, 0..1.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// The BCa interval of `statistic(a, b)`, lower end first. None if a sample has fewer than two
/// values, or if the statistic is not finite on some resample.
pub fn bca(
    a: &[f64],
    b: &[f64],
    statistic: impl Fn(&[f64], &[f64]) -> f64,
    plan: Plan,
) -> Option<(f64, f64)> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let estimate = statistic(a, b);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let (mut drawn_a, mut drawn_b) = (a.to_vec(), b.to_vec());
    let mut draws: Vec<f64> = (0..plan.resamples)
        .map(|_| {
            drawn_a.fill_with(|| a[rng.random_range(0..a.len())]);
            drawn_b.fill_with(|| b[rng.random_range(0..b.len())]);
            statistic(&drawn_a, &drawn_b)
        })
        .collect();
    if draws.is_empty() || !estimate.is_finite() || draws.iter().any(|d| !d.is_finite()) {
        return None;
    }
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    // Draws equal to the estimate count half, else few distinct trials would bias the correction.
    let below = draws.partition_point(|d| *d < estimate) as f64;
    let not_above = draws.partition_point(|d| *d <= estimate) as f64;
    let share_below = (f64::midpoint(below, not_above) / n).clamp(0.5 / n, 1.0 - 0.5 / n);
    let bias = normal_quantile(share_below);
    let acceleration = acceleration(a, b, &statistic);
    let end = |tail: f64| {
        let z = bias + normal_quantile(tail);
        let p = normal_cdf(bias + z / (1.0 - acceleration * z));
        draws[((p * n) as usize).min(draws.len() - 1)]
    };
    let tail = (1.0 - plan.confidence) / 2.0;
    Some((end(tail), end(1.0 - tail)))
}

/// Davison and Hinkley 5.29: sum of l³/n³ over six times the 3/2-th power of the sum of l²/n².
fn acceleration(a: &[f64], b: &[f64], statistic: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
    let estimate = statistic(a, b);
    let influence = |values: &[f64], with: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        let without = |left_out: usize| -> Vec<f64> {
            values.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, v)| *v).collect()
        };
        let n = values.len() as f64;
        // l = (n - 1)(t - t without j), scaled by 1/n for the formula.
        (0..values.len()).map(|j| (n - 1.0) * (estimate - with(&without(j))) / n).collect()
    };
    let scaled = [influence(a, &|a| statistic(a, b)), influence(b, &|b| statistic(a, b))].concat();
    let squares: f64 = scaled.iter().map(|l| l * l).sum();
    if squares == 0.0 {
        0.0
    } else {
        scaled.iter().map(|l| l.powi(3)).sum::<f64>() / (6.0 * squares.powf(1.5))
    }
}

/// The mean of the values; not a number without any.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// mean(b) - mean(a).
pub fn difference_of_means(a: &[f64], b: &[f64]) -> f64 {
    mean(b) - mean(a)
}
