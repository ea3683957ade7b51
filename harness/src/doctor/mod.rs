//! `harness doctor`: is everything there that a comparison needs, and what mends what is not?
//!
//! One table of small checks, in the order in which things depend on each other. The first check of
//! a part is its root: when that fails, the rest of the part is skipped and says why.

mod checks;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::{
    bucket::KeyPair,
    collect::clock,
    experiment::events::BrokerClass,
    platforms::{PlatformKind, cluster::Cluster},
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not looked at; the text says why.
    Skipped,
    /// A comparison works, with less to show or with a caveat.
    Warn,
    /// A comparison would fail.
    Fail,
}

impl Verdict {
    /// The word that is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Skipped => "skipped",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub says: String,
    /// What mends it: a command, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What the comparison that is asked about would need.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// Platforms that are to be compared.
    pub platforms: Vec<PlatformKind>,
    /// CPU of a replica, cores.
    pub cpu_cores: f64,
    /// Replicas at once.
    pub replicas: u32,
    /// The image that is to be deployed.
    pub image: Option<String>,
    /// The class of the broker, where functions are to emit events.
    pub events: Option<BrokerClass>,
    /// Whether inputs are to come from an object storage.
    pub storage: bool,
}

/// What a check says, before it knows its name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    verdict: Verdict,
    says: String,
    remedy: Option<String>,
}

fn ok(says: impl Into<String>) -> Said {
    Said { verdict: Verdict::Ok, says: says.into(), remedy: None }
}

fn skipped(why: impl Into<String>) -> Said {
    Said { verdict: Verdict::Skipped, says: why.into(), remedy: None }
}

fn warn(says: impl Into<String>, remedy: impl Into<String>) -> Said {
    Said { verdict: Verdict::Warn, says: says.into(), remedy: Some(remedy.into()) }
}

fn fail(says: impl Into<String>, remedy: impl Into<String>) -> Said {
    Said { verdict: Verdict::Fail, says: says.into(), remedy: Some(remedy.into()) }
}

/// What is examined, and with what.
#[derive(Debug)]
struct Patient<'a> {
    cluster: &'a Cluster,
    wishes: &'a Wishes,
    http: http::Http,
    /// The key of the object storage, or why there is none.
    keys: Result<KeyPair, String>,
    /// Between two questions for the time.
    clock_pause: Duration,
}

/// A part of the cluster, whose checks hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cluster,
    Knative,
    OpenFaas,
    Prometheus,
    Eventing,
    Storage,
}

/// One check.
struct Check {
    name: &'static str,
    part: Part,
    run: for<'a> fn(&'a Patient<'a>) -> BoxFuture<'a, Said>,
}

/// Examines a cluster, check by check; `tell` gets each finding as soon as it is there.
pub async fn examine(cluster: &Cluster, wishes: &Wishes, tell: impl FnMut(&Finding)) -> Vec<Finding> {
    let keys = KeyPair::from_env().map_err(|error| error.to_string());
    let patient = Patient { cluster, wishes, http: http::Http::new(), keys, clock_pause: clock::PAUSE };
    examine_patient(&patient, tell).await
}

async fn examine_patient(patient: &Patient<'_>, mut tell: impl FnMut(&Finding)) -> Vec<Finding> {
    let wishes = patient.wishes;
    let mut findings: Vec<Finding> = Vec::new();
    // The part that is being looked at, its root's name, and whether that failed.
    let mut root: Option<(Part, &'static str, bool)> = None;
    for check in checks::ALL {
        let asked = match check.part {
            Part::Cluster | Part::Prometheus => true,
            Part::Knative => wishes.platforms.contains(&PlatformKind::Knative),
            Part::OpenFaas => wishes.platforms.contains(&PlatformKind::OpenFaas),
            Part::Eventing => wishes.events.is_some(),
            Part::Storage => wishes.storage,
        };
        if !asked {
            continue;
        }
        let broken = root.filter(|(part, _, failed)| *part == check.part && *failed);
        let said = match broken {
            Some((_, name, _)) => skipped(format!("see {name}")),
            None => (check.run)(patient).await,
        };
        if root.is_none_or(|(part, ..)| part != check.part) {
            let failed = said.verdict == Verdict::Fail
                || check.part == Part::Prometheus && said.verdict != Verdict::Ok;
            root = Some((check.part, check.name, failed));
        }
        let finding =
            Finding { check: check.name, verdict: said.verdict, says: said.says, remedy: said.remedy };
        tell(&finding);
        findings.push(finding);
    }
    findings
}

/// What stands where no cluster answers.
pub fn unreachable(error: &crate::platforms::cluster::ClusterError) -> Finding {
    Finding {
        check: checks::ROOT,
        verdict: Verdict::Fail,
        says: error.to_string(),
        remedy: Some(
            "kubectl config get-contexts shows the clusters that you know; choose one with --context NAME, or use \
             --on twin with the other commands"
                .to_owned(),
        ),
    }
}
