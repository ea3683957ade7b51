//! Deploys, plays and removes, cell by cell. Records reach the disk while a cell runs; whatever
//! goes wrong is written into the cell and the run goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use super::{
    eventing::{Before, Eventing},
    live::Watch,
    load_from::Source,
    prepare::Prepared,
    procedures,
    progress::Progress,
    verdict,
};
use crate::{
    annotate::Annotator,
    collect::{
        clock::unix_now_ns,
        prometheus::Collector,
        sampler,
        timeline::{self, FirstAnswers, Recorder, Target},
        usage::UsageSampler,
    },
    drive::{self, GeneratorAudit, Load, PlayOptions},
    experiment::{Cell, Experiment, Via},
    interrupt::Interrupt,
    platforms::{AnyPlatform, Deployed, FunctionSpec, Ground, Platform, setting},
    record::{Outcome, Record},
    reports::deployment_id,
    store::{CellMeta, CellState, CellWriter, RunFolder, SCHEMA_VERSION},
};

/// How long after a cell's end the kubelets' figures of it are in.
const USAGE_SETTLES: Duration = Duration::from_secs(15);

/// Everything that the cells of a run have in common.
pub struct Run<'a> {
    /// The effective experiment.
    pub experiment: &'a Experiment,
    /// What is deployed and sent.
    pub prepared: &'a Prepared,
    /// Where the platforms are.
    pub ground: &'a Ground,
    /// The cluster's Prometheus, if there is one.
    pub collector: Option<&'a Collector>,
    /// Where everything is kept.
    pub folder: &'a RunFolder,
    /// The user's wish to stop.
    pub interrupt: &'a Interrupt,
    /// Cells in the plan.
    pub total: usize,
    /// Where the load comes from.
    pub source: &'a Source,
    /// The broker and the logger of its events, if there are any.
    pub(super) eventing: Option<&'a Eventing>,
    /// Shows the cells in Grafana, if that is wanted.
    pub annotator: Option<&'a Annotator<'a>>,
    /// Subjects whose answers were checked before their cells.
    pub asked: Mutex<BTreeSet<String>>,
}

/// A cell that was played, for what is collected of it afterwards.
pub(super) struct Played {
    pub(super) writer: CellWriter,
    pub(super) started_unix_ns: u64,
    pub(super) elapsed_ns: u64,
    /// What the generator says of itself; none for a procedure, which played several loads.
    pub(super) audit: Option<GeneratorAudit>,
}

/// Gets each batch of a load's rows, on the thread that keeps them.
pub(super) type Hear = Box<dyn FnMut(&[Record]) + Send>;

/// What follows a load while it plays, and may end it.
pub(super) struct Listener {
    /// Ends the load.
    pub(super) stop: Interrupt,
    /// Gets each batch of rows.
    pub(super) hear: Hear,
    /// The screen.
    pub(super) watch: Watch,
}

impl Listener {
    /// One that hears nothing and only shows.
    pub(super) fn new(stop: Interrupt, watch: Watch) -> Self {
        Self { stop, hear: Box::new(|_| ()), watch }
    }
}

