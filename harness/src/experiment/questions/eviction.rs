//! How long an idle instance lives.

use std::time::Duration;

use crate::{
    experiment::{Experiment, LoadPoint, Metric, Procedure, Site},
    platforms::ReplicaBounds,
};

/// Each platform with its own settings: they are what is measured. Knative's are a window of 60 s and
/// up to 30 s of grace.
pub(super) fn experiment(site: Site) -> Experiment {
    let (trials, at_most) = match site {
        Site::Twin => (3, Duration::from_secs(100)),
        Site::Cluster => (5, Duration::from_mins(4)),
    };
    Experiment {
        title: "Eviction: how long an idle instance lives".into(),
        trials,
        replicas: ReplicaBounds { min: 0, max: 1 },
        load: vec![LoadPoint {
            name: "idle".into(),
            question:
                "How long does an idle instance live (longer: fewer cold starts, and more idle memory)?"
                    .into(),
            primary_metric: Metric::IdleLifeS,
            procedure: Procedure::Eviction { at_most },
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    }
}
