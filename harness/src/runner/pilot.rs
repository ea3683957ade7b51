//! The pilot: before anything is measured, each subject answers every input once and shows
//! roughly what it can serve. It fixes the rate of load points that ask for a share of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{anyhow, bail};

use super::{
    prepare::Prepared,
    sent::{Expected, Sent},
};
use crate::{
    drive::{self, Endpoint, Judge, Judgement, Load, Plan, PlayOptions, SinkError, answer::StatusJudge},
    experiment::{Arrivals, Experiment},
    interrupt::Interrupt,
    record::{Outcome, Record},
    workloads::{caption, classify},
};

/// Connections of the pilot's closed loop: enough to keep one replica busy.
const CONNECTIONS: u32 = 4;
/// Length of the pilot's closed loop.
pub const DURATION: Duration = Duration::from_millis(1500);
/// Warm-up of the pilot, not counted.
pub const WARMUP: Duration = Duration::from_millis(500);

/// What a deployed function answers to each payload now: its top class, or the text of a user's own.
///
/// # Errors
/// If an input gets no usable answer.
pub async fn ask_each(
    endpoint: &Endpoint,
    method: &hyper::Method,
    sent: &Sent,
    timeout: Duration,
) -> anyhow::Result<Vec<String>> {
    let mut classes = Vec::with_capacity(sent.payloads.len());
    for (i, payload) in sent.requests().iter().enumerate() {
        let listener = Arc::new(Listener::new(sent, i));
        let plan = Plan::Closed { connections: 1, think_time_ns: 0, duration_ns: None, requests: Some(1) };
        let load = Load {
            method: method.clone(),
            timeout,
            drain: timeout,
            ..Load::new(plan, vec![endpoint.clone()], [payload.clone()].into(), listener.clone())
        };
        let records = play_to_memory(load, None, Interrupt::never()).await?;
        let heard = listener.heard.lock().map_err(|_| anyhow!("the judge panicked"))?.take();
        classes.push(match heard {
            Some(Heard { said: Some(said), .. }) => said,
            Some(Heard { status, text, .. }) => {
                bail!("{} was answered with status {status}, which is no usable answer: {text}", payload.name)
            }
            None => {
                let outcome = records.first().map_or("nothing", |r| r.outcome.name());
                bail!(
                    "{} was not answered ({outcome}); give the replica more CPU, or raise --timeout",
                    payload.name
                )
            }
        });
    }
    Ok(classes)
}

/// Reads out of an answer's body what is expected of it.
type Says = fn(&[u8]) -> Option<String>;

/// Hears one answer.
struct Listener {
    heard: Mutex<Option<Heard>>,
    /// Which payload was sent.
    payload: usize,
    /// How an answer's body says what is expected of it: a class, a caption ...
    says: Option<Says>,
    /// ... or else it is judged as a whole.
    judge: Arc<dyn Judge>,
}

struct Heard {
    status: u16,
    /// What the answer says, if it can be used.
    said: Option<String>,
    text: String,
}

impl Listener {
    fn new(sent: &Sent, payload: usize) -> Self {
        let says: Option<Says> = match &sent.expected {
            Expected::Classes(_) => Some(classify::top_class),
            Expected::Captions(_) => Some(caption::caption),
            Expected::Judged(_) | Expected::Checksum | Expected::Text(_) => None,
        };
        Self { heard: Mutex::default(), payload, says, judge: sent.thorough_judge() }
    }
}

