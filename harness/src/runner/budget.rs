//! What a run will cost, before it starts: cells, deployments, minutes, requests. Pure.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{calibration, needs_no_cluster, pilot};
use crate::{
    drive::{
        Plan,
        shapes::{self, Files},
    },
    experiment::{Arrivals, Cell, Experiment, LoadPoint, Site, deployments},
    reports::format,
};

/// Lines of an order of deployments that people are shown.
const SHOWN: usize = 12;

/// What a run will cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Measured intervals.
    pub cells: usize,
    /// Deployments that are measured.
    pub deployments: usize,
    /// Deployments before them that settle rates.
    pub pilots: usize,
    /// How long it takes, seconds, building apart.
    pub seconds: u64,
    /// When it ends if it starts now, RFC 3339.
    pub ends_at: String,
    /// Requests that the schedules of open-loop load points hold, warm-up included.
    pub scheduled_requests: u64,
    /// Load points whose number of requests nobody knows yet, and why.
    pub unknown_requests: Vec<String>,
}

impl Budget {
    /// The budget of a plan, or of what is left of one.
    pub fn of(
        experiment: &Experiment,
        cells: &[Cell],
        pilots: usize,
        files: &Files,
        now: SystemTime,
    ) -> Self {
        let deployments = deployments(cells, experiment.reuse_deployments).count();
        let before = pilot_estimate(experiment) * pilots as u32 + calibration::DURATION;
        let time = before + cells_estimate(experiment, cells);
        let mut scheduled_requests = 0;
        let mut unknown_requests = Vec::new();
        for load in &experiment.load {
            let of_load: Vec<&Cell> = cells.iter().filter(|cell| cell.load.name == load.name).collect();
            let Some(first) = of_load.first() else { continue };
            match scheduled(load, files, first.seed) {
                Ok(requests) => scheduled_requests += requests * of_load.len() as u64,
                Err(why) => unknown_requests.push(format!("{}: {why}", load.name)),
            }
        }
        Self {
            cells: cells.len(),
            deployments,
            pilots,
            seconds: time.as_secs().div_ceil(10) * 10,
            ends_at: humantime::format_rfc3339_seconds(now + time).to_string(),
            scheduled_requests,
            unknown_requests,
        }
    }

    /// For people, in lines.
    pub fn describe(&self) -> String {
        let pilots = match self.pilots {
            0 => String::new(),
            n => format!(", {}", format::plural(n, "pilot")),
        };
        let mut requests = Vec::new();
        if self.scheduled_requests > 0 {
            requests.push(format!("{} by schedule", format::count(self.scheduled_requests)));
        }
        requests.extend(self.unknown_requests.iter().cloned());
        format!(
            "budget: {}, {}{pilots}; requests: {}\nthis takes about {}, building apart, until {}",
            format::plural(self.cells, "cell"),
            format::plural(self.deployments, "deployment"),
            requests.join("; "),
            humantime::format_duration(Duration::from_secs(self.seconds)),
            self.ends_at
        )
    }
}

/// Deploying and removing, per deployment: what the plan's estimate allows for it. On a cluster,
/// most of it is waiting until terminating pods are gone.
pub fn deploy_estimate(site: Site) -> Duration {
    match site {
        Site::Twin => Duration::from_millis(4500),
        Site::Cluster => Duration::from_secs(40),
    }
}

fn pilot_estimate(experiment: &Experiment) -> Duration {
    deploy_estimate(experiment.on) + pilot::WARMUP + pilot::DURATION
}

/// How long these cells take, with their deployments.
pub fn cells_estimate(experiment: &Experiment, cells: &[Cell]) -> Duration {
    let load: Duration = cells.iter().map(|cell| cell.load.estimate()).sum();
    let deployments = deployments(cells, experiment.reuse_deployments).count();
    load + deploy_estimate(experiment.on) * deployments as u32
}

