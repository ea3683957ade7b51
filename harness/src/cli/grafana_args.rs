//! The flags of commands that put annotations into a Grafana. There is none that holds the token.

use std::path::PathBuf;

use super::{CliError, cluster_args::secret_from};
use crate::{annotate::Grafana, secret::Secret};

/// Environment variable with the token.
const TOKEN_VARIABLE: &str = "GRAFANA_TOKEN";

/// Which Grafana.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Grafana")]
pub struct GrafanaArgs {
    /// Show each cell as a shaded span in this Grafana, for example http://10.0.0.1:3000
    #[arg(long, value_name = "URL", env = "GRAFANA_URL")]
    pub grafana: Option<String>,
    /// File with the token of a service account that may edit; - reads it from standard input (default: the
    /// environment's GRAFANA_TOKEN)
    #[arg(long, value_name = "FILE", requires = "grafana")]
    pub grafana_token_file: Option<PathBuf>,
}

impl GrafanaArgs {
    /// The Grafana, if one is named.
    ///
    /// # Errors
    /// If its address makes no sense, or the token cannot be read.
    pub fn grafana(&self) -> Result<Option<Grafana>, CliError> {
        let Some(url) = self.grafana.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let token = match &self.grafana_token_file {
            Some(path) => Some(secret_from("--grafana-token-file", "token", path, &mut std::io::stdin())?),
            None => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()),
        };
        let grafana = Grafana::new(url, token.map(Secret::new));
        grafana.map(Some).map_err(|error| CliError::Usage(error.to_string()))
    }
}
