//! What each driver would have you believe of a target of known behaviour, beside the truth. Pure.

mod ranks;

use ranks::ranks;
use serde::Serialize;

use super::{
    ground_truth::{Arriving, quantile_ms, variance_inflation},
    quantiles::{BEYOND_P99_9, beyond, nearest_rank},
};
use crate::drive::known_target::Behaviour;

/// The quantiles that are compared: per mille and name.
pub const COMPARED: [(u64, &str); 4] = [(500, "p50"), (900, "p90"), (990, "p99"), (999, "p99.9")];

/// One value for each of [`COMPARED`], in milliseconds.
pub type Figures = [Option<f64>; 4];

/// Relative error that is always allowed.
pub const ALLOWED: f64 = 0.01;

/// Confidence of the interval that stands for the sampling error. High, since a calibration asks
/// two dozen times: at 95 % nearly every one would fail by chance, at 99.9 % one in forty does.
pub const CONFIDENCE: f64 = 0.999;

/// A figure off by more than this from the truth is called misleading.
const MISLEADING: f64 = 0.1;

/// What a driver says after a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The driver and its loop, for example `native open loop`.
    pub driver: String,
    /// Whether it kept to a schedule, or waited for answers.
    pub open: bool,
    /// Answers that it counted.
    pub requests: u64,
    /// Of them failed, or lost on the way.
    pub failed: u64,
    /// Its quantiles, milliseconds; none where it gives none, or has too few requests.
    pub ms: Figures,
    /// Between which values the true quantile lies as far as its sample tells (with
    /// [`CONFIDENCE`]); only for drivers that give records. No upper end: the sample is too small.
    pub interval_ms: [Option<(f64, Option<f64>)>; 4],
}

/// One behaviour as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The behaviour.
    pub behaviour: Behaviour,
    /// Rate of the open loop, requests a second.
    pub rate: f64,
    /// Connections of the closed loops.
    pub connections: u32,
    /// What the target itself says that it took for each request of the open loop, milliseconds.
    pub served_ms: Vec<f64>,
    /// How late its answers were, milliseconds.
    pub late_ms: Vec<f64>,
    /// What the drivers say.
    pub told: Vec<Told>,
}

/// A driver's word with its errors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What it said.
    #[serde(flatten)]
    pub told: Told,
    /// Relative errors against the truth of the open loop: what users would feel.
    pub error: Figures,
    /// Relative errors against the truth of its own loop.
    pub error_of_its_loop: Figures,
}

/// One behaviour, calibrated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The behaviour.
    pub behaviour: Behaviour,
    /// Rate of the open loop, requests a second.
    pub rate: f64,
    /// Connections of the closed loops.
    pub connections: u32,
    /// The truth when requests arrive by themselves, milliseconds.
    pub true_ms: Figures,
    /// The truth of a closed loop, milliseconds.
    pub true_closed_ms: Figures,
    /// What the target itself says of the open loop, milliseconds: the truth of this very sample.
    pub target_ms: Figures,
    /// Its relative errors against the truth: how far the sample is off by chance.
    pub target_error: Figures,
    /// The median and the 99th percentile of the target's own lateness, milliseconds.
    pub target_late_ms: [Option<f64>; 2],
    /// The drivers.
    pub drivers: Vec<Judged>,
    /// Whether each open loop is within its tolerance: 1 %, or its sampling error.
    pub passed: bool,
    /// Where it is not: names of quantiles, or `failures`.
    pub off: Vec<&'static str>,
    /// One line of words.
    pub words: String,
}

impl Told {
    /// The word of a driver that gives the time of each request, in milliseconds.
    pub fn of_times(driver: &str, arriving: Arriving, behaviour: &Behaviour, times_ms: Vec<f64>) -> Self {
        let mut ascending = times_ms;
        ascending.sort_by(f64::total_cmp);
        let count = ascending.len() as u64;
        let inflation = variance_inflation(behaviour, arriving);
        let enough = |permille| permille != 999 || beyond(count, permille) >= BEYOND_P99_9;
        Self {
            driver: driver.into(),
            open: matches!(arriving, Arriving::Poisson { .. }),
            requests: count,
            failed: 0,
            ms: COMPARED.map(|(permille, _)| nearest_rank(&ascending, permille).filter(|_| enough(permille))),
            interval_ms: COMPARED
                .map(|(permille, _)| interval(&ascending, permille, inflation).filter(|_| enough(permille))),
        }
    }
}

