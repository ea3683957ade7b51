//! Runs that never happened, for tests: plausible in shape, the same on every machine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::Document;
use crate::{
    analyse::{
        self, RunFacts,
        summary::{
            CellSummary, Comparison, Interval, Problem, Quantiles, Spread, Summary, TrialValue, Validity,
            Verdict,
        },
    },
    collect::series::{CellSeries, MissingSeries, Series, SeriesKind, name},
    collect::{
        clock::ClockOffset,
        timeline::{Moment, Phase, Source, Timeline},
    },
    drive::GeneratorAudit,
    experiment::{Arrivals, Cell, Experiment, FunctionChoice, LoadPoint, Metric, Subject, Variant},
    platforms::{PlatformKind, ReplicaBounds, ReplicaSample, setting},
    record::{Outcome, Record},
    store::{CellData, CellMeta, CellState, SCHEMA_VERSION, TimedSample},
};

/// A made-up run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) summary: Summary,
    pub(super) experiment: Experiment,
    pub(super) environment: Value,
    pub(super) cells: Vec<CellData>,
    pub(super) timelines: BTreeMap<String, Timeline>,
}

/// Milliseconds from the deadline on which a request is given up.
const TIMEOUT_MS: f64 = 2000.0;

impl Run {
    /// These subjects, five trials, a closed and an open load point; some requests fail, and the
    /// second subject's third closed cell is INVALID.
    pub(super) fn new(labels: &[&str]) -> Self {
        let mut run = Self::without_failures(labels);
        let mut random = Random(7);
        for cell in &mut run.cells {
            let wrong = if cell.meta.cell.platform == PlatformKind::Knative { 0.001 } else { 0.01 };
            for record in &mut cell.records {
                let draw = random.uniform();
                (record.outcome, record.status) = match draw {
                    d if d < wrong => (Outcome::Platform, 502),
                    d if d < wrong * 1.5 => (Outcome::Overload, 429),
                    d if d < wrong * 1.7 => (Outcome::Timeout, 0),
                    _ => continue,
                };
                if record.outcome == Outcome::Timeout {
                    record.done_ns = record.sent_ns + (TIMEOUT_MS * 1e6) as u64;
                }
            }
        }
        run.summarise();
        let invalid =
            run.summary.cells.iter().position(|c| c.id.starts_with("t03") && c.id.ends_with("closed-8"));
        if let Some(cell) = invalid.map(|at| &mut run.summary.cells[at]) {
            cell.validity.problems.push(Problem {
                reason: "the generator used 97 % of its threads' time".to_owned(),
                remedy: "give it a core of its own, or lower the rate".to_owned(),
            });
            cell.remarks.push("the platform restarted 1 replica".to_owned());
        }
        run.compare();
        run
    }

    /// The same, and every request is answered correctly.
    pub(super) fn without_failures(labels: &[&str]) -> Self {
        let experiment = experiment(labels);
        let mut cells = Vec::new();
        for trial in 1..=experiment.trials {
            for (i, subject) in experiment.subjects.iter().enumerate() {
                for load in &experiment.load {
                    cells.push(cell(&experiment, (i, subject), trial, load, cells.len() as u32));
                }
            }
        }
        let summary = Summary {
            schema_version: SCHEMA_VERSION,
            run_id: "2026-11-21T01-00-00-twin".to_owned(),
            title: experiment.title.clone(),
            twin: true,
            notices: vec!["The generated model is in use: right in cost, meaningless in answers.".to_owned()],
            subjects: labels.iter().map(|label| (*label).to_owned()).collect(),
            cells: Vec::new(),
            comparisons: Vec::new(),
            thresholds: Vec::new(),
        };
        let mut run =
            Self { summary, experiment, environment: environment(), cells, timelines: BTreeMap::new() };
        run.summarise();
        run.compare();
        run
    }

    /// On a cluster whose replicas were watched.
    pub(super) fn watched(mut self) -> Self {
        self.summary.twin = false;
        for trial in 1..=self.experiment.trials {
            for (i, subject) in self.experiment.subjects.iter().enumerate() {
                self.timelines.insert(super::deployment_id(trial, &subject.label), timeline(i, trial));
            }
        }
        self
    }

