//! The proof of the verdict on recorded noise: how often the same is called different from the same
//! (A/A), and how often a slow-down that was put in is seen (power).
//!
//! `tests/bench/verdicts.sh` runs the long forms:
//! `cargo test -p harness --lib analyse::power -- --ignored --nocapture`.
//!
//! Trials are drawn from `tests/fixtures/trials/recorded.csv`, figures of VALID trials of real runs,
//! in two ways. *Blocks*: whole trials of A/A runs, both sides as they were measured beside each
//! other, which of them is the contender by a coin; this keeps what neighbours share. *Residuals*:
//! single values over the geometric mean of their run and subject (spread by √(m/(m-1)) for the mean
//! taken out of m trials), which is the scatter that interleaving leaves.
//!
//! Every verdict is that of `comparison::compare`, in A/A with all resamples. Where no corrected rank test
//! rejects, it cannot be anything but "cannot tell", and its bootstrap is not computed.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};

use super::{
    comparison::{LEVEL, Rules, compare},
    foresight,
    statistics::{
        bootstrap::{RESAMPLES, mean},
        distributions::proportion_at_most,
        holm, mann_whitney,
    },
    summary::{CellSummary, Quantiles, Verdict},
    testing::{CellBuilder, experiment},
};
use crate::experiment::{Experiment, LoadPoint, Metric};

const RECORDED: &str = include_str!("../../tests/fixtures/trials/recorded.csv");
/// The questions of the default experiment.
const QUESTIONS: [(&str, Metric); 2] = [("closed-8", Metric::GoodputRps), ("poisson", Metric::ResponseP95Ms)];

/// Resamples where thousands of intervals are needed and none is near its limit.
const FEW: u32 = 500;

/// One trial of one subject at one load point.
#[derive(Debug, Clone, PartialEq)]
struct Recorded {
    run: String,
    load: String,
    subject: String,
    trial: u32,
    goodput_rps: f64,
    p95_ms: f64,
}

fn recorded() -> Vec<Recorded> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#')).skip(1);
    let read = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        Recorded {
            run: f[0].into(),
            load: f[1].into(),
            subject: f[2].into(),
            trial: f[3].parse().unwrap(),
            goodput_rps: f[4].parse().unwrap(),
            p95_ms: f[6].parse().unwrap(),
        }
    };
    lines.map(read).collect()
}

impl Recorded {
    fn value(&self, metric: Metric) -> f64 {
        if metric == Metric::GoodputRps { self.goodput_rps } else { self.p95_ms }
    }
}

/// Factors by which trials differ from the geometric mean of their run and subject.
fn residuals(load: &str, metric: Metric) -> Vec<f64> {
    let all: Vec<Recorded> = recorded().into_iter().filter(|r| r.load == load).collect();
    let mut groups: Vec<(String, String)> = all.iter().map(|r| (r.run.clone(), r.subject.clone())).collect();
    groups.dedup();
    groups.sort();
    groups.dedup();
    let mut found = Vec::new();
    for (run, subject) in groups {
        let logs: Vec<f64> = all
            .iter()
            .filter(|r| r.run == run && r.subject == subject)
            .map(|r| r.value(metric).ln())
            .collect();
        let m = logs.len() as f64;
        if m >= 3.0 {
            let (centre, spread) = (mean(&logs), (m / (m - 1.0)).sqrt());
            found.extend(logs.iter().map(|log| ((log - centre) * spread).exp()));
        }
    }
    found
}

/// Values of both sides for each question: `[question][side][trial]`.
type Sides = [[Vec<f64>; 2]; 2];

/// A run of these questions whose values can be set.
struct Simulation {
    experiment: Experiment,
    cells: Vec<CellSummary>,
    trials: usize,
    questions: usize,
    resamples: u32,
}

impl Simulation {
    fn new(trials: usize, questions: usize, resamples: u32) -> Self {
        let load = |&(name, primary_metric): &(&str, Metric)| LoadPoint {
            name: name.into(),
            primary_metric,
            ..LoadPoint::default()
        };
        let asked = &QUESTIONS[..questions];
        let mut model = super::cell(CellBuilder::open(20.0).of("knative", 1).build()).summary;
        // Metrics that are only described would cost time and tell nothing here.
        model.response_ms = Quantiles::default();
        let mut cells = Vec::new();
        for (name, _) in asked {
            for subject in ["knative", "openfaas"] {
                cells.extend((1..=trials as u32).map(|trial| CellSummary {
                    load: (*name).into(),
                    subject: subject.into(),
                    trial,
                    ..model.clone()
                }));
            }
        }
        let experiment = experiment(trials as u32, asked.iter().map(load).collect());
        Self { experiment, cells, trials, questions, resamples }
    }

