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
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"command":"state","id":7}
        {"command":"stop"}
        {"event":"listening","address":"127.0.0.1:80"}
        {"event":"started","pid":3}
        "#);
    }
}