/// Puts the drivers' words beside the truth.
pub fn calibrate(measured: Measured) -> Calibration {
    let Measured { behaviour, rate, connections, served_ms, late_ms, told } = measured;
    let open = Arriving::Poisson { rate };
    let truth =
        |arriving| COMPARED.map(|(permille, _)| quantile_ms(&behaviour, arriving, permille as f64 / 1000.0));
    let (true_ms, true_closed_ms) = (truth(open), truth(Arriving::Closed { connections }));
    let drivers: Vec<Judged> = told
        .into_iter()
        .map(|told| Judged {
            error: errors(&told.ms, &true_ms),
            error_of_its_loop: errors(&told.ms, if told.open { &true_ms } else { &true_closed_ms }),
            told,
        })
        .collect();
    let target_ms = Told::of_times("target", open, &behaviour, served_ms).ms;
    let mut late_ms = late_ms;
    late_ms.sort_by(f64::total_cmp);
    let off: Vec<&str> =
        drivers.iter().filter(|driver| driver.told.open).flat_map(|driver| off(driver, &true_ms)).collect();
    Calibration {
        behaviour,
        rate,
        connections,
        true_ms,
        true_closed_ms,
        target_ms,
        target_error: errors(&target_ms, &true_ms),
        target_late_ms: [500, 990].map(|permille| nearest_rank(&late_ms, permille)),
        passed: off.is_empty(),
        off,
        words: words(&behaviour, &true_ms, &drivers),
        drivers,
    }
}

fn errors(told: &Figures, truth: &Figures) -> Figures {
    std::array::from_fn(|i| Some(told[i]? / truth[i]? - 1.0))
}

/// Which figures lie neither within 1 % of the truth, nor as close as the sample allows, give or
/// take that 1 %.
fn off(driver: &Judged, true_ms: &Figures) -> Vec<&'static str> {
    let fits = |i: usize| match (true_ms[i], driver.told.ms[i], driver.told.interval_ms[i]) {
        (Some(truth), Some(told), interval) => {
            (told / truth - 1.0).abs() <= ALLOWED
                || interval.is_some_and(|(low, high)| {
                    low <= truth * (1.0 + ALLOWED) && high.is_none_or(|high| high >= truth * (1.0 - ALLOWED))
                })
        }
        // Too few requests for this quantile: nothing was claimed.
        (Some(_), None, _) => driver.told.requests > 0,
        (None, ..) => false,
    };
    let quantiles = (0..COMPARED.len()).filter(|&i| !fits(i)).map(|i| COMPARED[i].1);
    // A target of known behaviour never fails.
    quantiles.chain((driver.told.failed > 0).then_some("failures")).collect()
}

/// The distribution-free interval of a quantile: between which order statistics it lies.
///
/// The number of values below the true quantile is binomial, whatever the distribution (David and
/// Nagaraja, Order Statistics, 2003, section 7.1). Dependent values count for fewer: n / inflation.
fn interval(ascending: &[f64], permille: u64, inflation: f64) -> Option<(f64, Option<f64>)> {
    let n = ascending.len() as f64;
    let effective = (n / inflation).floor();
    if effective < 1.0 {
        return None;
    }
    let (low, high) = ranks(effective as u64, permille as f64 / 1000.0, CONFIDENCE);
    let scale = n / effective;
    let at = |rank: f64| ascending.get((rank as usize).saturating_sub(1)).copied();
    let low = if low == 0 { 0.0 } else { at((low as f64 * scale).floor().max(1.0))? };
    Some((low, at((high as f64 * scale).ceil())))
}

/// One line: who says what, and what is true.
fn words(behaviour: &Behaviour, true_ms: &Figures, drivers: &[Judged]) -> String {
    // The quantile at which somebody is furthest off, among those that all of them give.
    let given = |at: usize| drivers.iter().all(|driver| driver.told.ms[at].is_some());
    let furthest = |at: usize| drivers.iter().filter_map(|d| d.error[at]).map(size).fold(0.0, f64::max);
    let worst =
        (0..COMPARED.len()).filter(|&at| given(at)).max_by(|&a, &b| furthest(a).total_cmp(&furthest(b)));
    let Some(at) = worst else { return "The drivers give no quantile in common.".into() };
    if furthest(at) <= size(MISLEADING) {
        return format!("All drivers tell the truth, give or take {:.1} %.", furthest(at).exp_m1() * 100.0);
    }
    let names = |misled: &dyn Fn(&Judged) -> bool| -> Vec<&str> {
        drivers.iter().filter(|driver| misled(driver)).map(|driver| driver.told.driver.as_str()).collect()
    };
    let off = |error: Option<f64>| error.is_some_and(|error| size(error) > size(MISLEADING));
    let hidden = names(&|driver| !driver.told.open && off(driver.error[at]));
    let wrong = names(&|driver| off(driver.error_of_its_loop[at]));
    let nature = match behaviour {
        Behaviour::Stalls { .. } if !hidden.is_empty() => "A closed loop hides the stall".into(),
        Behaviour::Queue { .. } if !hidden.is_empty() => {
            "A closed loop asks another question, since it keeps the queue full".into()
        }
        _ => format!("Off by more than 10 %: {}", wrong.join(", ")),
    };
    let figure = |ms: Option<f64>| ms.map_or("nothing".into(), |ms| format!("{ms:.1} ms"));
    let say: Vec<String> =
        drivers.iter().map(|d| format!("{} says {}", d.told.driver, figure(d.told.ms[at]))).collect();
    format!("{nature}; the true {} is {}: {}.", COMPARED[at].1, figure(true_ms[at]), say.join(", "))
}

