//! `harness doctor`: is everything there that a comparison on a cluster needs?

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    path::PathBuf,
};

use super::{CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output};
use crate::{
    doctor::{self, Finding, Verdict, Wishes},
    experiment::{self, Experiment, Site, Via, events::BrokerClass},
    platforms::{PlatformKind, cluster::RunLabel},
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
  harness doctor --events Kafka                       also what emitting events needs
  harness doctor --storage --s3-endpoint http://minio.minio.svc:9000 --s3-bucket testbed
  harness doctor --experiment experiment.toml         whatever that experiment needs

It changes nothing on the cluster; --storage writes one small object and removes it.

Exit code: 0 nothing FAILs, 1 something does, 2 bad usage.")]
pub struct Args {
    /// Experiment whose platforms, size, image, events and storage are to be there
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    /// Platforms that are to be compared [default: knative,openfaas, or the experiment's]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    platforms: Vec<PlatformKind>,
    /// Image that is to be deployed
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// CPU of a replica, cores [default: 1, or the experiment's]
    #[arg(long, value_name = "CORES")]
    cpu: Option<f64>,
    /// Replicas at once [default: 1, or the experiment's]
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// Look also at Knative Eventing, for a broker of this class
    #[arg(long, value_name = "CLASS", value_parser = broker_class, num_args = 0..=1,
          default_missing_value = BrokerClass::Channel.name())]
    events: Option<BrokerClass>,
    /// Look also at the object storage that --inputs storage needs (--s3-endpoint, --s3-bucket)
    #[arg(long)]
    storage: bool,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if args.cpu.is_some_and(|cpu| !(cpu > 0.0 && cpu.is_finite())) || args.replicas == Some(0) {
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
    let file = match &args.experiment {
        Some(path) => Some(
            experiment::load_file(path, Some(Site::Cluster))
                .map_err(|error| CliError::Usage(error.to_string()))?,
        ),
        None => None,
    };
    let wishes = wishes(args, file.as_ref());
    let choice = args.cluster.over(file.map(|file| file.cluster).unwrap_or_default());
    experiment::check_choice(&choice).map_err(|error| CliError::Usage(error.to_string()))?;
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
    Ok(doctor::examine(&cluster, &wishes, tell).await)
}

/// What is to be there: what the flags say, else the experiment, else a usual comparison.
fn wishes(args: &Args, file: Option<&Experiment>) -> Wishes {
    let platforms = match (args.platforms.as_slice(), file) {
        ([], Some(file)) => file.platforms(),
        ([], None) => vec![PlatformKind::Knative, PlatformKind::OpenFaas],
        (given, _) => given.to_vec(),
    };
    Wishes {
        platforms,
        cpu_cores: args.cpu.or(file.map(|file| file.function.cpu_cores)).unwrap_or(1.0),
        replicas: args.replicas.or(file.map(|file| file.replicas.max)).unwrap_or(1),
        image: args.image.clone().or_else(|| file?.function.image.clone()),
        events: args.events.or_else(|| Some(file?.events.as_ref()?.broker_class)),
        storage: args.storage || file.is_some_and(|file| file.function.inputs == Via::Storage),
    }
}

fn broker_class(name: &str) -> Result<BrokerClass, String> {
    let classes = [BrokerClass::Channel, BrokerClass::Kafka];
    classes.into_iter().find(|class| class.name() == name).ok_or_else(|| {
        format!("there is no class '{name}'; there are: {}", classes.map(BrokerClass::name).join(", "))
    })
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

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn wished(flags: &str, file: Option<&str>) -> Wishes {
        let line: Line =
            clap::Parser::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap();
        let file = file.map(|text| experiment::parse(text, "x.toml").unwrap());
        wishes(&line.args, file.as_ref())
    }

    #[test]
    fn an_experiment_says_what_is_to_be_there_and_flags_count_more() {
        let plain = wished("", None);
        assert_eq!(plain.platforms, [PlatformKind::Knative, PlatformKind::OpenFaas]);
        assert_eq!((plain.events, plain.storage, plain.replicas), (None, false, 1));
        assert_eq!(wished("--events", None).events, Some(BrokerClass::Channel));
        assert_eq!(wished("--events Kafka", None).events, Some(BrokerClass::Kafka));
        assert!(broker_class("Rabbit").unwrap_err().contains("MTChannelBasedBroker, Kafka"));
        let file = "
on = 'cluster'
[events]
broker-class = 'Kafka'
[function]
inputs = 'storage'
cpu-cores = 2.5
image = 'r/f:1'
[cluster.object-store]
endpoint = 'http://minio.minio.svc:9000'
bucket = 'testbed'
secret = 's3'
";
        let of_file = wished("--platforms openfaas --image r/f:2", Some(file));
        assert_eq!(of_file.platforms, [PlatformKind::OpenFaas]);
        assert_eq!((of_file.events, of_file.storage), (Some(BrokerClass::Kafka), true));
        assert_eq!((of_file.cpu_cores, of_file.image.as_deref()), (2.5, Some("r/f:2")));
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
