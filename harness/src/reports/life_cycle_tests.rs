//! Runs that asked about life cycles: what their tables say, and that their plots can be drawn.

use std::time::Duration;

use super::{Document, fixture::Run, markdown, plots, png};
use crate::{
    analyse::{
        cold::{Class, ColdStart, ColdStarts},
        elasticity::elasticity,
        eviction::Eviction,
        summary::RevisionSummary,
        window::Window,
    },
    experiment::Arrivals,
    outcome::ProcedureOutcome,
    platforms::{ReplicaSample, ZeroProof},
    store::TimedSample,
};

const LOAD: &str = "closed-8";

fn start(trial: u32, i: u32) -> ColdStart {
    let slow = f64::from((trial * 7 + i * 13) % 11);
    ColdStart {
        zero: ZeroProof {
            waited: Duration::from_millis(9000 + u64::from(trial) * 200),
            gone: vec!["classify-1".into()],
            autoscaler: "0".into(),
        },
        class: if (trial, i) == (2, 1) { Class::Queued } else { Class::Cold },
        why: String::new(),
        replica: Some(format!("classify-{}", i + 2)),
        sent_unix_ns: 0,
        response_ms: 780.0 + 25.0 * slow,
        server_ms: Some(31.0),
        warm_ms: vec![24.0, 23.5 + slow / 10.0, 26.0],
    }
}

/// One platform that goes to zero, and one that keeps a replica.
fn cold() -> Run {
    let mut run = Run::without_failures(&["knative", "openfaas"]);
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == LOAD) {
        cell.outcome = Some(ProcedureOutcome::Cold(if cell.subject == "knative" {
            let trial = cell.trial;
            ColdStarts {
                planned: 3,
                starts: (0..3).map(|i| start(trial, i)).collect(),
                ..ColdStarts::default()
            }
        } else {
            let limit = Some("the Community Edition does not scale to zero".to_owned());
            ColdStarts { planned: 3, limit, ..ColdStarts::default() }
        }));
    }
    run
}

fn eviction() -> Run {
    let mut run = Run::without_failures(&["knative", "openfaas"]);
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == LOAD) {
        let idle_life_s = 61.0 + f64::from(cell.trial * 3 % 5);
        cell.outcome = Some(ProcedureOutcome::Eviction(if cell.subject == "knative" {
            Eviction {
                idle_life_s,
                gone_s: Some(idle_life_s + 0.3),
                resolution_s: 0.25,
                ..Eviction::default()
            }
        } else {
            let limit = Some("the Community Edition does not scale to zero".to_owned());
            Eviction { idle_life_s: 100.2, at_least: true, limit, resolution_s: 0.25, ..Eviction::default() }
        }));
    }
    run
}

/// A step load; the second subject scales late and never far enough.
fn scaling() -> Run {
    let mut run = Run::without_failures(&["knative", "openfaas"]);
    let load = &mut run.experiment.load[0];
    load.arrivals = Arrivals::Steps { rates: vec![5.0, 60.0, 60.0, 60.0, 5.0] };
    load.warmup = Duration::from_secs(5);
    load.duration = Duration::from_secs(85);
    let load = load.clone();
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == LOAD) {
        let late_s = f64::from(cell.trial % 3);
        let changes: &[(f64, u32)] = if cell.subject == "knative" {
            &[(0.0, 1), (21.0, 2), (23.0, 3), (88.0, 2)]
        } else {
            &[(0.0, 1), (54.0, 2), (72.0, 1)]
        };
        let samples: Vec<TimedSample> = changes
            .iter()
            .map(|&(at_s, ready)| TimedSample {
                at_ns: ((at_s + if at_s > 0.0 { late_s } else { 0.0 }) * 1e9) as u64,
                sample: ReplicaSample { ready, ..ReplicaSample::default() },
            })
            .collect();
        let capacity = if cell.subject == "knative" { 25.0 } else { 27.0 };
        cell.elasticity = elasticity(&load, capacity, &samples, &Window::planned(&load));
        cell.arrivals = load.arrivals.clone();
    }
    run
}

fn split() -> Run {
    let mut run = Run::without_failures(&["knative"]);
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == LOAD) {
        let revision = |name: &str, share: f64, times: f64| {
            let mut response_ms = cell.response_ms.clone();
            response_ms.p95 = response_ms.p95.map(|p95| p95 * times);
            RevisionSummary {
                revision: name.into(),
                requests: (cell.requests as f64 * share) as u64,
                share,
                correct: (cell.requests as f64 * share) as u64,
                response_ms,
            }
        };
        cell.by_revision =
            vec![revision("classify-canary", 0.2, 1.15), revision("classify-stable", 0.8, 1.0)];
    }
    run
}

/// The section of the load point, as Markdown.
fn section(document: &Document) -> String {
    let page = markdown::render(document, &plots::all(document).unwrap());
    let from = page.find(&format!("## Load point {LOAD}")).unwrap();
    let to = page[from + 3..].find("\n## ").unwrap();
    page[from..from + 3 + to].to_owned()
}

#[test]
fn the_sections_about_life_cycles_read_like_this() {
    for (name, run) in
        [("cold", cold()), ("eviction", eviction()), ("scaling", scaling()), ("split", split())]
    {
        insta::assert_snapshot!(format!("life_cycle_{name}"), section(&run.document()));
    }
}

#[test]
fn each_question_has_its_plot_and_no_other_has_it() {
    let names = ["cold-starts", "eviction", "provisioning", "canary"].map(|stem| format!("{stem}-{LOAD}"));
    for (own, run) in names.iter().zip([cold(), eviction(), scaling(), split()]) {
        let drawn = plots::all(&run.document()).unwrap();
        for name in &names {
            assert_eq!(
                drawn.iter().any(|plot| plot.name == *name),
                name == own,
                "{name} in a run about {own}"
            );
        }
        let plot = drawn.iter().find(|plot| plot.name == *own).unwrap();
        let picture = png::render(&plot.svg_light, 2.0).unwrap();
        if let Ok(folder) = std::env::var("PLOTS_TO") {
            std::fs::write(format!("{folder}/{own}.png"), picture).unwrap();
        }
    }
}
