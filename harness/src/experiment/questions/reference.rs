//! The method of the study that this project replaces, as far as its files tell: a closed loop of many
//! connections, one interval, requests a second and mean latency. What is mended: both platforms get
//! the same bytes and give the same answers, fresh replicas each trial, several trials.

use std::time::Duration;

use crate::experiment::{Arrivals, Experiment, LoadPoint, Metric, Site};

/// The study's files do not name it; its rates times its latencies give 129 requests in flight on one
/// platform and 90 on the other. One number for both lies between.
const CONNECTIONS: u32 = 110;
/// Requests that may wait in a replica, so that none is refused which the study's servers would queue.
const QUEUE_LIMIT: &str = "1000";

/// The closed loop.
pub(super) fn experiment(site: Site) -> Experiment {
    let (warmup, duration) = match site {
        // Ten requests of each connection: a small machine takes half a minute for them.
        Site::Twin => (Duration::from_secs(5), Duration::from_secs(40)),
        // About as long as 6000 requests took the study.
        Site::Cluster => (Duration::from_secs(10), Duration::from_mins(1)),
    };
    let mut experiment = Experiment {
        title: "Reference: the published study's method, with the same bytes to both".into(),
        timeout: Duration::from_secs(30),
        // With so many in flight the last answers come long after the last send.
        drain: Duration::from_secs(30),
        load: vec![LoadPoint {
            name: "reference".into(),
            question: format!(
                "How many correct answers a second does it give to {CONNECTIONS} clients that never pause?"
            ),
            primary_metric: Metric::GoodputRps,
            arrivals: Arrivals::Closed { connections: CONNECTIONS, think_time: Duration::ZERO },
            warmup,
            duration,
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    };
    experiment.function.env.insert("QUEUE_LIMIT".into(), QUEUE_LIMIT.into());
    experiment
}
