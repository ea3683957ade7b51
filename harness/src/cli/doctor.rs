//! `harness doctor`: is everything there that a comparison on a cluster needs?

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
};

use super::{CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output};
use crate::{
    doctor::{self, Finding, Verdict, Wishes},
    platforms::{
        PlatformKind,
        cluster::{ClusterChoice, RunLabel},
    },
    screen::{out, show},
};

/// Width of the column with names.
const NAMES: usize = 21;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness doctor
  harness doctor --platforms knative --image registry.example/function:v1 --replicas 4
  harness doctor --context lab --gateway http://10.0.0.7:31112 --output json

It changes nothing on the cluster.

Exit code: 0 nothing FAILs, 1 something does, 2 bad usage.")]
pub struct Args {
    /// Platforms that are to be compared
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "knative,openfaas")]
    platforms: Vec<PlatformKind>,
    /// Image that is to be deployed
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// CPU of a replica, cores
    #[arg(long, value_name = "CORES", default_value_t = 1.0)]
    cpu: f64,
    /// Replicas at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    replicas: u32,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if !(args.cpu > 0.0 && args.cpu.is_finite()) || args.replicas == 0 {
        return Err(CliError::Usage("--cpu and --replicas want to be above 0".to_owned()));
    }
    let findings = super::block_on(examine(args))?;
    if args.output == Output::Json {
        out!("{}", super::json(&findings));
    } else {
        show!("{}", closing(&findings));
    }
    let fails = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if fails { Exit::Failed } else { Exit::Valid })
}

async fn examine(args: &Args) -> Result<Vec<Finding>, CliError> {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let tell = |finding: &Finding| {
        if args.output == Output::Text {
            show!("{}", line(finding, colours));
            // A screen that is gone is no reason to stop.
            _ = std::io::stdout().flush();
        }
    };
    let choice = args.cluster.over(ClusterChoice::default());
    crate::experiment::check_choice(&choice).map_err(|error| CliError::Usage(error.to_string()))?;
    let login = args.cluster.login()?;
    let cluster =
        match crate::platforms::cluster::Cluster::connect(choice, login, RunLabel::new("doctor")).await {
            Ok(cluster) => cluster,
            Err(error) => {
                let finding = doctor::unreachable(&error);
                tell(&finding);
                return Ok(vec![finding]);
            }
        };
    let wishes = Wishes {
        platforms: args.platforms.clone(),
        cpu_cores: args.cpu,
        replicas: args.replicas,
        image: args.image.clone(),
    };
    Ok(doctor::examine(&cluster, &wishes, tell).await)
}

/// A finding in a line, with its remedy under it.
fn line(finding: &Finding, colours: bool) -> String {
    let word = finding.verdict.word();
    let word = format!("{word:<8}");
    let word = match (colours, finding.verdict) {
        (false, _) => word,
        (true, Verdict::Ok) => format!("\x1b[32m{word}\x1b[0m"),
        (true, Verdict::Warn) => format!("\x1b[33m{word}\x1b[0m"),
        (true, Verdict::Fail) => format!("\x1b[31m{word}\x1b[0m"),
        (true, Verdict::Skipped) => format!("\x1b[2m{word}\x1b[0m"),
    };
    let mut out = format!("{word}{:<NAMES$}{}\n", finding.check, finding.says);
    if let Some(remedy) = &finding.remedy {
        _ = writeln!(out, "{:indent$}-> {remedy}", "", indent = 8 + NAMES);
    }
    out
}

/// The last line.
fn closing(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => "\nEverything is there.\n".to_owned(),
        (0, warns) => format!("\nA comparison works; {warns} to be looked at (WARN).\n"),
        (fails, _) => format!("\nA comparison would fail: {fails} to be mended first (FAIL).\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &'static str, verdict: Verdict, says: &str, remedy: Option<&str>) -> Finding {
        Finding { check, verdict, says: says.to_owned(), remedy: remedy.map(str::to_owned) }
    }

    #[test]
    fn findings_read_like_this() {
        let findings = [
            finding(
                "API server",
                Verdict::Ok,
                "Kubernetes v1.36.2, context lab at https://10.0.0.1:6443",
                None,
            ),
            finding("room", Verdict::Fail, "0.20 cores are not requested", Some("lower --cpu or --replicas")),
            finding("Knative Serving", Verdict::Skipped, "not asked for", None),
        ];
        let text: String = findings.iter().map(|f| line(f, false)).chain([closing(&findings)]).collect();
        insta::assert_snapshot!(text, @r"
        OK      API server           Kubernetes v1.36.2, context lab at https://10.0.0.1:6443
        FAIL    room                 0.20 cores are not requested
                                     -> lower --cpu or --replicas
        skipped Knative Serving      not asked for

        A comparison would fail: 1 to be mended first (FAIL).
        ");
        assert!(line(&findings[0], true).starts_with("\x1b[32mOK"));
    }
}
