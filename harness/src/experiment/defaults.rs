//! The experiment that runs when nobody says otherwise: two questions, pinned replicas.

use std::time::Duration;

use super::{Arrivals, Experiment, FunctionChoice, LoadPoint, Metric, Site, Via, label_subjects};
use crate::{
    platforms::{PlatformKind, ReplicaBounds},
    workloads::Kind,
};

impl Default for Experiment {
    fn default() -> Self {
        Self::default_on(Site::Cluster)
    }
}

impl Experiment {
    /// The experiment that runs there when nobody says otherwise. A cluster's metrics come every 10
    /// to 20 s, so its intervals are longer than the twin's.
    pub fn default_on(site: Site) -> Self {
        let (warmup, closed, open) = match site {
            Site::Twin => (Duration::from_millis(1500), Duration::from_secs(5), Duration::from_secs(9)),
            Site::Cluster => (Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(30)),
        };
        Self {
            question: None,
            title: usual_title(Kind::Classify),
            seed: 42,
            on: site,
            subjects: label_subjects(&PlatformKind::SERVERLESS),
            trials: 5,
            function: FunctionChoice::default(),
            replicas: ReplicaBounds { min: 1, max: 1 },
            timeout: Kind::Classify.usual_timeout(),
            drain: Duration::from_secs(3),
            cluster: crate::platforms::cluster::ClusterChoice::default(),
            settings: std::collections::BTreeMap::new(),
            revisions: Vec::new(),
            connection: crate::drive::ConnectionPolicy::default(),
            load_from: super::LoadFromChoice::default(),
            variants: Vec::new(),
            reuse_deployments: false,
            stop_early: None,
            planned_trials: None,
            thresholds: Vec::new(),
            expected_noise: Vec::new(),
            events: None,
            load: vec![closed_loop(warmup, closed), poisson(warmup, open)],
        }
    }

    /// Measures another workload: what still has its usual value gets that of the workload.
    pub fn choose_workload(&mut self, kind: Kind) {
        let Ok(before) = self.function.workload.parse::<Kind>() else { return };
        kind.name().clone_into(&mut self.function.workload);
        if self.title == usual_title(before) {
            self.title = usual_title(kind);
        }
        if self.function.memory_mib == before.usual_memory_mib() {
            self.function.memory_mib = kind.usual_memory_mib();
        }
        if self.timeout == before.usual_timeout() {
            self.timeout = kind.usual_timeout();
        }
    }
}

impl Default for FunctionChoice {
    fn default() -> Self {
        Self {
            workload: "classify".into(),
            size: crate::workloads::Size::default(),
            inputs: Via::default(),
            results: Via::default(),
            model: "auto".into(),
            pictures: "auto".into(),
            top: 5,
            cpu_cores: 1.0,
            memory_mib: Kind::Classify.usual_memory_mib(),
            container_concurrency: 0,
            env: std::collections::BTreeMap::new(),
            allow_public_grading: false,
            image: None,
            own: None,
        }
    }
}

fn usual_title(kind: Kind) -> String {
    format!("{}, one pinned replica", kind.title())
}

fn closed_loop(warmup: Duration, duration: Duration) -> LoadPoint {
    LoadPoint {
        name: "closed-8".into(),
        question: "How many correct answers a second does it give to eight clients that never pause?".into(),
        primary_metric: Metric::GoodputRps,
        arrivals: Arrivals::Closed { connections: 8, think_time: Duration::ZERO },
        warmup,
        duration,
        ..LoadPoint::default()
    }
}

/// Half of what a bare replica serves is below both capacities, and far enough from idle for
/// queueing to show. Nine seconds of it (on the twin) are some 250 requests on a small machine: a dozen lie
/// beyond the 95th percentile.
fn poisson(warmup: Duration, duration: Duration) -> LoadPoint {
    LoadPoint {
        name: "poisson".into(),
        question: "How long do 95 % of the requests take when they arrive at random, below capacity?".into(),
        primary_metric: Metric::ResponseP95Ms,
        arrivals: Arrivals::Poisson { rate: 0.0 },
        rate_share: Some(0.5),
        warmup,
        duration,
        ..LoadPoint::default()
    }
}
