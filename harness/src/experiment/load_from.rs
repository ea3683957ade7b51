//! Where the load of an experiment comes from: this machine, or workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Site,
    file::{Checks, ExperimentError},
};
use crate::drive::distributed::MOST_WORKERS;

/// Where the load comes from, the same for every platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LoadFromChoice {
    /// The kind of place.
    pub place: LoadPlace,
    /// Generators side by side; the schedule is divided among them. Only for workers.
    pub workers: u32,
    /// Image of the harness that pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Labels of the nodes that pods may run on; empty: any, if possible not those of functions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// CPU that a pod asks for, cores; it may use twice as much.
    pub cpu_cores: f64,
    /// Memory of a pod, MiB.
    pub memory_mib: u32,
}

impl Default for LoadFromChoice {
    fn default() -> Self {
        Self {
            place: LoadPlace::Here,
            workers: 1,
            image: None,
            node_selector: BTreeMap::new(),
            cpu_cores: 1.0,
            memory_mib: 512,
        }
    }
}

/// The kinds of places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LoadPlace {
    /// A thread of this process
    #[default]
    Here,
    /// Processes of this machine
    Local,
    /// Pods of the cluster
    Cluster,
}

/// What no flag can mend.
pub(super) fn problems(list: &mut Checks, choice: &LoadFromChoice) {
    list.check(
        (1..=MOST_WORKERS).contains(&choice.workers),
        &["load-from", "workers"],
        &format!("the number of workers must be from 1 to {MOST_WORKERS} (--workers)"),
    );
    list.check(
        choice.cpu_cores.is_finite() && choice.cpu_cores > 0.0,
        &["load-from", "cpu-cores"],
        "a worker needs CPU above 0 cores (--worker-cpu-cores)",
    );
    list.check(
        choice.memory_mib >= 32,
        &["load-from", "memory-mib"],
        "a worker needs at least 32 MiB (--worker-memory-mib)",
    );
    if let Some(image) = &choice.image {
        let read = image.parse::<oci_client::Reference>();
        list.check(
            read.is_ok(),
            &["load-from", "image"],
            &format!("'{image}' is no image; write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST"),
        );
    }
}

/// What a file may leave to the flags, and the whole may not.
pub(super) fn missing(list: &mut Checks, choice: &LoadFromChoice, on: Site) {
    let is_cluster = choice.place == LoadPlace::Cluster;
    list.check(
        choice.place != LoadPlace::Here || choice.workers == 1,
        &["load-from", "place"],
        "several workers need a place: --load-from local or --load-from cluster",
    );
    list.check(
        !is_cluster || choice.image.is_some(),
        &["load-from", "image"],
        "load from the cluster needs the harness as an image: push it with `harness image push \
         REGISTRY/harness:TAG --of harness`, and name it with --worker-image",
    );
    list.check(
        is_cluster || (choice.image.is_none() && choice.node_selector.is_empty()),
        &["load-from"],
        "an image and node labels for workers go with --load-from cluster",
    );
    list.check(
        !is_cluster || on == Site::Cluster,
        &["load-from", "place"],
        "the twin is on this machine, where pods of a cluster do not reach it; use --load-from local",
    );
}

impl LoadFromChoice {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The first value that makes no sense, with what to write instead.
    pub fn check(&self, on: Site) -> Result<(), ExperimentError> {
        let mut list = Checks::default();
        problems(&mut list, self);
        missing(&mut list, self, on);
        list.first().map_or(Ok(()), |problem| Err(ExperimentError::Value { place: String::new(), problem }))
    }

    /// Where the load comes from, in words.
    pub fn words(&self) -> String {
        let plural = |one, many| if self.workers == 1 { one } else { many };
        match self.place {
            LoadPlace::Here => "this machine".to_owned(),
            LoadPlace::Local => {
                format!("{} {} of this machine", self.workers, plural("process", "processes"))
            }
            LoadPlace::Cluster => format!("{} {} of the cluster", self.workers, plural("pod", "pods")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> LoadFromChoice {
        LoadFromChoice {
            place: LoadPlace::Cluster,
            workers: 3,
            image: Some("r.example/h:1".into()),
            ..LoadFromChoice::default()
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let local = LoadFromChoice { place: LoadPlace::Local, image: None, ..cluster() };
        assert!(LoadFromChoice::default().check(Site::Twin).is_ok());
        assert!(local.check(Site::Twin).is_ok() && cluster().check(Site::Cluster).is_ok());
        let wrong = [
            (LoadFromChoice { place: LoadPlace::Here, ..local.clone() }, Site::Twin),
            (cluster(), Site::Twin),
            (LoadFromChoice { image: None, ..cluster() }, Site::Cluster),
            (LoadFromChoice { image: Some("not an image".into()), ..cluster() }, Site::Cluster),
            (LoadFromChoice { place: LoadPlace::Local, ..cluster() }, Site::Cluster),
            (LoadFromChoice { workers: 0, ..local.clone() }, Site::Twin),
            (LoadFromChoice { workers: 257, ..cluster() }, Site::Cluster),
            (LoadFromChoice { cpu_cores: f64::NAN, ..cluster() }, Site::Cluster),
        ];
        let messages: Vec<String> =
            wrong.iter().map(|(choice, on)| choice.check(*on).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        load-from.place: several workers need a place: --load-from local or --load-from cluster
        load-from.place: the twin is on this machine, where pods of a cluster do not reach it; use --load-from local
        load-from.image: load from the cluster needs the harness as an image: push it with `harness image push REGISTRY/harness:TAG --of harness`, and name it with --worker-image
        load-from.image: 'not an image' is no image; write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST
        load-from: an image and node labels for workers go with --load-from cluster
        load-from.workers: the number of workers must be from 1 to 256 (--workers)
        load-from.workers: the number of workers must be from 1 to 256 (--workers)
        load-from.cpu-cores: a worker needs CPU above 0 cores (--worker-cpu-cores)
        ");
    }

    #[test]
    fn a_file_says_it_in_a_table_and_flags_may_complete_it() {
        let read = |text: &str| crate::experiment::parse(text, "x.toml");
        let text =
            "[load-from]\nplace = \"cluster\"\nworkers = 4\n[load-from.node-selector]\nrole = \"load\"\n";
        let experiment = read(text).unwrap();
        assert_eq!((experiment.load_from.workers, experiment.load_from.image.as_ref()), (4, None));
        assert_eq!(experiment.load_from.node_selector["role"], "load");
        assert!(crate::experiment::validate(&experiment).unwrap_err().to_string().contains("--worker-image"));
        assert!(read("[load-from]\nworkers = 0\n").is_err());
        let text = toml::to_string(&experiment).unwrap();
        assert_eq!(read(&text).unwrap().load_from, experiment.load_from);
    }

    #[test]
    fn its_place_is_said_in_words() {
        assert_eq!(cluster().words(), "3 pods of the cluster");
        let one = LoadFromChoice { place: LoadPlace::Local, ..LoadFromChoice::default() };
        assert_eq!(
            (one.words(), LoadFromChoice::default().words()),
            ("1 process of this machine".into(), "this machine".into())
        );
    }
}
