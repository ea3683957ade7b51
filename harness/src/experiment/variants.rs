//! Variants: the same question asked of each platform with other resources, replicas or images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Experiment, FunctionChoice, Site, file::Checks};
use crate::{
    platforms::{PlatformKind, ReplicaBounds},
    workloads::Kind,
};

/// Variants at most: each is a deployment a platform and trial.
pub(super) const MOST_VARIANTS: usize = 100;
/// Letters of a variant's name at most.
pub(super) const LONGEST_NAME: usize = 40;

/// What differs from the experiment's own function; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Variant {
    /// Short name, a DNS label: `2-cores`.
    pub name: String,
    /// Workload of our function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Image that a cluster runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// CPU limit of a replica, cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// Memory limit of a replica, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Requests a replica works on at once; 0 = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_concurrency: Option<u32>,
    /// Replica bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicaBounds>,
    /// Environment added to the function's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Variant {
    /// The function of an experiment as this variant has it.
    pub fn over(&self, function: &FunctionChoice) -> FunctionChoice {
        let mut own = function.clone();
        if let Some(workload) = &self.workload {
            own.workload.clone_from(workload);
        }
        if self.image.is_some() {
            own.image.clone_from(&self.image);
        }
        own.cpu_cores = self.cpu_cores.unwrap_or(own.cpu_cores);
        own.memory_mib = self.memory_mib.unwrap_or(own.memory_mib);
        own.container_concurrency = self.container_concurrency.unwrap_or(own.container_concurrency);
        own
    }

    /// What it changes, in words: `2 cores, 512 MiB, 1 to 5 replicas`.
    pub fn describe(&self) -> String {
        let replicas = |bounds: ReplicaBounds| match (bounds.min, bounds.max) {
            (1, 1) => "1 replica".to_owned(),
            (min, max) if min == max => format!("{max} replicas"),
            (min, max) => format!("{min} to {max} replicas"),
        };
        let concurrency = |n: u32| match n {
            0 => "no limit of requests at once in a replica".to_owned(),
            n => format!("{n} at once in a replica"),
        };
        let parts = [
            self.workload.as_ref().map(|workload| format!("workload {workload}")),
            self.image.as_ref().map(|image| format!("image {image}")),
            self.cpu_cores.map(|cores| {
                format!("{cores} {}", if (cores - 1.0).abs() < f64::EPSILON { "core" } else { "cores" })
            }),
            self.memory_mib.map(|mib| format!("{mib} MiB")),
            self.container_concurrency.map(concurrency),
            self.replicas.map(replicas),
        ];
        let env = self.env.iter().map(|(key, value)| format!("{key}={value}"));
        let parts: Vec<String> = parts.into_iter().flatten().chain(env).collect();
        if parts.is_empty() { "the function as it is".to_owned() } else { parts.join(", ") }
    }
}

/// Whether our function has it.
pub(super) fn is_workload(name: &str) -> bool {
    name.parse::<Kind>().is_ok()
}

/// Says that it has not.
pub(super) fn no_workload(name: &str) -> String {
    format!("there is no workload '{name}'; there are: {}", Kind::names())
}

/// Whether this can be a part of folder names and labels.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What makes no sense in an experiment's variants.
pub(super) fn problems(list: &mut Checks, e: &Experiment) {
    if e.variants.is_empty() {
        return;
    }
    list.check(
        e.variants.len() <= MOST_VARIANTS,
        &["variants"],
        &format!("there are {}; {MOST_VARIANTS} are the most", e.variants.len()),
    );
    for (i, variant) in e.variants.iter().enumerate() {
        let i_text = i.to_string();
        let mut check =
            |holds: bool, key: &str, message: &str| list.check(holds, &["variants", &i_text, key], message);
        let name = &variant.name;
        check(
            is_name(name),
            "name",
            &format!(
                "'{name}' is no name; use 1 to {LONGEST_NAME} of a-z, 0-9 and '-', and no '-' at the ends"
            ),
        );
        check(!e.variants[..i].iter().any(|v| v.name == *name), "name", &format!("'{name}' is there twice"));
        if let Some(workload) = &variant.workload {
            // One set of payloads and one judge serve a run.
            let why = "workloads have payloads of their own; measure each in a run of its own";
            check(!is_workload(workload) || *workload == e.function.workload, "workload", why);
            check(is_workload(workload), "workload", &no_workload(workload));
            check(
                e.function.own.is_none(),
                "workload",
                "a function of one's own has no workloads; leave it out",
            );
        }
        if let Some(image) = &variant.image {
            let cause = image.parse::<oci_client::Reference>().err();
            let cause = cause.map_or_else(String::new, |cause| cause.to_string());
            check(
                cause.is_empty(),
                "image",
                &format!(
                    "'{image}' is no image ({cause}); write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST"
                ),
            );
        }
        check(variant.cpu_cores.is_none_or(|c| c.is_finite() && c > 0.0), "cpu-cores", "must be above 0");
        check(variant.memory_mib.is_none_or(|mib| mib >= 64), "memory-mib", "must be at least 64");
        let sensible = |bounds: ReplicaBounds| bounds.max >= 1 && bounds.min <= bounds.max;
        check(variant.replicas.is_none_or(sensible), "replicas", "max must be at least 1 and at least min");
    }
    // `knative` as `2-x` and a second `knative` as `x` are both `knative-2-x`.
    for (i, subject) in e.subjects.iter().enumerate() {
        let twice = e.subjects[..i].iter().any(|other| other.label == subject.label);
        list.check(
            !twice,
            &["variants"],
            &format!("two sides of the comparison would be called {}; rename a variant", subject.label),
        );
    }
}

