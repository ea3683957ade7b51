//! For tests of the platforms: a function to deploy, and a cluster that a replay server plays.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::{Cluster, ClusterChoice, RunLabel};
use crate::{
    platforms::{FunctionSpec, Image, ReplicaBounds},
    replay::{Exchange, Replay},
};

/// Our own function, by digest.
pub fn spec(min: u32, max: u32) -> FunctionSpec {
    FunctionSpec {
        name: "classify".into(),
        binary: PathBuf::new(),
        env: BTreeMap::from([("WORKLOAD".into(), "classify".into())]),
        path: "/predict?top=5".into(),
        cpu_cores: 0.5,
        memory_mib: 256,
        container_concurrency: 0,
        replicas: ReplicaBounds { min, max },
        platform_settings: BTreeMap::new(),
        image: Some(Image {
            reference: format!("registry.example.com/function@sha256:{}", "0a".repeat(32)),
            port: 8080,
            health_path: "/health".into(),
            is_ours: true,
        }),
        revisions: Vec::new(),
        storage_secret: None,
        allow_public_grading: false,
    }
}

/// A cluster that the server plays, with the ingress there too.
pub fn cluster(server: &Replay, namespace: &str) -> Cluster {
    Cluster {
        api: server.api(),
        context: "replay".to_owned(),
        server: server.url(),
        choice: ClusterChoice {
            namespace: Some(namespace.to_owned()),
            ingress: Some(server.url()),
            ..ClusterChoice::default()
        },
        login: None,
        run: RunLabel::new("r1"),
    }
}

/// A list, as an API server answers it.
pub fn list(path: &str, items: &Value) -> Exchange {
    let body = serde_json::json!({ "metadata": { "resourceVersion": "1" }, "items": items });
    Exchange::new("GET", path, 200, body)
}

/// A watch that tells these events and then stays open.
pub fn watch(path: &str, events: Value) -> Exchange {
    Exchange { watch: true, ..Exchange::new("GET", path, 200, events) }
}

/// The `Status` of a refusal.
pub fn refusal(method: &str, path: &str, code: u16, message: &str) -> Exchange {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Refused", "code": code,
    });
    Exchange::new(method, path, code, body)
}
