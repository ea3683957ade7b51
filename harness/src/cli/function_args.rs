//! The flags that say what is deployed, shared by `compare`, `run`, `deploy` and `export`.

use super::CliError;
use crate::{
    experiment::{Experiment, Via},
    platforms::{PlatformKind, ReplicaBounds},
    workloads::{Kind, Size},
};

/// What is deployed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FunctionArgs {
    /// Workload of our function: classify, caption, pdf, grade-c, grade-python, logger, null
    #[arg(long, value_name = "NAME")]
    pub workload: Option<Kind>,
    /// How much work one request is [default: small]
    #[arg(long, value_enum, value_name = "SIZE")]
    pub size: Option<Size>,
    /// How inputs reach the function: in the request, or by reference from an object storage
    #[arg(long, value_enum, value_name = "WAY")]
    pub inputs: Option<Via>,
    /// Whether results are also written back to the object storage
    #[arg(long, value_enum, value_name = "WAY")]
    pub results: Option<Via>,
    /// Image that a cluster runs, with a tag or, better, a digest
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// Let whoever reaches the cluster from outside run programs in the function: without this, grade-c and
    /// grade-python are deployed for requests from inside the cluster alone, and not on OpenFaaS
    #[arg(long)]
    pub allow_public_grading: bool,
    /// Pinned number of replicas
    #[arg(long, value_name = "N", conflicts_with_all = ["min_replicas", "max_replicas"])]
    pub replicas: Option<u32>,
    /// Fewest replicas, where the platform scales them
    #[arg(long, value_name = "N")]
    pub min_replicas: Option<u32>,
    /// Most replicas, where the platform scales them
    #[arg(long, value_name = "N")]
    pub max_replicas: Option<u32>,
    /// Setting of one platform alone, for example knative.window=30s; may be repeated
    #[arg(long, value_name = "PLATFORM.KEY=VALUE", value_parser = setting)]
    pub set: Vec<Setting>,
}

/// A setting of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    platform: PlatformKind,
    key: String,
    value: String,
}

impl FunctionArgs {
    /// Puts the flags on top of an experiment.
    ///
    /// # Errors
    /// If the bounds make no range.
    pub fn apply(&self, e: &mut Experiment) -> Result<(), CliError> {
        if let Some(kind) = self.workload {
            e.choose_workload(kind);
        }
        if let Some(size) = self.size {
            e.function.size = size;
        }
        if let Some(inputs) = self.inputs {
            e.function.inputs = inputs;
        }
        if let Some(results) = self.results {
            e.function.results = results;
        }
        e.function.allow_public_grading |= self.allow_public_grading;
        if self.image.is_some() {
            e.function.image.clone_from(&self.image);
        }
        if let Some(n) = self.replicas {
            e.replicas = ReplicaBounds { min: n, max: n };
        }
        // One bound alone moves the other only as far as it must.
        if let Some(max) = self.max_replicas {
            e.replicas = ReplicaBounds { min: e.replicas.min.min(max), max };
        }
        if let Some(min) = self.min_replicas {
            if self.max_replicas.is_some_and(|max| min > max) {
                return Err(CliError::Usage("--min-replicas is above --max-replicas; swap them".into()));
            }
            e.replicas = ReplicaBounds { min, max: e.replicas.max.max(min) };
        }
        for Setting { platform, key, value } in &self.set {
            e.settings.entry(*platform).or_default().insert(key.clone(), value.clone());
        }
        Ok(())
    }
}

/// `PLATFORM.KEY=VALUE`; keys may hold dots themselves.
fn setting(text: &str) -> Result<Setting, String> {
    let form = "write PLATFORM.KEY=VALUE, for example knative.window=30s";
    let (left, value) = text.split_once('=').ok_or(form)?;
    let (platform, key) = left.split_once('.').filter(|(_, key)| !key.is_empty()).ok_or(form)?;
    let platform = PlatformKind::ALL.into_iter().find(|kind| kind.name() == platform).ok_or_else(|| {
        let names = PlatformKind::ALL.map(PlatformKind::name);
        format!("there is no platform '{platform}'; there are: {}", names.join(", "))
    })?;
    Ok(Setting { platform, key: key.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: FunctionArgs,
    }

    fn applied(flags: &str) -> Result<Experiment, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace()))
            .map_err(|error| error.to_string())?;
        let mut experiment = Experiment::default();
        line.args.apply(&mut experiment).map_err(|error| error.to_string())?;
        Ok(experiment)
    }

    #[test]
    fn bounds_are_set_together_or_apart() {
        let bounds = |flags: &str| applied(flags).map(|e| (e.replicas.min, e.replicas.max));
        assert_eq!(bounds(""), Ok((1, 1)));
        assert_eq!(bounds("--replicas 3"), Ok((3, 3)));
        assert_eq!(bounds("--max-replicas 5"), Ok((1, 5)));
        assert_eq!(bounds("--min-replicas 2"), Ok((2, 2)));
        assert_eq!(bounds("--min-replicas 0 --max-replicas 5"), Ok((0, 5)));
        assert!(bounds("--min-replicas 5 --max-replicas 2").unwrap_err().contains("swap them"));
        assert!(bounds("--replicas 3 --max-replicas 5").is_err());
    }

    #[test]
    fn settings_are_read_up_to_the_first_dot_and_the_first_equals_sign() {
        let e = applied(
            "--set knative.window=30s --set openfaas.com.openfaas.scale.factor=50 --set knative.x=a=b",
        )
        .unwrap();
        assert_eq!(e.settings[&PlatformKind::Knative]["window"], "30s");
        assert_eq!(e.settings[&PlatformKind::Knative]["x"], "a=b");
        assert_eq!(e.settings[&PlatformKind::OpenFaas]["com.openfaas.scale.factor"], "50");
        for bad in ["--set knative", "--set knative.=1", "--set window=30s"] {
            assert!(applied(bad).unwrap_err().contains("write PLATFORM.KEY=VALUE"), "{bad}");
        }
        assert!(applied("--set lambda.window=1s").unwrap_err().contains("there is no platform 'lambda'"));
    }
}
