//! The highest Poisson rate that holds a service level, found by bracketing and bisection.

use std::time::Duration;

use crate::experiment::{Arrivals, Experiment, LoadPoint, Metric, Procedure, Site, Slo};

/// One search a trial. `duration` is the longest that a single probe may last, `warmup` its beginning,
/// which is not counted.
pub(super) fn experiment(site: Site) -> Experiment {
    let (warmup, longest) = match site {
        Site::Twin => (Duration::from_secs(1), Duration::from_secs(40)),
        Site::Cluster => (Duration::from_secs(3), Duration::from_mins(2)),
    };
    let slo = Slo::default();
    Experiment {
        title: "Capacity: the highest rate of random arrivals that holds a service level".into(),
        load: vec![LoadPoint {
            name: "capacity".into(),
            question: slo.question(),
            primary_metric: Metric::CapacityRps,
            // Where the search begins.
            arrivals: Arrivals::Poisson { rate: 0.0 },
            rate_share: Some(0.5),
            warmup,
            duration: longest,
            procedure: Procedure::Capacity { slo, precision: 0.08 },
            ..LoadPoint::default()
        }],
        ..Experiment::default_on(site)
    }
}