    /// Two platforms with two variants, as the analysis sums it up.
    pub(super) fn varied() -> Self {
        let labels = ["knative-1-core", "openfaas-1-core", "knative-2-cores", "openfaas-2-cores"];
        let mut run = Self::new(&labels);
        let variant = |name: &str, cores| Variant {
            name: name.to_owned(),
            cpu_cores: Some(cores),
            ..Variant::default()
        };
        run.experiment.set_variants(vec![variant("1-core", 1.0), variant("2-cores", 2.0)]);
        run.experiment.set_platforms(&[PlatformKind::Knative, PlatformKind::OpenFaas]);
        for data in &mut run.cells {
            let two = data.meta.cell.subject.ends_with("2-cores");
            data.meta.settings.insert(setting::CPU.to_owned(), if two { "2" } else { "1" }.to_owned());
        }
        run.analysed(40)
    }

    /// As the analysis sums it up, with all cells of the plan and those of them that are there.
    pub(super) fn analysed(mut self, done: usize) -> Self {
        let plan: Vec<Cell> = self.cells.iter().map(|data| data.meta.cell.clone()).collect();
        self.cells.truncate(done);
        let facts = RunFacts { run_id: self.summary.run_id.clone(), notices: self.summary.notices.clone() };
        let cells = self.cells.iter().map(|data| analyse::cell(data.clone()).summary).collect();
        self.summary = analyse::run(&self.experiment, &plan, cells, facts);
        self
    }

    /// The same, and Prometheus saw it as well: Knative's parts on the first subject, those of OpenFaaS
    /// on the others.
    pub(super) fn observed(mut self) -> Self {
        for cell in &mut self.cells {
            cell.series = Some(observed(cell));
        }
        self
    }

    /// Killed with this many cells done; the last of them is torn.
    pub(super) fn cut_off_after(mut self, done: usize) -> Self {
        self.cells.truncate(done);
        if let Some(last) = self.cells.last_mut() {
            last.meta.state = CellState::Running;
            last.meta.audit = None;
            last.damage.push("the last batch of records.arrows is torn and was left out".to_owned());
        }
        self.summary.cells.truncate(done);
        self.summary.notices.push("The run was stopped before its end.".to_owned());
        for comparison in &mut self.summary.comparisons {
            comparison.ratio = None;
            if comparison.primary {
                let reason = "too many trials are missing".to_owned();
                comparison.sentence = format!("No verdict: {reason}.");
                comparison.verdict = Verdict::NoVerdict { reason };
            }
        }
        self
    }

    pub(super) fn document(&self) -> Document<'_> {
        // A test's document lives as long as the test.
        let digests: Vec<_> = self.cells.iter().map(|data| analyse::cell(data.clone()).digest).collect();
        Document {
            summary: &self.summary,
            experiment: &self.experiment,
            environment: &self.environment,
            cells: Vec::leak(digests),
            timelines: &self.timelines,
        }
    }

    /// Makes the cells' summaries anew from their records.
    pub(super) fn summarise(&mut self) {
        self.summary.cells = self.cells.iter().map(summary).collect();
    }

    fn compare(&mut self) {
        self.summary.comparisons.clear();
        let metrics = [
            ("closed-8", Metric::GoodputRps, true),
            ("poisson-40", Metric::ResponseP95Ms, true),
            ("poisson-40", Metric::ResponseP50Ms, false),
        ];
        let labels = self.summary.subjects.clone();
        for (load, metric, primary) in metrics {
            for contender in labels.iter().skip(1) {
                let comparison = self.comparison(load, metric, primary, &labels[0], contender);
                self.summary.comparisons.push(comparison);
            }
        }
    }

    fn comparison(
        &self,
        load: &str,
        metric: Metric,
        primary: bool,
        baseline: &str,
        contender: &str,
    ) -> Comparison {
        let trials = |subject: &str| -> Vec<TrialValue> {
            let cells = self.summary.cells.iter().filter(|c| c.subject == subject && c.load == load);
            let value = |c: &CellSummary| match metric {
                Metric::GoodputRps => Some(c.goodput_rps),
                Metric::ResponseP50Ms => c.response_ms.p50,
                _ => c.response_ms.p95,
            };
            cells
                .map(|c| TrialValue { trial: c.trial, value: value(c), valid: c.validity.is_valid() })
                .collect()
        };
        let (baseline_trials, contender_trials) = (trials(baseline), trials(contender));
        let mean = |values: &[TrialValue]| {
            let logs: Vec<f64> =
                values.iter().filter(|t| t.valid).filter_map(|t| t.value).map(f64::ln).collect();
            (logs.iter().sum::<f64>() / logs.len() as f64).exp()
        };
        let estimate = mean(&contender_trials) / mean(&baseline_trials);
        let decided = (estimate - 1.0).abs() > 0.1;
        let better = if (estimate > 1.0) == metric.higher_is_better() { contender } else { baseline };
        let verdict = match (primary, decided) {
            (false, _) => Verdict::Described,
            (true, true) => Verdict::Better { subject: better.to_owned() },
            (true, false) => Verdict::CannotTell,
        };
        let low_high = format!("{:.2} to {:.2}", estimate * 0.94, estimate * 1.06);
        Comparison {
            load: load.to_owned(),
            question: self.experiment.load.iter().find(|l| l.name == load).unwrap().question.clone(),
            metric,
            primary,
            baseline: baseline.to_owned(),
            contender: contender.to_owned(),
            baseline_trials,
            contender_trials,
            ratio: Some(Interval { estimate, low: estimate * 0.94, high: estimate * 1.06, confidence: 0.95 }),
            p_value: Some(if decided { 0.0079 } else { 0.42 }),
            p_adjusted: primary.then_some(if decided { 0.0159 } else { 0.42 }),
            smallest_effect: Some(0.083),
            sentence: if decided {
                format!("{better} is better: {contender} / {baseline} = {estimate:.2} ({low_high}).")
            } else {
                format!(
                    "Cannot tell {contender} from {baseline}; this run could have seen a difference of 8.3 %."
                )
            },
            verdict,
        }
    }
}

