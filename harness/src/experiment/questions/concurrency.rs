//! Closed loop with 1 to 200 connections: throughput and latency against connections, as a study of
//! grading functions on OpenFaaS drew them with `ab`.

use std::time::Duration;

use crate::experiment::{Arrivals, Experiment, LoadPoint, Metric, Procedure, Site};

/// Connections side by side, step by step.
const CONNECTIONS: [u32; 8] = [1, 2, 5, 10, 20, 50, 100, 200];
/// Requests that may wait in a replica: more than there are connections, so that a replica queues
/// what it cannot serve at once instead of refusing it.
const QUEUE_LIMIT: &str = "1000";

/// One sweep a trial; `warmup` and `duration` are those of each step.
pub(super) fn experiment(site: Site) -> Experiment {
    let (warmup, duration) = match site {
        Site::Twin => (Duration::from_millis(1500), Duration::from_secs(5)),
        Site::Cluster => (Duration::from_secs(5), Duration::from_secs(20)),
    };
    let mut experiment = Experiment {
        title: "Concurrency: throughput and latency of 1 to 200 connections".into(),
        timeout: Duration::from_secs(30),
        // With so many in flight the last answers come long after the last send.
        drain: Duration::from_secs(30),
        load: vec![LoadPoint {
            name: "concurrency".into(),
            question:
                "How many correct answers a second does it give at the number of connections that suits it best?"
                    .into(),
            primary_metric: Metric::PeakGoodputRps,
            arrivals: Arrivals::Closed { connections: CONNECTIONS[0], think_time: Duration::ZERO },
            warmup,
            duration,
            procedure: Procedure::Concurrency { connections: CONNECTIONS.into() },
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    };
    experiment.function.env.insert("QUEUE_LIMIT".into(), QUEUE_LIMIT.into());
    experiment
}