    /// Which questions get a verdict for either side.
    fn claims(&mut self, sides: &Sides, seed: u64) -> [bool; 2] {
        let p: Vec<f64> = sides[..self.questions].iter().map(|[a, b]| mann_whitney::p_value(a, b)).collect();
        if holm::adjust(&p).iter().all(|p| *p >= LEVEL) {
            return [false; 2];
        }
        for (i, cell) in self.cells.iter_mut().enumerate() {
            let (question, side, trial) = (i / (2 * self.trials), i / self.trials % 2, i % self.trials);
            let value = sides[question][side][trial];
            if question == 0 { cell.goodput_rps = value } else { cell.response_ms.p95 = Some(value) }
        }
        self.experiment.seed = seed;
        let rules = Rules { resamples: self.resamples, ..Rules::once(self.trials as u32) };
        let found = compare(&self.experiment, &self.cells, rules);
        let mut claims = [false; 2];
        for (claim, comparison) in claims.iter_mut().zip(found.iter().filter(|c| c.primary)) {
            *claim = matches!(comparison.verdict, Verdict::Better { .. });
        }
        claims
    }
}

/// Five trials of an A/A run, both sides as they were measured, sides swapped by a coin. Trials come
/// from any run of one platform, so what changed between runs is in them.
fn draw_blocks(blocks: &[Vec<[[f64; 2]; 2]>], trials: usize, rng: &mut Xoshiro256PlusPlus) -> Sides {
    let mut blocks = blocks[rng.random_range(0..blocks.len())].clone();
    blocks.shuffle(rng);
    let mut sides = Sides::default();
    for block in &blocks[..trials] {
        let swapped = usize::from(rng.random::<bool>());
        for (question, pair) in block.iter().enumerate() {
            for side in 0..2 {
                sides[question][side].push(pair[side ^ swapped]);
            }
        }
    }
    sides
}

/// The trials of the A/A runs in which all four cells are VALID, by platform:
/// `[platform][block][question][side]`.
fn blocks() -> Vec<Vec<[[f64; 2]; 2]>> {
    let all = recorded();
    let value = |run: &str, trial: u32, (load, metric): (&str, Metric), second: bool| {
        let is = |r: &&Recorded| {
            r.run == run && r.trial == trial && r.load == load && r.subject.ends_with("-2") == second
        };
        all.iter().find(is).map(|r| r.value(metric))
    };
    let of_platform = |odd: u32| {
        let mut found = Vec::new();
        for number in (1..=10).filter(|n| n % 2 == odd) {
            for trial in 1..=5 {
                let run = format!("a-a-{number}");
                let pair = |question| {
                    Some([value(&run, trial, question, false)?, value(&run, trial, question, true)?])
                };
                if let (Some(first), Some(second)) = (pair(QUESTIONS[0]), pair(QUESTIONS[1])) {
                    found.push([first, second]);
                }
            }
        }
        found
    };
    vec![of_platform(1), of_platform(0)]
}

/// Residuals of both questions, drawn anew for each trial; the contender is slower by `slower`.
fn draw_residuals(pools: &[Vec<f64>; 2], trials: usize, slower: f64, rng: &mut Xoshiro256PlusPlus) -> Sides {
    let mut sides = Sides::default();
    for (question, pool) in pools.iter().enumerate() {
        let factor = if question == 0 { 1.0 / (1.0 + slower) } else { 1.0 + slower };
        for (side, factor) in [1.0, factor].into_iter().enumerate() {
            sides[question][side] =
                (0..trials).map(|_| factor * pool[rng.random_range(0..pool.len())]).collect();
        }
    }
    sides
}

fn pools() -> [Vec<f64>; 2] {
    QUESTIONS.map(|(load, metric)| residuals(load, metric))
}

/// False alarms of so many A/A comparisons: of one question, and of either of two.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Alarms {
    one: u64,
    either: u64,
}

fn false_alarms(count: u64, mut draw: impl FnMut(&mut Xoshiro256PlusPlus) -> Sides) -> Alarms {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(41);
    let (mut single, mut double) = (Simulation::new(5, 1, RESAMPLES), Simulation::new(5, 2, RESAMPLES));
    let mut alarms = Alarms { one: 0, either: 0 };
    for seed in 0..count {
        let sides = draw(&mut rng);
        alarms.one += u64::from(single.claims(&sides, seed)[0]);
        alarms.either += u64::from(double.claims(&sides, seed).contains(&true));
    }
    alarms
}

/// Prints and returns the largest share and the largest upper bound.
fn report(name: &str, alarms: Alarms, count: u64) -> (f64, f64) {
    let mut worst = (0.0_f64, 0.0_f64);
    for (questions, alarms) in [("one question", alarms.one), ("two questions", alarms.either)] {
        let (share, bound) = (alarms as f64 / count as f64, proportion_at_most(alarms, count, 0.95));
        println!(
            "A/A, {name}, {questions}: {alarms} false alarms in {count} = {:.2} %, at most {:.2} % (95 %)",
            100.0 * share,
            100.0 * bound
        );
        worst = (worst.0.max(share), worst.1.max(bound));
    }
    worst
}