fn experiment(labels: &[&str]) -> Experiment {
    let subject = |(i, label): (usize, &&str)| Subject {
        label: (*label).to_owned(),
        platform: if label.contains("faas") || i == 1 {
            PlatformKind::OpenFaas
        } else {
            PlatformKind::Knative
        },
        variant: None,
    };
    let load = |name: &str, question: &str, primary_metric, arrivals| LoadPoint {
        name: name.to_owned(),
        question: question.to_owned(),
        primary_metric,
        arrivals,
        warmup: Duration::from_secs(2),
        duration: Duration::from_secs(12),
        ..LoadPoint::default()
    };
    Experiment {
        title: "Knative or OpenFaaS for MobileNetV2 on pictures?".to_owned(),
        seed: 42,
        on: crate::experiment::Site::Twin,
        cluster: crate::platforms::cluster::ClusterChoice::default(),
        settings: BTreeMap::new(),
        revisions: Vec::new(),
        subjects: labels.iter().enumerate().map(subject).collect(),
        trials: 5,
        function: FunctionChoice {
            workload: "classify".to_owned(),
            size: crate::workloads::Size::default(),
            model: "mobilenetv2".to_owned(),
            pictures: "photos".to_owned(),
            top: 5,
            cpu_cores: 1.0,
            memory_mib: 512,
            container_concurrency: 0,
            env: BTreeMap::new(),
            allow_public_grading: false,
            image: None,
            own: None,
            ..FunctionChoice::default()
        },
        replicas: ReplicaBounds { min: 1, max: 3 },
        timeout: Duration::from_millis(TIMEOUT_MS as u64),
        drain: Duration::from_secs(5),
        load: vec![
            load(
                "closed-8",
                "Which one answers more requests when eight clients keep it busy?",
                Metric::GoodputRps,
                Arrivals::Closed { connections: 8, think_time: Duration::ZERO },
            ),
            load(
                "poisson-40",
                "Which one answers sooner at 40 requests a second?",
                Metric::ResponseP95Ms,
                Arrivals::Poisson { rate: 40.0 },
            ),
        ],
        ..Experiment::default()
    }
}

