//! `harness deploy`: one function on one platform, left there for whoever wants to look at it.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use super::{
    CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output, function_args::FunctionArgs,
};
use crate::{
    admin::{BY_HAND, function_spec},
    drive::Endpoint,
    experiment::{self, Experiment},
    platforms::{
        Deployed, FunctionSpec, Ground, Platform, PlatformKind, cluster::RunLabel, exposure, limits,
    },
    runner::image::refuse_hidden_grading,
    screen::{note, out, show},
};

/// Name of a function that nobody named.
pub(super) const FUNCTION_NAME: &str = "classify";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness deploy knative --image REGISTRY/function@sha256:DIGEST
  harness deploy knative --image REGISTRY/function:1 --min-replicas 0 --set knative.window=30s
  harness deploy openfaas --image REGISTRY/function:1 --replicas 2
  harness deploy deployment --experiment mine.toml

It stays there: call it with `harness invoke PLATFORM`, take it away with `harness remove PLATFORM`.")]
pub struct Args {
    /// The platform
    #[arg(value_enum)]
    platform: PlatformKind,
    #[command(flatten)]
    what: WhatArgs,
    /// Name of the run that it belongs to, as a label
    #[arg(long, value_name = "NAME", default_value = BY_HAND)]
    run: String,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What `deploy` and `export` put on a platform.
#[derive(Debug, clap::Args)]
pub(super) struct WhatArgs {
    /// Experiment file (TOML) with the function's settings; flags override it
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    /// Name of the function
    #[arg(long, value_name = "NAME", default_value = FUNCTION_NAME)]
    name: String,
    #[command(flatten)]
    function: FunctionArgs,
}

impl WhatArgs {
    /// The experiment of one platform, and the function in it.
    ///
    /// # Errors
    /// If the file, a flag or the plan makes no sense on this platform.
    pub(super) fn spec(
        &self,
        platform: PlatformKind,
        cluster: &ClusterArgs,
    ) -> Result<(Experiment, FunctionSpec), CliError> {
        let usage = |error: experiment::ExperimentError| CliError::Usage(error.to_string());
        let mut e = match &self.experiment {
            Some(path) => experiment::load_file(path, None).map_err(usage)?,
            None => Experiment::default(),
        };
        e.set_platforms(&[platform]);
        e.set_variants(Vec::new());
        e.stop_early = None;
        e.settings.retain(|other, _| *other == platform);
        if platform != PlatformKind::Knative {
            e.revisions.clear();
        }
        self.function.apply(&mut e)?;
        e.cluster = cluster.over(e.cluster);
        experiment::validate(&e).map_err(usage)?;
        let spec = function_spec(&e, platform, &self.name);
        limits::accept(platform, &spec)?;
        exposure::accept(platform, &spec)?;
        spec.image_for(platform)?;
        Ok((e, spec))
    }
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if args.platform == PlatformKind::Endpoint {
        return Err(CliError::Usage(
            "an endpoint is there already; call it with `harness invoke URL`, or name knative, openfaas or deployment"
                .into(),
        ));
    }
    let (e, spec) = args.what.spec(args.platform, &args.cluster)?;
    super::block_on(async {
        for notice in refuse_hidden_grading(&e).await? {
            note!("note: {notice}");
        }
        let cluster = args.cluster.connect(e.cluster.clone(), RunLabel::new(&args.run)).await?;
        note!("{}", cluster.describe());
        note!("deploying {} on {}", spec.name, args.platform.name());
        if let Some(notice) = exposure::notice(&e) {
            note!("note: {notice}");
        }
        let mut platform = Ground::Cluster(cluster.into()).platform(args.platform);
        let deployed = platform.deploy(&spec).await.inspect_err(|_| {
            note!(
                "what was applied until then stays for a look at it (`harness status`); `harness remove {}` takes it away",
                args.platform.name()
            );
        })?;
        match args.output {
            Output::Text => show!("{}", page(args.platform, &spec.name, &deployed)),
            Output::Json => out!(
                "{}",
                super::json(&serde_json::json!({
                    "platform": args.platform, "name": spec.name, "run": args.run,
                    "endpoints": deployed.endpoints,
                    "ready_after_ms": deployed.ready_after.as_secs_f64() * 1e3,
                    "curl": deployed.endpoints.first().map(curl),
                    "settings": deployed.settings,
                }))
            ),
        }
        Ok(Exit::Valid)
    })
}

/// For people.
fn page(platform: PlatformKind, name: &str, deployed: &Deployed) -> String {
    let mut text =
        format!("{name} is ready on {} after {:.1} s\n", platform.name(), deployed.ready_after.as_secs_f64());
    for endpoint in &deployed.endpoints {
        // Writing to a String cannot fail.
        _ = writeln!(text, "url     {}", endpoint.url);
        for (header, value) in &endpoint.headers {
            _ = writeln!(text, "header  {header}: {value}");
        }
        _ = writeln!(text, "try     {}", curl(endpoint));
    }
    text + &settings(&deployed.settings)
}

fn settings(settings: &BTreeMap<String, String>) -> String {
    let width = settings.keys().map(String::len).max().unwrap_or(0);
    let lines = settings.iter().map(|(key, value)| format!("  {key:<width$}  {value}\n"));
    format!("settings in force:\n{}", lines.collect::<String>())
}

/// A line to paste into a shell.
fn curl(endpoint: &Endpoint) -> String {
    let headers =
        endpoint.headers.iter().map(|(name, value)| format!(" -H {}", quote(&format!("{name}: {value}"))));
    format!("curl --data-binary @picture.jpg{} {}", headers.collect::<String>(), quote(&endpoint.url))
}

/// A word of a POSIX shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_page_has_a_line_to_paste() {
        let deployed = Deployed {
            endpoints: vec![Endpoint {
                url: "http://10.0.0.1:31080/predict?top=5".into(),
                headers: vec![("Host".into(), "classify.testbed.example.com".into())],
            }],
            ready_after: Duration::from_millis(2345),
            settings: BTreeMap::from([("cpu_cores".into(), "1".into()), ("memory_mib".into(), "512".into())]),
            pods: None,
        };
        insta::assert_snapshot!(page(PlatformKind::Knative, "classify", &deployed), @r"
        classify is ready on knative after 2.3 s
        url     http://10.0.0.1:31080/predict?top=5
        header  Host: classify.testbed.example.com
        try     curl --data-binary @picture.jpg -H 'Host: classify.testbed.example.com' 'http://10.0.0.1:31080/predict?top=5'
        settings in force:
          cpu_cores   1
          memory_mib  512
        ");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
