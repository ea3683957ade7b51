//! The flags that every command on a cluster shares: where its parts are, and the gateway's login.
//!
//! There is no flag that holds a password: command lines are seen by every process of the machine,
//! and a run's folder keeps its own.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::CliError;
use crate::{
    experiment::{ObjectStore, check_choice},
    platforms::cluster::{Cluster, ClusterChoice, ClusterError, Login, RunLabel, Secret},
};

/// Environment variable with the gateway's password.
const PASSWORD_VARIABLE: &str = "OPENFAAS_PASSWORD";

/// Where the parts of a cluster are.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Context of the kubeconfig (default: the current one)
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace for Knative Services and plain Deployments (default: testbed)
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Address of Knative's ingress (default: found from its Service)
    #[arg(long, value_name = "URL")]
    pub ingress: Option<String>,
    /// Address of the OpenFaaS gateway (default: found from its Service)
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Address of Prometheus (default: found from its Service)
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Namespace of the OpenFaaS gateway (default: openfaas)
    #[arg(long, value_name = "NAME")]
    pub gateway_namespace: Option<String>,
    /// Namespace of OpenFaaS functions (default: openfaas-fn)
    #[arg(long, value_name = "NAME")]
    pub functions_namespace: Option<String>,
    /// User of the gateway; the password comes from the file below, else from the environment's
    /// OPENFAAS_PASSWORD, else from the cluster's Secret
    #[arg(long, value_name = "USER", env = "OPENFAAS_USER", hide_env_values = true, default_value = "admin")]
    pub gateway_user: String,
    /// File with the gateway's password; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub gateway_password_file: Option<PathBuf>,
    /// Let load go through a port-forward where nothing else is reachable: it is then measured too
    #[arg(long)]
    pub load_through_port_forward: bool,
    /// Address of the object storage as pods reach it, for example http://minio.minio.svc:9000
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Its address from this machine (default: the same)
    #[arg(long, value_name = "URL")]
    pub s3_endpoint_from_here: Option<String>,
    /// Its region (default: us-east-1)
    #[arg(long, value_name = "NAME")]
    pub s3_region: Option<String>,
    /// Its bucket for inputs and results; uploads take their key from the environment's
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "NAME")]
    pub s3_bucket: Option<String>,
    /// Secret with those two keys in the functions' namespace, for the functions
    #[arg(long, value_name = "NAME")]
    pub s3_secret: Option<String>,
    /// URL of the platform `endpoint`, as it is to be called; may be repeated
    #[arg(long, value_name = "URL")]
    pub endpoint: Vec<String>,
}

impl ClusterArgs {
    /// What a file chose, with the flags on top.
    pub fn over(&self, mut choice: ClusterChoice) -> ClusterChoice {
        let pairs = [
            (&mut choice.context, &self.context),
            (&mut choice.namespace, &self.namespace),
            (&mut choice.ingress, &self.ingress),
            (&mut choice.gateway, &self.gateway),
            (&mut choice.prometheus, &self.prometheus),
            (&mut choice.gateway_namespace, &self.gateway_namespace),
            (&mut choice.functions_namespace, &self.functions_namespace),
        ];
        for (chosen, flag) in pairs {
            if flag.is_some() {
                chosen.clone_from(flag);
            }
        }
        choice.object_store = self.object_store(choice.object_store.as_ref());
        choice.load_through_port_forward |= self.load_through_port_forward;
        if !self.endpoint.is_empty() {
            choice.endpoints.clone_from(&self.endpoint);
        }
        choice
    }

    /// The object storage that a file chose, with the flags on top; none if neither names one.
    fn object_store(&self, file: Option<&ObjectStore>) -> Option<ObjectStore> {
        let mut store = file.cloned().unwrap_or_default();
        let texts = [(&mut store.endpoint, &self.s3_endpoint), (&mut store.bucket, &self.s3_bucket)];
        for (chosen, flag) in texts {
            if let Some(flag) = flag {
                chosen.clone_from(flag);
            }
        }
        let optional = [
            (&mut store.endpoint_from_here, &self.s3_endpoint_from_here),
            (&mut store.region, &self.s3_region),
            (&mut store.secret, &self.s3_secret),
        ];
        for (chosen, flag) in optional {
            if flag.is_some() {
                chosen.clone_from(flag);
            }
        }
        (file.is_some() || store != ObjectStore::default()).then_some(store)
    }

