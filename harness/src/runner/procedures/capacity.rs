//! The search for the capacity: `analyse::capacity` says which rate to try and when a probe is decided;
//! this plays the probes.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Stage, part::Rows};
use crate::{
    analyse::{
        capacity::{Decision, Evidence, Held, Next, Search, Watch, determined, fewest_requests},
        tally::tally,
        window::Window,
    },
    drive::{GeneratorAudit, Plan, shapes},
    experiment::{Arrivals, Cell, Slo},
    interrupt::Interrupt,
    outcome::{CapacityOutcome, PartFigures, ProcedureOutcome, capacity::Probe},
    record::Record,
};

/// Between two glances at a probe. Rows reach us with a delay of up to 200 ms.
const GLANCE: Duration = Duration::from_millis(250);
/// How long ago a request must have been decided for its row to be here.
const ROWS_ARRIVE_WITHIN: Duration = Duration::from_millis(400);
/// A probe that could not bear its claim in its time gets up to this many times as much.
const LONGEST_FACTOR: f64 = 10.0;
/// Requests of a probe that only fills the curve, as a share of those that bear a claim.
const CURVE_PART: u64 = 3;

/// Searches, and keeps what was found after each probe.
pub(super) async fn search(
    stage: &mut Stage<'_>,
    slo: &Slo,
    precision: f64,
) -> anyhow::Result<CapacityOutcome> {
    let Arrivals::Poisson { rate: start_rps } = stage.cell.load.arrivals else {
        anyhow::bail!("a search for the capacity needs Poisson arrivals");
    };
    let idle_ms = stage.idle_ms().await?.context("it does not answer single requests")?;
    let search = Search { start_rps, precision };
    let mut outcome = CapacityOutcome { slo: *slo, ..CapacityOutcome::default() };
    loop {
        let tried = |for_curve: bool| outcome.probes.iter().filter(move |p| p.for_curve == for_curve);
        let probes: Vec<_> = tried(false).map(|p| (p.rate_rps, p.held == Held::Yes)).collect();
        let curve: Vec<_> = tried(true).map(|p| p.rate_rps).collect();
        let bracket = search.bracket(&probes);
        (outcome.low_rps, outcome.high_rps, outcome.stopped, outcome.finished) =
            (bracket.low_rps, bracket.high_rps, bracket.stopped, bracket.is_over);
        stage.keep(&ProcedureOutcome::Capacity(outcome.clone()))?;
        if stage.is_interrupted() {
            return Ok(outcome);
        }
        let (rate_rps, for_curve) = match search.next(&probes, &curve) {
            Next::Done => return Ok(outcome),
            Next::Probe { rate_rps } => (rate_rps, false),
            Next::Curve { rate_rps } => (rate_rps, true),
        };
        let number = outcome.probes.len() + 1;
        stage.progress.now(&format!("{}: probe {number} at {rate_rps} requests/s", stage.cell.id));
        let Some((part, decision)) = probe(stage, number, (rate_rps, for_curve), slo).await? else {
            return Ok(outcome);
        };
        let settled_ms = stage.calm(idle_ms).await?;
        let Decision { held, evidence, abandoned } = decision;
        let probe = Probe { rate_rps, for_curve, held, evidence, abandoned, part, settled_ms };
        let (name, level_ms) = probe.level_ms(slo);
        stage.progress.say(&format!(
            "  {}: {rate_rps} requests/s {}: {} of {} too slow, {} failed, {name} {} ms",
            probe.part.cell,
            if for_curve { "for the curve" } else { word(held) },
            evidence.slow,
            evidence.timed,
            evidence.failed,
            level_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}")),
        ));
        outcome.probes.push(probe);
    }
}

fn word(held: Held) -> &'static str {
    match held {
        Held::Yes => "held",
        Held::No => "not held",
        Held::Undecided => "undecided",
    }
}

