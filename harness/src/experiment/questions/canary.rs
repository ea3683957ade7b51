//! Two revisions behind a traffic split, compared from one stream of requests.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    experiment::{Arrivals, Experiment, LoadPoint, Metric, Site, label_subjects},
    platforms::{PlatformKind, ReplicaBounds, RevisionShare},
};

/// Percent of the requests that the canary gets: enough for a 95th percentile of its own.
const CANARY_PERCENT: u8 = 20;

/// Revisions are paired inside a trial, so an exact test needs six trials at least; eight leave room
/// for one that does not count. Both revisions are the same until a file says what differs: as it
/// stands, this is an A/A comparison.
pub(super) fn experiment(site: Site) -> Experiment {
    let (warmup, duration) = match site {
        Site::Twin => (Duration::from_secs(3), Duration::from_secs(50)),
        Site::Cluster => (Duration::from_secs(5), Duration::from_secs(90)),
    };
    let revision = |name: &str, percent| RevisionShare { name: name.into(), percent, env: BTreeMap::new() };
    Experiment {
        title: "Canary: two revisions behind a traffic split".into(),
        subjects: label_subjects(&[PlatformKind::Knative]),
        trials: 8,
        replicas: ReplicaBounds { min: 1, max: 1 },
        revisions: vec![revision("stable", 100 - CANARY_PERCENT), revision("canary", CANARY_PERCENT)],
        load: vec![LoadPoint {
            name: "split".into(),
            question: "How long do 95 % of the requests take that each revision answers?".into(),
            primary_metric: Metric::ResponseP95Ms,
            arrivals: Arrivals::Poisson { rate: 0.0 },
            rate_share: Some(0.4),
            warmup,
            duration,
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    }
}