    /// The gateway's login, if a file, standard input or the environment has the password.
    ///
    /// # Errors
    /// If the file cannot be read or is empty.
    pub fn login(&self) -> Result<Option<Login>, CliError> {
        self.login_from(std::env::var(PASSWORD_VARIABLE).ok(), &mut std::io::stdin())
    }

    fn login_from(&self, variable: Option<String>, input: &mut dyn Read) -> Result<Option<Login>, CliError> {
        let password = match &self.gateway_password_file {
            Some(path) => Some(secret_from("--gateway-password-file", "password", path, input)?),
            None => variable.filter(|text| !text.is_empty()),
        };
        Ok(password.map(|text| Login { user: self.gateway_user.clone(), password: Secret::new(text) }))
    }

    /// Connects to the cluster that flags and file choose.
    ///
    /// # Errors
    /// If a flag makes no sense, nothing points at a cluster, or it does not answer.
    pub async fn connect(&self, file: ClusterChoice, run: RunLabel) -> Result<Cluster, CliError> {
        let choice = self.over(file);
        check_choice(&choice).map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Cluster::connect(choice, self.login()?, run).await?)
    }
}

impl From<ClusterError> for CliError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Api { .. } => Self::Failed(error.into()),
            ClusterError::None | ClusterError::Config(_) => Self::Usage(error.to_string()),
        }
    }
}

/// A secret in a file or on standard input. `flag` named the file, `what` it is.
///
/// # Errors
/// If it cannot be read, or is empty.
pub(super) fn secret_from(
    flag: &str,
    what: &str,
    path: &Path,
    input: &mut dyn Read,
) -> Result<String, CliError> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        input.read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = read.map_err(|error| {
        CliError::Usage(format!(
            "{flag} {} cannot be read ({error}); name a readable file, or - for standard input",
            path.display()
        ))
    })?;
    // Files and `echo` end in a newline that is no part of the secret.
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(CliError::Usage(format!("{flag} {} is empty; write the {what} into it", path.display())));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ClusterArgs,
    }

    fn args(flags: &str) -> ClusterArgs {
        Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap().args
    }

    #[test]
    fn flags_count_more_than_a_file_and_what_neither_says_stays_open() {
        let file = ClusterChoice {
            context: Some("file".into()),
            gateway: Some("http://file".into()),
            ..ClusterChoice::default()
        };
        let choice = args("--context flag --endpoint http://a/ --endpoint http://b/").over(file);
        assert_eq!(choice.context.as_deref(), Some("flag"));
        assert_eq!(choice.gateway.as_deref(), Some("http://file"));
        assert_eq!(choice.namespace, None);
        assert_eq!(choice.endpoints, ["http://a/", "http://b/"]);
        assert!(!choice.load_through_port_forward);
    }

    #[test]
    fn a_password_comes_from_the_file_then_the_environment_and_never_from_a_flag() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from file\r\n").unwrap();
        let with_file = args(&format!("--gateway-user u --gateway-password-file {}", file.path().display()));
        let given = |args: &ClusterArgs, variable: Option<&str>| {
            args.login_from(variable.map(str::to_owned), &mut b"typed\n".as_slice())
                .unwrap()
                .map(|login| (login.user, login.password.reveal().to_owned()))
        };
        assert_eq!(given(&with_file, Some("env")), Some(("u".into(), "from file".into())));
        assert_eq!(given(&args("--gateway-password-file -"), None), Some(("admin".into(), "typed".into())));
        assert_eq!(given(&args(""), Some("env")), Some(("admin".into(), "env".into())));
        assert_eq!(given(&args(""), Some("")), None);
        assert!(Line::try_parse_from(["x", "--gateway-password", "secret"]).is_err());
    }

    #[test]
    fn an_empty_or_missing_password_file_is_a_usage_error_that_names_it() {
        let mut nothing = std::io::empty();
        let empty = args("--gateway-password-file -").login_from(None, &mut nothing).unwrap_err().to_string();
        assert_eq!(empty, "--gateway-password-file - is empty; write the password into it");
        let gone =
            args("--gateway-password-file /no/such").login_from(None, &mut nothing).unwrap_err().to_string();
        assert!(gone.starts_with("--gateway-password-file /no/such cannot be read ("), "{gone}");
    }
}