/// How far off a relative error is, whichever its sign: half and twice are equally far. The
/// logarithm of the factor.
fn size(error: f64) -> f64 {
    (1.0 + error).max(1e-12).ln().abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::ground_truth::Arriving::Poisson;

    fn told(driver: &str, open: bool, ms: [f64; 4]) -> Told {
        Told {
            driver: driver.into(),
            open,
            requests: 15_000,
            failed: 0,
            ms: ms.map(Some),
            interval_ms: ms.map(|ms| Some((ms * 0.97, Some(ms * 1.03)))),
        }
    }

    fn calibration(behaviour: &str, told: Vec<Told>) -> Calibration {
        calibrate(Measured {
            behaviour: behaviour.parse().unwrap(),
            rate: 500.0,
            connections: 10,
            served_ms: Vec::new(),
            late_ms: vec![0.02, 0.05, 0.9],
            told,
        })
    }

    #[test]
    fn within_one_per_cent_or_the_sampling_error_is_a_pass() {
        let truth = calibration("constant:20ms", vec![]).true_ms.map(Option::unwrap);
        let scaled = |factor: f64| told("native open loop", true, truth.map(|ms| ms * factor));
        assert!(calibration("constant:20ms", vec![scaled(1.009)]).passed);
        assert!(calibration("constant:20ms", vec![scaled(1.035)]).passed, "its interval reaches 1 %");
        assert_eq!(calibration("constant:20ms", vec![scaled(1.05)]).off, ["p50", "p90", "p99", "p99.9"]);
        let failed = Told { failed: 1, ..scaled(1.0) };
        assert_eq!(calibration("constant:20ms", vec![failed]).off, ["failures"]);
        let closed = told("wrk", false, [1.0; 4]);
        assert!(calibration("constant:20ms", vec![scaled(1.0), closed]).passed, "others are only shown");
    }

    #[test]
    fn a_sample_of_the_truth_passes_and_says_how_sure_it_is() {
        let behaviour: Behaviour = "exponential:20ms".parse().unwrap();
        // The quantiles themselves, evenly: as good as a sample can be.
        let times: Vec<f64> = (0..20_000)
            .map(|i| behaviour.service_quantile_s((f64::from(i) + 0.5) / 20_000.0) * 1e3)
            .collect();
        let told = Told::of_times("native open loop", Poisson { rate: 500.0 }, &behaviour, times);
        let (low, high) = told.interval_ms[3].unwrap();
        assert!(low < 138.0 && high.unwrap() > 139.0, "p99.9 is 138.2 ms");
        assert!(calibration("exponential:20ms", vec![told]).passed);
        let few = Told::of_times("x", Poisson { rate: 500.0 }, &behaviour, vec![1.0; 500]);
        assert_eq!((few.ms[3], few.interval_ms[3]), (None, None), "500 requests have no p99.9");
    }

    #[test]
    fn the_words_name_who_hides_what() {
        let stalls = calibration(
            "stalls:20ms:1s:10s",
            vec![
                told("native open loop", true, [20.1, 39.0, 941.0, 1019.0]),
                told("native closed loop", false, [20.1, 20.2, 20.5, 1020.0]),
                Told { ms: [Some(20.0), Some(20.1), Some(20.3), None], ..told("wrk", false, [0.0; 4]) },
            ],
        );
        let honest = calibration("constant:20ms", vec![told("wrk", false, [20.0, 20.1, 19.8, 20.5])]);
        let queue = calibration("queue:1ms", vec![told("goose", false, [10.0, 14.0, 19.0, 23.0])]);
        let made_up = calibration(
            "bimodal:15ms:115ms:0.05",
            vec![
                told("goose", false, [15.1, 15.2, 115.2, 115.9]),
                told("wrk", false, [15.1, 72.4, 116.0, 117.0]),
            ],
        );
        let lines = [stalls.words, honest.words, queue.words, made_up.words];
        insta::assert_snapshot!(lines.join("\n"), @r"
        A closed loop hides the stall; the true p99 is 940.0 ms: native open loop says 941.0 ms, native closed loop says 20.5 ms, wrk says 20.3 ms.
        All drivers tell the truth, give or take 2.5 %.
        A closed loop asks another question, since it keeps the queue full; the true p50 is 1.4 ms: goose says 10.0 ms.
        Off by more than 10 %: wrk; the true p90 is 15.0 ms: goose says 15.2 ms, wrk says 72.4 ms.
        ");
    }
}