/// Pilots that an experiment needs: each subject's, where one load point asks for a share of what the
/// slowest serves. (One more runs where nobody knows the right answers beforehand.)
pub fn pilots(experiment: &Experiment) -> usize {
    let needed = experiment.load.iter().any(|load| load.rate_share.is_some());
    if needed { experiment.subjects.len() } else { 0 }
}

/// Requests that a load point's schedule holds, warm-up included; or why nobody knows.
fn scheduled(load: &LoadPoint, files: &Files, seed: u64) -> Result<u64, &'static str> {
    if !load.procedure.is_play() {
        return Err("as many as it takes");
    }
    let time = load.warmup + load.duration;
    match &load.arrivals {
        Arrivals::Constant { rate } | Arrivals::Poisson { rate } => {
            if *rate > 0.0 {
                Ok((rate * time.as_secs_f64()).round() as u64)
            } else {
                Err("the pilot sets the rate")
            }
        }
        Arrivals::Closed { .. } => Err("as many as are answered"),
        other => match shapes::plan(other, files, time, seed) {
            Plan::Open { send_times_ns, .. } => Ok(send_times_ns.len() as u64),
            Plan::Closed { .. } => Err("as many as are answered"),
        },
    }
}

/// The plan in words, without its cost.
pub fn describe(experiment: &Experiment) -> String {
    let labels: Vec<_> = experiment.subjects.iter().map(|s| s.label.as_str()).collect();
    let site = match experiment.on {
        Site::Twin => "the twin (an embedded stand-in on this machine, not a cluster)",
        Site::Cluster if needs_no_cluster(experiment) => "URLs that are there already",
        Site::Cluster => "the cluster of the current context",
    };
    let (trials, seed) = (format::plural(experiment.trials as usize, "trial"), experiment.seed);
    let order = if experiment.reuse_deployments {
        format!(
            "one deployment for all trials of a subject, subjects one after the other in random order (seed {seed})"
        )
    } else {
        format!("interleaved in random order (seed {seed}), a fresh deployment each")
    };
    let mut lines = vec![
        format!("{}: {} on {site}", experiment.title, listed(&labels)),
        format!("plan: {trials} a subject, {order}"),
    ];
    if let Some(rule) = &experiment.stop_early {
        lines.push(format!(
            "  it ends before the last trial once every ratio is known to within {:.1} % (first look after trial {})",
            100.0 * rule.half_width,
            rule.first_look
        ));
    }
    let variants = experiment.variants.iter();
    lines.extend(variants.map(|variant| format!("  variant {}: {}", variant.name, variant.describe())));
    for load in &experiment.load {
        let metric = load.primary_metric.title();
        lines.push(format!("  {}: {} (primary metric: {metric})", load.name, load.question));
    }
    lines.join("\n")
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [many @ .., before, last] => {
            many.iter().map(|word| format!("{word}, ")).collect::<String>() + before + " and " + last
        }
        few => few.concat(),
    }
}

