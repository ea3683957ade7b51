//! Cells made by hand, for the tests of this folder.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    drive::GeneratorAudit,
    experiment::{Arrivals, Cell, Experiment, FunctionChoice, LoadPoint, Metric, Subject},
    platforms::{PlatformKind, ReplicaBounds, ReplicaSample},
    record::{Outcome, Record, ServerTimings},
    store::{CellData, CellMeta, CellState, SCHEMA_VERSION, TimedSample},
};

/// Milliseconds as nanoseconds.
pub fn ms(ms: u64) -> u64 {
    ms * 1_000_000
}

/// A request that was sent on time and answered correctly.
pub fn answered(call_id: u64, at_ns: u64, took_ns: u64) -> Record {
    Record {
        call_id,
        scheduled_ns: at_ns,
        sent_ns: at_ns,
        connected_ns: Some(at_ns),
        first_byte_ns: Some(at_ns + took_ns),
        done_ns: at_ns + took_ns,
        status: 200,
        outcome: Outcome::Ok,
        bytes_sent: 1000,
        bytes_received: 500,
        payload: 0,
        endpoint: 0,
        connection: 0,
        instance: Some("pod-a/1".into()),
        cold: false,
        server: Some(ServerTimings {
            queue_us: 100,
            decode_us: 2000,
            preprocess_us: 500,
            inference_us: 15_000,
            total_us: 18_000,
            ..ServerTimings::default()
        }),
    }
}

/// A clean cell: 2 s of warm-up, 10 s measured, all answers after 20 ms give or take.
pub struct CellBuilder {
    load: LoadPoint,
    subject: String,
    trial: u32,
    per_s: f64,
    took_ns: Box<dyn Fn(f64) -> u64>,
}

impl CellBuilder {
    /// Constant arrivals at this rate, judged by p95.
    pub fn open(rate: f64) -> Self {
        Self::with("open", Metric::ResponseP95Ms, Arrivals::Constant { rate }, rate)
    }

    /// Two connections that send one after the other, judged by goodput.
    pub fn closed(per_s: f64) -> Self {
        let arrivals = Arrivals::Closed { connections: 2, think_time: Duration::ZERO };
        Self::with("closed-2", Metric::GoodputRps, arrivals, per_s)
    }

    fn with(name: &str, primary_metric: Metric, arrivals: Arrivals, per_s: f64) -> Self {
        let load = LoadPoint {
            name: name.into(),
            question: format!("Who is better under {name}?"),
            primary_metric,
            arrivals,
            warmup: Duration::from_secs(2),
            duration: Duration::from_secs(10),
            ..LoadPoint::default()
        };
        Self { load, subject: "knative".into(), trial: 1, per_s, took_ns: Box::new(|_| ms(20)) }
    }

    /// Whose cell it is.
    pub fn of(mut self, subject: &str, trial: u32) -> Self {
        self.subject = subject.into();
        self.trial = trial;
        self
    }

    /// How long an answer takes, by the time of its request in seconds since the cell's start.
    pub fn taking(mut self, took_ns: impl Fn(f64) -> u64 + 'static) -> Self {
        self.took_ns = Box::new(took_ns);
        self
    }

    /// The cell alone.
    pub fn cell(&self) -> Cell {
        Cell {
            id: format!("t{:02}-{}-{}", self.trial, self.subject, self.load.name),
            order: 0,
            subject: self.subject.clone(),
            platform: PlatformKind::Knative,
            trial: self.trial,
            load: self.load.clone(),
            seed: 1,
        }
    }

    /// The cell with records for its 12 s, replica samples each half second, and a clean audit.
    pub fn build(&self) -> CellData {
        let count = (12.0 * self.per_s) as u64;
        let at_s = |i: u64| i as f64 / self.per_s;
        // A small ripple, so that not all times are the same.
        let ripple_ns = |i: u64| (i * 7 % 13) * 100_000;
        let records: Vec<Record> = (0..count)
            .map(|i| answered(i, (at_s(i) * 1e9) as u64, (self.took_ns)(at_s(i)) + ripple_ns(i)))
            .collect();
        let sample = |i: u32| TimedSample {
            at_ns: ms(500) * u64::from(i),
            sample: ReplicaSample {
                ready: 2,
                desired: 2,
                cpu_seconds: Some(f64::from(i) * 0.4),
                memory_bytes: Some(100_000_000),
                plane_cpu_seconds: Some(f64::from(i) * 0.01),
                restarts: 0,
            },
        };
        CellData {
            outcome: None,
            meta: CellMeta {
                schema_version: SCHEMA_VERSION,
                cell: self.cell(),
                state: CellState::Done,
                started_unix_ns: 1,
                ready_after_ms: 700.0,
                settings: BTreeMap::new(),
                payloads: vec!["cat.jpg".into()],
                revisions: BTreeMap::new(),
                remarks: Vec::new(),
                audit: Some(GeneratorAudit {
                    planned: count,
                    sent: count,
                    threads: 1,
                    cpu_share: 0.1,
                    cpu_seconds: 1.2,
                    elapsed_ns: ms(12_500),
                    ..GeneratorAudit::default()
                }),
            },
            records,
            samples: (0..=26).map(sample).collect(),
            series: None,
            damage: Vec::new(),
        }
    }
}

/// An experiment of two subjects over these load points.
pub fn experiment(trials: u32, load: Vec<LoadPoint>) -> Experiment {
    let subject = |label: &str, platform| Subject { label: label.into(), platform, variant: None };
    Experiment {
        title: "A test".into(),
        seed: 7,
        on: crate::experiment::Site::Twin,
        cluster: crate::platforms::cluster::ClusterChoice::default(),
        settings: BTreeMap::new(),
        revisions: Vec::new(),
        subjects: vec![
            subject("knative", PlatformKind::Knative),
            subject("openfaas", PlatformKind::OpenFaas),
        ],
        trials,
        function: FunctionChoice {
            workload: "classify".into(),
            size: crate::workloads::Size::default(),
            model: "generated".into(),
            pictures: "drawn".into(),
            top: 5,
            cpu_cores: 1.0,
            memory_mib: 256,
            container_concurrency: 0,
            env: BTreeMap::new(),
            allow_public_grading: false,
            image: None,
            own: None,
            ..FunctionChoice::default()
        },
        replicas: ReplicaBounds { min: 2, max: 2 },
        timeout: Duration::from_secs(10),
        drain: Duration::from_secs(5),
        load,
        ..Experiment::default()
    }
}
