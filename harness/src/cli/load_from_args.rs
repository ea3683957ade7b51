//! The flags that say where the load comes from.

use std::collections::BTreeMap;

use crate::experiment::{LoadFromChoice, LoadPlace};

/// Where the load comes from.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Load from several generators")]
pub struct LoadFromArgs {
    /// Where the load comes from [default: here; with --workers: local]
    #[arg(long, value_name = "WHERE", value_enum)]
    pub load_from: Option<LoadPlace>,
    /// Load generators side by side: the schedule is divided among them, their records are one set
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// Image of the harness for workers on a cluster (`harness image push REF --of harness`)
    #[arg(long, value_name = "REF")]
    pub worker_image: Option<String>,
    /// Nodes for workers on a cluster; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub worker_node_selector: Vec<(String, String)>,
    /// CPU that a worker on a cluster asks for, cores; it may use twice as much [default: 1]
    #[arg(long, value_name = "CORES")]
    pub worker_cpu_cores: Option<f64>,
    /// Memory of a worker on a cluster, MiB [default: 512]
    #[arg(long, value_name = "MIB")]
    pub worker_memory_mib: Option<u32>,
}

impl LoadFromArgs {
    /// What a file chose, with the flags on top.
    pub fn over(&self, mut choice: LoadFromChoice) -> LoadFromChoice {
        match (self.load_from, self.workers) {
            (Some(place), _) => choice.place = place,
            (None, Some(_)) if choice.place == LoadPlace::Here => choice.place = LoadPlace::Local,
            (None, _) => {}
        }
        choice.workers = match (self.workers, self.load_from) {
            (Some(workers), _) => workers,
            // A file's workers go with its place.
            (None, Some(LoadPlace::Here)) => 1,
            (None, _) => choice.workers,
        };
        if choice.place != LoadPlace::Cluster
            && self.worker_image.is_none()
            && self.worker_node_selector.is_empty()
        {
            choice.image = None;
            choice.node_selector = BTreeMap::new();
        }
        if self.worker_image.is_some() {
            choice.image.clone_from(&self.worker_image);
        }
        if !self.worker_node_selector.is_empty() {
            choice.node_selector = self.worker_node_selector.iter().cloned().collect();
        }
        choice.cpu_cores = self.worker_cpu_cores.unwrap_or(choice.cpu_cores);
        choice.memory_mib = self.worker_memory_mib.unwrap_or(choice.memory_mib);
        choice
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write LABEL=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadFromArgs,
    }

    fn over(file: LoadFromChoice, flags: &str) -> LoadFromChoice {
        Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap().args.over(file)
    }

    #[test]
    fn a_number_of_workers_alone_means_processes_of_this_machine() {
        let none = LoadFromChoice::default();
        assert_eq!(over(none.clone(), ""), none);
        let local = over(none, "--workers 3");
        assert_eq!((local.place, local.workers), (LoadPlace::Local, 3));
    }

    #[test]
    fn flags_count_more_than_a_file() {
        let file = LoadFromChoice {
            place: LoadPlace::Cluster,
            workers: 4,
            image: Some("r/h:1".into()),
            node_selector: BTreeMap::from([("a".into(), "b".into())]),
            ..LoadFromChoice::default()
        };
        let more = over(file.clone(), "--workers 8 --worker-node-selector role=load --worker-cpu-cores 0.5");
        assert_eq!((more.place, more.workers, more.image.as_deref()), (LoadPlace::Cluster, 8, Some("r/h:1")));
        assert_eq!(more.node_selector, BTreeMap::from([("role".into(), "load".into())]));
        assert!((more.cpu_cores - 0.5).abs() < 1e-9);
        let here = over(file.clone(), "--load-from here");
        assert_eq!(here, LoadFromChoice::default());
        let local = over(file, "--load-from local");
        assert_eq!((local.workers, local.image), (4, None));
    }
}