fn cell(
    experiment: &Experiment,
    subject: (usize, &Subject),
    trial: u32,
    load: &LoadPoint,
    order: u32,
) -> CellData {
    let (i, subject) = subject;
    let mut random = Random(u64::from(trial) * 1000 + i as u64 * 100 + load.name.len() as u64);
    let end_s = (load.warmup + load.duration).as_secs_f64();
    let typical_ms = (38.0 + 14.0 * i as f64) * (1.0 + 0.06 * random.normal());
    let mut records = Vec::new();
    if let Arrivals::Closed { connections, .. } = &load.arrivals {
        for connection in 0..*connections {
            let mut now = 0.0;
            while now < end_s {
                let ms = typical_ms * 1.6 * (0.35 * random.normal()).exp();
                records.push(record(&records, now, 0.01, ms, connection));
                now += ms / 1e3;
            }
        }
    } else {
        let mut now = 0.0;
        while now < end_s {
            now += -random.uniform().max(1e-12).ln() / 40.0;
            let stall = if i == 1 && random.uniform() < 0.02 { 400.0 } else { 0.0 };
            let (late, ms) =
                (0.05 + 0.1 * random.uniform(), stall + typical_ms * (0.5 * random.normal()).exp());
            records.push(record(&records, now, late, ms, records.len() as u32 % 16));
        }
    }
    records.sort_by_key(|record| record.scheduled_ns);
    let sample = |tenth: u64| TimedSample {
        at_ns: tenth * 500_000_000,
        sample: ReplicaSample {
            ready: (1 + tenth as u32 / (5 + trial)).min(if i == 1 { 2 } else { 3 }),
            desired: (1 + (tenth as u32 + 2) / (5 + trial)).min(3),
            cpu_seconds: Some(tenth as f64 * 0.45),
            memory_bytes: Some(90_000_000 + tenth * 1_000_000),
            plane_cpu_seconds: Some(tenth as f64 * 0.02),
            restarts: 0,
        },
    };
    let settings = [
        (setting::REPLICAS_MIN, "1"),
        (setting::REPLICAS_MAX, "3"),
        (setting::CPU, if i == 1 { "1.5" } else { "1" }),
        (setting::CONCURRENCY, if i == 1 { "none (the platform has no such limit)" } else { "4" }),
        (setting::QUEUEING, if i == 1 { "none" } else { "ten times the concurrency" }),
        (if i == 1 { "probe delay" } else { setting::BURST }, if i == 1 { "2 s" } else { "211" }),
    ];
    CellData {
        outcome: None,
        meta: CellMeta {
            schema_version: SCHEMA_VERSION,
            cell: Cell {
                id: format!("t{trial:02}-{}-{}", subject.label, load.name),
                order,
                subject: subject.label.clone(),
                platform: subject.platform,
                trial,
                load: load.clone(),
                seed: experiment.seed + u64::from(trial),
            },
            state: CellState::Done,
            started_unix_ns: 1_795_222_800_000_000_000,
            ready_after_ms: 320.0 + 40.0 * f64::from(trial),
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            payloads: vec!["cat.jpg".to_owned(), "dog.jpg".to_owned()],
            revisions: BTreeMap::new(),
            remarks: Vec::new(),
            audit: Some(GeneratorAudit {
                elapsed_ns: (end_s * 1e9) as u64,
                sent: records.len() as u64,
                threads: 1,
                cpu_share: 0.031 + 0.002 * f64::from(trial),
                ..GeneratorAudit::default()
            }),
        },
        records,
        samples: (0..=(end_s * 2.0) as u64).map(sample).collect(),
        series: None,
        damage: Vec::new(),
    }
}

/// Series as Prometheus would have them: scrapes every 5 s, CPU every 10 s.
fn observed(cell: &CellData) -> CellSeries {
    let is_knative = cell.meta.cell.platform == PlatformKind::Knative;
    let end_s = 14.0;
    let one = |name: &str, component: &str, kind, every_s: f64, value: &dyn Fn(f64) -> f64| Series {
        name: name.to_owned(),
        title: name.to_owned(),
        unit: String::new(),
        kind,
        window_s: None,
        query: name.to_owned(),
        labels: [("component".to_owned(), component.to_owned())].into(),
        points: (-2..8)
            .map(|i| f64::from(i) * every_s + 1.3)
            .map(|at| ((at * 1e9) as i64, value(at)))
            .collect(),
    };
    let answered = |at: f64| cell.records.iter().filter(|r| (r.done_ns as f64) < at * 1e9).count() as f64;
    let busy_s = |at: f64| at.clamp(0.0, end_s);
    let parts: &[(&str, f64)] = if is_knative {
        &[("function", 0.9), ("queue-proxy", 0.12), ("activator", 0.1), ("ingress", 0.07)]
    } else {
        &[("function", 0.9), ("gateway", 0.16), ("provider", 0.14)]
    };
    let mut series = vec![
        one(name::REQUESTS, "", SeriesKind::Counter, 2.0, &|at| 1000.0 + answered(at)),
        one(name::REPLICAS_DESIRED, "", SeriesKind::Gauge, 2.0, &|at| if at > 3.0 { 3.0 } else { 1.0 }),
    ];
    for (component, cores) in parts {
        series.push(one(name::CPU, component, SeriesKind::Counter, 5.0, &|at| 7.0 + cores * busy_s(at)));
    }
    let mut missing = Vec::new();
    if is_knative {
        series.extend([
            one(name::REPLICAS_READY, "", SeriesKind::Gauge, 2.0, &|at| if at > 5.0 { 3.0 } else { 1.0 }),
            one(name::CONCURRENCY_STABLE, "", SeriesKind::Gauge, 2.0, &|at| busy_s(at).min(6.0)),
            one(name::CONCURRENCY_PANIC, "", SeriesKind::Gauge, 2.0, &|at| if at > 1.0 { 8.0 } else { 0.0 }),
            one(name::PANIC_MODE, "", SeriesKind::Gauge, 2.0, &|at| f64::from(at > 3.0 && at < 8.0)),
        ]);
    } else {
        missing.push(MissingSeries {
            name: name::REPLICAS_READY.to_owned(),
            title: "replicas that are ready".to_owned(),
            remedy: "install kube-state-metrics with a ServiceMonitor".to_owned(),
        });
    }
    CellSeries { source: "Prometheus 2.42.0".to_owned(), remarks: Vec::new(), series, missing }
}

