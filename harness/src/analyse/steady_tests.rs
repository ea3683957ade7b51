//! Simulations that the limits of the steady-state check rest on.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, Exp1, LogNormal};

use super::*;

/// How service times go: a factor by the place in the interval, 0..1.
type Course = fn(f64) -> f64;

const FLAT: Course = |_| 1.0;
const START: Course = |x| if x < 0.2 { 2.0 } else { 1.0 };
const QUARTER: Course = |x| if x < 0.27 { 2.0 } else { 1.0 };
const DECAY: Course = |x| 1.0 + 2.0 * (-x / 0.15).exp();
const DRIFT: Course = |x| 1.0 + 0.5 * x;

/// Response times of a queue with Poisson arrivals and one server whose service times scatter by
/// 5 %: near enough M/D/1. A third of the interval comes before, as warm-up.
fn queue(rng: &mut Xoshiro256PlusPlus, requests: usize, load: f64, course: Course) -> Vec<f64> {
    let scatter = LogNormal::new(0.0, 0.05).unwrap();
    let warm_up = requests / 3;
    let (mut now, mut free) = (0.0_f64, 0.0_f64);
    let mut times = Vec::new();
    for i in 0..warm_up + requests {
        let gap: f64 = Exp1.sample(rng);
        now += gap / load;
        let place = (i as f64 - warm_up as f64).max(0.0) / requests as f64;
        free = now.max(free) + scatter.sample(rng) * course(place);
        if i >= warm_up {
            times.push(free - now);
        }
    }
    times
}

/// Times of answers within one second of a closed loop of 8 connections over 2 servers, whose
/// service times scatter by 30 % each and by 5 % together, for a tenth of the interval at a time.
fn closed_loop(rng: &mut Xoshiro256PlusPlus, answers: usize, course: Course) -> Vec<f64> {
    let scatter = LogNormal::new(0.0, 0.3).unwrap();
    let together = LogNormal::new(0.0, 0.05).unwrap();
    let spells: Vec<f64> = (0..14).map(|_| together.sample(rng)).collect();
    // Servers never wait: six of the eight connections queue at any time.
    let mut done = Vec::new();
    for _ in 0..2 {
        let mut now: f64 = -0.3 + rng.random_range(0.0..0.01);
        while now < 1.0 {
            let spell = spells[((now + 0.35) * 10.0) as usize];
            now += 2.0 / answers as f64 * scatter.sample(rng) * spell * course(now.max(0.0));
            if (0.0..1.0).contains(&now) {
                done.push(now);
            }
        }
    }
    done
}

/// Share of simulated cells that are called unsteady.
fn alarms(cells: u32, seed: u64, mut cell: impl FnMut(&mut Xoshiro256PlusPlus) -> Option<Change>) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    f64::from((0..cells).map(|_| u32::from(cell(&mut rng).is_some())).sum::<u32>()) / f64::from(cells)
}

#[test]
fn a_stationary_queue_is_called_unsteady_less_than_once_in_a_hundred() {
    for (requests, cells) in [(100, 2000), (200, 2000), (400, 1000), (1000, 500), (5000, 100)] {
        for load in [0.5, 0.7] {
            let share = alarms(cells, 11, |rng| change_of_times(&queue(rng, requests, load, FLAT)));
            println!("flat queue, {requests} requests at load {load}: {:.2} % false alarms", 100.0 * share);
            assert!(share < 0.01, "{requests} requests at {load}: {share}");
        }
    }
}

#[test]
fn a_stationary_closed_loop_is_called_unsteady_less_than_once_in_a_hundred() {
    for (answers, cells) in [(100, 2000), (500, 1000), (5000, 100)] {
        let share = alarms(cells, 12, |rng| change_of_rate(&closed_loop(rng, answers, FLAT), 1.0));
        println!("flat closed loop, {answers} answers: {:.2} % false alarms", 100.0 * share);
        assert!(share < 0.01, "{answers} answers: {share}");
    }
}

const CHANGES: [(&str, Course); 4] = [
    ("doubled in the first fifth", START),
    ("doubled in the first 27 %", QUARTER),
    ("decaying from three times", DECAY),
    ("drift to +50 %", DRIFT),
];

#[test]
fn a_transient_and_a_drift_are_mostly_caught_in_an_open_loop() {
    // With few requests a short step cannot be told from one busy spell: see `ENOUGH`.
    for (requests, least) in [(200, [0.0, 0.2, 0.5, 0.4]), (1000, [0.8; 4])] {
        for ((name, course), least) in CHANGES.into_iter().zip(least) {
            let share = alarms(200, 13, |rng| change_of_times(&queue(rng, requests, 0.4, course)));
            println!("open loop, {requests} requests, {name}: {:.0} % caught", 100.0 * share);
            assert!(share >= least, "{requests} requests, {name}: {share}");
        }
    }
}

#[test]
fn a_transient_and_a_drift_are_mostly_caught_in_a_closed_loop() {
    for (answers, least) in [(300, [0.8, 0.8, 0.8, 0.3]), (1000, [0.8; 4])] {
        for ((name, course), least) in CHANGES.into_iter().zip(least) {
            let share = alarms(200, 14, |rng| change_of_rate(&closed_loop(rng, answers, course), 1.0));
            println!("closed loop, {answers} answers, {name}: {:.0} % caught", 100.0 * share);
            assert!(share >= least, "{answers} answers, {name}: {share}");
        }
    }
}

#[test]
fn too_few_requests_yield_no_opinion() {
    assert_eq!(change_of_times(&[1.0; FEWEST - 1]), None);
    assert_eq!(change_of_rate(&[0.5; FEWEST - 1], 1.0), None);
    assert_eq!(change_of_rate(&[0.5; FEWEST], 0.0), None);
}