/// The order of the deployments in words, a line each; the first ones, and how many more.
pub fn describe_order(experiment: &Experiment, cells: &[Cell]) -> String {
    let groups: Vec<&[Cell]> = deployments(cells, experiment.reuse_deployments).collect();
    let line = |(i, cells): (usize, &&[Cell])| {
        let loads: Vec<&str> = cells.iter().map(|cell| cell.load.name.as_str()).collect();
        let (first, last) = (&cells[0], &cells[cells.len() - 1]);
        let trials = match (first.trial, last.trial) {
            (a, b) if a == b => format!("trial {a}"),
            (a, b) => format!("trials {a} to {b}"),
        };
        format!("  {:>3}  {trials}  {}: {}", i + 1, first.subject, loads.join(", "))
    };
    let mut lines = vec!["order of the deployments and their cells:".to_owned()];
    lines.extend(groups.iter().enumerate().take(SHOWN).map(line));
    if groups.len() > SHOWN {
        lines.push(format!("  ... and {} more (--output json prints all)", groups.len() - SHOWN));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{expand, parse};

    fn at_noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
    }

    fn budget(e: &Experiment) -> Budget {
        Budget::of(e, &expand(e), pilots(e), &Files::default(), at_noon())
    }

    #[test]
    fn a_plan_says_what_it_costs() {
        let text = "
on = 'twin'
trials = 4
[[variants]]
name = '1-core'
[[variants]]
name = '2-cores'
cpu-cores = 2.0
[stop-early]
first-look = 3
[[load]]
name = 'steady'
question = 'How long?'
primary-metric = 'response_p95_ms'
arrivals = { kind = 'constant', rate = 20.0 }
warmup = '1s'
duration = '9s'
[[load]]
name = 'closed-8'
question = 'How many?'
primary-metric = 'goodput_rps'
arrivals = { kind = 'closed', connections = 8 }
warmup = '1s'
duration = '4s'";
        let e = parse(text, "x").unwrap();
        let cells = expand(&e);
        let shown = [describe(&e), describe_order(&e, &cells), budget(&e).describe()].join("\n");
        insta::assert_snapshot!(shown, @r"
        MobileNetV2 image classification, one pinned replica: knative-1-core, openfaas-1-core, knative-2-cores and openfaas-2-cores on the twin (an embedded stand-in on this machine, not a cluster)
        plan: 4 trials a subject, interleaved in random order (seed 42), a fresh deployment each
          it ends before the last trial once every ratio is known to within 5.0 % (first look after trial 3)
          variant 1-core: the function as it is
          variant 2-cores: 2 cores
          steady: How long? (primary metric: p95 response time (ms))
          closed-8: How many? (primary metric: goodput (correct answers/s))
        order of the deployments and their cells:
            1  trial 1  openfaas-2-cores: steady, closed-8
            2  trial 1  knative-1-core: steady, closed-8
            3  trial 1  knative-2-cores: steady, closed-8
            4  trial 1  openfaas-1-core: steady, closed-8
            5  trial 2  knative-2-cores: steady, closed-8
            6  trial 2  openfaas-2-cores: steady, closed-8
            7  trial 2  openfaas-1-core: steady, closed-8
            8  trial 2  knative-1-core: steady, closed-8
            9  trial 3  knative-2-cores: closed-8, steady
           10  trial 3  openfaas-2-cores: closed-8, steady
           11  trial 3  knative-1-core: closed-8, steady
           12  trial 3  openfaas-1-core: closed-8, steady
          ... and 4 more (--output json prints all)
        budget: 32 cells, 16 deployments; requests: 3200 by schedule; closed-8: as many as are answered
        this takes about 5m 20s, building apart, until 2026-11-21T12:05:13Z
        ");
    }

    #[test]
    fn only_rates_that_are_a_share_need_pilots_and_only_they_are_unknown_before() {
        let mut e = Experiment::default();
        assert_eq!((budget(&e).pilots, budget(&e).scheduled_requests), (2, 0));
        assert_eq!(
            budget(&e).unknown_requests,
            ["closed-8: as many as are answered", "poisson: the pilot sets the rate"]
        );
        pilot::settle_rates(&mut e, 20.0);
        assert_eq!(budget(&e).scheduled_requests, 10 * 10 * 35, "ten a second, ten cells of 35 s");
        for load in &mut e.load {
            load.rate_share = None;
        }
        assert_eq!(budget(&e).pilots, 0);
    }

    #[test]
    fn reused_deployments_save_their_time() {
        let fresh = Experiment::default();
        let reused = Experiment { reuse_deployments: true, ..Experiment::default() };
        let (fresh, reused) = (budget(&fresh), budget(&reused));
        assert_eq!((fresh.deployments, reused.deployments), (10, 2));
        assert_eq!(fresh.seconds - reused.seconds, 8 * 40);
    }
}