fn record(before: &[Record], at_s: f64, late_ms: f64, service_ms: f64, connection: u32) -> Record {
    let scheduled_ns = (at_s * 1e9) as u64;
    let sent_ns = scheduled_ns + (late_ms * 1e6) as u64;
    let done_ns = sent_ns + (service_ms * 1e6) as u64;
    Record {
        call_id: before.len() as u64,
        scheduled_ns,
        sent_ns,
        connected_ns: Some(sent_ns),
        first_byte_ns: Some(done_ns - 1000),
        done_ns,
        status: 200,
        outcome: Outcome::Ok,
        bytes_sent: 100_000,
        bytes_received: 400,
        payload: 0,
        endpoint: 0,
        connection,
        instance: Some(Arc::from("a/1")),
        cold: before.is_empty(),
        server: None,
    }
}

fn summary(data: &CellData) -> CellSummary {
    let load = &data.meta.cell.load;
    let window_s = load.duration.as_secs_f64();
    let (start, end) = (load.warmup.as_nanos(), (load.warmup + load.duration).as_nanos());
    let rows: Vec<&Record> =
        data.records.iter().filter(|r| (start..end).contains(&u128::from(r.scheduled_ns))).collect();
    let mut outcomes = BTreeMap::new();
    for row in &rows {
        *outcomes.entry(row.outcome.name().to_owned()).or_insert(0) += 1;
    }
    let ok = outcomes.get("ok").copied().unwrap_or(0);
    let timed = |of: fn(&Record) -> u64, ended: fn(Outcome) -> bool| {
        let rows = rows.iter().filter(|r| ended(r.outcome));
        quantiles(rows.map(|r| (of(r) as f64 / 1e6, r.outcome == Outcome::Timeout)).collect())
    };
    let answered: fn(Outcome) -> bool = |o| matches!(o, Outcome::Ok | Outcome::Timeout);
    let (open, fails): (bool, fn(Outcome) -> bool) =
        (!matches!(load.arrivals, Arrivals::Closed { .. }), |o| !matches!(o, Outcome::Ok | Outcome::Timeout));
    CellSummary {
        id: data.meta.cell.id.clone(),
        subject: data.meta.cell.subject.clone(),
        trial: data.meta.cell.trial,
        load: load.name.clone(),
        arrivals: load.arrivals.clone(),
        validity: Validity::default(),
        remarks: Vec::new(),
        window_s,
        requests: rows.len() as u64,
        offered_rps: open.then_some(rows.len() as f64 / window_s),
        achieved_rps: rows.len() as f64 / window_s,
        goodput_rps: ok as f64 / window_s,
        response_ms: timed(Record::response_ns, answered),
        service_ms: timed(Record::service_ns, answered),
        failure_ms: timed(Record::response_ns, fails),
        lateness_ms: timed(Record::lateness_ns, |_| true),
        connect_ms: Quantiles::default(),
        server_ms: BTreeMap::new(),
        inside_ms: BTreeMap::new(),
        upload_bytes_per_s: 1e6,
        download_bytes_per_s: 1e4,
        cold_starts: 1,
        instances: 1,
        replicas: (!data.samples.is_empty()).then_some(Spread { min: 1.0, mean: 1.8, max: 3.0 }),
        cpu_seconds: (!data.samples.is_empty()).then_some(11.37),
        plane_cpu_seconds: Some(0.482),
        memory_bytes: Some(Spread { min: 9e7, mean: 1.05e8, max: 1.2e8 }),
        ready_after_ms: data.meta.ready_after_ms,
        by_revision: Vec::new(),
        elasticity: None,
        outcome: None,
        by_size: Vec::new(),
        size_fit: None,
        events: None,
        outcomes,
    }
}