/// What a file may leave to the flags, and the whole experiment may not.
pub(super) fn missing(list: &mut Checks, e: &Experiment) {
    if e.variants.is_empty() {
        return;
    }
    list.check(
        !e.platforms().contains(&PlatformKind::Endpoint),
        &["variants"],
        "an endpoint is there already and cannot be varied; compare endpoints in an experiment of their own",
    );
    list.check(
        e.on == Site::Cluster || e.variants.iter().all(|variant| variant.image.is_none()),
        &["variants"],
        "the twin runs the function's binary and no images; leave images out, or run it on a cluster",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::testing::message;

    #[test]
    fn a_variant_that_makes_no_sense_is_named_with_its_place_and_the_remedy() {
        insta::assert_snapshot!(
            [
                "[[variants]]\nname = 'Two Cores'",
                "[[variants]]\nname = 'a'\n[[variants]]\nname = 'a'",
                "[[variants]]\nname = 'a'\ncpu-cores = 0.0",
                "[[variants]]\nname = 'a'\nworkload = 'dream'",
                "[[variants]]\nname = 'a'\nimage = 'HTTP://no image'",
                "[[variants]]\nname = 'a'\nmemory-mib = 1",
                "[[variants]]\nname = 'a'\nreplicas = { min = 3, max = 2 }",
                "on = 'twin'\n[[variants]]\nname = 'a'\nimage = 'r/f:1'",
                "platforms = ['endpoint', 'knative']\n[cluster]\nendpoints = ['http://h/']\n[[variants]]\nname = 'a'",
                "platforms = ['knative', 'knative']\n[[variants]]\nname = 'x'\n[[variants]]\nname = '2-x'",
                "[[variants]]\nname = '2-cores'\ncores = 2.0",
                "[[variants]]\nname = '2-cores'\ncpu-cores = 2.0\nenv = { A = 'b' }",
            ]
            .map(message)
            .join("\n"),
            @r"
            x.toml:2:8: variants.0.name: 'Two Cores' is no name; use 1 to 40 of a-z, 0-9 and '-', and no '-' at the ends
            x.toml:4:8: variants.1.name: 'a' is there twice
            x.toml:3:13: variants.0.cpu-cores: must be above 0
            x.toml:3:12: variants.0.workload: there is no workload 'dream'; there are: classify, caption, pdf, grade-c, grade-python, logger, null
            x.toml:3:9: variants.0.image: 'HTTP://no image' is no image (invalid reference format); write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST
            x.toml:3:14: variants.0.memory-mib: must be at least 64
            x.toml:3:12: variants.0.replicas: max must be at least 1 and at least min
            variants: the twin runs the function's binary and no images; leave images out, or run it on a cluster
            variants: an endpoint is there already and cannot be varied; compare endpoints in an experiment of their own
            x.toml:2:1: variants: two sides of the comparison would be called knative-2-x; rename a variant
            x.toml:3:1: unknown field `cores`, expected one of `name`, `workload`, `image`, `cpu-cores`, `memory-mib`, `container-concurrency`, `replicas`, `env`
            accepted
            "
        );
    }

    #[test]
    fn a_variant_says_what_it_changes() {
        let variant = Variant {
            cpu_cores: Some(0.5),
            memory_mib: Some(256),
            replicas: Some(ReplicaBounds { min: 1, max: 5 }),
            container_concurrency: Some(0),
            env: BTreeMap::from([("A".into(), "b".into())]),
            ..Variant::default()
        };
        assert_eq!(
            variant.describe(),
            "0.5 cores, 256 MiB, no limit of requests at once in a replica, 1 to 5 replicas, A=b"
        );
        assert_eq!(Variant::default().describe(), "the function as it is");
    }
}
