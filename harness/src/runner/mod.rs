//! The pipeline: prepare, pilot, plan, then deploy and measure cell by cell, then report.

mod blocks;
pub mod budget;
mod calibration;
mod eventing;
pub mod function_binary;
pub mod image;
pub mod inputs;
mod kept;
pub mod live;
pub mod load_from;
mod made;
pub mod measure;
mod null;
mod own;
pub mod pilot;
pub mod prepare;
mod procedures;
pub mod progress;
mod publish;
mod resume;
mod same;
pub mod sent;
pub mod spec;
pub mod verdict;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use anyhow::Context;

pub use publish::{Finished, rebuild};
pub use resume::Left;

use crate::{
    analyse::itself,
    annotate::{Annotator, Grafana},
    collect::{environment::Machine, prometheus::Collector, versions},
    drive::{self, shapes::Files},
    experiment::{
        self, AUTO, Arrivals, Cell, Experiment, FunctionChoice, LoadPlace, Site, Subject, label_subjects,
    },
    interrupt::Interrupt,
    platforms::{
        AnyPlatform, Ground, Platform, PlatformError, PlatformKind,
        cluster::{Cluster, ClusterError, Login, RunLabel, labels, namespace, pods},
        exposure, limits, twin,
    },
    screen::note,
    store::{RunFolder, RunLock, StoreError},
    workloads::{Kind, caption},
};
use budget::Budget;
use eventing::Eventing;
use inputs::StoredInputs;
use load_from::Source;
use prepare::{Prepared, Sources, prepare};
use progress::Progress;

/// How a run is carried out; nothing in it changes what is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the run's parts are found.
    pub sources: Sources,
    /// Folder that gets the run's folder.
    pub runs_dir: PathBuf,
    /// Name of the run's folder; none: date, time and platforms.
    pub name: Option<String>,
    /// No progress.
    pub quiet: bool,
    /// A live screen, where there is a terminal for it.
    pub live: bool,
    /// The gateway's login, if flags or environment gave one.
    pub login: Option<Login>,
    /// Where each cell is to be shown as a span.
    pub grafana: Option<Grafana>,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The user asked for what cannot be; the message names the remedy.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<PlatformError> for RunError {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::Limit { .. } => Self::Usage(error.to_string()),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<ClusterError> for RunError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Api { .. } => Self::Failed(error.into()),
            ClusterError::None | ClusterError::Config(_) => Self::Usage(error.to_string()),
        }
    }
}

