//! What the built-in questions add to a report, on figures made by hand.

use super::{fixture::Run, markdown, plots};
use crate::{
    analyse::{
        capacity::{Evidence, Held},
        summary::{Quantiles, SizeFit, SizeSummary},
    },
    experiment::{PayloadChoice, Procedure, Question, Slo},
    outcome::{
        CapacityOutcome, ConcurrencyOutcome, PartFigures, ProcedureOutcome, capacity::Probe,
        concurrency::Step,
    },
};

fn times(p50: f64) -> Quantiles {
    Quantiles {
        count: 300,
        p50: Some(p50),
        p95: Some(1.5 * p50),
        p99: Some(2.0 * p50),
        ..Quantiles::default()
    }
}

fn part(goodput_rps: f64, p50: f64) -> PartFigures {
    PartFigures { requests: 300, goodput_rps, response_ms: times(p50), ..PartFigures::default() }
}

/// A server whose times grow without bounds towards `limit_rps`.
fn search(limit_rps: f64) -> ProcedureOutcome {
    let probe = |(rate_rps, for_curve): (f64, bool)| {
        let held = if rate_rps < 40.0 { Held::Yes } else { Held::No };
        let p50 = 20.0 / (1.0 - (rate_rps / limit_rps).min(0.98));
        Probe {
            rate_rps,
            for_curve,
            held,
            evidence: Evidence {
                requests: 300,
                timed: 300,
                slow: u64::from(held == Held::No) * 40,
                failed: 0,
            },
            abandoned: held == Held::No,
            part: part(rate_rps.min(limit_rps), p50),
            settled_ms: Some(900.0),
        }
    };
    ProcedureOutcome::Capacity(CapacityOutcome {
        slo: Slo::default(),
        low_rps: 35.4,
        high_rps: Some(50.0),
        finished: true,
        stopped: None,
        probes: [(25.0, false), (50.0, false), (35.4, false), (12.5, true)].map(probe).into(),
    })
}

fn sweep(most_rps: f64) -> ProcedureOutcome {
    let step = |connections: u32| {
        let goodput = most_rps * (1.0 - (-f64::from(connections) / 3.0).exp());
        Step { connections, part: part(goodput, 1e3 * f64::from(connections) / goodput) }
    };
    ProcedureOutcome::Concurrency(ConcurrencyOutcome {
        finished: true,
        steps: [10, 1, 50, 2].map(step).into(),
    })
}

/// A run whose first load point asks this, each of its cells answered by `outcome` of its subject.
fn asked(procedure: Procedure, outcome: fn(f64) -> ProcedureOutcome) -> Run {
    let mut run = Run::new(&["knative", "openfaas"]);
    run.experiment.load[0].procedure = procedure;
    let load = run.experiment.load[0].name.clone();
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == load) {
        let faster = f64::from(u8::from(cell.subject == "openfaas"));
        cell.outcome = Some(outcome(50.0 + 10.0 * faster + f64::from(cell.trial)));
    }
    run
}

/// A run whose first load point sweeps sizes.
fn swept() -> Run {
    let mut run = Run::new(&["knative", "openfaas"]);
    run.experiment.load[0].payload = Some(PayloadChoice::Sizes { bytes: vec![1 << 10, 1 << 20, 4 << 20] });
    let load = run.experiment.load[0].name.clone();
    for cell in run.summary.cells.iter_mut().filter(|cell| cell.load == load) {
        let size = |bytes: u64| SizeSummary {
            bytes,
            requests: 100,
            correct: 99,
            response_ms: times(2.0 + bytes as f64 / 1e6),
        };
        cell.by_size = [1 << 10, 1 << 20, 4 << 20].map(size).into();
        cell.size_fit = Some(SizeFit { intercept_ms: 2.0, ms_per_mib: 1.05 });
    }
    run
}

/// Runs of every question, for the tests that hold for all reports.
pub(super) fn runs() -> Vec<(&'static str, Run)> {
    let capacity = Procedure::Capacity { slo: Slo::default(), precision: 0.1 };
    let concurrency = Procedure::Concurrency { connections: vec![1, 2, 10, 50] };
    vec![
        ("capacity", asked(capacity, search)),
        ("concurrency", asked(concurrency, sweep)),
        ("sizes", swept()),
    ]
}

/// The first load point's section.
fn section(run: &Run) -> String {
    let document = run.document();
    let page = markdown::render(&document, &plots::all(&document).unwrap());
    let from = page.find("## Load point").unwrap();
    let to = page[from + 3..].find("\n## ").unwrap();
    page[from..from + 3 + to].to_owned()
}

/// The first rows of each table.
fn beginning(section: &str, rows: usize) -> String {
    let mut left = rows;
    let kept = section.lines().filter(|line| {
        left = if line.starts_with('|') { left.saturating_sub(1) } else { rows };
        left > 0
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_search_reads_like_this() {
    let procedure = Procedure::Capacity { slo: Slo::default(), precision: 0.1 };
    let section = section(&asked(procedure, search));
    assert!(section.contains("plots/capacity-"), "{section}");
    assert!(!section.contains("Service time"), "a search has no service time of its own: {section}");
    insta::assert_snapshot!("capacity", beginning(&section, 6));
}

#[test]
fn a_sweep_reads_like_this() {
    let section = section(&asked(Procedure::Concurrency { connections: vec![1, 2, 10, 50] }, sweep));
    assert!(section.contains("plots/concurrency-"), "{section}");
    insta::assert_snapshot!("concurrency", beginning(&section, 7));
}

#[test]
fn swept_sizes_have_a_table_and_a_line() {
    let section = section(&swept());
    assert!(section.contains("plots/sizes-"), "{section}");
    let from = section.find("| Subject, body").unwrap();
    insta::assert_snapshot!("sizes", beginning(&section[from..], 7));
}

#[test]
fn only_the_reference_question_names_the_published_study() {
    let mut run = Run::new(&["knative", "openfaas"]);
    let page = |run: &Run| markdown::render(&run.document(), &plots::all(&run.document()).unwrap());
    assert!(!page(&run).contains("The published study"));
    run.experiment.question = Some(Question::Reference);
    let page = page(&run);
    let from = page.find("## The published study").unwrap();
    let to = page[from + 3..].find("\n## ").unwrap();
    insta::assert_snapshot!("reference", &page[from..from + 3 + to]);
}