impl Run<'_> {
    /// The cells of one subject that share a deployment, on fresh replicas.
    pub(super) async fn deployment(&self, cells: &[Cell], progress: &mut Progress) {
        let [first, ..] = cells else { return };
        progress.now(&format!(
            "trial {} of {}: deploying on {}",
            first.trial, self.experiment.trials, first.subject
        ));
        let mut platform = self.ground.platform(first.platform);
        let Some(subject) = self.experiment.subject(&first.subject) else { return };
        let spec = self.prepared.spec_for(subject, self.experiment);
        let recorder = self.recorder(first, &spec).await;
        let mut answers = FirstAnswers::default();
        let deployed = tokio::select! {
            deployed = self.deploy(&mut platform, &spec, &first.subject) => Some(deployed),
            () = self.interrupt.raised() => None,
        };
        match deployed {
            // Its cells are missing from the run; what was begun is removed below.
            None => {}
            Some(Ok(deployed)) => {
                answers.deployed_at(unix_now_ns());
                let usage = self.usage(first, &deployed);
                let mut played = Vec::new();
                for cell in cells {
                    if self.interrupt.is_raised() {
                        break;
                    }
                    progress.now(&format!("cell {} of {}: {}", cell.order + 1, self.total, cell.id));
                    let measured =
                        self.measure_with_events(cell, &spec, (&mut platform, &deployed), progress);
                    let (line, word) = match measured.await {
                        Ok((line, ended)) => {
                            played.push(ended);
                            (line, verdict::of_cell(self.folder, cell).await)
                        }
                        Err(error) => (format!("{}: failed: {error:#}", cell.id), "INVALID".to_owned()),
                    };
                    progress.advance(cell.load.estimate());
                    progress.say(&format!(
                        "[{:>2}/{}] {line}; {} left; {word}",
                        cell.order + 1,
                        self.total,
                        progress.left()
                    ));
                }
                progress
                    .now(&format!("trial {}: collecting what was seen of {}", first.trial, first.subject));
                for error in self.collect(first, &deployed, &played, usage).await {
                    progress.say(&format!("error: {error}"));
                }
            }
            Some(Err(error)) => {
                progress.say(&format!("error: {error}; its cells are marked as failed and the run goes on"));
                for cell in cells {
                    self.keep_failure(cell, &error.to_string(), progress);
                    progress.advance(cell.load.estimate());
                }
            }
        }
        progress.now(&format!("trial {}: removing it from {}", first.trial, first.subject));
        if let Err(error) = platform.remove().await {
            progress.say(&format!("error: {error}"));
        }
        let timeline = match recorder {
            Some(recorder) => Some(recorder.finish(&answers).await),
            None => timeline::of_twin(&platform, &answers),
        };
        if let Some(timeline) = timeline {
            let id = deployment_id(first.trial, &first.subject);
            if let Err(error) = self.folder.write_timeline(&id, &timeline) {
                progress.say(&format!("error: the time line of {id} is lost: {error}"));
            }
        }
        // Not between the cells of a deployment: those follow each other as planned.
        if let Some(annotator) = self.annotator {
            annotator.cells(self.folder, self.experiment, cells, &|line| progress.say(line)).await;
        }
        progress.advance(super::budget::deploy_estimate(self.experiment.on));
    }

    /// Begins to record the lives of the replicas, where there is a cluster to watch.
    async fn recorder(&self, cell: &Cell, spec: &FunctionSpec) -> Option<Recorder> {
        let Ground::Cluster(cluster) = self.ground else { return None };
        let target = Target::of(cluster, cell.platform, &spec.name)?;
        Some(Recorder::start(&cluster.api, &target).await)
    }

    /// Without Prometheus: CPU and memory from the kubelets or the metrics API.
    fn usage(&self, cell: &Cell, deployed: &Deployed) -> Option<UsageSampler> {
        match (self.ground, self.collector, &deployed.pods) {
            (Ground::Cluster(cluster), None, Some(pods)) => {
                Some(UsageSampler::start(cluster, pods, cell.platform))
            }
            _ => None,
        }
    }

    /// What others saw of the cells, while the pods are still there. Returns what could not be kept.
    async fn collect(
        &self,
        first: &Cell,
        deployed: &Deployed,
        played: &[Played],
        usage: Option<UsageSampler>,
    ) -> Vec<String> {
        let Some(pods) = &deployed.pods else { return Vec::new() };
        if usage.is_some() && !self.interrupt.is_raised() {
            // The last cell's figures are renewed some seconds after its end.
            tokio::time::sleep(USAGE_SETTLES).await;
        }
        let mut lost = Vec::new();
        for cell in played {
            let series = match (self.collector, &usage) {
                (Some(collector), _) if !self.interrupt.is_raised() => {
                    collector.cell(pods, first.platform, cell.started_unix_ns, cell.elapsed_ns).await
                }
                (_, Some(usage)) => usage.cell(cell.started_unix_ns, cell.elapsed_ns),
                _ => continue,
            };
            if let Err(error) = cell.writer.series(&series) {
                lost.push(format!("the series of a cell are lost: {error}"));
            }
        }
        lost
    }

    /// Measures one cell, and what became of the events of its answers where there are any.
    async fn measure_with_events(
        &self,
        cell: &Cell,
        spec: &FunctionSpec,
        (platform, deployed): (&mut AnyPlatform, &Deployed),
        progress: &Progress,
    ) -> anyhow::Result<(String, Played)> {
        let Some(eventing) = self.eventing.filter(|_| cell.load.procedure.is_play()) else {
            return self.measure(cell, platform, deployed, progress, None).await;
        };
        let before = eventing.before(spec, deployed).await;
        let (mut line, played) = self.measure(cell, platform, deployed, progress, Some(&before)).await?;
        let events = eventing.after(before).await;
        _ = write!(line, "; {}", events.reconciled());
        self.folder.write_events(&cell.id, &events)?;
        Ok((line, played))
    }

    /// Measures one cell as its load point says, and tells in a line how it went.
    async fn measure(
        &self,
        cell: &Cell,
        platform: &mut AnyPlatform,
        deployed: &Deployed,
        progress: &Progress,
        events: Option<&Before>,
    ) -> anyhow::Result<(String, Played)> {
        if cell.load.procedure.is_play() {
            let mut listener = Listener::new(self.interrupt.clone(), progress.watch());
            if let Some(events) = events {
                let answers = events.answers.clone();
                listener.hear = Box::new(move |batch| {
                    let correct = batch.iter().filter(|record| record.outcome == Outcome::Ok).count();
                    answers.fetch_add(correct as u64, Ordering::Relaxed);
                });
            }
            return self.play(cell, platform, deployed, listener).await;
        }
        procedures::run(self, cell, (platform, deployed), progress).await
    }

    /// Begins a cell whose records, if any, the caller appends.
    pub(super) fn begin(&self, cell: &Cell, deployed: &Deployed) -> anyhow::Result<CellWriter> {
        Ok(self.folder.cell_writer(self.meta(cell, CellState::Running, Some(deployed)))?)
    }

    /// Plays one load into a cell of its own and says in a line how it went.
    pub(super) async fn play(
        &self,
        cell: &Cell,
        platform: &AnyPlatform,
        deployed: &Deployed,
        listener: Listener,
    ) -> anyhow::Result<(String, Played)> {
        let writer = self.begin(cell, deployed)?;
        let playing = Arc::new(drive::Progress::default());
        let core = super::generator_core(self.experiment);
        let options = PlayOptions { core, progress: playing.clone(), ..PlayOptions::default() };
        let load = self.load(cell, deployed);
        let watch = listener.watch;
        let count = watch.begin(&load.plan, Some(cell.load.warmup + cell.load.duration), &playing);
        let rows = writer.clone();
        let mut hear = listener.hear;
        let sink = move |batch: &[Record]| {
            count.take(batch);
            // What listens must not keep rows from the disk.
            let appended = rows.append(batch).map_err(Into::into);
            hear(batch);
            appended
        };

        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let play = async {
            let played = match self.source.accepts(&load.endpoints) {
                Ok(()) => {
                    let played = self.source.from.play(load, options, sink, listener.stop).await;
                    played.map_err(anyhow::Error::from)
                }
                Err(error) => Err(error),
            };
            drop(stop);
            played
        };
        let mut unwritten = 0;
        let sample = sampler::sample(platform, &playing, async { _ = stopped.await }, |sample| {
            watch.replicas(&cell.subject, sample.sample.ready, sample.sample.desired);
            unwritten += u32::from(writer.sample(&sample).is_err());
        });
        let (played, missed) = tokio::join!(play, sample);

        let audit = match played {
            Ok(audit) => audit,
            Err(error) => {
                writer.finish(None, CellState::Failed(error.to_string()))?;
                return Err(error);
            }
        };
        let by_user = audit.interrupted && self.interrupt.is_raised();
        if audit.interrupted && !by_user {
            writer.remark(format!("ended by its procedure after {:.1} s", audit.elapsed_ns as f64 / 1e9));
        }
        let state = if by_user { CellState::Interrupted } else { CellState::Done };
        let failed = playing.failed.load(Ordering::Relaxed);
        let mut line = format!("{}: {} requests, {failed} failed", cell.id, audit.sent);
        if missed.count + unwritten > 0 {
            let why = missed.last.map(|error| format!(" ({error})")).unwrap_or_default();
            let lost = format!("{} replica samples are missing{why}", missed.count + unwritten);
            _ = write!(line, ", {lost}");
            writer.remark(lost);
        }
        if let Some(error) = &audit.write_error {
            _ = write!(line, ", RECORDS LOST: {error}");
        }
        if !self.experiment.revisions.is_empty() {
            writer.revisions(platform.revisions());
        }
        let (started_unix_ns, elapsed_ns) = (audit.started_unix_ns, audit.elapsed_ns);
        writer.finish(Some(audit.clone()), state)?;
        Ok((line, Played { writer, started_unix_ns, elapsed_ns, audit: Some(audit) }))
    }

    pub(super) fn load(&self, cell: &Cell, deployed: &Deployed) -> Load {
        let plan = drive::shapes::plan(
            &cell.load.arrivals,
            &self.prepared.files,
            cell.load.warmup + cell.load.duration,
            cell.seed,
        );
        let sent = self.prepared.sent(&cell.load);
        Load {
            method: self.prepared.method.clone(),
            timeout: self.experiment.timeout,
            drain: self.experiment.drain,
            seed: cell.seed,
            connections: self.experiment.connection,
            lockstep: cell.load.arrivals.is_lockstep(),
            weights: sent.weights.clone(),
            ..Load::new(plan, deployed.endpoints.clone(), sent.requests(), sent.judge())
        }
    }

    fn keep_failure(&self, cell: &Cell, reason: &str, progress: &Progress) {
        let meta = self.meta(cell, CellState::Failed(reason.into()), None);
        let kept =
            self.folder.cell_writer(meta).and_then(|w| w.finish(None, CellState::Failed(reason.into())));
        if let Err(error) = kept {
            progress.say(&format!("error: {}: {error}", cell.id));
        }
    }

    /// The platform's settings in force, and what is the same for every side by design.
    fn settings(&self, cell: &Cell, deployed: &Deployed) -> BTreeMap<String, String> {
        let payloads = &self.prepared.sent(&cell.load).payloads;
        let sizes = || payloads.iter().map(|payload| payload.body.len());
        let mut bodies = format!(
            "{} different, {} to {} bytes",
            sizes().count(),
            sizes().min().unwrap_or(0),
            sizes().max().unwrap_or(0)
        );
        if self.experiment.function.inputs == Via::Storage {
            bodies.push_str(", by reference from an object storage");
        }
        if self.experiment.function.results == Via::Storage {
            bodies.push_str("; results written back to it");
        }
        let mut settings = deployed.settings.clone();
        settings.insert(setting::BODIES.to_owned(), bodies);
        settings.insert(setting::GENERATOR.to_owned(), self.prepared.generator.clone());
        settings
    }

    fn meta(&self, cell: &Cell, state: CellState, deployed: Option<&Deployed>) -> CellMeta {
        CellMeta {
            schema_version: SCHEMA_VERSION,
            cell: cell.clone(),
            state,
            started_unix_ns: unix_now_ns(),
            ready_after_ms: deployed.map_or(0.0, |d| d.ready_after.as_secs_f64() * 1e3),
            settings: deployed.map(|d| self.settings(cell, d)).unwrap_or_default(),
            payloads: self.prepared.sent(&cell.load).payloads.iter().map(|p| p.name.clone()).collect(),
            audit: None,
            revisions: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }
}
