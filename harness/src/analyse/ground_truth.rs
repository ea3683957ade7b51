//! The true response times of the target of known behaviour, by formula. Pure.
//!
//! A quantile is the smallest time that at least `q` of the requests do not exceed. The truth
//! depends on how requests arrive: at random times of their own (an open loop, Poisson), or each
//! after the answer to the one before (a closed loop of so many connections without think time).

use crate::drive::known_target::Behaviour;

/// How requests reach the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arriving {
    /// As a Poisson process.
    Poisson {
        /// Its rate, requests a second.
        rate: f64,
    },
    /// On connections that each send when they were answered.
    Closed {
        /// Their number.
        connections: u32,
    },
}

/// The true quantile `q` (0 < q < 1) of the response time, milliseconds; none where there is no
/// steady state (a queue that gets more than it can serve).
///
/// * Independent service times: the response time is the service time, however requests arrive.
/// * One server, Poisson arrivals (M/M/1, first come, first served): the response time is
///   exponential with mean 1 / (service rate - arrival rate). Kleinrock, Queueing Systems I, 1975,
///   section 5.6; Harchol-Balter, Performance Modeling and Design of Computer Systems, 2013, ch. 13.
/// * One server, closed loop of n connections: each request finds the n - 1 others before it, none
///   of them begun longer ago than its own arrival, so it takes the sum of n exponential service
///   times: Erlang's distribution with n stages (Kleinrock, section 4.2).
/// * Stalls of S every P, otherwise D: arrival times of a Poisson process are uniform over the
///   period (Ross, Introduction to Probability Models, section 5.3), so of all requests (S + D) / P
///   meet a stall: those of the D before it take D + S, those in it D and what is left of it.
/// * Stalls in a closed loop: a connection sends (P - S) / D requests a period, one of which meets
///   the stall. That is coordinated omission in one line (Tene, "How NOT to measure latency", 2013).
pub fn quantile_ms(behaviour: &Behaviour, arriving: Arriving, q: f64) -> Option<f64> {
    let seconds = match (behaviour, arriving) {
        (Behaviour::Queue { mean }, Arriving::Poisson { rate }) => {
            let spare_rate = 1.0 / mean.as_secs_f64() - rate;
            (spare_rate > 0.0).then(|| -(1.0 - q).ln() / spare_rate)
        }
        (Behaviour::Queue { mean }, Arriving::Closed { connections }) => {
            Some(erlang_quantile(connections, q) * mean.as_secs_f64())
        }
        (Behaviour::Stalls { time, stall, every }, arriving) => {
            let (time, stall, every) = (time.as_secs_f64(), stall.as_secs_f64(), every.as_secs_f64());
            let beyond = 1.0 - q;
            Some(match arriving {
                Arriving::Poisson { .. } if beyond < time / every => time + stall,
                Arriving::Poisson { .. } => time + (stall + time - beyond * every).max(0.0),
                Arriving::Closed { .. } if beyond < time / (every - stall) => time + stall,
                Arriving::Closed { .. } => time,
            })
        }
        (independent, _) => Some(independent.service_quantile_s(q)),
    };
    seconds.map(|seconds| seconds * 1e3)
}

/// By how much dependence between requests inflates the variance of a quantile's estimate, at
/// most; 1 for independent ones.
///
/// Requests of a queue resemble their neighbours. The autocorrelation of anything that depends on
/// the state of the M/M/1 queue falls at least as fast as exp(-g t) with the spectral gap
/// g = (√service rate - √arrival rate)² (Karlin and McGregor, "Many server queueing processes with
/// Poisson input and exponential service times", 1958), which over all lags of 1 / arrival rate
/// sums to coth(g / (2 arrival rate)). Stalls need none: their phase is uniform and independent
/// from request to request, given how many arrive in whole periods.
pub fn variance_inflation(behaviour: &Behaviour, arriving: Arriving) -> f64 {
    match (behaviour, arriving) {
        (Behaviour::Queue { mean }, Arriving::Poisson { rate }) => {
            let gap = (mean.as_secs_f64().recip().sqrt() - rate.sqrt()).powi(2);
            (gap / (2.0 * rate)).tanh().recip()
        }
        _ => 1.0,
    }
}

