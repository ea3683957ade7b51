//! Step load: time to scale, over- and under-provisioning.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    experiment::{Arrivals, Experiment, LoadPoint, Metric, Site},
    platforms::{PlatformKind, ReplicaBounds},
};

/// Concurrent requests that Knative aims at per replica. Its own default of 100 is meant for functions
/// that wait, not for ones that compute: one that computes is saturated long before.
const KNATIVE_TARGET: &str = "2";

/// One rise and one fall of the load, in five equal parts: low, high, high, high, low. The first part
/// lies in the warm-up as far as that reaches. Rates follow from the pilot: the high one is this share of
/// what one replica serves, and the low one a sixth of it.
///
/// OpenFaaS's rule takes half a minute and more to add a replica (scrapes every 5 s, evaluation every
/// 15 s), so the high load must last that long. On the twin, whose replicas share one machine, the
/// high rate is only a little above what one replica serves: more of them add no capacity there.
pub(super) fn experiment(site: Site) -> Experiment {
    let (trials, length, peak) = match site {
        Site::Twin => (3, Duration::from_secs(90), 1.2),
        Site::Cluster => (5, Duration::from_secs(150), 2.4),
    };
    let warmup = Duration::from_secs(5);
    Experiment {
        title: "Autoscaling: how the replicas follow a step of the load".into(),
        trials,
        replicas: ReplicaBounds { min: 1, max: 3 },
        timeout: Duration::from_secs(20),
        drain: Duration::from_secs(10),
        settings: BTreeMap::from([(
            PlatformKind::Knative,
            BTreeMap::from([("target".to_owned(), KNATIVE_TARGET.to_owned())]),
        )]),
        load: vec![LoadPoint {
            name: "steps".into(),
            question: "How long does it take from a step of the load until there are replicas enough for it?"
                .into(),
            primary_metric: Metric::TimeToScaleS,
            arrivals: Arrivals::Steps { rates: vec![1.0, 6.0, 6.0, 6.0, 1.0] },
            rate_share: Some(peak),
            warmup,
            duration: length - warmup,
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    }
}
