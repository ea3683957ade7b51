//! Proved cold starts, with their phases.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    experiment::{Experiment, LoadPoint, Metric, Procedure, Site},
    platforms::{PlatformKind, ReplicaBounds},
};

/// Knative's stable window: how long without a request before the replica may go. The shortest that it
/// takes is 6 s; it decides how long one waits for zero, and not how long a start takes.
const WINDOW: &str = "10s";

/// Three starts a trial. A platform that keeps a replica says so; the first answer of its fresh
/// deployments stands beside, under its own name.
pub(super) fn experiment(site: Site) -> Experiment {
    let zero_within = match site {
        Site::Twin => Duration::from_mins(1),
        // The last replica goes up to 30 s (scale-to-zero-grace-period) after the window, and drains.
        Site::Cluster => Duration::from_mins(5),
    };
    Experiment {
        title: "Cold starts from zero replicas, proved".into(),
        replicas: ReplicaBounds { min: 0, max: 1 },
        // A start that pulls an image takes long, and is no failure.
        timeout: Duration::from_mins(1),
        settings: BTreeMap::from([(
            PlatformKind::Knative,
            BTreeMap::from([("window".to_owned(), WINDOW.to_owned())]),
        )]),
        load: vec![LoadPoint {
            name: "cold".into(),
            question: "How long does the first request take after zero replicas?".into(),
            primary_metric: Metric::ColdStartMs,
            procedure: Procedure::Cold { starts: 3, zero_within },
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    }
}
