//! The experiment that runs when nobody says otherwise: two questions, pinned replicas.

use std::time::Duration;

use super::{Arrivals, Experiment, FunctionChoice, LoadPoint, Metric, Site, label_subjects};
use crate::platforms::{PlatformKind, ReplicaBounds};

impl Default for Experiment {
    fn default() -> Self {
        Self {
            title: "MobileNetV2 image classification, one pinned replica".into(),
            seed: 42,
            on: Site::Cluster,
            subjects: label_subjects(&PlatformKind::SERVERLESS),
            trials: 5,
            function: FunctionChoice::default(),
            replicas: ReplicaBounds { min: 1, max: 1 },
            timeout: Duration::from_secs(10),
            drain: Duration::from_secs(3),
            cluster: crate::platforms::cluster::ClusterChoice::default(),
            settings: std::collections::BTreeMap::new(),
            revisions: Vec::new(),
            load: vec![closed_loop(), poisson()],
        }
    }
}

impl Default for FunctionChoice {
    fn default() -> Self {
        Self {
            workload: "classify".into(),
            model: "auto".into(),
            pictures: "auto".into(),
            top: 5,
            cpu_cores: 1.0,
            memory_mib: 512,
            container_concurrency: 0,
            image: None,
            own: None,
        }
    }
}

fn closed_loop() -> LoadPoint {
    LoadPoint {
        name: "closed-8".into(),
        question: "How many correct answers a second does it give to eight clients that never pause?".into(),
        primary_metric: Metric::GoodputRps,
        arrivals: Arrivals::Closed { connections: 8, think_time: Duration::ZERO },
        rate_share: None,
        warmup: Duration::from_millis(1500),
        duration: Duration::from_secs(5),
    }
}

/// Half of what a bare replica serves is below both capacities, and far enough from idle for
/// queueing to show. Nine seconds of it are some 250 requests on a small machine: a dozen lie
/// beyond the 95th percentile.
fn poisson() -> LoadPoint {
    LoadPoint {
        name: "poisson".into(),
        question: "How long do 95 % of the requests take when they arrive at random, below capacity?".into(),
        primary_metric: Metric::ResponseP95Ms,
        arrivals: Arrivals::Poisson { rate: 0.0 },
        rate_share: Some(0.5),
        warmup: Duration::from_secs(1),
        duration: Duration::from_secs(9),
    }
}
