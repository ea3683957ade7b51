//! `harness annotate`: shows the cells of a run that is over in Grafana.

use std::{collections::BTreeSet, path::PathBuf};

use super::{CliError, Exit, experiment_args::Output, grafana_args::GrafanaArgs};
use crate::{
    annotate,
    screen::{note, out},
    store::{RunFolder, StoreError},
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness annotate runs/friday --grafana http://10.0.0.1:3000 --grafana-token-file token
  GRAFANA_TOKEN=... harness annotate runs/friday --grafana http://10.0.0.1:3000

What is there already is not sent again. Dashboards show one run where their variable `run` holds its name.

Exit code: 0 every cell that was measured is shown, 1 not, 2 bad usage.")]
pub struct Args {
    /// The run's folder
    run: PathBuf,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    grafana: GrafanaArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let Some(grafana) = args.grafana.grafana()? else {
        return Err(CliError::Usage("say where: --grafana URL, or GRAFANA_URL".into()));
    };
    let usage = |error: StoreError| CliError::Usage(error.to_string());
    let folder = RunFolder::open(&args.run).map_err(usage)?;
    let had_notice = folder.read_annotated().map_err(usage)?.is_some_and(|earlier| earlier.missing > 0);
    let sent = super::block_on(async {
        Ok(annotate::send_missing(&grafana, &folder, &BTreeSet::new()).await.map_err(anyhow::Error::from)?)
    })?;
    if let Some(why) = &sent.annotated.why {
        let missing = sent.annotated.missing;
        return Err(CliError::Failed(anyhow::anyhow!(
            "{missing} cells have no annotation in Grafana: {why}"
        )));
    }
    // A Grafana that failed now takes nothing away from what an earlier call noted.
    folder.write_annotated(&sent.annotated).map_err(anyhow::Error::from)?;
    match args.output {
        Output::Text => {
            let cells = sent.annotated.shown;
            out!("{cells} cells of {} in {}: {} were sent now", folder.id(), grafana.url(), sent.new);
        }
        Output::Json => out!("{}", super::json(&sent.annotated)),
    }
    if had_notice {
        note!("`harness report {}` makes its report anew, without the notice about them", args.run.display());
    }
    Ok(Exit::Valid)
}
