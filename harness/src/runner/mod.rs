//! The pipeline: prepare, pilot, plan, then deploy and measure cell by cell, then report.

mod calibration;
pub mod function_binary;
mod image;
pub mod live;
pub mod load_from;
pub mod measure;
mod null;
mod own;
pub mod pilot;
pub mod prepare;
mod procedures;
pub mod progress;
mod publish;
pub mod spec;
pub mod verdict;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::Context;

pub use publish::{Finished, rebuild};

use crate::{
    analyse::itself,
    collect::{environment::Machine, prometheus::Collector, versions},
    drive::{self, shapes::Files},
    experiment::{self, Arrivals, Experiment, LoadPlace, LoadPoint, Site, Subject},
    interrupt::Interrupt,
    platforms::{
        AnyPlatform, Ground, Platform, PlatformError, PlatformKind,
        cluster::{Cluster, ClusterError, Login, RunLabel, labels, namespace, pods},
        limits, twin,
    },
    store::RunFolder,
};
use load_from::Source;
use prepare::{Expected, Prepared, Sources, prepare};
use progress::Progress;

/// In place of a model's or picture set's name: the first that is found.
const AUTO: &str = "auto";

/// Deploying and removing, per deployment: what the plan's estimate allows for it. On a cluster,
/// most of it is waiting until terminating pods are gone.
fn deploy_estimate(site: Site) -> Duration {
    match site {
        Site::Twin => Duration::from_millis(4500),
        Site::Cluster => Duration::from_secs(40),
    }
}

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
    mut experiment: Experiment,
    options: &Options,
    interrupt: Interrupt,
) -> Result<Finished, RunError> {
    let mut progress = Progress::new(options.quiet);
    if options.live {
        let twin = (experiment.on == Site::Twin).then_some("the twin, not a cluster");
        progress = progress.with_screen(&experiment.title, twin);
    }
    progress.say(&describe(&experiment));
    check_names(&experiment)?;
    let shapes = experiment.load.iter().map(|load| &load.arrivals);
    let files = Files::parse(shapes, |file| std::fs::read_to_string(file))
        .map_err(|error| RunError::Usage(error.to_string()))?;
    let name = run_name(&experiment, options);
    let ground = ground(&experiment, options, &name).await?;
    if let Ground::Cluster(cluster) = &ground {
        progress.say(&cluster.describe());
        refuse_leftovers(cluster).await?;
    }
    let mut pinned = Vec::new();
    if experiment.on == Site::Cluster {
        pinned.extend(image::pin(&mut experiment, &|line| progress.say(line)).await?);
    }
    let mut prepared = prepare(&mut experiment, &options.sources, &|line| progress.say(line)).await?;
    prepared.notices.extend(pinned);
    prepared.files = files;
    let mut collector = None;
    let found = match &ground {
        Ground::Twin => {
            prepared.notices.extend(twin::placement().notice);
            serde_json::Value::Null
        }
        Ground::Urls(_) => serde_json::Value::Null,
        Ground::Cluster(cluster) => {
            let found = versions::versions(cluster).await;
            prepared.notices.extend(versions::notices(&found));
            if let Some(place) = found["generator"].as_str() {
                place.clone_into(&mut prepared.generator);
            }
            collector = prometheus(cluster, &mut prepared.notices).await;
            found
        }
    };
    if experiment.load_from.place != LoadPlace::Here {
        prepared.generator = experiment.load_from.words();
    }
    for subject in &experiment.subjects {
        limits::accept(subject.platform, &prepared.spec_for(subject.platform, &experiment))?;
    }
    let folder = create_folder(&name, options)?;
    for notice in &prepared.notices {
        progress.say(&format!("note: {notice}"));
    }
    // From here on, whatever happens, the cluster is left as it was found.
    let leave = async || {
        let Ground::Cluster(cluster) = &ground else { return Ok(()) };
        namespace::leave(&cluster.api, cluster.namespace(), &cluster.run).await.map(|_| ())
    };
    if let Err(error) = pilot_all(&mut experiment, &mut prepared, &ground, &progress, &interrupt).await {
        // Nothing was measured: an empty folder would only be in the way (it stays if it is not empty).
        let _ = std::fs::remove_dir(folder.path());
        _ = leave().await;
        return Err(error);
    }

    progress.now("measuring the harness by itself");
    let by_itself = calibration::calibrate(&experiment, &prepared, &interrupt).await;
    progress.say(&format!("the harness by itself, {}", by_itself.describe()));
    let unreadable = drive::blind_spots();
    if !unreadable.is_empty() {
        progress.say(&format!("note: this machine does not tell {}", unreadable.join(", ")));
    }

    let cells = experiment::expand(&experiment);
    folder.write_experiment(&experiment).context("cannot write into the run's folder")?;
    let mut environment = environment(&experiment, &prepared, &found);
    environment[itself::KEY] = serde_json::json!(by_itself);
    environment[itself::UNREADABLE_KEY] = serde_json::json!(unreadable);
    folder
        .write_environment(&environment)
        .context("cannot write into the run's folder")?;
    folder.write_plan(&cells).context("cannot write into the run's folder")?;

    let on_cluster = match &ground {
        Ground::Cluster(cluster) => Some(cluster.as_ref()),
        Ground::Twin | Ground::Urls(_) => None,
    };
    let source = match Source::start(&experiment.load_from, on_cluster).await {
        Ok(source) => source,
        Err(error) => {
            _ = leave().await;
            return Err(error.into());
        }
    };
    progress.begin(cells_estimate(&experiment));
    let run = measure::Run {
        experiment: &experiment,
        prepared: &prepared,
        ground: &ground,
        collector: collector.as_ref(),
        folder: &folder,
        interrupt: &interrupt,
        total: cells.len(),
        source: &source,
    };
    run.all(&cells, &mut progress).await;
    if let Err(error) = source.end().await {
        progress.say(&format!("error: {error}"));
    }
    if let Err(error) = leave().await {
        progress.say(&format!("error: the namespace stays behind, remove it with `harness clean`: {error}"));
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

/// The plan in words, and how long it takes.
pub fn describe(experiment: &Experiment) -> String {
    let labels: Vec<_> = experiment.subjects.iter().map(|s| s.label.as_str()).collect();
    let site = match experiment.on {
        Site::Twin => "the twin (an embedded stand-in on this machine, not a cluster)",
        Site::Cluster if needs_no_cluster(experiment) => "URLs that are there already",
        Site::Cluster => "the cluster of the current context",
    };
    let mut lines = vec![
        format!("{}: {} on {site}", experiment.title, labels.join(" and ")),
        format!(
            "plan: {} trials a platform, interleaved in random order (seed {}), fresh replicas each; {} cells",
            experiment.trials,
            experiment.seed,
            experiment::expand(experiment).len()
        ),
    ];
    for load in &experiment.load {
        lines.push(format!(
            "  {}: {} (primary metric: {})",
            load.name,
            load.question,
            load.primary_metric.title()
        ));
    }
    let seconds = estimate(experiment).as_secs().div_ceil(10) * 10;
    lines.push(format!(
        "this takes about {}, building apart",
        humantime::format_duration(Duration::from_secs(seconds))
    ));
    lines.join("\n")
}

/// How long the run takes, building apart.
pub fn estimate(experiment: &Experiment) -> Duration {
    let pilot = deploy_estimate(experiment.on) + pilot::WARMUP + pilot::DURATION;
    pilot * experiment.subjects.len() as u32 + calibration::DURATION + cells_estimate(experiment)
}

fn cells_estimate(experiment: &Experiment) -> Duration {
    let load: Duration = experiment.load.iter().map(LoadPoint::estimate).sum();
    (load + deploy_estimate(experiment.on)) * experiment.subjects.len() as u32 * experiment.trials
}

/// The core that the load generator is pinned to; none where it would have to share it anyway.
pub fn generator_core(experiment: &Experiment) -> Option<usize> {
    match experiment.on {
        Site::Twin => twin::placement().generator_core,
        Site::Cluster => None,
    }
}

/// Every subject answers each picture, and shows what it can serve; the slowest sets the rates.
async fn pilot_all(
    experiment: &mut Experiment,
    prepared: &mut Prepared,
    ground: &Ground,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<(), RunError> {
    let mut slowest: Option<f64> = None;
    for Subject { label, platform, .. } in experiment.subjects.clone() {
        if interrupt.is_raised() {
            return Err(interrupted());
        }
        progress.now(&format!("pilot on {label}"));
        let kind = platform;
        let mut platform = ground.platform(kind);
        let tried = tokio::select! {
            tried = pilot_one(&mut platform, (kind, &label), experiment, prepared, interrupt) => tried,
            () = interrupt.raised() => Err(interrupted()),
        };
        let removed = platform.remove().await;
        let capacity = tried?;
        removed?;
        progress.say(&format!(
            "pilot: {label} answers every picture as expected and serves about {capacity:.0} requests/s"
        ));
        slowest = Some(slowest.map_or(capacity, |s| s.min(capacity)));
    }
    pilot::settle_rates(experiment, slowest.unwrap_or_default());
    for load in experiment.load.iter().filter(|load| load.rate_share.is_some()) {
        if let Arrivals::Constant { rate } | Arrivals::Poisson { rate } = load.arrivals {
            progress.say(&format!("pilot: the rate of {} is set to {rate} requests/s", load.name));
        }
    }
    Ok(())
}

fn interrupted() -> RunError {
    RunError::Failed(anyhow::anyhow!("interrupted before anything was measured"))
}

async fn pilot_one(
    platform: &mut AnyPlatform,
    (kind, label): (PlatformKind, &str),
    experiment: &Experiment,
    prepared: &mut Prepared,
    interrupt: &Interrupt,
) -> Result<f64, RunError> {
    let deployed = platform.deploy(&prepared.spec_for(kind, experiment)).await?;
    let endpoint = deployed.endpoints.first().context("the platform named no endpoint")?;
    let answered = pilot::ask_each(endpoint, prepared, experiment.timeout).await?;
    pilot::settle_expected(prepared, &answered, label)?;
    Ok(pilot::capacity_rps(&deployed.endpoints, prepared, experiment, interrupt).await?)
}

fn check_names(experiment: &Experiment) -> Result<(), RunError> {
    if experiment.function.model != AUTO {
        models::Manifest::builtin()?.model(&experiment.function.model)?;
    }
    Ok(())
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
        let labels: Vec<_> = experiment.subjects.iter().map(|s| s.label.as_str()).collect();
        format!("{}-{}", compact.replace('T', "-"), labels.join("-"))
    })
}

fn create_folder(name: &str, options: &Options) -> Result<RunFolder, RunError> {
    if options.runs_dir.join(name).exists() {
        return Err(RunError::Usage(format!(
            "{} is there already; choose another --name, or leave it out",
            options.runs_dir.join(name).display()
        )));
    }
    let folder = RunFolder::create(&options.runs_dir, name).with_context(|| {
        format!("cannot make a run folder in {}; choose another with --runs-dir", options.runs_dir.display())
    })?;
    Ok(folder)
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
        "started_at": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
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
        "expected": match &prepared.expected {
            Expected::Classes(classes) => serde_json::json!(
                prepared.payloads.iter().map(|p| p.name.clone()).zip(classes.iter().cloned())
                    .collect::<std::collections::BTreeMap<_, _>>()),
            Expected::Checksum => serde_json::json!("the number of bytes that were sent, and their checksum"),
            Expected::Text(text) => serde_json::json!({ "success, with this text in it": text }),
        },
    })
}

/// The command that repeats this run. Flags hold no secrets: there is none for a password.
fn command_line() -> String {
    let quote = |word: String| if word.contains([' ', '\'', '"']) { format!("{word:?}") } else { word };
    let words = std::env::args().skip(1).map(quote);
    std::iter::once("harness".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}
