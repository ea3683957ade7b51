//! How the figures came about, in words, and how to make them again.

use super::Block;
use crate::{
    analyse::itself::{self, HarnessItself},
    experiment::Experiment,
    reports::{Document, format},
};

/// The method section.
pub(super) fn blocks(document: &Document) -> Vec<Block> {
    let experiment = document.experiment;
    let term = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let trials = format::plural(experiment.trials as usize, "trial");
    let warmups: Vec<_> = experiment
        .load
        .iter()
        .map(|load| format!("{} for {}", format::duration(load.warmup), load.name))
        .collect();
    let terms = vec![
        term(
            "Open loop",
            "Requests are sent at times fixed beforehand, however slow the answers are, as independent users do. It \
             shows what waiting costs.",
        ),
        term(
            "Closed loop",
            "Each connection sends its next request when the last one was answered. It shows how much can be done, \
             but a slow server slows the load as well, which hides stalls. The two answer different questions \
             (Schroeder, Wierman, Harchol-Balter: Open Versus Closed, NSDI 2006).",
        ),
        term(
            "Response time",
            "From the instant at which a request was to be sent to the end of its answer: what a user would feel. \
             Counting from the actual send would leave out the waiting that a stall causes (Tene, wrk2: \
             coordinated omission; MLPerf LoadGen).",
        ),
        term("Service time", "From the instant at which a request was sent to the end of its answer."),
        term(
            "Goodput",
            "Answers a second whose content was checked and found correct. Everything else is a failure, \
             and stays in the records with what went wrong.",
        ),
        term(
            "Time-outs",
            "Enter the percentiles at the time at which they were given up, since the true time is at least that \
             long. Other failures are left out of the percentiles and reported apart.",
        ),
        (
            "Warm-up".to_owned(),
            format!(
                "Cut by a rule that was fixed beforehand: requests sent in the first part of a cell do not count \
                 ({}); in an open loop by their intended time.",
                warmups.join(", ")
            ),
        ),
        (
            "Interleaving".to_owned(),
            format!(
                "{trials} for each subject, {} All subjects of a trial get the same bytes at the same intended \
                 times. Seed: {}.",
                interleaving(experiment),
                experiment.seed
            ),
        ),
        term(
            "Verdict",
            "The unit is the trial, not the request: requests of a trial wait in the same queue and are alike, so \
             they are one observation together. A difference is claimed only where the 95 % bootstrap interval \
             of the ratio leaves out 1 and the exact two-sided rank test, corrected after Holm over the metrics \
             named before the run, falls below 5 %. A run that may stop early shares the 5 % between its looks. Otherwise the answer is 'cannot tell', with the smallest \
             effect that this run could have seen. More than a fifth of the trials INVALID or missing: no verdict.",
        ),
        term(
            "VALID and INVALID",
            "A word about the instrument: whether the generator kept its schedule, had CPU to spare, saw enough \
             requests, and whether its machine stood still, swapped, was slowed down, lost CPU time to others or had \
             its clock set. What a platform does under load, failures included, is a result.",
        ),
        (
            "Deployed".to_owned(),
            format!(
                "Workload {}, model {}, pictures {}; {} and {} MiB a replica, {} replicas; requests are given \
                 up after {}.",
                experiment.function.workload,
                experiment.function.model,
                experiment.function.pictures,
                cores(experiment.function.cpu_cores),
                experiment.function.memory_mib,
                replicas(experiment.replicas.min, experiment.replicas.max),
                format::duration(experiment.timeout)
            ),
        ),
    ];
    let varied = experiment.variants.iter();
    let varied: Vec<_> = varied.map(|variant| format!("{}: {}", variant.name, variant.describe())).collect();
    let varied = (!varied.is_empty()).then(|| {
        let rule = if experiment.platforms().len() > 1 {
            "Platforms are compared inside a variant; a load point is the same load for all of them."
        } else {
            "Each is compared with the first; a load point is the same load for all of them."
        };
        ("Variants".to_owned(), format!("{}. {rule}", varied.join("; ")))
    });
    vec![Block::Terms(terms.into_iter().chain(varied).chain(instrument(document)).collect())]
}

fn interleaving(experiment: &Experiment) -> &'static str {
    if experiment.reuse_deployments {
        "all on one deployment of the subject, one subject after the other in an order drawn from the seed: trials \
         are not independent, and a slow drift of the machine strikes one subject more than another."
    } else {
        "in an order drawn from the seed, each on a fresh deployment, all load points of a trial on the same one; so \
         that a slow drift of the machine strikes all alike (Abedi and Brecht: Conducting Repeatable Experiments in \
         Highly Variable Cloud Computing Environments, ICPE 2017)."
    }
}

/// What is known of the instrument itself; nothing in runs of older versions.
fn instrument(document: &Document) -> impl Iterator<Item = (String, String)> {
    let by_itself = HarnessItself::of(document.environment).map(|by_itself| {
        let text = format!(
            "What the same generator measured before the run against a target that answers at once, {}. A platform's \
             figures contain this much of the instrument.",
            by_itself.describe()
        );
        ("The harness by itself".to_owned(), text)
    });
    let unreadable: Vec<&str> = document.environment[itself::UNREADABLE_KEY]
        .as_array()
        .map(|list| list.iter().filter_map(serde_json::Value::as_str).collect())
        .unwrap_or_default();
    let blind = (!unreadable.is_empty()).then(|| {
        let text = format!(
            "This machine does not tell {}: faults of that kind cannot be ruled out, and are not held against a cell.",
            unreadable.join(", ")
        );
        ("Not audited".to_owned(), text)
    });
    by_itself.into_iter().chain(blind)
}

/// The section on repeating the run.
pub(super) fn repeat(document: &Document) -> Vec<Block> {
    let run = &document.summary.run_id;
    let verb = if document.experiment.subjects.len() > 1 { "compare" } else { "run" };
    let mut blocks = Vec::new();
    if let Some(command) = document.environment.get("command").and_then(serde_json::Value::as_str) {
        blocks.push(Block::Text("This run was started with:".to_owned()));
        blocks.push(Block::Command(command.to_owned()));
    }
    blocks.extend([
        Block::Text("The same experiment again, with the same seed, from the run folder:".to_owned()),
        Block::Command(format!("harness {verb} --experiment runs/{run}/experiment.toml")),
        Block::Text("The same pages again from the raw data, offline:".to_owned()),
        Block::Command(format!("harness report runs/{run}")),
    ]);
    let files = [
        ("experiment.toml", "the effective experiment"),
        ("environment.json", "versions, hardware, digests, seeds"),
        ("plan.json", "the cells in the order in which they were to run"),
        ("cells/<cell>/cell.json", "what is known of a cell beside its records"),
        ("cells/<cell>/records.arrows, records.parquet", "a row for each request"),
        ("cells/<cell>/replicas.jsonl", "replicas and their use over time"),
        ("summary.json", "all figures of this report"),
        ("report.md, report.html, plots/", "this report"),
    ];
    let watched = ("deployments/<trial>-<subject>.json", "what was watched of a deployment's replicas");
    let watched = (!document.timelines.is_empty()).then_some(watched);
    let files = files.into_iter().chain(watched).map(|(file, what)| (file.to_owned(), what.to_owned()));
    blocks.push(Block::Terms(files.collect()));
    blocks
}

fn cores(cores: f64) -> String {
    if (cores - 1.0).abs() < 1e-9 { "1 core".to_owned() } else { format!("{} cores", format::number(cores)) }
}

fn replicas(min: u32, max: u32) -> String {
    if min == max { format!("pinned to {min}") } else { format!("{min} to {max}") }
}
