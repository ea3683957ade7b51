//! `harness cluster status`.

use std::{fmt::Write as _, io::IsTerminal};

use super::{
    super::{CliError, experiment_args::Output},
    Exit, WhereArgs, connect,
};
use crate::{
    interrupt::Interrupt,
    screen::{out, show},
    setup::{
        SetupError,
        folder::Folder,
        plan,
        profile::Profile,
        select::{self, Wishes},
        state::State,
        status::{self, Line, Standing},
        variables::Given,
    },
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness cluster status
  harness cluster status --profile kind --output json

It changes nothing. What is wanted is what the last `up` chose; before the first one, what the profile
would. Exit code: 0 all that is wanted is ready, 1 something is not or it failed, 2 bad usage.")]
pub(super) struct Args {
    /// Where the cluster comes from
    #[arg(long, value_enum, default_value = "existing")]
    profile: Profile,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    place: WhereArgs,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let (folder, base) = args.place.open(args.profile)?;
    let lines = super::super::block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        let site = connect(&folder, &base, &interrupt, 0).await?;
        tokio::select! {
            () = interrupt.raised() => Err(SetupError::Interrupted.into()),
            lines = async {
                let state = State::load(&site.api).await?;
                let (parts, wanted) = parts(&folder, args.profile, &state)?;
                status::all(&site, &state, &parts, &wanted).await
            } => lines.map_err(CliError::from),
        }
    })?;
    match args.output {
        Output::Json => out!("{}", super::super::json(&lines)),
        Output::Text => {
            let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            show!("{}", table(&lines, colours));
        }
    }
    let is_lacking = lines.iter().any(|line| line.wanted && line.state != Standing::Ready);
    Ok(if is_lacking { Exit::Failed } else { Exit::Valid })
}

/// The plans of all that is wanted or there, and the names of what is wanted.
fn parts(
    folder: &Folder,
    profile: Profile,
    state: &State,
) -> Result<(Vec<plan::Part>, Vec<String>), SetupError> {
    let wanted: Vec<String> = if let Some(choice) = &state.choice {
        choice.components.clone()
    } else {
        let chosen = select::select(&folder.components, profile, &Wishes::default())?;
        chosen.iter().map(|component| component.name.clone()).collect()
    };
    let all = select::ordered(&folder.components).into_iter();
    let parts = all
        .filter(|c| wanted.contains(&c.name) || state.components.contains_key(&c.name))
        .map(|component| {
            let last = state.values(&component.name);
            plan::part(component, &folder.versions, folder, &Given::new(), &last)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((parts, wanted))
}

fn table(lines: &[Line], colours: bool) -> String {
    let width = lines.iter().map(|line| line.component.len()).max().unwrap_or(0);
    let mut out = String::new();
    for line in lines {
        let word = format!("{:<9}", line.state.word());
        let word = match (colours, line.state) {
            (false, _) => word,
            (true, Standing::Ready) => format!("\x1b[32m{word}\x1b[0m"),
            (true, Standing::Present | Standing::Differs) => format!("\x1b[33m{word}\x1b[0m"),
            (true, Standing::Missing) => format!("\x1b[31m{word}\x1b[0m"),
        };
        let unasked = if line.wanted { "" } else { " (not asked for)" };
        _ = writeln!(out, "{word}{:<width$}  {}{unasked}", line.component, line.about);
        if let Some(reason) = &line.reason {
            _ = writeln!(out, "{:indent$}-> {reason}", "", indent = 9 + width + 2);
        }
    }
    let lacking = lines.iter().filter(|line| line.wanted && line.state != Standing::Ready).count();
    match (lines.len(), lacking) {
        (0, _) => out.push_str("nothing is set up\n"),
        (_, 0) => out.push_str("\nAll that is wanted is ready.\n"),
        (_, lacking) => _ = writeln!(out, "\nNot ready: {lacking} of what is wanted."),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_well() {
        let line = |component: &str, state: Standing, wanted: bool, reason: Option<&str>| Line {
            component: component.into(),
            about: "what it is for".into(),
            state,
            wanted,
            reason: reason.map(str::to_owned),
        };
        let lines = [
            line("policies", Standing::Ready, true, None),
            line(
                "knative-serving",
                Standing::Present,
                true,
                Some("Deployment knative-serving/webhook: pod w: …"),
            ),
            line("minio", Standing::Missing, true, Some("`harness cluster up --only minio` sets it up")),
            line("kafka", Standing::Ready, false, None),
        ];
        insta::assert_snapshot!(table(&lines, false), @r"
        ready    policies         what it is for
        present  knative-serving  what it is for
                                  -> Deployment knative-serving/webhook: pod w: …
        missing  minio            what it is for
                                  -> `harness cluster up --only minio` sets it up
        ready    kafka            what it is for (not asked for)

        Not ready: 2 of what is wanted.
        ");
        insta::assert_snapshot!(table(&[], true), @"nothing is set up");
    }
}
