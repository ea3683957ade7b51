//! The flags that `compare` and `run` share, and how they override an experiment file.

use std::{path::PathBuf, time::Duration};

use models::Places;

use super::{
    CliError, cluster_args::ClusterArgs, connection_args::ConnectionArgs, function_args::FunctionArgs,
    grafana_args::GrafanaArgs, load_from_args::LoadFromArgs, matrix_args::MatrixArgs,
    question_args::QuestionArgs, screen_args::ScreenArgs, verdict_args::VerdictArgs,
};
use crate::{
    experiment::{self, Arrivals, Experiment, Site},
    platforms::PlatformKind,
    runner::{Options, prepare::Sources},
};

/// Flags of one experiment.
#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Where the platforms are: the cluster of the current context, or the embedded twin
    #[arg(long, value_name = "WHERE", value_enum)]
    pub on: Option<Site>,
    /// Experiment file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    pub experiment: Option<PathBuf>,
    #[command(flatten)]
    pub question: QuestionArgs,
    /// Fresh deployments of each platform
    #[arg(long, value_name = "N")]
    pub trials: Option<u32>,
    /// Seed of everything random: order, arrival times, payloads, bootstrap
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub function: FunctionArgs,
    /// Length of every measured interval, for example 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Connections of the closed-loop load points
    #[arg(long, value_name = "N")]
    pub connections: Option<u32>,
    /// Rate of the constant and Poisson load points, requests/s (default: half of what the pilot serves)
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// Deadline of each request
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Model by its name in the manifest (default: the first that is found; see `harness models list`)
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Pictures: a set by its name in the manifest, or a folder (default: the first that is found)
    #[arg(long, value_name = "SET|DIR")]
    pub pictures: Option<String>,
    /// Folder with model files [env: MODELS_DIR]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// Folder with picture files [env: PICTURES_DIR]
    #[arg(long, value_name = "DIR")]
    pub pictures_dir: Option<PathBuf>,
    /// Download nothing
    #[arg(long)]
    pub offline: bool,
    /// The function's binary (default: built from this workspace)
    #[arg(long, value_name = "FILE")]
    pub function_binary: Option<PathBuf>,
    /// Folder that gets the run's folder
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs_dir: PathBuf,
    /// Name of the run's folder (default: date, time and platforms)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print the plan, its order and its cost, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// No progress, only the result
    #[arg(long, short)]
    pub quiet: bool,
    /// What is printed at the end
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
    #[command(flatten)]
    pub matrix: MatrixArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub screen: ScreenArgs,
    #[command(flatten)]
    pub load_from: LoadFromArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub verdict: VerdictArgs,
    #[command(flatten)]
    pub grafana: GrafanaArgs,
}

/// Form of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl ExperimentArgs {
    /// The experiment of the file with the flags applied, validated.
    pub fn experiment(&self, platforms: Option<&[PlatformKind]>) -> Result<Experiment, CliError> {
        let usage = |error: experiment::ExperimentError| CliError::Usage(error.to_string());
        let mut e = match &self.experiment {
            Some(path) => experiment::load_file(path, self.on).map_err(usage)?,
            None => self.question.experiment(self.on.unwrap_or(Site::Cluster)),
        };
        if let Some(platforms) = platforms {
            e.set_platforms(platforms);
            // A file for two platforms may be run on one of them.
            e.settings.retain(|platform, _| platforms.contains(platform));
            if !platforms.contains(&PlatformKind::Knative) {
                e.revisions.clear();
            }
        }
        set(&mut e.on, self.on);
        set(&mut e.trials, self.trials);
        set(&mut e.seed, self.seed);
        set(&mut e.timeout, self.timeout);
        self.function.apply(&mut e)?;
        self.matrix.apply(&mut e)?;
        self.question.apply(&mut e)?;
        e.cluster = self.cluster.over(e.cluster);
        e.connection = self.connection.over(e.connection);
        e.load_from = self.load_from.over(e.load_from);
        set(&mut e.function.model, self.model.clone());
        set(&mut e.function.pictures, self.pictures.clone());
        for load in &mut e.load {
            set(&mut load.duration, self.duration);
            match &mut load.arrivals {
                Arrivals::Closed { connections, .. } => {
                    if let Some(n) = self.connections {
                        // A name that states the number must not lie about it.
                        load.name =
                            load.name.replace(&format!("closed-{connections}"), &format!("closed-{n}"));
                        *connections = n;
                    }
                }
                Arrivals::Constant { rate } | Arrivals::Poisson { rate } => {
                    if let Some(r) = self.rate {
                        *rate = r;
                        load.rate_share = None;
                    }
                }
                _ => {}
            }
        }
        self.verdict.apply(&mut e)?;
        experiment::validate(&e).map_err(usage)?;
        Ok(e)
    }

    /// Where the run's parts are found.
    pub fn sources(&self) -> Sources {
        let mut places = Places::from_env();
        if self.models_dir.is_some() {
            places.models_dir.clone_from(&self.models_dir);
        }
        if self.pictures_dir.is_some() {
            places.pictures_dir.clone_from(&self.pictures_dir);
        }
        places.download &= !self.offline;
        Sources { function_binary: self.function_binary.clone(), places }
    }

    /// How the run is carried out.
    ///
    /// # Errors
    /// If the gateway's password cannot be read.
    pub fn options(&self) -> Result<Options, CliError> {
        Ok(Options {
            sources: self.sources(),
            runs_dir: self.runs_dir.clone(),
            name: self.name.clone(),
            quiet: self.quiet,
            live: !self.screen.no_live,
            login: self.cluster.login()?,
            grafana: self.grafana.grafana()?,
        })
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