impl From<models::ManifestError> for RunError {
    fn from(error: models::ManifestError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Carries out an experiment.
///
/// # Errors
/// If it could not begin. Once cells are measured, what fails is in the run's report instead.
pub async fn run(
    experiment: Experiment,
    options: &Options,
    interrupt: Interrupt,
) -> Result<Finished, RunError> {
    let name = run_name(&experiment, options);
    carry_out(experiment, &name, None, options, interrupt).await
}

/// Goes on with the run in this folder, from its own plan.
///
/// # Errors
/// If there is no such run, another process measures in it, or what is there now is not what it began
/// with. A run that is whole gets its report anew.
pub async fn resume(path: &Path, options: &Options, interrupt: Interrupt) -> Result<Finished, RunError> {
    // Looked at once the folder is ours: until then another process may measure in it.
    let usage = |error: StoreError| RunError::Usage(error.to_string());
    let lock = Left::of(path)?.folder.lock().map_err(usage)?;
    let left = Left::of(path)?;
    if left.cells.is_empty() {
        if !options.quiet {
            note!("nothing is missing in {}; its report is made anew", path.display());
        }
        return rebuild(path);
    }
    let name = left.folder.id();
    carry_out(left.experiment.clone(), &name, Some((left, lock)), options, interrupt).await
}

async fn carry_out(
    mut experiment: Experiment,
    name: &str,
    left: Option<(Left, RunLock)>,
    options: &Options,
    interrupt: Interrupt,
) -> Result<Finished, RunError> {
    let mut progress = Progress::new(options.quiet);
    if options.live {
        let twin = (experiment.on == Site::Twin).then_some("the twin, not a cluster");
        progress = progress.with_screen(&experiment.title, twin);
    }
    let files = check(&experiment)?;
    progress.say(&describe(&experiment, left.as_ref().map(|(left, _)| left), &files));
    let ground = ground(&experiment, options, name).await?;
    if let Ground::Cluster(cluster) = &ground {
        progress.say(&cluster.describe());
        if left.is_some() {
            resume::clean_up(cluster, &|line| progress.say(line)).await?;
        }
        refuse_leftovers(cluster).await?;
    }
    let mut pinned = Vec::new();
    if experiment.on == Site::Cluster && left.is_none() {
        pinned = image::pin(&mut experiment, &|line| progress.say(line)).await?;
    }
    let mut prepared = prepare(&mut experiment, &options.sources, &|line| progress.say(line)).await?;
    let stored = inputs::store(&experiment, &mut prepared, name, &|line| progress.say(line)).await?;
    prepared.notices.extend(pinned.into_iter().chain(notices(&experiment)));
    prepared.files = files;
    let (found, collector) = look_around(&ground, &mut prepared).await;
    if experiment.load_from.place != LoadPlace::Here {
        prepared.generator = experiment.load_from.words();
    }
    let eventing = start_events(&experiment, &ground, stored.as_ref(), &mut prepared, &progress).await?;
    for notice in &prepared.notices {
        progress.say(&format!("note: {notice}"));
    }
    // From here on, whatever happens, the cluster is left as it was found.
    let leave = async || leave(&ground, eventing.as_ref(), stored.as_ref()).await;
    let begun = match left {
        Some((left, lock)) => {
            let now = audited(&experiment, &prepared, &found, &progress, &interrupt).await;
            left.take_up(&mut prepared, &now).map(|notices| {
                for notice in notices {
                    progress.say(&format!("note: {notice}"));
                }
                let Left { folder, cells, total, .. } = left;
                Begun { folder, cells, total, asked: BTreeSet::new(), _lock: lock }
            })
        }
        None => {
            begin(&mut experiment, &mut prepared, (name, options), (&ground, &found), &progress, &interrupt)
                .await
        }
    };
    let Begun { folder, cells, total, asked, _lock } = match begun {
        Ok(begun) => begun,
        Err(error) => {
            _ = leave().await;
            return Err(error);
        }
    };

    let on_cluster = if let Ground::Cluster(cluster) = &ground { Some(cluster.as_ref()) } else { None };
    let source = match Source::start(&experiment.load_from, on_cluster).await {
        Ok(source) => source,
        Err(error) => {
            _ = leave().await;
            return Err(error.into());
        }
    };
    progress.begin(budget::cells_estimate(&experiment, &cells));
    let annotator = options.grafana.as_ref().map(Annotator::new);
    let run = measure::Run {
        experiment: &experiment,
        prepared: &prepared,
        ground: &ground,
        collector: collector.as_ref(),
        folder: &folder,
        interrupt: &interrupt,
        total,
        asked: Mutex::new(asked),
        source: &source,
        eventing: eventing.as_ref(),
        annotator: annotator.as_ref(),
    };
    run.all(&cells, &mut progress).await;
    let ended = source.end().await.map_err(|error| error.to_string());
    for ended in [ended, leave().await, show_rest(annotator.as_ref(), &folder).await] {
        if let Err(error) = ended {
            progress.say(&format!("error: {error}"));
        }
    }
    progress.now("writing the report");
    let mut finished = publish::publish(&folder).map_err(|error| {
        let folder = folder.path().display();
        RunError::Failed(anyhow::Error::from(error).context(format!(
            "what was measured is in {folder}, but its report could not be made; mend the cause and call \
             `harness report {folder}`"
        )))
    })?;
    finished.interrupted = interrupt.is_raised();
    progress.finish();
    Ok(finished)
}

/// Sends the annotations that Grafana does not have yet.
async fn show_rest(annotator: Option<&Annotator<'_>>, folder: &RunFolder) -> Result<(), String> {
    let Some(annotator) = annotator else { return Ok(()) };
    annotator.finish(folder).await.map_err(|error| error.to_string())
}

/// What must be known of a run before it begins, as far as the experiment alone says it.
fn notices(experiment: &Experiment) -> impl Iterator<Item = String> {
    let exposed = (experiment.on == Site::Cluster).then(|| exposure::notice(experiment)).flatten();
    kept::notices(experiment).into_iter().chain(exposed).chain(reuse_notice(experiment))
}

/// The broker and the logger of a run with events; where they cannot be had, the cluster is left as it
/// was found.
async fn start_events(
    experiment: &Experiment,
    ground: &Ground,
    stored: Option<&StoredInputs>,
    prepared: &mut Prepared,
    progress: &Progress,
) -> Result<Option<Eventing>, RunError> {
    let started = Eventing::start(experiment, ground, prepared, &|line| progress.say(line)).await;
    if started.is_err() {
        // The first error says more than one of tidying up.
        _ = leave(ground, None, stored).await;
    }
    started
}

/// Takes away what the run made beside its functions.
async fn leave(
    ground: &Ground,
    eventing: Option<&Eventing>,
    stored: Option<&StoredInputs>,
) -> Result<(), String> {
    let mut left = Vec::new();
    if let Some(stored) = stored {
        left.extend(stored.remove().await.err());
    }
    if let Some(eventing) = eventing {
        left.extend(eventing.stop().await.err());
    }
    if let Ground::Cluster(cluster) = ground
        && let Err(error) = namespace::leave(&cluster.api, cluster.namespace(), &cluster.run).await
    {
        left.push(format!("the namespace stays behind, remove it with `harness clean`: {error}"));
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// What is found where the platforms are: versions of a cluster's parts, and its Prometheus. What must
/// be known of it becomes a notice.
async fn look_around(ground: &Ground, prepared: &mut Prepared) -> (serde_json::Value, Option<Collector>) {
    match ground {
        Ground::Twin => {
            prepared.notices.extend(twin::placement().notice);
            (serde_json::Value::Null, None)
        }
        Ground::Urls(_) => (serde_json::Value::Null, None),
        Ground::Cluster(cluster) => {
            let found = versions::versions(cluster).await;
            prepared.notices.extend(versions::notices(&found));
            if let Some(place) = found["generator"].as_str() {
                place.clone_into(&mut prepared.generator);
            }
            let collector = prometheus(cluster, &mut prepared.notices).await;
            (found, collector)
        }
    }
}

/// A run whose cells can be measured.
struct Begun {
    folder: RunFolder,
    cells: Vec<Cell>,
    /// Cells in the plan, also those that are there already.
    total: usize,
    /// Subjects whose answers were checked.
    asked: BTreeSet<String>,
    _lock: RunLock,
}

/// Makes the run's folder, settles rates and answers, and writes down the plan.
async fn begin(
    experiment: &mut Experiment,
    prepared: &mut Prepared,
    (name, options): (&str, &Options),
    (ground, found): (&Ground, &serde_json::Value),
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Begun, RunError> {
    let (folder, lock) = create_folder(name, options)?;
    let asked = match pilot_all(experiment, prepared, ground, progress, interrupt).await {
        Ok(asked) => asked,
        Err(error) => {
            // Nothing was measured: a folder without cells would only be in the way.
            folder.abandon(lock);
            return Err(error);
        }
    };
    let environment = audited(experiment, prepared, found, progress, interrupt).await;
    let cells = experiment::expand(experiment);
    folder.write_experiment(experiment).context("cannot write into the run's folder")?;
    folder.write_environment(&environment).context("cannot write into the run's folder")?;
    folder.write_plan(&cells).context("cannot write into the run's folder")?;
    Ok(Begun { folder, total: cells.len(), cells, asked, _lock: lock })
}

/// The environment, with what the harness measures of itself.
async fn audited(
    experiment: &Experiment,
    prepared: &Prepared,
    found: &serde_json::Value,
    progress: &Progress,
    interrupt: &Interrupt,
) -> serde_json::Value {
    progress.now("measuring the harness by itself");
    let by_itself = calibration::calibrate(experiment, prepared, interrupt).await;
    progress.say(&format!("the harness by itself, {}", by_itself.describe()));
    let unreadable = drive::blind_spots();
    if !unreadable.is_empty() {
        progress.say(&format!("note: this machine does not tell {}", unreadable.join(", ")));
    }
    let mut environment = environment(experiment, prepared, found);
    environment[itself::KEY] = serde_json::json!(by_itself);
    environment[itself::UNREADABLE_KEY] = serde_json::json!(unreadable);
    environment
}

/// The plan in words and what it costs; of a run that goes on, what is left.
pub fn describe(experiment: &Experiment, left: Option<&Left>, files: &Files) -> String {
    let cost = cost(experiment, left, files).describe();
    let mut plan = vec![budget::describe(experiment)];
    plan.extend(crate::analyse::foresight::lines(experiment));
    let plan = plan.join("\n");
    match left {
        Some(left) => [plan, left.describe(), cost].join("\n"),
        None => [plan, cost].join("\n"),
    }
}

/// What the plan, or what is left of it, costs if it starts now.
pub fn cost(experiment: &Experiment, left: Option<&Left>, files: &Files) -> Budget {
    let now = SystemTime::now();
    if let Some(left) = left {
        Budget::of(experiment, &left.cells, 0, files, now)
    } else {
        let cells = experiment::expand(experiment);
        Budget::of(experiment, &cells, budget::pilots(experiment), files, now)
    }
}

/// Checks, before anything is started, what a plan asks of the platforms and the manifest, and reads
/// the files that its load shapes replay.
///
/// # Errors
/// If a platform cannot do what a subject asks of it, there is no such model, or a file makes no sense.
pub fn check(experiment: &Experiment) -> Result<Files, RunError> {
    if experiment.function.model != AUTO {
        check_model(&models::Manifest::builtin()?, &experiment.function)?;
    }
    let common = spec::common(experiment, prepare::FUNCTION_NAME);
    for subject in &experiment.subjects {
        let wanted = spec::for_subject(&common, experiment, subject);
        let exposed = match experiment.on {
            Site::Cluster => exposure::accept(subject.platform, &wanted),
            Site::Twin => Ok(()),
        };
        let accepted = limits::accept(subject.platform, &wanted).and(exposed);
        accepted.map_err(|error| match &subject.variant {
            Some(variant) => RunError::Usage(format!("variant {variant}: {error}")),
            None => error.into(),
        })?;
    }
    let shapes = experiment.load.iter().map(|load| &load.arrivals);
    Files::parse(shapes, |file| std::fs::read_to_string(file))
        .map_err(|error| RunError::Usage(error.to_string()))
}

/// Refuses a model that the manifest does not know for the workload.
fn check_model(manifest: &models::Manifest, function: &FunctionChoice) -> Result<(), models::ManifestError> {
    if function.workload == caption::NAME {
        // A path is that of a folder of the user's own.
        if function.model.contains('/') {
            return Ok(());
        }
        return manifest.folder(&function.model).map(drop);
    }
    manifest.model(&function.model).map(drop)
}

/// What is lost where deployments are reused.
fn reuse_notice(experiment: &Experiment) -> Option<String> {
    experiment.reuse_deployments.then(|| {
        "One deployment of each subject served all of its trials (reuse-deployments), one subject after the other: \
         trials are not independent of each other, chance in placement and start-up is drawn once a subject, and a \
         drift of the machine strikes one subject more than another. Verdicts bear less than their intervals say."
            .to_owned()
    })
}

/// The core that the load generator is pinned to; none where it would have to share it anyway.
pub fn generator_core(experiment: &Experiment) -> Option<usize> {
    match experiment.on {
        Site::Twin => twin::placement().generator_core,
        Site::Cluster => None,
    }
}

/// What the function is sent, in a word.
fn input_word(experiment: &Experiment) -> &'static str {
    match (&experiment.function.own, experiment.function.workload.parse::<Kind>()) {
        (None, Ok(kind)) => kind.input(),
        _ => "payload",
    }
}

/// Subjects answer each input, and show what they can serve; the slowest sets the rates. All of
/// them, where a load point asks for a share of that; one, where only the right answers are not known;
/// else none: removing a pilot's deployment takes half a minute on a cluster. Returns the labels of
/// those that were asked.
///
/// One rate holds for all variants: a load point is the same load for every subject, so that it says
/// the same of each, and variants of one platform can be compared.
async fn pilot_all(
    experiment: &mut Experiment,
    prepared: &mut Prepared,
    ground: &Ground,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<BTreeSet<String>, RunError> {
    let for_rates = budget::pilots(experiment);
    let for_answers = usize::from(prepared.is_open());
    let mut slowest: Option<f64> = None;
    let mut asked = BTreeSet::new();
    for subject in experiment.subjects.clone().iter().take(for_rates.max(for_answers)) {
        if interrupt.is_raised() {
            return Err(interrupted());
        }
        let label = &subject.label;
        progress.now(&format!("pilot on {label}"));
        let mut platform = ground.platform(subject.platform);
        let tried = tokio::select! {
            tried = pilot_one(&mut platform, subject, experiment, prepared, interrupt) => tried,
            () = interrupt.raised() => Err(interrupted()),
        };
        let removed = platform.remove().await;
        let capacity = tried?;
        removed?;
        progress.say(&format!(
            "pilot: {label} answers every {} as expected and serves about {capacity:.0} requests/s",
            input_word(experiment)
        ));
        prepared.facts["pilot_rps"][&label] = capacity.into();
        slowest = Some(slowest.map_or(capacity, |s| s.min(capacity)));
        asked.insert(label.clone());
    }
    if for_rates > 0 {
        pilot::settle_rates(experiment, slowest.unwrap_or_default());
    }
    for load in experiment.load.iter().filter(|load| load.rate_share.is_some()) {
        if let Arrivals::Constant { rate } | Arrivals::Poisson { rate } = load.arrivals {
            progress.say(&format!("pilot: the rate of {} is set to {rate} requests/s", load.name));
        }
        if let Arrivals::Steps { rates } = &load.arrivals {
            progress.say(&format!("pilot: the rates of {} are set to {rates:?} requests/s", load.name));
        }
    }
    Ok(asked)
}

fn interrupted() -> RunError {
    RunError::Failed(anyhow::anyhow!("interrupted before anything was measured"))
}

async fn pilot_one(
    platform: &mut AnyPlatform,
    subject: &Subject,
    experiment: &Experiment,
    prepared: &mut Prepared,
    interrupt: &Interrupt,
) -> Result<f64, RunError> {
    let deployed = platform.deploy(&kept::for_pilot(prepared.spec_for(subject, experiment))).await?;
    let endpoint = deployed.endpoints.first().context("the platform named no endpoint")?;
    let method = &prepared.method;
    for sent in std::iter::once(&mut prepared.sent).chain(prepared.by_load.values_mut()) {
        let answered = pilot::ask_each(endpoint, method, sent, experiment.timeout).await?;
        pilot::settle_expected(sent, &answered, &subject.label)?;
    }
    Ok(pilot::capacity_rps(&deployed.endpoints, prepared, experiment, interrupt).await?)
}

/// Whether all that is compared is there already, and the load comes from no cluster either.
fn needs_no_cluster(experiment: &Experiment) -> bool {
    experiment.load_from.place != LoadPlace::Cluster
        && experiment.subjects.iter().all(|subject| subject.platform == PlatformKind::Endpoint)
}

/// The twin, or the cluster of the chosen context once it has answered.
async fn ground(experiment: &Experiment, options: &Options, run: &str) -> Result<Ground, RunError> {
    if experiment.on == Site::Twin {
        return Ok(Ground::Twin);
    }
    if needs_no_cluster(experiment) {
        return Ok(Ground::Urls(experiment.cluster.endpoints.clone()));
    }
    let cluster =
        Cluster::connect(experiment.cluster.clone(), options.login.clone(), RunLabel::new(run)).await?;
    Ok(Ground::Cluster(cluster.into()))
}

/// The cluster's Prometheus; without it the comparison goes on, and says so.
async fn prometheus(cluster: &Cluster, notices: &mut Vec<String>) -> Option<Collector> {
    let why = match Collector::connect(cluster).await {
        Ok(Some(collector)) => return Some(collector),
        Ok(None) => "no Prometheus was found (give its address as --prometheus URL)".to_owned(),
        Err(error) => error,
    };
    notices.push(format!(
        "Nothing comes from Prometheus: {why}. CPU and memory are the kubelets' own figures, and what the platforms \
         say of themselves is missing."
    ));
    None
}

/// While a cell runs, no other function of the testbed may be alive: it would take the CPU.
async fn refuse_leftovers(cluster: &Cluster) -> Result<(), RunError> {
    let mut found = Vec::new();
    for namespace in [cluster.namespace(), cluster.functions_namespace()] {
        let pods = pods::list(&cluster.api, namespace, &labels::any_run()).await;
        let pods = pods.map_err(|error| RunError::Failed(error.into()))?;
        found.extend(pods.into_iter().map(|pod| format!("{namespace}/{}", pod.name)));
    }
    match found.as_slice() {
        [] => Ok(()),
        pods => Err(RunError::Usage(format!(
            "pods of another run are alive ({}): they would disturb the measurement; remove them with \
             `harness clean --all`, or wait for that run to end",
            pods.join(", ")
        ))),
    }
}

fn run_name(experiment: &Experiment, options: &Options) -> String {
    options.name.clone().unwrap_or_else(|| {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let compact: String = now.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
        let platforms = label_subjects(&experiment.platforms());
        let mut words: Vec<&str> = platforms.iter().map(|s| s.label.as_str()).collect();
        // Not each subject: a folder's name has 255 letters at most.
        words.extend((!experiment.variants.is_empty()).then_some("varied"));
        format!("{}-{}", compact.replace('T', "-"), words.join("-"))
    })
}

fn create_folder(name: &str, options: &Options) -> Result<(RunFolder, RunLock), RunError> {
    if options.runs_dir.join(name).exists() {
        return Err(RunError::Usage(format!(
            "{} is there already; choose another --name, or leave it out (a run that was stopped goes on with --resume)",
            options.runs_dir.join(name).display()
        )));
    }
    let folder = RunFolder::create(&options.runs_dir, name).with_context(|| {
        format!("cannot make a run folder in {}; choose another with --runs-dir", options.runs_dir.display())
    })?;
    let lock = folder.lock().context("cannot write into the run's folder")?;
    Ok((folder, lock))
}

fn environment(
    experiment: &Experiment,
    prepared: &Prepared,
    cluster: &serde_json::Value,
) -> serde_json::Value {
    let harness = std::env::current_exe().ok();
    let digest = harness.as_deref().and_then(|p| crate::collect::environment::sha256_file(p).ok());
    let placement = twin::placement();
    serde_json::json!({
        "schema_version": crate::store::SCHEMA_VERSION,
        "started_at": resume::now(),
        "harness": { "version": env!("CARGO_PKG_VERSION"), "sha256": digest },
        "function": prepared.facts,
        "machine": Machine::observe(),
        "cluster": cluster,
        "generator": match experiment.on {
            Site::Twin => serde_json::json!({ "core": placement.generator_core, "other_cores": placement.rest }),
            Site::Cluster => serde_json::json!({ "core": "any" }),
        },
        "command": command_line(),
        "seed": experiment.seed,
        "site": experiment.on,
        "notices": prepared.notices,
        "expected": prepared.sent.describe(),
        "expected_of_load_points": prepared.by_load.iter().map(|(load, sent)| (load, sent.describe()))
            .collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// The command that repeats this run. Flags hold no secrets: there is none for a password.
fn command_line() -> String {
    let quote = |word: String| if word.contains([' ', '\'', '"']) { format!("{word:?}") } else { word };
    let words = std::env::args().skip(1).map(quote);
    std::iter::once("harness".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}