fn a_a(count: u64) {
    let (blocks, pools) = (blocks(), pools());
    let of_blocks = false_alarms(count, |rng| draw_blocks(&blocks, 5, rng));
    let of_residuals = false_alarms(count, |rng| draw_residuals(&pools, 5, 0.0, rng));
    for (name, alarms) in [("blocks", of_blocks), ("residuals", of_residuals)] {
        let (share, bound) = report(name, alarms, count);
        assert!(share <= 0.05, "{name}: {share}");
        // A few hundred comparisons cannot bound it as closely as the 2,000 of the bench.
        assert!(bound <= 0.07 || count < 2000, "{name}: {bound}");
    }
}

/// Share of runs in which a slow-down is claimed: of the first question alone, and of both (each).
fn seen(runs: u64, pools: &[Vec<f64>; 2], trials: usize, slower: f64) -> [f64; 3] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(43);
    let (mut single, mut double) = (Simulation::new(trials, 1, FEW), Simulation::new(trials, 2, FEW));
    let mut counts = [0_u64; 3];
    for seed in 0..runs {
        let sides = draw_residuals(pools, trials, slower, &mut rng);
        let of_two = double.claims(&sides, seed);
        for (count, claim) in counts.iter_mut().zip([single.claims(&sides, seed)[0], of_two[0], of_two[1]]) {
            *count += u64::from(claim);
        }
    }
    counts.map(|count| count as f64 / runs as f64)
}

#[test]
fn the_recorded_trials_are_read_whole() {
    let all = recorded();
    assert_eq!(all.len(), 247);
    assert_eq!(blocks().iter().map(Vec::len).collect::<Vec<_>>(), [21, 24]);
    for pool in pools() {
        assert!((mean(&pool.iter().map(|v| v.ln()).collect::<Vec<_>>())).abs() < 1e-9);
    }
}

#[test]
fn recorded_trials_against_themselves_raise_few_false_alarms() {
    a_a(400);
}

#[test]
#[ignore = "the bench of Proof 2: 2,000 comparisons, some minutes"]
fn false_alarms_of_2000_comparisons_resampled_from_recorded_trials() {
    a_a(2000);
}

#[test]
#[ignore = "the bench of Proof 3: detection rates, some minutes"]
fn detection_of_injected_slow_downs_against_the_number_of_trials() {
    let pools = pools();
    let runs = 400;
    for ((load, metric), pool) in QUESTIONS.iter().zip(&pools) {
        let logs: Vec<f64> = pool.iter().map(|v| v.ln()).collect();
        let variance = logs.iter().map(|l| l * l).sum::<f64>() / logs.len() as f64;
        println!(
            "{load}, {}: {} trials, coefficient of variation {:.1} %",
            metric.title(),
            pool.len(),
            100.0 * variance.exp_m1().sqrt()
        );
    }
    println!("share of {runs} runs that claim the slow-down: goodput alone | goodput, p95 as two questions");
    println!(
        "trials  {}",
        [2, 5, 10, 20].map(|percent| format!("{:>20}", format!("{percent} % slower"))).concat()
    );
    for trials in [5, 8, 10, 15, 20] {
        let row = [0.02, 0.05, 0.1, 0.2].map(|slower| {
            let [one, first, second] = seen(runs, &pools, trials, slower).map(|share| 100.0 * share);
            format!("{:>20}", format!("{one:.0} | {first:.0}, {second:.0}"))
        });
        println!("{trials:>6}  {}", row.concat());
    }
}

#[test]
fn what_the_plan_promises_to_see_is_seen_about_four_times_in_five() {
    use rand_distr::{Distribution, LogNormal};
    let variation = 0.05_f64;
    let noise = LogNormal::new(0.0, variation.mul_add(variation, 1.0).ln().sqrt()).unwrap();
    for (trials, questions) in [(5, 1), (5, 2), (10, 2), (20, 1)] {
        let mut simulation = Simulation::new(trials, questions, FEW);
        let effects = foresight::foresee(&simulation.experiment)[0].effects.clone();
        let effect =
            effects.iter().find(|(assumed, _)| (assumed - variation).abs() < 1e-9).unwrap().1.unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(47);
        let runs = 100;
        let shown = (0..runs)
            .filter(|&seed| {
                let mut sides = Sides::default();
                for [a, b] in &mut sides {
                    *a = (0..trials).map(|_| noise.sample(&mut rng)).collect();
                    *b = (0..trials).map(|_| (1.0 + effect) * noise.sample(&mut rng)).collect();
                }
                simulation.claims(&sides, seed)[0]
            })
            .count();
        let share = shown as f64 / runs as f64;
        println!(
            "{trials} trials, {questions} questions: {:.1} % seen in {:.0} %",
            100.0 * effect,
            100.0 * share
        );
        // Asked together, Holm's second step sees more than its first, for which the plan is made.
        assert!((0.68..=0.97).contains(&share), "{trials}, {questions}: {share}");
    }
}
