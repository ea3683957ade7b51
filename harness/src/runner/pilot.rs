//! The pilot: before anything is measured, each subject answers every picture once and shows
//! roughly what it can serve. It fixes the rate of load points that ask for a share of it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};

use super::prepare::Prepared;
use crate::{
    drive::{self, Endpoint, Load, Plan},
    experiment::{Arrivals, Experiment},
    interrupt::Interrupt,
    record::Outcome,
    workloads::classify::ClassifyJudge,
};

/// Connections of the pilot's closed loop: enough to keep one replica busy.
const CONNECTIONS: u32 = 4;
/// Length of the pilot's closed loop.
pub const DURATION: Duration = Duration::from_millis(1500);
/// Warm-up of the pilot, not counted.
pub const WARMUP: Duration = Duration::from_millis(500);

/// The top class that a deployed function gives each payload now.
///
/// # Errors
/// If a picture gets no usable answer.
pub async fn ask_each(endpoint: &Endpoint, prepared: &Prepared, timeout: Duration) -> anyhow::Result<Vec<String>> {
    let mut classes = Vec::with_capacity(prepared.payloads.len());
    for payload in prepared.payloads.iter() {
        let answer = drive::once(endpoint, payload, timeout).await?;
        let top = crate::workloads::classify::top_class(&answer.body);
        classes.push(top.with_context(|| {
            format!(
                "{} was answered with status {} and no prediction: {}",
                payload.name,
                answer.status,
                String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)])
            )
        })?);
    }
    Ok(classes)
}

/// Settles the expected classes: those of an independent engine where there are any, else the
/// given ones.
///
/// # Errors
/// If the function contradicts an independent engine: nothing it serves would count.
pub fn settle_expected(prepared: &mut Prepared, answered: &[String], subject: &str) -> anyhow::Result<()> {
    for ((expected, answered), payload) in
        prepared.expected.iter_mut().zip(answered).zip(prepared.payloads.iter())
    {
        match expected {
            Some(expected) if expected != answered => bail!(
                "{subject} answers {answered} for {}, not {expected} as expected; \
                 check that model and pictures belong together (harness models verify)",
                payload.name
            ),
            Some(_) => {}
            none => *none = Some(answered.clone()),
        }
    }
    Ok(())
}

/// Correct answers a second of a deployed function in a short closed loop.
///
/// # Errors
/// If nothing was answered correctly.
pub async fn capacity_rps(
    endpoints: &[Endpoint],
    prepared: &Prepared,
    experiment: &Experiment,
    interrupt: &Interrupt,
) -> anyhow::Result<f64> {
    let load = Load {
        plan: Plan::Closed {
            connections: CONNECTIONS,
            think_time_ns: 0,
            duration_ns: Some((WARMUP + DURATION).as_nanos() as u64),
            requests: None,
        },
        endpoints: endpoints.to_vec(),
        method: hyper::Method::POST,
        payloads: prepared.payloads.clone(),
        timeout: experiment.timeout,
        drain: experiment.drain,
        seed: experiment.seed,
        judge: judge(prepared),
        core: super::generator_core(experiment),
    };
    let records = drive::play_to_memory(load, interrupt.clone()).await?.records;
    let (from, to) = (WARMUP.as_nanos() as u64, (WARMUP + DURATION).as_nanos() as u64);
    let good = records.iter().filter(|r| r.outcome == Outcome::Ok && (from..to).contains(&r.done_ns)).count();
    if good == 0 && !interrupt.is_raised() {
        bail!("the pilot got no correct answer in {} requests; raise --timeout or give replicas more CPU", records.len());
    }
    Ok(good as f64 / DURATION.as_secs_f64())
}

/// Sets the rates of load points that ask for a share of the capacity, to two significant digits.
pub fn settle_rates(experiment: &mut Experiment, capacity_rps: f64) {
    for load in &mut experiment.load {
        let Some(share) = load.rate_share else { continue };
        if let Arrivals::Constant { rate } | Arrivals::Poisson { rate } = &mut load.arrivals {
            *rate = two_digits(share * capacity_rps);
        }
    }
}

/// The judge of this run.
pub fn judge(prepared: &Prepared) -> Arc<ClassifyJudge> {
    Arc::new(ClassifyJudge { expected: prepared.expected.iter().map(|e| e.clone().unwrap_or_default()).collect() })
}

fn two_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.1;
    }
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    // Through text, so that the saved figure is 3.4 and not 3.4000000000000004.
    format!("{:.6}", (value / unit).round() * unit).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_two_significant_digits() {
        assert_eq!(two_digits(33.98), 34.0);
        assert_eq!(two_digits(3.449), 3.4);
        assert_eq!(two_digits(1234.0), 1200.0);
        assert_eq!(two_digits(0.0), 0.1);
    }

    #[test]
    fn only_load_points_that_ask_for_a_share_get_a_rate() {
        let mut experiment = Experiment::default();
        experiment.load[0].arrivals = Arrivals::Poisson { rate: 7.0 };
        settle_rates(&mut experiment, 68.0);
        assert_eq!(experiment.load[0].arrivals, Arrivals::Poisson { rate: 7.0 });
        assert_eq!(experiment.load[1].arrivals, Arrivals::Poisson { rate: 34.0 });
    }
}
