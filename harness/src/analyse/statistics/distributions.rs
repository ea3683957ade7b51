//! The normal, Student's t and the binomial distribution, as far as intervals and power need them.

use std::f64::consts::PI;

/// P(Z <= z) of the standard normal distribution, to about 1e-15 absolutely.
///
/// Hart et al., "Computer Approximations", 1968, algorithm 5666, in the form of West, "Better
/// Approximations to Cumulative Normal Functions", Wilmott Magazine, 2005.
pub fn normal_cdf(z: f64) -> f64 {
    const NUMERATOR: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const DENOMINATOR: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    let x = z.abs();
    let density = (-x * x / 2.0).exp();
    let horner = |coefficients: &[f64]| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = if x > 37.0 {
        0.0
    } else if x < 7.071_067_811_865_47 {
        density * horner(&NUMERATOR) / horner(&DENOMINATOR)
    } else {
        density / (2.0 * PI).sqrt() / (x + 1.0 / (x + 2.0 / (x + 3.0 / (x + 4.0 / (x + 0.65)))))
    };
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// The z with P(Z <= z) = p; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    invert(normal_cdf, p)
}

/// P(T <= t) of Student's distribution with these degrees of freedom.
///
/// By the regularised incomplete beta function: Abramowitz and Stegun, "Handbook of Mathematical
/// Functions", 1964, 26.7.1 with 26.5.
pub fn student_cdf(t: f64, degrees: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The t with P(T <= t) = p; infinite at 0 and 1.
pub fn student_quantile(p: f64, degrees: f64) -> f64 {
    invert(|t| student_cdf(t, degrees), p)
}

/// P(B <= successes) of the binomial distribution with this many trials and this chance of success.
///
/// By the regularised incomplete beta function: Abramowitz and Stegun 26.5.24.
pub fn binomial_cdf(successes: u64, trials: u64, chance: f64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    incomplete_beta(1.0 - chance, (trials - successes) as f64, successes as f64 + 1.0)
}

/// The exact upper confidence bound of a proportion of which `successes` of `trials` were seen:
/// Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
/// Binomial", Biometrika 26(4), 1934. One-sided.
pub fn proportion_at_most(successes: u64, trials: u64, confidence: f64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if binomial_cdf(successes, trials, middle) > 1.0 - confidence { low = middle } else { high = middle }
    }
    high
}

/// Inverts a distribution symmetric about 0 by bisection. Slow and simple: it is needed a few times a run.
fn invert(cdf: impl Fn(f64) -> f64, p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    // The tail that is small is computed without cancellation.
    let (tail, sign) = if p < 0.5 { (p, -1.0) } else { (1.0 - p, 1.0) };
    let (mut near, mut far) = (0.0_f64, 1.0_f64);
    while cdf(-far) > tail && far < 1e300 {
        far *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(near, far);
        if cdf(-middle) > tail { near = middle } else { far = middle }
    }
    sign * f64::midpoint(near, far)
}

/// The regularised incomplete beta function by its continued fraction (Abramowitz and Stegun
/// 26.5.8), evaluated by Lentz's method as modified by Thompson and Barnett, Journal of
/// Computational Physics 64, 1986.
#[allow(clippy::many_single_char_names)] // the names of the handbook
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let never_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / never_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / never_zero(1.0 + term * d);
            c = never_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// ln Γ(x) for x > 0, by Lanczos, SIAM Journal on Numerical Analysis B 1, 1964 (g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const LANCZOS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let series: f64 =
        LANCZOS.iter().enumerate().map(|(i, c)| if i == 0 { *c } else { c / (x + i as f64) }).sum();
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_agree_with_the_tables() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (-1.959_963_984_540_054, 0.025),
            (3.0, 0.998_650_101_968_37),
            (-8.0, 6.220_960_574_271_78e-16),
        ] {
            assert!((normal_cdf(z) - p).abs() < 1e-6 * p, "{z}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        assert!((normal_quantile(0.8) - 0.841_621_233_572_914).abs() < 1e-9);
        assert!(normal_quantile(0.0).is_infinite() && normal_quantile(1.0).is_infinite());
    }

    #[test]
    fn student_quantiles_agree_with_the_printed_table() {
        // Any textbook's table of t, upper tails 0.025, 0.005 and 0.20.
        for (degrees, p, t) in [
            (1.0, 0.975, 12.706_204_736),
            (2.0, 0.975, 4.302_652_730),
            (8.0, 0.975, 2.306_004_135),
            (8.0, 0.995, 3.355_387_331),
            (8.0, 0.8, 0.888_889_518),
            (30.0, 0.975, 2.042_272_456),
            (8.0, 0.025, -2.306_004_135),
        ] {
            let got = student_quantile(p, degrees);
            assert!((got - t).abs() < 1e-7, "t({p}, {degrees}) = {got}, not {t}");
        }
    }

    #[test]
    fn binomial_values_by_hand_and_by_the_printed_bound() {
        for (successes, ways) in [(0, 1.0), (1, 6.0), (2, 16.0), (3, 26.0), (4, 31.0), (5, 32.0)] {
            assert!((binomial_cdf(successes, 5, 0.5) - ways / 32.0).abs() < 1e-12, "{successes}");
        }
        // None of n: the bound solves (1 - p)^n = 0.05, about 3 / n ("rule of three").
        assert!((proportion_at_most(0, 100, 0.95) - 0.029_513).abs() < 1e-5);
        // Clopper and Pearson's two-sided 95 % interval of 1 in 10 ends at 0.4450.
        assert!((proportion_at_most(1, 10, 0.975) - 0.445_02).abs() < 1e-4);
        assert!((proportion_at_most(10, 10, 0.95) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn with_many_degrees_student_is_normal() {
        assert!((student_quantile(0.975, 1e6) - normal_quantile(0.975)).abs() < 1e-5);
    }
}
