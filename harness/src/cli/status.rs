//! `harness status`: what of the testbed is on the cluster.

use std::time::{Duration, SystemTime};

use anyhow::Context;

use super::{CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output};
use crate::{
    admin::inventory::{self, Inventory, Owner, Thing},
    platforms::cluster::{ClusterChoice, RunLabel},
    screen::{note, out, show},
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  harness status
  harness status --run 20261121-101500-knative-openfaas
  harness status --output json")]
pub struct Args {
    /// Only what this run made (default: all runs)
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    super::block_on(async {
        let run = args.run.as_deref().map(RunLabel::new);
        let label = run.clone().unwrap_or_else(|| RunLabel::new(crate::admin::BY_HAND));
        let cluster = args.cluster.connect(ClusterChoice::default(), label).await?;
        note!("{}", cluster.describe());
        let owner = run.map_or(Owner::AnyRun, Owner::Run);
        let found = inventory::take(&cluster, &owner).await.context("cannot look through the cluster")?;
        match args.output {
            Output::Text => show!("{}", table(&found, SystemTime::now())),
            Output::Json => out!("{}", super::json(&found)),
        }
        Ok(Exit::Valid)
    })
}

/// For people: functions as a table, other things in a line each.
pub(super) fn table(found: &Inventory, now: SystemTime) -> String {
    let mut lines = Vec::new();
    let functions: Vec<&Thing> = found.things.iter().filter(|thing| thing.kind.is_function()).collect();
    if !functions.is_empty() {
        let head = ["platform", "function", "run", "ready", "age", "state"].map(String::from);
        let rows: Vec<[String; 6]> =
            std::iter::once(head).chain(functions.iter().map(|thing| row(thing, now))).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..5).map(width).collect();
        for (i, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            lines.push(format!("{}  {}", cells.collect::<Vec<_>>().join("  "), row[5]).trim_end().to_owned());
            // The heading has no image or address under it.
            if let Some(thing) = i.checked_sub(1).and_then(|i| functions.get(i)) {
                lines.extend(thing.image.iter().map(|image| format!("    image {image}")));
                lines.extend(thing.url.iter().map(|url| format!("    url   {url}")));
            }
        }
    }
    let others = found.things.iter().filter(|thing| !thing.kind.is_function());
    lines.extend(others.map(|thing| format!("also there: {} ({})", thing.describe(), age(thing, now))));
    if found.things.is_empty() {
        lines.push("nothing of the testbed is on this cluster".to_owned());
    }
    lines.extend(found.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n") + "\n"
}

fn row(thing: &Thing, now: SystemTime) -> [String; 6] {
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let namespace = thing.namespace.as_deref().unwrap_or_default();
    [
        thing.kind.platform().map_or("", |platform| platform.name()).to_owned(),
        format!("{namespace}/{}", thing.name),
        thing.run.clone(),
        format!("{}/{}", number(thing.ready), number(thing.desired)),
        age(thing, now),
        thing.state.clone(),
    ]
}

/// How long it has been there: `3m 5s`, `2h 10m`.
fn age(thing: &Thing, now: SystemTime) -> String {
    let created = thing.created.as_deref().and_then(|text| humantime::parse_rfc3339(text).ok());
    let Some(created) = created else { return "?".to_owned() };
    let seconds = now.duration_since(created).unwrap_or(Duration::ZERO).as_secs();
    let shown = if seconds < 3600 { seconds } else { seconds - seconds % 60 };
    humantime::format_duration(Duration::from_secs(shown)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::inventory::Kind;

    fn thing(kind: Kind, name: &str) -> Thing {
        Thing {
            kind,
            namespace: (kind != Kind::Namespace).then(|| "testbed".into()),
            name: name.into(),
            run: "manual".into(),
            created: Some("2026-11-21T04:00:00Z".into()),
            image: kind.is_function().then(|| "registry.example/function:1".into()),
            ready: Some(1),
            desired: Some(2),
            url: kind.is_function().then(|| format!("http://{name}.example")),
            state: "ready".into(),
            pods: None,
        }
    }

    #[test]
    fn the_table_reads_well() {
        let things = vec![
            thing(Kind::KnativeService, "classify"),
            Thing {
                ready: None,
                state: "not ready: RevisionFailed: back-off".into(),
                ..thing(Kind::Deployment, "f")
            },
            thing(Kind::Namespace, "testbed"),
        ];
        let found = Inventory { things, notes: vec!["somewhere could not be looked".into()] };
        let now = humantime::parse_rfc3339("2026-11-21T05:10:07Z").unwrap();
        insta::assert_snapshot!(table(&found, now), @r"
        platform    function          run     ready  age     state
        knative     testbed/classify  manual  1/2    1h 10m  ready
            image registry.example/function:1
            url   http://classify.example
        deployment  testbed/f         manual  ?/2    1h 10m  not ready: RevisionFailed: back-off
            image registry.example/function:1
            url   http://f.example
        also there: namespace testbed of run manual (1h 10m)
        note: somewhere could not be looked
        ");
        insta::assert_snapshot!(table(&Inventory::default(), now), @"nothing of the testbed is on this cluster");
    }
}
