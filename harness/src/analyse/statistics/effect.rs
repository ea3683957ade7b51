//! What a run could have seen: the smallest effect that its trials would probably have shown.

use std::f64::consts::FRAC_PI_3;

use super::{distributions::student_quantile, mann_whitney};

/// Chance with which an effect of the stated size would have been shown. A wish: simulated with
/// 5 + 5 log-normal trials the whole verdict shows it 76 times in 100 (see `comparison_tests`).
pub const POWER: f64 = 0.8;

/// The pooled standard deviation of two samples, and its degrees of freedom; none with fewer than
/// two observations in each.
pub fn pooled_sd(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let squares = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let degrees = (a.len() + b.len() - 2) as f64;
    Some((((squares(a) + squares(b)) / degrees).sqrt(), degrees))
}

/// The smallest difference of means that trials which scatter like these would show with
/// probability [`POWER`], on the scale of the values.
///
/// The usual formula (t of the level + t of the power) · s · √(1/a + 1/b), as in Cohen, "Statistical
/// Power Analysis", 1988, section 2.4, or Montgomery, "Design and Analysis of Experiments", 2.4. The
/// level is the one at which the exact rank test can work with these sizes, which lies below
/// `alpha`; none if it can never reject at `alpha`. Two corrections keep the claim honest for few
/// trials: a standard deviation of so few is too small on average (by 4ν / (4ν + 1) for ν degrees
/// of freedom: Montgomery, "Introduction to Statistical Quality Control", 2009, appendix VI, c4),
/// and against normal scatter a rank test needs π/3 times the trials of a t test (Lehmann,
/// "Nonparametrics", 1975, section 2.4).
pub fn smallest_difference(a: &[f64], b: &[f64], alpha: f64) -> Option<f64> {
    let (sd, degrees) = pooled_sd(a, b)?;
    let unbiased_sd = sd * (4.0 * degrees + 1.0) / (4.0 * degrees);
    foreseen_difference(unbiased_sd, a.len(), b.len(), alpha)
}

/// The same before anything is measured: for so many trials a side whose standard deviation will
/// be `sd`. None if the rank test can never reject at `alpha` with so few.
pub fn foreseen_difference(sd: f64, a: usize, b: usize, alpha: f64) -> Option<f64> {
    let level = mann_whitney::attainable_level(a, b, alpha)?;
    let degrees = (a + b).checked_sub(2).filter(|&degrees| degrees > 0)? as f64;
    let quantiles = student_quantile(1.0 - level / 2.0, degrees) + student_quantile(POWER, degrees);
    let trials = (1.0 / a as f64 + 1.0 / b as f64) * FRAC_PI_3;
    Some(quantiles * sd * trials.sqrt())
}

/// The fewest trials a side with which the rank test can reject at `alpha`.
pub fn fewest_trials(alpha: f64) -> usize {
    // 2 / C(2n, n) falls below any alpha that a run can ask for long before fifty.
    (2..50).find(|&n| mann_whitney::attainable_level(n, n, alpha).is_some()).unwrap_or(50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooled_deviation_by_hand() {
        // Squares: {1, 3} has 2, {0, 2, 4} has 8, over 1 + 2 degrees of freedom.
        assert_eq!(pooled_sd(&[1.0, 3.0], &[0.0, 2.0, 4.0]), Some(((10.0_f64 / 3.0).sqrt(), 3.0)));
        assert_eq!(pooled_sd(&[1.0], &[0.0, 2.0]), None);
    }

    #[test]
    fn five_trials_with_unit_scatter_see_about_two_standard_deviations() {
        // s = 1, 8 degrees, level 8/252: t = 2.5943 (two-sided 0.03175) + 0.8889, times
        // sqrt(2/5) = 2.203, times 33/32 and sqrt(pi/3) = 1.0233.
        let a = [-1.264_911_064, -0.632_455_532, 0.0, 0.632_455_532, 1.264_911_064];
        let found = smallest_difference(&a, &a, 0.05).unwrap();
        assert!((found - 2.325).abs() < 0.002, "{found}");
        assert_eq!(smallest_difference(&a[..3], &a[..3], 0.05), None, "3 + 3 trials can never show anything");
        // Known beforehand, the deviation needs no correction for its own uncertainty.
        let foreseen = foreseen_difference(1.0, 5, 5, 0.05).unwrap();
        assert!((foreseen - 2.325 * 32.0 / 33.0).abs() < 0.002, "{foreseen}");
    }

    #[test]
    fn the_fewest_trials_are_those_whose_smallest_p_lies_below_the_level() {
        // 2 / C(2n, n): 0.1, 0.029, 0.0079, 0.0022 for n = 3, 4, 5, 6.
        assert_eq!([0.05, 0.025, 0.005].map(fewest_trials), [4, 5, 6]);
    }
}