/// Nearest rank.
fn quantiles(mut rows: Vec<(f64, bool)>) -> Quantiles {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = rows.len();
    let mut lower_bounds = Vec::new();
    let mut at = |name: &str, share: f64| {
        let row = rows.get(((share * n as f64).ceil() as usize).clamp(1, n.max(1)) - 1)?;
        if row.1 {
            lower_bounds.push(name.to_owned());
        }
        Some(row.0)
    };
    let (p50, p90, p95, p99, max) =
        (at("p50", 0.5), at("p90", 0.9), at("p95", 0.95), at("p99", 0.99), at("max", 1.0));
    let p99_9 = if n >= 10_000 { at("p99_9", 0.999) } else { None };
    Quantiles {
        count: n as u64,
        censored: rows.iter().filter(|row| row.1).count() as u64,
        mean: (n > 0).then(|| rows.iter().map(|row| row.0).sum::<f64>() / n as f64),
        p50,
        p90,
        p95,
        p99,
        p99_9,
        max,
        lower_bounds,
        sampling: BTreeMap::new(),
    }
}

/// A watched deployment: two replicas from the start, one that is added under load.
fn timeline(subject: usize, trial: u32) -> Timeline {
    let mut moments = Vec::new();
    let slow = 1.0 + subject as f64 * 0.9 + f64::from(trial) * 0.07;
    let mut tell = |ms: f64, replica: Option<&str>, phase, detail: &str, source| {
        let (replica, detail) = (replica.map(str::to_owned), detail.to_owned());
        moments.push(Moment { at_ns: (ms * 1e6) as i64, replica, phase, detail, source });
    };
    let watch = Source::Watch;
    for (i, (pod, asked_ms)) in
        [("a-xk2p9", 120.0), ("b-7hd4w", 131.0), ("c-q9z2m", 9000.0)].into_iter().enumerate()
    {
        let pod = Some(pod);
        let at = |after: f64| asked_ms + after * slow;
        tell(at(0.0), pod, Phase::Requested, "", watch);
        tell(at(14.0), pod, Phase::Scheduled, "node-1", watch);
        tell(at(60.0), pod, Phase::Pulled, "already present", watch);
        tell(at(410.0), pod, Phase::Started, "", watch);
        tell(at(980.0), pod, Phase::Ready, "", watch);
        if i == 2 {
            tell(at(1030.0), pod, Phase::FirstAnswer, "", Source::Answer);
        }
        tell(28_000.0, pod, Phase::Terminating, "", watch);
        tell(29_400.0 + 100.0 * i as f64, pod, Phase::Gone, "", watch);
    }
    tell(120.0 + 1160.0 * slow, None, Phase::FirstAnswer, "", Source::Answer);
    tell(4000.0, None, Phase::Load, "closed-8", Source::Answer);
    tell(19_500.0, Some("c-q9z2m"), Phase::Event, "Unhealthy: Readiness probe failed: 503", watch);
    moments.sort_by_key(|moment| moment.at_ns);
    let gaps =
        if trial == 2 { vec!["events could not be watched: not allowed".to_owned()] } else { Vec::new() };
    let clock = Some(ClockOffset { low_ms: -12.0, high_ms: 88.0 });
    Timeline { started_unix_ns: 1_795_222_790_000_000_000, clock, moments, gaps }
}

fn environment() -> Value {
    json!({
        "command": "harness compare --platforms knative,openfaas --on twin",
        "harness": { "version": "0.1.0", "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
        "cpu": { "model": "Example CPU", "cores": 2, "governor": null },
        "kernel": "6.1.0",
        "endpoints": ["http://127.0.0.1:8080/predict?top=5"],
    })
}

/// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014):
/// the same numbers on every machine and with every version of every crate.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal: a sum of twelve uniform ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