impl Judge for Listener {
    // It is the only payload of its load, whatever its place among all.
    fn judge(&self, only: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement {
        if let Ok(mut heard) = self.heard.lock() {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            let said = match self.says {
                Some(says) => says(body),
                None => (self.judge.judge(self.payload, status, headers, body).outcome == Outcome::Ok)
                    .then(|| text.clone()),
            };
            *heard = Some(Heard { status, said, text });
        }
        StatusJudge.judge(only, status, headers, body)
    }
}

/// Plays a load and keeps its rows in memory: for short loads that are no measurement.
pub(super) async fn play_to_memory(
    load: Load,
    core: Option<usize>,
    interrupt: Interrupt,
) -> anyhow::Result<Vec<Record>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = kept.clone();
    let keep = move |rows: &[Record]| -> Result<(), SinkError> {
        sink.lock().map_err(|_| "a thread panicked")?.extend_from_slice(rows);
        Ok(())
    };
    drive::play(load, PlayOptions { core, ..PlayOptions::default() }, keep, interrupt).await?;
    let rows = std::mem::take(&mut *kept.lock().map_err(|_| anyhow!("a thread panicked"))?);
    Ok(rows)
}

/// Settles the expected classes or captions: those of an independent engine where there are any, else the
/// given ones.
///
/// # Errors
/// If the function contradicts an independent engine: nothing it serves would count.
pub fn settle_expected(sent: &mut Sent, answered: &[String], subject: &str) -> anyhow::Result<()> {
    check_expected(sent, answered, subject)?;
    if let Some(expected) = sent.expected.answers_mut() {
        for (expected, answered) in expected.iter_mut().zip(answered) {
            expected.get_or_insert_with(|| answered.clone());
        }
    }
    Ok(())
}

/// Compares answers with the expected classes or captions, as far as they are known.
///
/// # Errors
/// If they differ.
pub fn check_expected(sent: &Sent, answered: &[String], subject: &str) -> anyhow::Result<()> {
    let Some(expected) = sent.expected.answers() else { return Ok(()) };
    for ((expected, answered), payload) in expected.iter().zip(answered).zip(sent.payloads.iter()) {
        if let Some(expected) = expected.as_ref().filter(|expected| *expected != answered) {
            bail!(
                "{subject} answers {answered} for {}, not {expected} as expected; \
                 check that model and pictures belong together (harness models verify)",
                payload.name
            );
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
    let plan = Plan::Closed {
        connections: CONNECTIONS,
        think_time_ns: 0,
        duration_ns: Some((WARMUP + DURATION).as_nanos() as u64),
        requests: None,
    };
    let load = Load {
        method: prepared.method.clone(),
        timeout: experiment.timeout,
        drain: experiment.drain,
        seed: experiment.seed,
        connections: experiment.connection,
        ..Load::new(plan, endpoints.to_vec(), prepared.sent.requests(), prepared.sent.judge())
    };
    let records = play_to_memory(load, super::generator_core(experiment), interrupt.clone()).await?;
    let (from, to) = (WARMUP.as_nanos() as u64, (WARMUP + DURATION).as_nanos() as u64);
    let good = records.iter().filter(|r| r.outcome == Outcome::Ok && (from..to).contains(&r.done_ns)).count();
    if good == 0 && !interrupt.is_raised() {
        bail!(
            "the pilot got no correct answer in {} requests; raise --timeout or give replicas more CPU",
            records.len()
        );
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
        if let Arrivals::Steps { rates } = &mut load.arrivals {
            // The highest becomes the share, the others keep their proportion to it.
            let highest = rates.iter().copied().fold(0.0, f64::max);
            for rate in rates {
                *rate = two_digits(*rate / highest * share * capacity_rps);
            }
        }
    }
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
        let text = |value| two_digits(value).to_string();
        assert_eq!([33.98, 3.449, 1234.0, 0.0].map(text), ["34", "3.4", "1200", "0.1"]);
    }

    #[test]
    fn steps_keep_their_proportions_and_a_settled_experiment_stays_as_it_is() {
        let mut experiment = Experiment::default();
        experiment.load[0].rate_share = Some(1.2);
        experiment.load[0].arrivals = Arrivals::Steps { rates: vec![1.0, 6.0, 1.0] };
        let settled = Arrivals::Steps { rates: vec![5.0, 30.0, 5.0] };
        for _ in 0..2 {
            settle_rates(&mut experiment, 25.0);
            assert_eq!(experiment.load[0].arrivals, settled);
        }
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
