//! What the harness and a data plane process say to each other: JSON, one line each.
//!
//! The harness writes the configuration, then commands, to the plane's standard input and keeps it
//! open: its end means that the harness is gone, and the plane ends everything. The plane writes
//! events to its standard output.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::scaling::{knative::KpaConfig, openfaas::AlertConfig};

/// Everything a data plane needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneConfig {
    /// What it runs as replicas.
    pub function: FunctionProcess,
    /// Revisions that share the traffic (Knative alone); empty: one gets all of it.
    #[serde(default)]
    pub revisions: Vec<RevisionProcess>,
    /// Requests a replica works on at once; 0 = no limit. OpenFaaS has no such rule.
    pub container_concurrency: u32,
    /// How long the platform waits for the function's answer.
    pub request_timeout: Duration,
    /// Cores to stay on; empty = any.
    pub cores: Vec<usize>,
    /// The platform's rules.
    pub rules: Rules,
}

/// The process behind each replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionProcess {
    /// Name of the function, a DNS label.
    pub name: String,
    /// The binary.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, beside `PORT`, `BIND` and `INSTANCE_ID`, which differ per replica.
    pub env: BTreeMap<String, String>,
}

/// One of several revisions of the function: the same process with another environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionProcess {
    /// Its name, `FUNCTION-NAME` as Knative has it; its replicas' names begin with it.
    pub name: String,
    /// Its share of the traffic, percent.
    pub percent: u8,
    /// What differs in its environment.
    pub env: BTreeMap<String, String>,
}

/// What happens to a replica, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The autoscaler wanted it.
    Requested,
    /// Its process runs.
    Started,
    /// Its probe succeeded, and it is in the routing.
    Ready,
    /// It was taken out of the routing and told to end.
    Terminating,
    /// Its process has ended as it was told to.
    Gone,
    /// Its process ended by itself, or was ended because its probes failed; a new one follows.
    Restarted,
}

/// News of one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaNews {
    /// Its instance id.
    pub replica: String,
    /// What happened.
    pub step: Step,
    /// When, Unix nanoseconds of this machine's clock.
    pub at_unix_ns: u64,
}

/// Which platform's rules a plane follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// Knative: ingress, activator, queue-proxies, KPA.
    Knative(KpaConfig),
    /// OpenFaaS CE: gateway, provider, alert rule.
    OpenFaas {
        /// The alert rule and the bounds.
        alert: AlertConfig,
        /// From the start to Prometheus's next scrape.
        scrape_in: Duration,
        /// From the start to the next evaluation of the rule.
        evaluation_in: Duration,
    },
}

/// From the harness to the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Answer with a state event of this number.
    State {
        /// Number of the question, ascending from 1.
        id: u64,
    },
    /// End all replicas, then the plane.
    Stop,
}

/// From the plane to the harness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The entry for invocations is open.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A replica process was started.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// A replica process has ended.
    Ended {
        /// Its process id.
        pid: u32,
    },
    /// Something happened to a replica.
    Replica(ReplicaNews),
    /// Answer to a question, or news (then with the number of the last question).
    State {
        /// Number of the question.
        id: u64,
        /// How things stand.
        state: PlaneState,
    },
    /// All replicas are gone; the plane ends.
    Stopped,
}

/// How things stand in a data plane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaneState {
    /// Replicas that can answer.
    pub ready: u32,
    /// Replicas wanted.
    pub desired: u32,
    /// Knative: panic mode. OpenFaaS: the alert fires.
    pub panic: bool,
    /// Knative: requests go through the activator.
    pub activator_in_path: Option<bool>,
    /// Living replica processes.
    pub pids: Vec<u32>,
    /// Replica processes that ended without having been told to.
    pub restarts: u32,
    /// CPU seconds of all replicas that ever ran.
    pub cpu_seconds: f64,
    /// Resident memory of the living ones, bytes.
    pub memory_bytes: u64,
    /// CPU seconds of the plane itself.
    pub plane_cpu_seconds: f64,
    /// Why the last replica failed, as far as known: its last line on standard error.
    pub last_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_events_are_single_json_lines() {
        let lines = [
            serde_json::to_string(&Command::State { id: 7 }).unwrap(),
            serde_json::to_string(&Command::Stop).unwrap(),
            serde_json::to_string(&Event::Listening { address: ([127, 0, 0, 1], 80).into() }).unwrap(),
            serde_json::to_string(&Event::Started { pid: 3 }).unwrap(),
            serde_json::to_string(&Event::Replica(ReplicaNews {
                replica: "classify-1".into(),
                step: Step::Ready,
                at_unix_ns: 5,
            }))
            .unwrap(),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"command":"state","id":7}
        {"command":"stop"}
        {"event":"listening","address":"127.0.0.1:80"}
        {"event":"started","pid":3}
        {"event":"replica","replica":"classify-1","step":"ready","at_unix_ns":5}
        "#);
    }
}