/// Plays one probe until it is decided, or for as long as it may last. None: the user stopped it.
async fn probe(
    stage: &Stage<'_>,
    number: usize,
    (rate_rps, for_curve): (f64, bool),
    slo: &Slo,
) -> anyhow::Result<Option<(PartFigures, Decision)>> {
    let mut part = stage.part(&format!("p{number:02}"), number as u64, Arrivals::Poisson { rate: rate_rps });
    part.load.duration = longest(&part, rate_rps, for_curve, slo);
    let watched = Watched::new(&part, slo);
    let rows = Rows::default();
    let (end, stop) = Interrupt::new();
    let mut watch = Watch::new(*slo);
    let glances = async {
        loop {
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
                () = stage.run.interrupt.raised() => {
                    end.raise();
                    return None;
                }
            }
            // A curve's probe decides nothing: it lasts as long as it was planned.
            if for_curve {
                continue;
            }
            let now_ns = watched.since.elapsed().as_nanos() as u64;
            let known_ns = now_ns.saturating_sub(ROWS_ARRIVE_WITHIN.as_nanos() as u64);
            let seen = rows.with(|rows| watched.seen(rows, known_ns));
            if let Some(decision) = watch.look(seen) {
                end.raise();
                return Some((decision, known_ns));
            }
        }
    };
    let play = stage.play(&part, &rows, stop);
    tokio::pin!(play);
    let (audit, decided) = tokio::select! {
        audit = &mut play => (audit?, None),
        decided = glances => (play.await?, decided),
    };
    if stage.is_interrupted() {
        return Ok(None);
    }
    // What counts is what was known when it was decided; at its end, all of it.
    let window = match decided {
        None => watched.window,
        Some((_, known_ns)) => {
            let limit_ns = (slo.limit_ms * 1e6) as u64;
            Window {
                end_ns: known_ns.saturating_sub(limit_ns).max(watched.window.start_ns),
                ..watched.window
            }
        }
    };
    let decision = match decided {
        Some((decision, _)) => decision,
        None => watch.at_the_end(rows.with(|rows| watched.seen(rows, u64::MAX))),
    };
    let counts = rows.with(|rows| tally(rows, &window));
    // That the search ended it is no fault of the instrument.
    let audit = GeneratorAudit { interrupted: false, ..audit };
    Ok(Some((PartFigures::new(&part.id, &counts, &audit), decision)))
}

/// A probe's plan, for telling what is known of it.
struct Watched {
    since: Instant,
    intended_ns: Vec<u64>,
    window: Window,
    slo: Slo,
}

impl Watched {
    fn new(part: &Cell, slo: &Slo) -> Self {
        let load = &part.load;
        let intended_ns = match shapes::plan(
            &load.arrivals,
            &shapes::Files::default(),
            load.warmup + load.duration,
            part.seed,
        ) {
            Plan::Open { send_times_ns, .. } => send_times_ns,
            Plan::Closed { .. } => Vec::new(),
        };
        Self { since: Instant::now(), intended_ns, window: Window::planned(load), slo: *slo }
    }

    fn seen(&self, rows: &[Record], now_ns: u64) -> Evidence {
        determined(rows, &self.intended_ns, &self.slo, (self.window.start_ns, now_ns))
    }
}

/// How long a probe may last, its warm-up apart: as the load point says, longer where that cannot bear
/// a claim, and never longer than the last look needs.
fn longest(part: &Cell, rate_rps: f64, for_curve: bool, slo: &Slo) -> Duration {
    let lasts = |requests: u64| requests as f64 * 1.1 / rate_rps;
    let planned_s = part.load.duration.as_secs_f64();
    let seconds = if for_curve {
        lasts(fewest_requests(slo).div_ceil(CURVE_PART)).min(planned_s)
    } else {
        let limit_s = slo.limit_ms / 1e3 + 1.0;
        let bears_s = (lasts(fewest_requests(slo)) + limit_s).min(planned_s * LONGEST_FACTOR);
        planned_s.max(bears_s).min(lasts(Watch::most_requests(slo)) + limit_s)
    };
    Duration::from_secs_f64(seconds)
}