/// The quantile of the sum of `stages` exponential times with mean 1, by bisection.
fn erlang_quantile(stages: u32, q: f64) -> f64 {
    // P(sum > x) = exp(-x) (1 + x + x²/2! + ... ), so many terms as stages.
    let beyond = |x: f64| {
        let mut term = (-x).exp();
        (1..stages).fold(term, |sum, k| {
            term *= x / f64::from(k);
            sum + term
        })
    };
    let (mut low, mut high) = (0.0, f64::from(stages));
    while beyond(high) > 1.0 - q {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if beyond(middle) > 1.0 - q { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use rand_distr::{Distribution, Exp};

    use super::*;

    /// Requests simulated for each case.
    const MANY: usize = 20_000;

    fn truth(behaviour: &str, arriving: Arriving, q: f64) -> f64 {
        quantile_ms(&behaviour.parse().unwrap(), arriving, q).unwrap()
    }

    /// Whether `q` of the sample lies at or below its true quantile, give or take six standard
    /// errors (2 in 10^9) inflated by dependence.
    fn agrees(sample_ms: &[f64], quantile_ms: f64, q: f64, inflation: f64) -> Result<(), TestCaseError> {
        let n = sample_ms.len() as f64;
        let margin = 6.0 * (q * (1.0 - q) * inflation / n).sqrt() + 1.0 / n;
        let below = sample_ms.iter().filter(|&&x| x < quantile_ms * (1.0 - 1e-9)).count() as f64 / n;
        let upto = sample_ms.iter().filter(|&&x| x <= quantile_ms * (1.0 + 1e-9)).count() as f64 / n;
        prop_assert!(
            upto + margin >= q && below - margin <= q,
            "{below} to {upto} of the sample, {q} wanted"
        );
        Ok(())
    }

    const ANY: Arriving = Arriving::Poisson { rate: 1.0 };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn exponential_times_agree_with_another_sampler(mean_ms in 1u32..100, q in 0.05..0.999f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let exp = Exp::new(1.0 / f64::from(mean_ms)).unwrap();
            let sample: Vec<f64> = (0..MANY).map(|_| exp.sample(&mut rng)).collect();
            agrees(&sample, truth(&format!("exponential:{mean_ms}ms"), ANY, q), q, 1.0)?;
        }

        #[test]
        fn bounded_pareto_times_agree_with_rejection_sampling(shape in 0.8..3.0f64, q in 0.05..0.999f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let pareto = rand_distr::Pareto::new(2.0, shape).unwrap();
            // Cut off by throwing away what lies beyond, which is another road than inversion.
            let sample: Vec<f64> = std::iter::repeat_with(|| pareto.sample(&mut rng))
                .filter(|&x| x <= 500.0).take(MANY).collect();
            agrees(&sample, truth(&format!("pareto:2ms:500ms:{shape}"), ANY, q), q, 1.0)?;
        }

        #[test]
        fn two_times_agree_with_tossing_coins(share in 0.01..0.5f64, q in 0.05..0.999f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let sample: Vec<f64> =
                (0..MANY).map(|_| if rng.random::<f64>() < share { 50.0 } else { 5.0 }).collect();
            agrees(&sample, truth(&format!("bimodal:5ms:50ms:{share}"), ANY, q), q, 1.0)?;
        }

        #[test]
        fn a_queue_agrees_with_its_simulation(load in 0.2..0.7f64, q in 0.1..0.99f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (service, gap) = (Exp::new(1.0).unwrap(), Exp::new(load).unwrap());
            // Lindley's recursion: what the last one still needs when the next one comes is its wait.
            let mut left = 0.0_f64;
            let sample: Vec<f64> = (0..MANY).map(|_| {
                left = (left - gap.sample(&mut rng)).max(0.0) + service.sample(&mut rng);
                left
            }).collect();
            // A mean service of 1 ms, so the rate is `load` a millisecond.
            let arriving = Arriving::Poisson { rate: load * 1e3 };
            let behaviour = "queue:1ms".parse().unwrap();
            agrees(&sample, truth("queue:1ms", arriving, q), q, variance_inflation(&behaviour, arriving))?;
        }

        #[test]
        fn a_closed_queue_agrees_with_sums(connections in 1u32..30, q in 0.05..0.999f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let exp = Exp::new(1.0).unwrap();
            let sample: Vec<f64> =
                (0..MANY / 10).map(|_| (0..connections).map(|_| exp.sample(&mut rng)).sum()).collect();
            agrees(&sample, truth("queue:1ms", Arriving::Closed { connections }, q), q, 1.0)?;
        }

        #[test]
        fn stalls_agree_with_uniform_arrivals(time in 1u32..50, stall in 10u32..300, q in 0.05..0.9999f64, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (every, time_ms, stall_ms) = (1000.0, f64::from(time), f64::from(stall));
            let sample: Vec<f64> = (0..MANY).map(|_| {
                let phase = rng.random::<f64>() * every;
                let awake = every - stall_ms;
                if phase >= awake { every - phase + time_ms }
                else if phase + time_ms <= awake { time_ms }
                else { time_ms + stall_ms }
            }).collect();
            agrees(&sample, truth(&format!("stalls:{time}ms:{stall}ms:1s"), ANY, q), q, 1.0)?;
        }
    }

    #[test]
    fn a_closed_loop_meets_each_stall_once_a_connection() {
        // Ten seconds, 20 ms each, one of them frozen: 450 requests a connection, one of them slow.
        let closed = Arriving::Closed { connections: 10 };
        let at = |q| truth("stalls:20ms:1s:10s", closed, q).round() as u32;
        assert_eq!(at(0.99), 20);
        assert_eq!(at(0.997), 20);
        assert_eq!(at(0.999), 1020);
        assert_eq!(truth("stalls:20ms:1s:10s", ANY, 0.99).round() as u32, 940, "as users feel it");
    }

    #[test]
    fn an_overloaded_queue_has_no_truth() {
        let arriving = Arriving::Poisson { rate: 500.0 };
        assert_eq!(quantile_ms(&"queue:2ms".parse().unwrap(), arriving, 0.5), None);
    }
}
